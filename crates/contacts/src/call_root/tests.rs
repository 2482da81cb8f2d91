use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::*;
use crate::{BoxAddress, Expiry, NetworkMark, OwnCodes};

fn own(seed: u64) -> OwnCode {
    let mut codes = OwnCodes::default();
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    codes.make("x", NetworkMark([1; 4]), BoxAddress(2), Expiry::NEVER, &mut rng).unwrap().clone()
}

#[test]
fn both_ends_find_the_same_root_from_both_codes_on_different_sides() {
    for seed in 0..8 {
        let (a, b) = (own(seed), own(seed + 100));
        let (root, side) = CallRoot::of_codes(&a, b.code()).unwrap();
        let (others, other_side) = CallRoot::of_codes(&b, a.code()).unwrap();
        assert_eq!(root.0.0, others.0.0);
        assert_eq!(side, other_side.other());
        let (third, _) = CallRoot::of_codes(&a, own(seed + 200).code()).unwrap();
        assert_ne!(root.0.0, third.0.0);
    }
    let a = own(1);
    assert!(CallRoot::of_codes(&a, a.code()).is_err());
}

#[test]
fn the_two_halves_of_an_introduction_give_one_root() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let [first, second] = Introduction::draw(BoxAddress(4), BoxAddress(9), &mut rng);
    assert_eq!(first.side, second.side.other());
    assert_eq!((first.partner, second.partner), (BoxAddress(9), BoxAddress(4)));
    let read = Introduction::from_bytes(&second.to_bytes()).unwrap();
    let roots = [&first, &second, &read].map(|half| CallRoot::of_introduction(half).0.0);
    assert!(roots[0] == roots[1] && roots[1] == roots[2]);
    let [other, _] = Introduction::draw(BoxAddress(4), BoxAddress(9), &mut rng);
    assert_ne!(CallRoot::of_introduction(&other).0.0, roots[0]);
}

#[test]
fn damaged_introductions_are_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let [half, _] = Introduction::draw(BoxAddress(4), BoxAddress(9), &mut rng);
    let bytes = half.to_bytes();
    assert!(Introduction::from_bytes(&bytes[1..]).is_err());
    for (at, to) in [(0, 0), (0, 2), (1, 2)] {
        let mut other = bytes;
        other[at] = to;
        assert!(Introduction::from_bytes(&other).is_err());
    }
}

#[test]
fn one_secret_gives_another_root_by_each_way() {
    let key = Key([5; 32]);
    let introduction =
        Introduction { side: Side::First, partner: BoxAddress(0), secret: key.clone() };
    let [code, _] = CallRoot::of_introduction(&introduction).codes(NetworkMark([1; 4]));
    let roots = [
        CallRoot::of_phrase(&key).0.0,
        CallRoot::of_introduction(&introduction).0.0,
        CallRoot::of_invitation(&key, &code, BoxAddress(0)).0.0,
    ];
    assert!(roots[0] != roots[1] && roots[1] != roots[2] && roots[0] != roots[2]);
}
