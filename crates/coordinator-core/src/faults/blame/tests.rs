//! Honest shards' reports, and what liars add to them.

use antiphon_wire::Layer;

use super::*;

const DELIVERED: Option<RoundOutcome> = Some(RoundOutcome::Delivered);

fn withheld(reason: Reason) -> Option<RoundOutcome> {
    Some(RoundOutcome::Withheld { reason })
}

fn batch(layer: u8, sender: u16) -> Option<RoundOutcome> {
    withheld(Reason::MissingBatch { layer: Layer(layer), sender: ShardIndex(sender) })
}

fn follows(shard: u16) -> Option<RoundOutcome> {
    withheld(Reason::Follows { shard: ShardIndex(shard) })
}

fn not_opened(missing: u16) -> Option<RoundOutcome> {
    Some(RoundOutcome::NotOpened { missing: ShardIndex(missing) })
}

/// Shards of five equal operators, one of which may be malicious.
fn found(outcomes: &[Option<RoundOutcome>]) -> Finding {
    judge(&Voters::of_weights(&[1; 5], 200_000), outcomes)
}

fn assert_suspects(outcomes: &[Option<RoundOutcome>], suspects: &[usize]) {
    let finding = found(outcomes);
    assert_eq!(finding.suspects.iter().copied().collect::<Vec<_>>(), suspects, "{finding:?}");
}

#[test]
fn the_earliest_cause_that_convinces_counts_and_followers_do_not() {
    let outcomes = [batch(3, 2), batch(4, 0), follows(0), batch(3, 2), batch(4, 0)];
    let finding = found(&outcomes);
    assert_eq!((finding.suspects, finding.named), ([2].into(), [2].into()));
    let reason = Reason::MissingBatch { layer: Layer(3), sender: ShardIndex(2) };
    assert_eq!(finding.reason, Some(reason));
}

#[test]
fn one_word_against_another_is_a_dispute() {
    let finding = found(&[batch(2, 1), follows(0), follows(0), follows(0), follows(0)]);
    assert_eq!((finding.named, finding.suspects), ([1].into(), [].into()));
    assert_eq!(finding.disputes, [(0, 1)].into());
    // Silence proves nothing yet.
    let finding = found(&[batch(2, 1), None, follows(0), follows(0), follows(0)]);
    assert_eq!((finding.suspects, finding.disputes), ([].into(), [(0, 1)].into()));
}

#[test]
fn a_shard_is_believed_about_itself() {
    assert_suspects(&[withheld(Reason::NotPrepared), follows(0), None, None, None], &[0]);
    assert_suspects(&[batch(2, 0), follows(0), None, None, None], &[0]);
    assert_suspects(&[follows(0), follows(0), follows(0), None, None], &[0]);
}

#[test]
fn whoever_reports_to_have_withheld_in_a_round_that_opened_lies() {
    let lie = batch(1, 3);
    let finding = found(&[lie, DELIVERED, DELIVERED, DELIVERED, DELIVERED]);
    assert_eq!((finding.suspects, finding.liars), ([0].into(), [0].into()));
    // Nor does one that says it opened prove anything.
    assert_suspects(&[DELIVERED, batch(1, 4), follows(1), follows(1), follows(1)], &[]);
}

#[test]
fn whoever_others_follow_and_that_denies_it_is_suspected() {
    for denial in [not_opened(1), DELIVERED, follows(0)] {
        let finding = found(&[denial, follows(0), follows(0), follows(0), follows(0)]);
        assert_eq!(finding.suspects, [0].into(), "{denial:?}");
        assert_eq!(finding.named, [0].into(), "{denial:?}");
    }
    // One follower alone may have made it up.
    let finding = found(&[DELIVERED, follows(0), follows(1), follows(1), follows(1)]);
    assert_eq!((finding.suspects, finding.disputes), ([].into(), [(1, 0)].into()));
}

#[test]
fn shards_that_follow_each_other_are_at_odds() {
    let finding = found(&[follows(1), follows(0), follows(0), follows(0), follows(1)]);
    assert_eq!(finding.suspects, [].into());
    assert_eq!(finding.named, [0, 1].into());
    let finding = found(&[None, follows(0), follows(1), follows(2), follows(2)]);
    assert_eq!(finding.suspects, [].into());
    assert_eq!(finding.disputes, [(0, 0)].into());
}

#[test]
fn a_missing_key_is_no_fault_of_a_shard_that_said_it_withheld() {
    let verdict = withheld(Reason::MissingVerdict { shard: ShardIndex(0) });
    // Shard 0 gave its verdict to all but 1, which withheld; the others had released by then.
    let finding = found(&[not_opened(1), verdict, not_opened(1), not_opened(1), not_opened(1)]);
    assert_eq!(finding.suspects, [].into());
    assert_eq!(finding.disputes, [(1, 0)].into());
}

#[test]
fn a_key_that_several_miss_is_its_owners_fault_and_one_that_one_misses_is_not() {
    assert_suspects(&[DELIVERED, not_opened(0), not_opened(0), not_opened(0), not_opened(0)], &[0]);
    let finding = found(&[not_opened(1), DELIVERED, DELIVERED, DELIVERED, DELIVERED]);
    assert_eq!((finding.suspects, finding.disputes), ([].into(), [(0, 0)].into()));
}

#[test]
fn complaints_and_other_filters_are_disputes_however_many_report_them() {
    let (complainant, at) = (ShardIndex(3), ShardIndex(1));
    let complaint = withheld(Reason::MissingOnions { complainant, at, missing: 1 });
    let finding = found(&[complaint; 5]);
    assert_eq!((finding.suspects, finding.disputes), ([].into(), [(3, 1)].into()));
    let other = |shard| withheld(Reason::OtherFilters { shard: ShardIndex(shard) });
    let finding = found(&[other(1), other(0), other(0), other(0), other(0)]);
    assert_eq!(finding.suspects, [].into());
}

#[test]
fn a_filter_that_is_too_full_is_a_dispute_and_one_of_the_wrong_size_its_owners_fault() {
    let shard = ShardIndex(1);
    let full = withheld(Reason::FullFilter { shard });
    let finding = found(&[full, DELIVERED, full, full, full]);
    assert_eq!(finding.suspects, [].into());
    assert_eq!(finding.disputes, [(0, 1), (2, 1), (3, 1), (4, 1)].into());
    let bad = withheld(Reason::BadFilter { shard });
    assert_suspects(&[bad, follows(0), bad, bad, bad], &[1]);
}

#[test]
fn no_report_of_one_shard_makes_another_one_suspected() {
    let mut lies = vec![None, DELIVERED, withheld(Reason::NotPrepared)];
    for shard in 0..6 {
        let shard = ShardIndex(shard);
        let (complainant, at) = (shard, ShardIndex(2));
        lies.extend([
            follows(shard.0),
            batch(1, shard.0),
            not_opened(shard.0),
            withheld(Reason::MissingFilter { shard }),
            withheld(Reason::BadFilter { shard }),
            withheld(Reason::FullFilter { shard }),
            withheld(Reason::OtherFilters { shard }),
            withheld(Reason::MissingVerdict { shard }),
            withheld(Reason::MissingOnions { complainant, at, missing: 1 }),
        ]);
    }
    let honest = [
        [DELIVERED; 4],
        [follows(0); 4],
        [batch(2, 0); 4],
        [not_opened(0); 4],
        [batch(2, 0), follows(1), follows(1), follows(1)],
        [not_opened(0), not_opened(0), follows(0), follows(0)],
    ];
    for lie in lies {
        for honest in honest {
            let outcomes: Vec<_> = std::iter::once(lie).chain(honest).collect();
            let finding = found(&outcomes);
            assert!(finding.suspects.iter().all(|suspect| *suspect == 0), "{outcomes:?}");
        }
    }
}

#[test]
fn indices_beyond_the_roster_are_ignored() {
    for lie in [batch(2, 99), follows(99), not_opened(99)] {
        let finding = found(&[lie, lie, lie]);
        assert_eq!((finding.suspects, finding.disputes), ([].into(), [].into()));
    }
}
