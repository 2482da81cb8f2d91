//! Keys that are made to harm: chosen after the others, copied, of small order, or of another epoch.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use antiphon_fixture::Scripted;
use antiphon_wire::{Contribution, Epoch};
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};

const ROUNDS: (u64, u64) = (1, 3);

fn identity_point() -> [u8; 32] {
    let mut identity = [0; 32];
    identity[0] = 1;
    identity
}

fn point(bytes: [u8; 32]) -> EdwardsPoint {
    CompressedEdwardsY(bytes).decompress().unwrap()
}

#[test]
fn a_key_chosen_after_the_others_cannot_be_proven() {
    let mut shards = Scripted::of_five_operators();
    let mut offers = shards.call(1, ROUNDS);
    let rogue = offers[0].contribution.identity;
    // The last-comer cancels everybody else's keys, so that the sum is its own.
    let own = offers[0].contribution.seal_keys.clone();
    let honest = offers[0].contribution.proof;
    for (round, key) in own.iter().enumerate() {
        let others: EdwardsPoint =
            offers[1..].iter().map(|offer| point(offer.contribution.seal_keys[round])).sum();
        offers[0].contribution.seal_keys[round] = (point(*key) - others).compress().to_bytes();
    }
    let document = shards.assemble(1, ROUNDS, &offers);
    assert_eq!(document.joint_seal_keys, own, "the attack is worth its name");
    let borrowed = offers[1].contribution.proof;
    for proof in [honest, borrowed, [0; 64]] {
        offers[0].contribution.proof = proof;
        let contributions = Scripted::in_order(&document, &offers);
        shards.all_refuse(&document, &contributions, "proof of possession", &[rogue]);
    }
}

#[test]
fn another_shards_keys_and_proofs_are_no_use() {
    let mut shards = Scripted::of_five_operators();
    let mut offers = shards.call(1, ROUNDS);
    let copier = offers[0].contribution.identity;
    let copied = offers[1].contribution.clone();
    offers[0].contribution = Contribution { identity: copier, ..copied };
    let document = shards.assemble(1, ROUNDS, &offers);
    let contributions = Scripted::in_order(&document, &offers);
    shards.all_refuse(&document, &contributions, "proof of possession", &[copier]);
}

#[test]
fn keys_of_small_order_or_with_torsion_are_refused() {
    let mut shards = Scripted::of_five_operators();
    let (document, contributions) = shards.honest(1, ROUNDS);
    let evil = document.shards[0].identity;
    let torsion = EIGHT_TORSION[1];
    let mut bad = vec![identity_point(), [0xff; 32]];
    bad.extend(EIGHT_TORSION[1..].iter().map(|point| point.compress().to_bytes()));
    for (key, honest) in
        [(contributions[0].seal_keys[0], true), (contributions[0].onion_key, false)]
    {
        // An onion key with a torsion component is none; the eighth of a seal key is not that of the proof.
        let mixed = (point(key) + torsion).compress().to_bytes();
        for key in bad.iter().copied().chain([mixed]) {
            let mut document = document.clone();
            let mut contributions = contributions.clone();
            if honest {
                contributions[0].seal_keys[0] = key;
            } else {
                contributions[0].onion_key = key;
                document.shards[0].onion_key = key;
            }
            shards.all_refuse(&document, &contributions, "shard 0: ", &[evil]);
        }
    }
}

#[test]
fn contributions_of_another_epoch_are_refused() {
    let mut shards = Scripted::of_five_operators();
    let old = shards.call(1, ROUNDS);
    let mut offers = shards.call(2, ROUNDS);
    let replayed = old[0].contribution.identity;
    offers[0].contribution = old[0].contribution.clone();
    let document = shards.assemble(2, ROUNDS, &offers);
    let contributions = Scripted::in_order(&document, &offers);
    shards.all_refuse(&document, &contributions, "contribution for shard 0", &[replayed]);
    // The proofs are for the epoch they were made for.
    offers[0].contribution.epoch = Epoch(2);
    let contributions = Scripted::in_order(&document, &offers);
    shards.all_refuse(&document, &contributions, "proof of possession", &[replayed]);
}

#[test]
fn one_key_of_somebody_else_and_two_that_changed_places_spoil_a_contribution() {
    let mut shards = Scripted::of_five_operators();
    let honest = shards.call(1, ROUNDS);
    let evil = honest[0].contribution.identity;
    let other = honest[1].contribution.seal_keys[2];
    let spoil: [fn(&mut Contribution, [u8; 32]); 3] = [
        |keys, other| keys.seal_keys[2] = other,
        |keys, _| keys.seal_keys.swap(0, 2),
        |keys, _| keys.proof[40] ^= 1,
    ];
    for spoil in spoil {
        let mut offers = honest.clone();
        spoil(&mut offers[0].contribution, other);
        let document = shards.assemble(1, ROUNDS, &offers);
        let contributions = Scripted::in_order(&document, &offers);
        shards.all_refuse(&document, &contributions, "proof of possession", &[evil]);
    }
}
