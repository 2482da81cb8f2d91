use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::conversation::{Acknowledgement, Fragment};

const CAPACITY: usize = 226;

/// One end: it sends, receives, and remembers what came out.
struct End {
    sender: Sender,
    receiver: Receiver,
    received: Vec<Vec<u8>>,
    acknowledged: Vec<MessageId>,
}

type Body = (Acknowledgement, Option<(u32, bool, Vec<u8>)>);

impl End {
    fn new() -> Self {
        let (sender, receiver) = (Sender::new(1 << 20, 1 << 16), Receiver::new(1 << 16));
        Self { sender, receiver, received: Vec::new(), acknowledged: Vec::new() }
    }

    fn body(&mut self, meeting: u64) -> Body {
        let fragment = self.sender.next(Carrier::Rounds, meeting, CAPACITY);
        let fragment = fragment.map(|f| (f.sequence, f.last, f.payload.to_vec()));
        (self.receiver.acknowledgement(), fragment)
    }

    fn take(&mut self, (acknowledgement, fragment): &Body) {
        self.acknowledged.extend(self.sender.acknowledge(*acknowledgement).unwrap());
        if let Some((sequence, last, payload)) = fragment {
            let fragment = Fragment { sequence: *sequence, last: *last, payload };
            let delivered = self.receiver.accept(fragment);
            assert_eq!(delivered.error, None);
            self.received.extend(delivered.messages);
        }
    }
}

/// Both ends meet until nothing is left to say; returns after how many meetings.
fn converse(ends: &mut [End; 2], bodies: usize, loss: f64, seed: u64) -> u64 {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    for meeting in 0..100_000 {
        let sent: Vec<[Body; 2]> =
            (0..bodies).map(|_| ends.each_mut().map(|end| end.body(meeting))).collect();
        if ends.iter().all(|end| end.sender.queued_bytes() == 0) {
            return meeting;
        }
        let mut well = [true; 2];
        for [from_first, from_second] in sent {
            for (end, body) in [(1, from_first), (0, from_second)] {
                if rng.random_bool(loss) {
                    well[end] = false;
                } else {
                    ends[end].take(&body);
                }
            }
        }
        for (end, well) in ends.iter_mut().zip(well) {
            if well {
                end.sender.heard(Carrier::Rounds, meeting);
            } else {
                end.sender.lost(Carrier::Rounds, meeting);
            }
        }
    }
    panic!("the ends never finish");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn all_messages_arrive_once_whole_and_in_order(
        lengths in prop::collection::vec(0usize..3000, 0..20),
        back in prop::collection::vec(0usize..3000, 0..20),
        bodies in 1usize..5,
        loss in 0.0..0.7,
        seed: u64,
    ) {
        let mut ends = [End::new(), End::new()];
        let mut sent = [Vec::new(), Vec::new()];
        for (side, lengths) in [lengths, back].iter().enumerate() {
            for (i, length) in lengths.iter().enumerate() {
                let message: Vec<u8> = (0..*length).map(|at| (at * 31 + i * 7 + side) as u8).collect();
                prop_assert_eq!(ends[side].sender.queue(message.clone()), Ok(MessageId(i as u64)));
                sent[side].push(message);
            }
        }
        converse(&mut ends, bodies, loss, seed);
        for side in [0, 1] {
            prop_assert_eq!(&ends[1 - side].received, &sent[side]);
            let ids: Vec<_> = (0..sent[side].len() as u64).map(MessageId).collect();
            prop_assert_eq!(&ends[side].acknowledged, &ids);
        }
    }

    #[test]
    fn a_malicious_partner_gets_nowhere(
        fragments in prop::collection::vec((0u32..80, any::<bool>(), 0usize..50), 0..300),
        acknowledgements: Vec<(u32, u32)>,
    ) {
        let mut receiver = Receiver::new(100);
        for (sequence, last, length) in fragments {
            let payload = vec![0; length];
            let delivered = receiver.accept(Fragment { sequence, last, payload: &payload });
            prop_assert!(delivered.messages.iter().all(|message| message.len() <= 100));
            prop_assert!(receiver.held_bytes() <= 100 + 33 * 50);
            receiver.acknowledgement();
        }
        let mut sender = Sender::new(1000, 1000);
        sender.queue(vec![1; 500]).unwrap();
        sender.next(Carrier::Rounds, 0, 100);
        for (next, later) in acknowledgements {
            let _ = sender.acknowledge(Acknowledgement { next: next % 7, later: later % 64 });
            sender.next(Carrier::Rounds, 0, 100);
        }
    }
}

#[test]
fn without_loss_no_body_is_wasted() {
    let mut ends = [End::new(), End::new()];
    ends[0].sender.queue(vec![1; 20_000]).unwrap();
    let fragments = 20_000_u64.div_ceil(CAPACITY as u64);
    // One more meeting brings the last acknowledgement.
    assert_eq!(converse(&mut ends, 2, 0.0, 1), fragments.div_ceil(2) + 1);
    assert_eq!(ends[1].received, vec![vec![1; 20_000]]);
}

#[test]
fn an_unacknowledged_fragment_is_sent_again_once_the_partner_could_have_told() {
    let mut sender = Sender::new(1000, 1000);
    sender.queue(b"hello".to_vec()).unwrap();
    assert!(sender.next(Carrier::Rounds, 4, CAPACITY).is_some());
    assert!(sender.next(Carrier::Rounds, 4, CAPACITY).is_none());
    // Meetings 4 and 5 are over; those who planned 5 knew of 3 only, or of 4.
    sender.heard(Carrier::Rounds, 4);
    assert!(sender.next(Carrier::Rounds, 6, CAPACITY).is_none());
    sender.heard(Carrier::Rounds, 5);
    assert_eq!(
        sender.next(Carrier::Rounds, 6, CAPACITY).map(|fragment| fragment.sequence),
        Some(0)
    );
    sender.lost(Carrier::Rounds, 6);
    assert_eq!(
        sender.next(Carrier::Rounds, 7, CAPACITY).map(|fragment| fragment.sequence),
        Some(0)
    );
}

#[test]
fn the_queue_is_bounded_and_says_so() {
    let mut sender = Sender::new(1000, 900);
    assert_eq!(sender.queue(vec![0; 901]), Err(SendError::TooLong { length: 901, limit: 900 }));
    sender.queue(vec![0; 900]).unwrap();
    let full = SendError::QueueFull { needed: 64, queued: 964, limit: 1000 };
    assert_eq!(sender.queue(Vec::new()), Err(full));
    for _ in 0..9 {
        sender.next(Carrier::Rounds, 0, 100);
    }
    let sent = Acknowledgement { next: 9, later: 0 };
    assert_eq!(sender.acknowledge(sent), Ok(vec![MessageId(0)]));
    assert!(sender.queue(vec![0; 900]).is_ok());
}

#[test]
fn acknowledgements_of_what_was_never_sent_are_refused() {
    let mut sender = Sender::new(1000, 1000);
    sender.queue(vec![0; 300]).unwrap();
    sender.next(Carrier::Rounds, 0, 100);
    sender.next(Carrier::Rounds, 0, 100);
    for (next, later) in [(3, 0), (0, 2), (u32::MAX, 0), (2, 1)] {
        assert_eq!(sender.acknowledge(Acknowledgement { next, later }), Err(AcknowledgeError));
    }
    assert_eq!(sender.acknowledge(Acknowledgement { next: 0, later: 1 }), Ok(Vec::new()));
}

#[test]
fn a_message_that_is_too_long_is_left_out_and_the_next_arrives() {
    let mut receiver = Receiver::new(150);
    let mut results = Vec::new();
    for (sequence, last) in [(0, false), (1, false), (2, true), (3, true)] {
        let delivered = receiver.accept(Fragment { sequence, last, payload: &[5; 100] });
        results.push((delivered.messages.len(), delivered.error.is_some()));
    }
    assert_eq!(results, [(0, false), (0, false), (0, true), (1, false)]);
}

#[test]
fn fragments_that_do_not_fit_wait_for_larger_bodies() {
    let mut sender = Sender::new(1000, 1000);
    sender.queue(vec![0; 300]).unwrap();
    assert!(sender.next(Carrier::Rounds, 0, 200).is_some());
    sender.heard(Carrier::Rounds, 5);
    assert_eq!(sender.next(Carrier::Rounds, 5, 50).map(|fragment| fragment.sequence), Some(1));
    assert_eq!(sender.next(Carrier::Rounds, 9, 200).map(|fragment| fragment.sequence), Some(0));
}

#[test]
fn each_carrier_brings_every_fragment_until_it_is_acknowledged() {
    let mut sender = Sender::new(1000, 1000);
    sender.queue(vec![0; 300]).unwrap();
    let mut next =
        |carrier, meeting| sender.next(carrier, meeting, 200).map(|fragment| fragment.sequence);
    assert_eq!(next(Carrier::Beats, 0), Some(0));
    assert_eq!(next(Carrier::Rounds, 0), Some(0));
    assert_eq!(next(Carrier::Beats, 1), Some(1));
    assert_eq!(next(Carrier::Beats, 2), None);
    assert_eq!(next(Carrier::Rounds, 0), Some(1));
    // A beat that failed says nothing about a round of the same number.
    sender.lost(Carrier::Beats, 0);
    assert!(sender.next(Carrier::Rounds, 1, 200).is_none());
    assert_eq!(sender.next(Carrier::Beats, 3, 200).map(|fragment| fragment.sequence), Some(0));
    sender.acknowledge(Acknowledgement { next: 2, later: 0 }).unwrap();
    sender.lost(Carrier::Rounds, 0);
    assert!(sender.next(Carrier::Rounds, 1, 200).is_none());
}
