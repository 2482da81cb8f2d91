//! Numbers that are used once: an epoch's for one document, a round's under one epoch.

use antiphon_fixture::Scripted;
use antiphon_routing::VerifiedEpoch;
use antiphon_sim::Setup;
use antiphon_wire::{Epoch, Round, SignedDocument, ToShard};

use crate::open;

const ROUNDS: (u64, u64) = (1, 3);

#[test]
fn of_two_documents_for_one_epoch_at_most_one_is_signed_by_all() {
    // Five operators with a shard each; two rosters of four, which share three.
    for shown_first in 0..8u8 {
        let mut shards = Scripted::new(Setup::small(5, 0).with_malicious_fifth());
        let offers = shards.call(1, ROUNDS);
        let sides = [&offers[..4], &offers[1..]];
        let documents = sides.map(|offers| shards.assemble(1, ROUNDS, offers));
        let contributions = [0, 1].map(|side| Scripted::in_order(&documents[side], sides[side]));
        let mut signed = [0, 0];
        for i in 0..5usize {
            let first = match i {
                0 => 0,
                4 => 1,
                _ => usize::from(shown_first >> (i - 1) & 1),
            };
            let mut count = 0;
            for side in [first, 1 - first] {
                match shards.propose(i, &documents[side], &contributions[side]) {
                    Ok(_) => {
                        signed[side] += 1;
                        count += 1;
                    }
                    Err(why) => {
                        let why_not =
                            why.contains("signed already") || why.contains("keys are not");
                        assert!(why_not, "{why}");
                    }
                }
            }
            assert_eq!(count, 1, "shard {i} signs one of them");
        }
        let complete = signed.iter().filter(|count| **count == 4).count();
        assert!(complete <= 1, "{signed:?}");
        assert_eq!(complete, usize::from(shown_first == 0 || shown_first == 7));
    }
}

#[test]
fn an_epoch_number_is_signed_once_and_numbers_only_rise() {
    let mut shards = Scripted::new(Setup::small(3, 0));
    let low = shards.call(4, ROUNDS);
    let low = (shards.assemble(4, ROUNDS, &low), low);
    let signed = shards.signed(5, ROUNDS);
    let contributions = Scripted::in_order(&low.0, &low.1);
    for i in 0..3 {
        let why = shards.propose(i, &low.0, &contributions).unwrap_err();
        assert!(why.contains("epoch 4 is not above it"), "{why}");
        assert_eq!(shards.saved(i).signed_epoch, Epoch(5));
        // No keys for a number that is used up, not even after a restart.
        assert_eq!(shards.contribution(i, 5, (7, 9)), None);
        assert_eq!(shards.contribution(i, 3, (7, 9)), None);
        shards.restart(i);
        assert_eq!(shards.contribution(i, 5, ROUNDS), None);
        let why = shards.propose(i, &signed.document, &[]).unwrap_err();
        assert!(why.contains("keys are not in the document"), "{why}");
        // The document it signed before is of no use to it now.
        shards.tell(i, ToShard::Publish { document: signed.clone() });
        shards.tell(i, open(Epoch(5), Round(1)));
        assert_eq!(shards.saved(i).served_round, Round(0));
        assert!(shards.contribution(i, 6, (7, 9)).is_some());
    }
}

#[test]
fn a_round_is_served_under_one_document_only() {
    let mut shards = Scripted::new(Setup::small(3, 0));
    let first = shards.signed(1, (1, 10));
    let overlapping = shards.call(2, (3, 12));
    let publish = |shards: &mut Scripted, signed: &SignedDocument| {
        for i in 0..3 {
            shards.tell(i, ToShard::Publish { document: signed.clone() });
        }
    };
    let open = |shards: &mut Scripted, epoch, round| {
        for i in 0..3 {
            shards.tell(i, open(Epoch(epoch), Round(round)));
        }
        [0, 1, 2].map(|i| shards.saved(i).served_round.0)
    };
    publish(&mut shards, &first);
    assert_eq!(open(&mut shards, 1, 1), [1; 3]);
    assert_eq!(open(&mut shards, 1, 3), [3; 3]);

    // Round 3 has been served: no other document may cover it.
    let document = shards.assemble(2, (3, 12), &overlapping);
    let contributions = Scripted::in_order(&document, &overlapping);
    shards.all_refuse(&document, &contributions, "round 3 was served already", &[]);
    assert!((0..3).all(|i| shards.contribution(i, 3, (3, 12)).is_none()));

    // A newer epoch takes over from a round to come, and the older one ends there.
    let second = shards.signed(4, (6, 15));
    VerifiedEpoch::verify(second.clone(), &shards.file).unwrap();
    publish(&mut shards, &second);
    assert_eq!(open(&mut shards, 1, 5), [5; 3]);
    assert_eq!(open(&mut shards, 1, 6), [5; 3], "round 6 is the newer epoch's");
    assert_eq!(open(&mut shards, 4, 5), [5; 3], "round 5 is not");
    assert_eq!(open(&mut shards, 4, 6), [6; 3]);
    assert_eq!(open(&mut shards, 1, 7), [6; 3]);
    assert_eq!(open(&mut shards, 4, 4), [6; 3], "rounds only rise");
}
