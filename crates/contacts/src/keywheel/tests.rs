use proptest::prelude::*;

use super::*;

fn wheel() -> Keywheel {
    Keywheel::new(&CallRoot(Key([7; 32])))
}

fn token(wheel: &Keywheel, round: u64) -> Option<Token> {
    Some(wheel.keys(CallRound(round))?.token(Side::First, Intent::Call))
}

proptest! {
    #[test]
    fn where_an_end_begins_and_what_it_has_forgotten_does_not_matter(
        mut stops in prop::collection::vec(any::<u64>(), 0..5), ahead: u64,
    ) {
        stops.sort_unstable();
        let mut forgetful = wheel();
        for &stop in &stops {
            forgetful.forget_before(CallRound(stop));
            prop_assert_eq!(token(&forgetful, stop), token(&wheel(), stop));
        }
        let last = stops.last().copied().unwrap_or(0);
        prop_assert_eq!(forgetful.first(), CallRound(last));
        let round = last.saturating_add(ahead);
        prop_assert_eq!(token(&forgetful, round), token(&wheel(), round));
        if let Some(before) = last.checked_sub(1) {
            prop_assert!(token(&forgetful, before).is_none());
        }
        let read = Keywheel::from_bytes(&forgetful.to_bytes()).unwrap();
        prop_assert_eq!(read.to_bytes(), forgetful.to_bytes());
        prop_assert_eq!(token(&read, round), token(&wheel(), round));
    }

    /// Each kept key is that of a block wholly ahead: none is an ancestor of a forgotten round's.
    #[test]
    fn no_kept_key_leads_to_a_forgotten_round(from: u64) {
        let kept: Vec<Block> = blocks(from).collect();
        let mut next = Some(from);
        for block in &kept {
            prop_assert_eq!(Some(block.first), next);
            prop_assert_eq!(block.first.checked_shr(block.height).unwrap_or(0).checked_shl(block.height).unwrap_or(0), block.first);
            next = 1_u64.checked_shl(block.height).and_then(|rounds| block.first.checked_add(rounds));
        }
        prop_assert_eq!(next, None, "they reach to the last round");
        prop_assert!(kept.len() <= 64);
    }

    #[test]
    fn other_bytes_are_refused_or_written_the_same(
        from in prop::sample::select(vec![0, 1, 1 << 63, u64::MAX, 12]), keys in 0..70_usize, more in 0..2_usize,
    ) {
        let mut bytes = vec![1];
        bytes.extend(u64::to_be_bytes(from));
        bytes.extend(vec![9; 32 * keys + more]);
        match Keywheel::from_bytes(&bytes) {
            Ok(read) => prop_assert_eq!(&read.to_bytes()[..], &bytes[..]),
            Err(error) => prop_assert_eq!(error, WheelError::Damaged),
        }
        bytes[0] = 2;
        prop_assert_eq!(Keywheel::from_bytes(&bytes).err(), Some(WheelError::Version(2)));
    }
}

#[test]
fn rounds_sides_and_intents_have_tokens_of_their_own_and_all_of_a_round_one_session() {
    let wheel = wheel();
    let mut seen = std::collections::BTreeSet::new();
    for round in (0..50).chain([1 << 40, u64::MAX]) {
        let keys = wheel.keys(CallRound(round)).unwrap();
        for (side, intent) in
            [Side::First, Side::Second].into_iter().flat_map(|s| Intent::ALL.map(|i| (s, i)))
        {
            assert!(seen.insert(keys.token(side, intent)));
        }
        assert_eq!(keys.session().0, wheel.keys(CallRound(round)).unwrap().session().0);
        assert_ne!(keys.session().0, wheel.keys(CallRound(round ^ 1)).unwrap().session().0);
    }
}

#[test]
fn tokens_are_five_bytes_and_no_more() {
    let token = Token::new(0x12_3456_789a).unwrap();
    assert_eq!(token.to_bytes(), [0x12, 0x34, 0x56, 0x78, 0x9a]);
    assert_eq!(Token::from_bytes(token.to_bytes()), token);
    assert_eq!(Token::new(1 << 40), None);
}
