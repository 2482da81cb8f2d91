use proptest::prelude::*;

use super::*;
use crate::kdf::Key;

const KEPT: u64 = 20_160;

fn root(of: u8) -> CallRoot {
    CallRoot(Key([of; 32]))
}

fn ends() -> [Roots; 2] {
    [Side::First, Side::Second].map(|side| Roots::new(side, &root(0), KEPT))
}

fn published(tokens: &[Token]) -> CallBox {
    let noise = (0..50).map(|i| Token::new(i * 0x1_2345_6789).unwrap());
    CallBox::new(tokens.iter().copied().chain(noise).collect()).unwrap()
}

/// Lets `from` call `to` in `round`; returns what `to` hears.
fn call(from: &Roots, to: &Roots, round: u64) -> Option<Heard> {
    let token = from.token(CallRound(round), Intent::Call)?;
    to.heard(CallRound(round), &published(&[token]))
}

/// How far a refresh gets before the session breaks off.
#[derive(Clone, Copy, Debug)]
enum Broken {
    FirstAlone,
    Mixed,
    FirstHeard,
    Whole,
}

fn broken() -> impl Strategy<Value = Broken> {
    prop::sample::select(vec![Broken::FirstAlone, Broken::Mixed, Broken::FirstHeard, Broken::Whole])
}

proptest! {
    /// The ends of an interrupted refresh do not know how far the other got.
    #[test]
    fn wherever_sessions_break_off_the_next_call_or_the_call_back_opens_one(
        breaks in prop::collection::vec((broken(), any::<bool>(), any::<bool>()), 1..20),
    ) {
        let mut ends = ends();
        let mut round = 10;
        for (i, (broken, turned, back)) in breaks.into_iter().enumerate() {
            // Either end is the first to hear of things, and either calls next.
            let (one, other) = if turned { (0, 1) } else { (1, 0) };
            let new = root(i as u8 + 1);
            ends[one].refreshed(&new);
            if !matches!(broken, Broken::FirstAlone) {
                ends[other].refreshed(&new);
            }
            // A confirmation shows that the other end has mixed everything.
            if matches!(broken, Broken::FirstHeard | Broken::Whole) {
                ends[one].confirmed(CallRound(round));
            }
            if matches!(broken, Broken::Whole) {
                ends[other].confirmed(CallRound(round));
            }
            round += 1;
            let (caller, callee) = if back { (1, 0) } else { (0, 1) };
            let heard = call(&ends[caller], &ends[callee], round);
            prop_assert!(heard.is_some());
            let mut heard = heard.unwrap();
            let (mut caller, mut callee) = (caller, callee);
            if heard.root == Which::Old {
                round += 1;
                (caller, callee) = (callee, caller);
                heard = call(&ends[caller], &ends[callee], round).unwrap();
                prop_assert_ne!(heard.root, Which::Old);
            }
            let callees = ends[callee].session_of(heard).unwrap();
            let callers = ends[caller].session(CallRound(round)).unwrap();
            prop_assert_eq!(callers.0, callees.0);
            round += 1;
        }
        prop_assert!(ends.iter().all(|end| end.live() <= 2 + MOST_OLD_ROOTS));
    }
}

#[test]
fn a_call_is_heard_by_its_partner_alone_and_in_its_round_alone() {
    let [a, b] = ends();
    let heard = call(&a, &b, 5).unwrap();
    assert_eq!((heard.intent, heard.root), (Intent::Call, Which::Current));
    assert_eq!(call(&a, &a, 5), None);
    let token = a.token(CallRound(5), Intent::Answer).unwrap();
    let answer = b.heard(CallRound(5), &published(&[token])).unwrap();
    assert_eq!(answer.intent, Intent::Answer);
    assert_eq!(b.heard(CallRound(6), &published(&[token])), None);
    let stranger = Roots::new(Side::Second, &root(9), KEPT);
    assert_eq!(call(&a, &stranger, 5), None);
}

#[test]
fn an_old_root_tells_of_missed_calls_for_14_days_and_opens_nothing() {
    let [a, mut b] = ends();
    b.refreshed(&root(1));
    b.confirmed(CallRound(100));
    for (round, told) in [(50, true), (100 + KEPT, true), (101 + KEPT, false)] {
        let heard = call(&a, &b, round);
        assert_eq!(heard.is_some_and(|heard| heard.root == Which::Old), told, "{round}");
        assert!(heard.and_then(|heard| b.session_of(heard)).is_none());
    }
    b.forget_before(CallRound(101 + KEPT));
    assert_eq!(b.live(), 1);
}

#[test]
fn forgotten_rounds_have_neither_tokens_nor_sessions() {
    let [a, mut b] = ends();
    let heard = call(&a, &b, 70).unwrap();
    b.refreshed(&root(1));
    b.forget_before(CallRound(71));
    assert_eq!(call(&a, &b, 70), None);
    assert!(b.session_of(heard).is_none());
    assert!(b.token(CallRound(70), Intent::Call).is_none());
    assert!(call(&a, &b, 71).is_some());
}

proptest! {
    #[test]
    fn a_kept_contact_hears_and_calls_as_before(refreshes in 0..8_u8, pending: bool, forgotten in 0..1000_u64) {
        let [a, mut b] = ends();
        for of in 1..=refreshes {
            b.refreshed(&root(of));
            b.confirmed(CallRound(u64::from(of)));
        }
        if pending {
            b.refreshed(&root(99));
        }
        b.forget_before(CallRound(forgotten));
        let bytes = b.to_bytes();
        let read = Roots::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&read.to_bytes(), &bytes);
        let round = CallRound(forgotten + 3);
        prop_assert_eq!(read.token(round, Intent::Call), b.token(round, Intent::Call));
        prop_assert_eq!(call(&a, &read, round.0), call(&a, &b, round.0));
        prop_assert_eq!(read.live(), b.live());
    }

    #[test]
    fn a_damaged_record_is_refused_or_another_ones(at: prop::sample::Index, flip in 1..=255_u8, cut: prop::sample::Index) {
        let [_, mut b] = ends();
        b.refreshed(&root(1));
        b.confirmed(CallRound(5));
        b.refreshed(&root(2));
        let bytes = b.to_bytes();
        let cut = cut.index(bytes.len());
        prop_assert!(Roots::from_bytes(&bytes[..cut]).is_err());
        prop_assert!(Roots::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
        let mut other = bytes.to_vec();
        other[at.index(bytes.len())] ^= flip;
        if let Ok(read) = Roots::from_bytes(&other) {
            prop_assert_eq!(&read.to_bytes()[..], &other[..]);
        }
    }
}
