use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::Start;

fn conversation() -> Conversation {
    let secret = ConversationSecret([1; 32]);
    let opening = Opening::new(secret, Role::First, Start::Dense);
    Conversation::new(&opening, 10_000, 10_000, &mut ChaCha20Rng::seed_from_u64(1))
}

proptest! {
    #[test]
    fn a_malicious_partner_can_say_anything(
        plaintexts in prop::collection::vec(prop::collection::vec(0u8..4, 38..60), 0..100),
    ) {
        let mut conversation = conversation();
        let geometry = Geometry::new(15, 64).unwrap();
        conversation.send(vec![7; 5000]).unwrap();
        for (round, plaintext) in plaintexts.iter().enumerate() {
            let round = Round(round as u64);
            let mut deposits = vec![0; 2 * geometry.deposit_bytes()];
            let meeting = conversation.deposit(Epoch(0), round, geometry, None, &mut deposits);
            if let Ok(content) = body::read(plaintext) {
                conversation.take(round, content, &mut News::default());
            }
            conversation.finish(meeting.map_or(0, |meeting| meeting.number), Some(true), false);
        }
    }
}

#[test]
fn a_partner_cannot_close_in_the_far_future() {
    let mut conversation = conversation();
    let mut errors = Vec::new();
    for at in [u64::MAX, 5000, 4100] {
        let item = Item::Closing(Round(at));
        let mut news = News::default();
        let (instances, acknowledgement) = Default::default();
        let content = Content { instances, acknowledgement, is_ahead: false, item };
        conversation.take(Round(10), content, &mut news);
        errors.extend(news.errors);
    }
    assert_eq!(errors, [PartnerError::Closing; 2]);
    assert!(conversation.is_over(Round(4100)));
    assert_eq!(conversation.send(Vec::new()), Err(SendError::Closing));
}

#[test]
fn once_closing_is_agreed_only_an_earlier_round_changes_it() {
    let mut conversation = conversation();
    conversation.close(Round(100));
    conversation.close(Round(200));
    assert!(!conversation.is_over(Round(116)));
    assert!(conversation.is_over(Round(117)));
}
