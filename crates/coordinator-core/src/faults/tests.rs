//! The machine alone: rounds that ended, links that were lost, and what follows.

use antiphon_wire::{NetworkFile, Operator, Policy, Reason, RoundOutcome, ShardIndex};
use ed25519_dalek::SigningKey;

use super::*;
use crate::ended_round::Weight;
use crate::notice::{RoundResult, RoundTotals};
use crate::settings::CoordinatorConfig;
use crate::voters::Voters;

const SHARDS: [IdentityKey; 5] = [shard(0), shard(1), shard(2), shard(3), shard(4)];
const EPOCH: Epoch = Epoch(7);
const DUE: Timestamp = Timestamp(10_000);
const DELIVERED: Option<RoundOutcome> = Some(RoundOutcome::Delivered);

const fn shard(number: u8) -> IdentityKey {
    IdentityKey([number; 32])
}

/// Five operators of weight 1 with a shard each, of which one may be malicious.
fn faults() -> Faults {
    let operators = (0..5u8).map(|i| Operator {
        name: format!("operator {i}"),
        key: IdentityKey::of(&SigningKey::from_bytes(&[i; 32])),
        weight: 1,
    });
    let network = NetworkFile::new(operators.collect(), Policy::default()).unwrap();
    let rules = Rules { config: CoordinatorConfig::default(), network };
    Faults::new(Arc::new(rules), Marks::default())
}

fn running() -> Lineup {
    Lineup::of(EPOCH, &SHARDS, &[])
}

fn operator_of(shard: &IdentityKey) -> Option<OperatorIndex> {
    SHARDS.iter().position(|known| known == shard).map(|at| OperatorIndex(at as u16))
}

/// A round that ended like this at each shard.
fn ended(round: u64, outcomes: [Option<RoundOutcome>; 5]) -> EndedRound {
    EndedRound {
        epoch: EPOCH,
        round: Round(round),
        shards: SHARDS.to_vec(),
        outcomes: outcomes.to_vec(),
        lost: [].into(),
        voters: Voters::of_weights(&[1; 5], 200_000),
        totals: RoundTotals::default(),
        latency_ms: 700,
        reports_due: DUE,
        expires_at: Timestamp(1_000_000),
        next_round: Round(round + 1),
        weight: Weight::Counts,
    }
}

/// A round in which a shard reported nothing.
fn silent(round: u64, silent: usize) -> EndedRound {
    let mut outcomes = [DELIVERED; 5];
    outcomes[silent] = None;
    ended(round, outcomes)
}

fn end(faults: &mut Faults, now: Timestamp, ended: &EndedRound) -> RoundResult {
    let judgement = Judgement::of(ended);
    faults.round_ended(now, ended, &judgement, &running(), operator_of);
    judgement.report.result
}

fn lose(faults: &mut Faults, at: u64, shard: u8) {
    let operator = OperatorIndex(shard.into());
    let lost = LostLink { shard: SHARDS[usize::from(shard)], operator, next: None };
    faults.link_lost(Timestamp(at), lost, &running());
}

/// What follows: who sits out, who is left out, how often the epoch is broken, and whether it was
/// this side that was away.
#[derive(Debug, Default, PartialEq, Eq)]
struct Followed {
    suspended: Vec<IdentityKey>,
    left_out: Vec<IdentityKey>,
    broken: usize,
    away: usize,
}

fn followed(faults: &mut Faults) -> Followed {
    let mut followed = Followed::default();
    for consequence in faults.drain() {
        match consequence {
            Consequence::Notice(Notice::ShardSuspended { shard, .. }) => {
                followed.suspended.push(shard);
            }
            Consequence::LeaveOut { shard, .. } => followed.left_out.push(shard),
            Consequence::Break { .. } => followed.broken += 1,
            Consequence::Away { .. } => followed.away += 1,
            Consequence::Notice(_) | Consequence::DropNext | Consequence::Tell { .. } => {}
        }
    }
    followed
}

fn out(shard: IdentityKey) -> Followed {
    Followed { suspended: vec![shard], left_out: vec![shard], broken: 1, away: 0 }
}

#[test]
fn a_round_that_went_through_has_no_consequences() {
    let mut faults = faults();
    assert_eq!(end(&mut faults, DUE, &ended(1, [DELIVERED; 5])), RoundResult::Delivered);
    assert_eq!(followed(&mut faults), Followed::default());
    assert_eq!(faults.deadlines().count(), 0);
}

#[test]
fn nobody_is_late_before_the_last_deadline_and_whoever_reports_by_then_goes_free() {
    let mut faults = faults();
    let before = Timestamp(DUE.0 - 1);
    end(&mut faults, before, &silent(1, 3));
    assert_eq!(followed(&mut faults), Followed::default());
    assert_eq!(faults.deadlines().collect::<Vec<_>>(), [DUE]);
    assert!(!faults.step(before, running));
    faults.reported(SHARDS[3], Round(1));
    assert!(!faults.step(DUE, running));
    end(&mut faults, before, &silent(2, 3));
    assert!(faults.step(DUE, running));
    assert_eq!(followed(&mut faults), out(SHARDS[3]));
    assert!(!faults.step(DUE, running), "once");
}

#[test]
fn rounds_that_were_open_together_cost_a_shard_one_failure() {
    let mut faults = faults();
    end(&mut faults, DUE, &silent(1, 2));
    assert_eq!(followed(&mut faults), out(SHARDS[2]));
    end(&mut faults, DUE, &EndedRound { weight: Weight::Decided, ..silent(2, 2) });
    assert_eq!(followed(&mut faults), Followed::default());
    assert_eq!(faults.suspensions().epochs_left(&SHARDS[2]), 1);
}

#[test]
fn nobody_sits_out_for_a_round_that_so_many_failed_that_no_quorum_would_be_left() {
    let mut faults = faults();
    end(&mut faults, DUE, &ended(1, [DELIVERED, DELIVERED, None, None, None]));
    assert_eq!(followed(&mut faults), Followed { broken: 1, ..Followed::default() });
    assert!(SHARDS.iter().all(|shard| !faults.suspensions().is_suspended(shard)));
}

#[test]
fn a_shard_that_is_only_in_the_epoch_to_come_takes_that_with_it_and_no_other() {
    let mut faults = faults();
    let round = silent(1, 2);
    let judgement = Judgement::of(&round);
    let lineup = Lineup::of(Epoch(8), &SHARDS[3..], &SHARDS);
    faults.round_ended(DUE, &round, &judgement, &lineup, operator_of);
    let dropped = faults
        .drain()
        .into_iter()
        .inspect(|consequence| assert!(!matches!(consequence, Consequence::Break { .. })))
        .filter(|consequence| matches!(consequence, Consequence::DropNext));
    assert_eq!(dropped.count(), 1);
}

#[test]
fn after_three_rounds_in_dispute_both_sides_go_and_rounds_in_between_start_afresh() {
    let mut faults = faults();
    let cause = Reason::OtherFilters { shard: ShardIndex(1) };
    let disputed = |round| {
        let follows = Reason::Follows { shard: ShardIndex(0) };
        let mut outcomes = [Some(RoundOutcome::Withheld { reason: follows }); 5];
        outcomes[0] = Some(RoundOutcome::Withheld { reason: cause });
        ended(round, outcomes)
    };
    for round in [1, 2] {
        assert!(matches!(end(&mut faults, DUE, &disputed(round)), RoundResult::Aborted { .. }));
    }
    end(&mut faults, DUE, &ended(3, [DELIVERED; 5]));
    for round in [4, 5] {
        end(&mut faults, DUE, &disputed(round));
    }
    assert_eq!(followed(&mut faults), Followed::default());
    end(&mut faults, DUE, &disputed(6));
    let pair = vec![SHARDS[0], SHARDS[1]];
    let both = Followed { suspended: pair.clone(), left_out: pair, broken: 1, away: 0 };
    assert_eq!(followed(&mut faults), both);
}

#[test]
fn links_that_leave_no_quorum_when_lost_together_are_nobodys_fault() {
    let mut faults = faults();
    lose(&mut faults, 1000, 0);
    lose(&mut faults, 1500, 1);
    assert_eq!(followed(&mut faults).away, 0);
    assert!(faults.suspensions().is_suspended(&SHARDS[0]));
    lose(&mut faults, 2000, 2);
    assert_eq!(followed(&mut faults).away, 1);
    lose(&mut faults, 2500, 3);
    assert_eq!(followed(&mut faults).suspended, []);
    assert!(SHARDS.iter().all(|shard| !faults.suspensions().is_suspended(shard)));
}

#[test]
fn links_that_are_lost_one_by_one_each_cost_an_epoch() {
    let mut faults = faults();
    for number in 0..5 {
        lose(&mut faults, 1000 + 6000 * u64::from(number), number);
        assert_eq!(followed(&mut faults), out(SHARDS[usize::from(number)]));
    }
}
