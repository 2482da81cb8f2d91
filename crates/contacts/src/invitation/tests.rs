use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::*;
use crate::{Expiry, InvitationBox, MOST_KNOCKS, NetworkMark, OwnCodes, Side};

const NOW: Timestamp = Timestamp(1_790_000_000_000);
const ROUND: InvitationRound = InvitationRound(17);

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn codes(labels: &[&str]) -> OwnCodes {
    let mut codes = OwnCodes::default();
    for (seed, label) in (0..).zip(labels) {
        let expiry = Expiry::at(NOW.plus_ms(3_600_000));
        codes.make(label, NetworkMark([1; 4]), BoxAddress(3), expiry, &mut rng(seed)).unwrap();
    }
    codes
}

fn invite(code: &ContactCode, seed: u64) -> (Invitation, CallRoot) {
    let secret = InvitationSecret::draw(&mut rng(seed + 1000));
    let inviter = BoxAddress(200);
    let item = Invitation::seal(code, (inviter, &secret), ROUND, &mut rng(seed));
    (item, secret.root(code, inviter))
}

proptest! {
    #[test]
    fn any_change_and_any_other_round_make_an_invitation_noise(at in 0..INVITATION_BYTES, flip in 1..=255_u8) {
        let codes = codes(&["for Carol"]);
        let own = &codes.all()[0];
        let (invitation, _) = invite(own.code(), 5);
        prop_assert!(invitation.open(own, ROUND, NOW).is_some());
        prop_assert!(invitation.open(own, InvitationRound(18), NOW).is_none());
        let mut bytes = *invitation.bytes();
        bytes[at] ^= flip;
        // The highest bit of an X25519 key is nothing.
        if at != 31 || flip != 0x80 {
            prop_assert!(Invitation::from_bytes(bytes).open(own, ROUND, NOW).is_none());
        }
    }
}

#[test]
fn an_invitation_is_known_by_its_codes_label_and_both_ends_find_one_root() {
    let codes = codes(&["for Carol", "for Dave"]);
    let (invitation, root) = invite(codes.all()[1].code(), 5);
    let mut noise = rng(6);
    let items = (0..20).map(|_| Invitation::noise(&mut noise)).chain([invitation]);
    let published = InvitationBox::new(items.collect()).unwrap();
    let mut knocks = codes.knocks(&published, ROUND, NOW).knocks;
    let knock = knocks.pop().unwrap();
    assert!(knocks.is_empty());
    assert_eq!(knock.label(), "for Dave");
    let accepted = knock.accept();
    assert_eq!((accepted.side, accepted.partner), (Side::Second, BoxAddress(200)));
    assert_eq!(accepted.root.0.0, root.0.0);
}

#[test]
fn an_invitation_that_is_sealed_again_is_known_again_and_leads_to_the_same_root() {
    let codes = codes(&["for Carol", "for Dave"]);
    let own = &codes.all()[0];
    let secret = InvitationSecret::draw(&mut rng(1));
    let mut found = Vec::new();
    for number in [17, 18, 400] {
        let round = InvitationRound(number);
        let (inviter, rng) = ((BoxAddress(200), &secret), &mut rng(number));
        let item = Invitation::seal(own.code(), inviter, round, rng);
        let knock = item.open(own, round, NOW).unwrap();
        found.push((knock.mark(), knock.accept().root.0.0));
    }
    assert!(found.iter().all(|one| *one == found[0]));
    // Neither for another code nor by another inviter.
    let [other, _] = [1, 0].map(|at| *codes.all()[at].code());
    assert_ne!(secret.root(&other, BoxAddress(200)).0.0, found[0].1);
    assert_ne!(secret.root(own.code(), BoxAddress(201)).0.0, found[0].1);
    let another = InvitationSecret::draw(&mut rng(2));
    assert_ne!(another.mark(), found[0].0);
}

#[test]
fn an_invitation_is_kept_until_the_user_decides() {
    let codes = codes(&["for Carol"]);
    let (item, root) = invite(codes.all()[0].code(), 5);
    let kept = item.open(&codes.all()[0], ROUND, NOW).unwrap().to_bytes();
    let read = Knock::from_bytes(&kept).unwrap();
    assert_eq!((read.to_bytes(), read.label()), (kept.clone(), "for Carol"));
    assert_eq!(read.accept().root.0.0, root.0.0);
    for length in 0..kept.len() {
        assert_eq!(Knock::from_bytes(&kept[..length]).err(), Some(crate::KnockError));
    }
}

#[test]
fn a_revoked_code_opens_nothing_and_one_that_ended_nothing_from_after_its_end() {
    let mut codes = codes(&["for Carol"]);
    let (invitation, _) = invite(codes.all()[0].code(), 5);
    let published = InvitationBox::new(vec![invitation]).unwrap();
    let count = |codes: &OwnCodes, time| codes.knocks(&published, ROUND, time).knocks.len();
    assert_eq!(count(&codes, NOW), 1);
    assert_eq!(count(&codes, NOW.plus_ms(7_200_000)), 0);
    codes.revoke("for Carol");
    assert_eq!(count(&codes, NOW), 0);
}

#[test]
fn who_has_the_key_without_the_knock_tag_is_not_heard() {
    let codes = codes(&["for Carol"]);
    let code = ContactCode { knock_tag: [0; KNOCK_TAG_BYTES], ..*codes.all()[0].code() };
    let (invitation, _) = invite(&code, 5);
    assert!(invitation.open(&codes.all()[0], ROUND, NOW).is_none());
}

#[test]
fn a_flooded_code_is_named_and_leaves_the_others_room() {
    let codes = codes(&["for Carol", "for Dave"]);
    let [carols, daves] = [0, 1].map(|i| *codes.all()[i].code());
    let flood = (0..2 * MOST_KNOCKS as u64).map(|seed| invite(&carols, seed).0);
    let items = flood.chain([invite(&daves, 99).0]).collect();
    let found = codes.knocks(&InvitationBox::new(items).unwrap(), ROUND, NOW);
    assert_eq!(found.flooded, ["for Carol"]);
    let daves = found.knocks.iter().filter(|knock| knock.label() == "for Dave");
    assert_eq!((found.knocks.len(), daves.count()), (MOST_KNOCKS + 1, 1));
}

#[test]
fn noise_is_a_point_like_an_invitations_and_no_bit_is_fixed_but_the_highest() {
    let codes = codes(&["for Carol"]);
    let mut noise = rng(7);
    let mut or = [[0; INVITATION_BYTES]; 2];
    let mut and = [[0xff; INVITATION_BYTES]; 2];
    for seed in 0..64 {
        let items = [invite(codes.all()[0].code(), seed).0, Invitation::noise(&mut noise)];
        for (kind, item) in items.iter().enumerate() {
            for (at, byte) in item.bytes().iter().enumerate() {
                or[kind][at] |= byte;
                and[kind][at] &= byte;
            }
        }
    }
    let free: Vec<u8> =
        (0..INVITATION_BYTES).map(|at| if at == 31 { 0x7f } else { 0xff }).collect();
    for kind in [0, 1] {
        assert_eq!(or[kind][..], free[..]);
        assert_eq!(and[kind], [0; INVITATION_BYTES]);
    }
}
