//! Consequences of a round, for its shards and its epoch.

use std::collections::BTreeSet;

use antiphon_wire::{IdentityKey, OperatorIndex, Timestamp};

use super::losses::leave_no_quorum;
use super::{Consequence, Faults, Judgement, Lineup, SILENT};
use crate::ended_round::{EndedRound, Weight};

/// Shards that had better not be in the next epoch, and why.
type Gone = Vec<(IdentityKey, &'static str)>;

/// Draws the consequences of a round: who is left out for it, and whether its epoch can go on.
pub(super) fn settle(
    faults: &mut Faults,
    now: Timestamp,
    (ended, judgement): (&EndedRound, &Judgement),
    lineup: &Lineup,
    operator_of: impl Fn(&IdentityKey) -> Option<OperatorIndex>,
) {
    let known: BTreeSet<_> = ended
        .shards
        .iter()
        .filter(|id| ended.lost.contains(id) || faults.given_up.get(id) >= Some(&ended.epoch))
        .copied()
        .collect();
    let mut gone = missing(faults, now, (ended, judgement), &known);
    let explained = now >= ended.expires_at
        || !gone.is_empty()
        || judgement.report.silent.iter().any(|shard| known.contains(shard));
    let settled = dispute(faults, (ended, judgement), explained);
    let mut over = settled.is_some();
    let disputed = settled.into_iter().flatten();
    gone.extend(disputed.map(|shard| (shard, "rounds failed over disputes with it")));
    gone.sort_by_key(|(shard, _)| *shard);
    gone.dedup_by_key(|(shard, _)| *shard);
    // Nobody is suspended for what so many suffer that no quorum would be left.
    let operators = gone.iter().filter_map(|(shard, _)| operator_of(shard));
    if leave_no_quorum(&faults.rules.network, operators) {
        let reason = format!("round {} did not go through, and many are behind it", ended.round);
        return faults.consequences.push(Consequence::Break { reason, lost: None });
    }
    let lost = match gone[..] {
        [(shard, _)] => Some(shard),
        _ => None,
    };
    for (shard, reason) in gone {
        over |= let_go(faults, ended, (shard, reason), lineup);
    }
    if over {
        let reason = format!("round {} did not go through", ended.round);
        faults.consequences.push(Consequence::Break { reason, lost });
    }
}

/// The shards that are behind what went wrong, unless they are `known` to have failed before. Those
/// that may still report are awaited.
fn missing(
    faults: &mut Faults,
    now: Timestamp,
    (ended, judgement): (&EndedRound, &Judgement),
    known: &BTreeSet<IdentityKey>,
) -> Gone {
    let mut gone = Gone::new();
    // Nobody can be asked for a report any more once secrets are erased.
    let has_expired = now >= ended.expires_at;
    let silent = &judgement.report.silent;
    for shard in silent.iter().filter(|shard| !known.contains(shard) && !has_expired) {
        if now >= ended.reports_due {
            gone.push((*shard, SILENT));
        } else {
            faults.overdue.expect(*shard, ended.round, ended.reports_due);
        }
    }
    let suspects = ended.identities(&judgement.finding.suspects);
    let suspects = suspects.into_iter().filter(|shard| !known.contains(shard));
    gone.extend(suspects.map(|shard| (shard, "others waited for it in vain")));
    gone
}

/// Notes a dispute, or that there was none. Returns who is to be left out, if it is time.
fn dispute(
    faults: &mut Faults,
    (ended, judgement): (&EndedRound, &Judgement),
    explained: bool,
) -> Option<Vec<IdentityKey>> {
    let Faults { disputes, overdue, .. } = faults;
    let at_odds = &judgement.finding.disputes;
    if ended.weight == Weight::Decided {
        return None;
    }
    // A round that is explained, or went well, ends a row of disputes.
    if explained || (at_odds.is_empty() && !judgement.is_aborted()) {
        disputes.end();
        return None;
    }
    let identity = |position: usize| ended.shards.get(position).copied();
    let pairs = at_odds.iter().filter_map(|&(a, b)| Some((identity(a)?, identity(b)?))).collect();
    let rounds = (ended.round, ended.next_round);
    disputes.note(rounds, &ended.shards, &pairs, |shard| overdue.is_awaited_of(shard))
}

/// Makes a shard sit out for what it did in a round. Returns whether the running epoch cannot go on
/// without it: a newer one than the round's may run already, and it goes on unless the shard is in it.
fn let_go(
    faults: &mut Faults,
    ended: &EndedRound,
    (shard, reason): (IdentityKey, &str),
    lineup: &Lineup,
) -> bool {
    faults.overdue.forgive(&shard);
    faults.failed(shard, reason);
    faults.leave_out(shard, reason);
    let given_up = faults.given_up.entry(shard).or_insert(ended.epoch);
    *given_up = ended.epoch.max(*given_up);
    if faults.give_up(shard, lineup) {
        return true;
    }
    if lineup.follows_with(&shard) {
        faults.consequences.push(Consequence::DropNext);
    }
    false
}
