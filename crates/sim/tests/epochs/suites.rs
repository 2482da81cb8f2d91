//! Epochs of suite 2: the ML-KEM keys that shards sign for, and those that they do not.

use antiphon_fixture::{Scripted, Setup};
use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{Contribution, EpochDocument, KemKey, Layer, NetworkFile, Policy, Suite};

const ROUNDS: (u64, u64) = (1, 3);

/// Five shards of five operators, of which one may be malicious.
fn shards_of(suite: Suite) -> Scripted {
    let mut setup = Setup::small(5, 0).with_malicious_fifth();
    setup.policy.suite = suite;
    Scripted::new(setup)
}

#[test]
fn an_epoch_is_of_the_suite_that_the_network_file_names_and_of_no_other() {
    for (suite, other) in [(Suite::Classic, Suite::Hybrid), (Suite::Hybrid, Suite::Classic)] {
        let mut shards = shards_of(suite);
        let signed = shards.signed(1, ROUNDS);
        let hybrid = suite == Suite::Hybrid;
        assert!(signed.document.shards.iter().all(|shard| shard.kem_key.is_some() == hybrid));
        let file = &shards.file;
        let epoch = VerifiedEpoch::verify(signed.clone(), file).expect("all have signed it");
        let onion_bytes = epoch.geometry().onion_bytes(Layer::FIRST);
        assert_eq!(onion_bytes > 1088 * usize::from(epoch.geometry().layers()), hybrid);

        let policy = Policy { suite: other, ..file.policy.clone() };
        let elsewhere = NetworkFile::new(file.operators.clone(), policy).expect("as good a file");
        assert!(VerifiedEpoch::verify(signed, &elsewhere).is_err(), "it is another network");
        let (mut document, contributions) = shards.honest(2, (4, 6));
        document.parameters.suite = other.number();
        let reason = format!("the network's policy is suite {suite}");
        shards.all_refuse(&document, &contributions, &reason, &[]);
        document.parameters.suite = 3;
        shards.all_refuse(&document, &contributions, "update this program", &[]);
    }
}

#[test]
fn a_key_of_the_other_suite_is_refused() {
    let mut hybrid = shards_of(Suite::Hybrid);
    let (document, contributions) = hybrid.honest(1, ROUNDS);
    let evil = document.shards[0].identity;
    let key = document.shards[0].kem_key.clone();
    let (lacking, keys) = with_key(&document, &contributions, None);
    hybrid.all_refuse(&lacking, &keys, "shard 0 has no ML-KEM key", &[evil]);

    let mut classic = shards_of(Suite::Classic);
    let (document, contributions) = classic.honest(1, ROUNDS);
    let evil = document.shards[0].identity;
    let (too_much, keys) = with_key(&document, &contributions, key);
    classic.all_refuse(&too_much, &keys, "shard 0 has an ML-KEM key", &[evil]);
}

#[test]
fn ml_kem_keys_that_are_none_or_anothers_or_unproven_are_refused() {
    let mut shards = shards_of(Suite::Hybrid);
    let (document, contributions) = shards.honest(1, ROUNDS);
    let evil = document.shards[0].identity;

    // A number that is not below 3329, which FIPS 203 has checked: all others are as they were.
    let mut large = *document.shards[0].kem_key.as_ref().expect("suite 2 has one").as_bytes();
    (large[0], large[1]) = (0x01, large[1] & 0xf0 | 0x0d);
    let (spoiled, keys) = with_key(&document, &contributions, Some(KemKey::new(large)));
    shards.all_refuse(&spoiled, &keys, "shard 0: not an ML-KEM-768 key", &[evil]);

    let (copied, keys) = with_key(&document, &contributions, document.shards[1].kem_key.clone());
    shards.all_refuse(&copied, &keys, "shard 1 has the ML-KEM key of another", &[evil]);

    // The same shard's key of another epoch, in the place of the one that the proof was made for.
    let other = shards.honest(2, (4, 6)).0.shards[0].kem_key.clone();
    let (swapped, keys) = with_key(&document, &contributions, other.clone());
    shards.all_refuse(&swapped, &keys, "shard 0: it has no valid proof of possession", &[evil]);

    // One key for the shards that sign, and another in what they sign.
    let (swapped, _) = with_key(&document, &contributions, other);
    shards.all_refuse(&swapped, &contributions, "the contribution for shard 0", &[evil]);
}

/// The document and the contributions, with another ML-KEM key of shard 0.
fn with_key(
    document: &EpochDocument,
    contributions: &[Contribution],
    key: Option<KemKey>,
) -> (EpochDocument, Vec<Contribution>) {
    let (mut document, mut contributions) = (document.clone(), contributions.to_vec());
    document.shards[0].kem_key.clone_from(&key);
    contributions[0].kem_key = key;
    (document, contributions)
}
