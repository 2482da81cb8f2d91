use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::*;

fn begun(session: u8) -> ([Refresh; 2], ChaCha20Rng) {
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(session));
    let begin = |side| Refresh::begin(side, SessionSecret([session; 32]), &mut rng);
    ([Side::First, Side::Second].map(begin), ChaCha20Rng::seed_from_u64(99))
}

fn offered(session: u8) -> [Offered; 2] {
    let ([a, b], mut rng) = begun(session);
    let (of_a, of_b) = (*a.offer(), *b.offer());
    [a.offered(&of_b, &mut rng).unwrap(), b.offered(&of_a, &mut rng).unwrap()]
}

fn mixed(session: u8) -> [Mixed; 2] {
    let [a, b] = offered(session);
    let (to_b, to_a) = (*a.ciphertext(), *b.ciphertext());
    [a.answered(&to_a).unwrap(), b.answered(&to_b).unwrap()]
}

#[test]
fn both_ends_find_one_root_and_know_that_they_do() {
    let [a, b] = mixed(1);
    assert_eq!(a.root().0.0, b.root().0.0);
    assert_eq!(a.binding(), b.binding());
    assert_ne!(a.root().0.0, a.binding().0);
    assert_eq!(a.confirmed(&b.confirmation()), Ok(()));
    assert_eq!(b.confirmed(&a.confirmation()), Ok(()));
    // Neither passes for the other by sending back what it got.
    assert_eq!(a.confirmed(&a.confirmation()), Err(RefreshError::Confirmation));
    let [other, _] = mixed(2);
    assert_ne!(a.root().0.0, other.root().0.0);
    assert_eq!(a.confirmed(&other.confirmation()), Err(RefreshError::Confirmation));
}

#[test]
fn ends_of_two_sessions_find_different_roots_whatever_else_is_the_same() {
    let ([a, _], mut rng) = begun(1);
    let ([_, b], _) = begun(2);
    let (of_a, of_b) = (*a.offer(), *b.offer());
    let a = a.offered(&of_b, &mut rng).unwrap();
    let b = b.offered(&of_a, &mut rng).unwrap();
    let (to_b, to_a) = (*a.ciphertext(), *b.ciphertext());
    let (a, b) = (a.answered(&to_a).unwrap(), b.answered(&to_b).unwrap());
    assert_eq!(a.confirmed(&b.confirmation()), Err(RefreshError::Confirmation));
}

#[test]
fn a_message_that_was_changed_on_its_way_is_noticed() {
    let changed = |at: usize| {
        let [a, b] = offered(3);
        let (to_b, mut to_a) = (*a.ciphertext(), *b.ciphertext());
        to_a[at] ^= 1;
        let b = b.answered(&to_b).unwrap();
        a.answered(&to_a).and_then(|a| a.confirmed(&b.confirmation()))
    };
    // In ML-KEM's ciphertext and in X25519's.
    assert_eq!(changed(5), Err(RefreshError::Confirmation));
    assert_eq!(changed(1100), Err(RefreshError::Confirmation));
}

#[test]
fn offers_and_ciphertexts_that_protect_nothing_are_refused() {
    let ([a, _], mut rng) = begun(4);
    assert_eq!(a.offered(&[0xff; OFFER_BYTES], &mut rng).err(), Some(RefreshError::Offer));
    let [a, b] = offered(4);
    let mut to_a = *b.ciphertext();
    to_a[CIPHERTEXT_BYTES - 32..].fill(0);
    assert_eq!(a.answered(&to_a).err(), Some(RefreshError::Ciphertext));
}
