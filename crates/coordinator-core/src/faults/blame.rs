//! Whose fault it is that a round was spoilt, as far as the shards' reports tell.
//!
//! Reports are claims, so nothing follows from one shard's word alone, unless it is about itself. A
//! shard is suspected if shards that cannot all lie name it, or contradict what it reports. Anything
//! less is a dispute, and who is at odds with whom is all that is learnt. Convictions take signed
//! contradictions and are no business of a coordinator.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{Reason, RoundOutcome, ShardIndex};

use crate::voters::Voters;

/// Conclusions from the reports of one round. Shards are positions in its document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The cause that names them, the earliest that a shard gave.
    pub(crate) reason: Option<Reason>,
    /// Whom the shards name.
    pub(crate) named: BTreeSet<usize>,
    /// Who had better not be in the next epoch.
    pub(crate) suspects: BTreeSet<usize>,
    /// Who is at odds with whom, one of them wrongly. A shard with itself: others say only that it
    /// began.
    pub(crate) disputes: BTreeSet<(usize, usize)>,
    /// Shards that report to have withheld keys without which others opened.
    pub(crate) liars: BTreeSet<usize>,
}

/// A cause that a shard gives.
#[derive(Clone, Copy, Debug)]
struct Claim {
    /// Stage of the round that it lies in; lower ones are earlier.
    stage: u32,
    reporter: usize,
    named: usize,
    reason: Option<Reason>,
    /// True if several that say the same prove more than one does. Missing onions may have been lost by a
    /// third shard, those that overfill a filter were not made by its owner, and who was shown other filters
    /// is not who made them.
    adds_up: bool,
}

/// The stage of seal keys, after all reasons to withhold one.
const KEYS: u32 = 400;

impl Claim {
    fn of(reporter: usize, outcome: RoundOutcome) -> Option<Self> {
        let reason = match outcome {
            RoundOutcome::Withheld { reason } => reason,
            RoundOutcome::NotOpened { missing } => {
                let named = missing.position();
                return Some(Self { stage: KEYS, reporter, named, reason: None, adds_up: true });
            }
            RoundOutcome::Delivered => return None,
        };
        let (stage, named, adds_up) = match reason {
            // At most as many shards as an index counts.
            Reason::NotPrepared => (0, ShardIndex(reporter as u16), true),
            Reason::MissingBatch { layer, sender } => (1 + u32::from(layer.0), sender, true),
            Reason::MissingFilter { shard } | Reason::BadFilter { shard } => (300, shard, true),
            Reason::FullFilter { shard } => (300, shard, false),
            Reason::MissingOnions { at, .. } => (301, at, false),
            Reason::OtherFilters { shard } => (301, shard, false),
            Reason::MissingVerdict { shard } => (302, shard, true),
            Reason::Follows { .. } => return None,
        };
        let named = named.position();
        Some(Self { stage, reporter, named, reason: Some(reason), adds_up })
    }

    /// Who is at odds if nobody else says so.
    fn dispute(&self) -> (usize, usize) {
        match self.reason {
            Some(Reason::MissingOnions { complainant, at, .. }) => {
                (complainant.position(), at.position())
            }
            _ => (self.reporter, self.named),
        }
    }
}

/// Judges a round. `outcomes` has one entry for each shard of the round, `None` for the silent ones.
pub(crate) fn judge(voters: &Voters, outcomes: &[Option<RoundOutcome>]) -> Finding {
    let mut finding = Finding::default();
    let delivered = reporters(outcomes, |outcome| *outcome == RoundOutcome::Delivered);
    let opened = voters.convince(&delivered);
    if opened {
        // Nobody opens without all keys.
        finding.liars =
            reporters(outcomes, |outcome| matches!(outcome, RoundOutcome::Withheld { .. }));
        finding.suspects.clone_from(&finding.liars);
    }
    let mut claims = Vec::new();
    let mut followers: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (reporter, outcome) in outcomes.iter().enumerate() {
        let Some(outcome) = outcome.filter(|_| !finding.liars.contains(&reporter)) else {
            continue;
        };
        match followed(outcome, outcomes) {
            Some(shard) if shard < outcomes.len() => {
                followers.entry(shard).or_default().insert(reporter);
            }
            Some(_) => {}
            None => claims.extend(Claim::of(reporter, outcome)),
        }
    }
    let known = |shard: usize| shard < outcomes.len();
    claims.retain(|claim| known(claim.named) && known(claim.dispute().0));
    finding.heed_claims(voters, &claims, opened);
    finding.heed_followers(voters, &followers, outcomes);
    finding.name(&claims);
    finding
}

fn reporters(
    outcomes: &[Option<RoundOutcome>],
    which: impl Fn(&RoundOutcome) -> bool,
) -> BTreeSet<usize> {
    let reported = outcomes.iter().enumerate();
    reported.filter(|(_, outcome)| outcome.as_ref().is_some_and(&which)).map(|(i, _)| i).collect()
}

/// The shard that withheld before, by this report.
fn followed(outcome: RoundOutcome, outcomes: &[Option<RoundOutcome>]) -> Option<usize> {
    match outcome {
        RoundOutcome::Withheld { reason: Reason::Follows { shard } } => Some(shard.position()),
        // Whoever withheld could not but keep others from opening. Why it did is the question.
        RoundOutcome::NotOpened { missing } => {
            let missing = missing.position();
            let withheld =
                matches!(outcomes.get(missing), Some(Some(RoundOutcome::Withheld { .. })));
            withheld.then_some(missing)
        }
        _ => None,
    }
}

impl Finding {
    fn heed_claims(&mut self, voters: &Voters, claims: &[Claim], opened: bool) {
        let mut accusers: BTreeMap<(u32, usize), BTreeSet<usize>> = BTreeMap::new();
        for claim in claims {
            if !claim.adds_up {
                continue;
            }
            if claim.reporter == claim.named {
                self.suspects.insert(claim.named);
            } else {
                accusers.entry((claim.stage, claim.named)).or_default().insert(claim.reporter);
            }
        }
        accusers.retain(|_, by| voters.convince(by));
        // What comes later may follow from it.
        let earliest = accusers.keys().map(|(stage, _)| *stage).min();
        let sure = accusers.keys().filter(|(stage, _)| Some(*stage) == earliest);
        self.suspects.extend(sure.map(|(_, named)| named));
        for claim in claims {
            // Where others opened, only the one that could not is in question.
            let alone = opened && claim.stage == KEYS;
            let at_odds = if alone { (claim.reporter, claim.reporter) } else { claim.dispute() };
            self.disputes.insert(at_odds);
        }
    }

    /// `followers` says who follows whom: they have seen that shard's signature.
    fn heed_followers(
        &mut self,
        voters: &Voters,
        followers: &BTreeMap<usize, BTreeSet<usize>>,
        outcomes: &[Option<RoundOutcome>],
    ) {
        for (&shard, by) in followers {
            match outcomes[shard] {
                Some(RoundOutcome::Withheld { reason: Reason::Follows { shard: next } }) => {
                    let next = next.position();
                    if next == shard {
                        self.suspects.insert(shard);
                    } else if leads_back(shard, followers) {
                        self.disputes.insert((shard, next));
                    }
                }
                // It gives a cause of its own.
                Some(RoundOutcome::Withheld { .. }) => {}
                Some(RoundOutcome::Delivered | RoundOutcome::NotOpened { .. }) => {
                    if voters.convince(by) {
                        self.suspects.insert(shard);
                    }
                    self.disputes.extend(by.iter().map(|&follower| (follower, shard)));
                }
                None => {
                    self.disputes.insert((shard, shard));
                }
            }
        }
    }

    /// Whom to name, and why.
    fn name(&mut self, claims: &[Claim]) {
        let sure = |claim: &&Claim| self.suspects.contains(&claim.named);
        let order = |claim: &&Claim| (claim.stage, claim.reporter);
        if !self.suspects.is_empty() {
            self.reason = claims.iter().filter(sure).min_by_key(order).and_then(|c| c.reason);
            self.named.clone_from(&self.suspects);
        } else if let Some(first) = claims.iter().min_by_key(order) {
            self.reason = first.reason;
            let stage = first.stage;
            self.named =
                claims.iter().filter(|claim| claim.stage == stage).map(|c| c.named).collect();
        } else {
            self.named = self.disputes.iter().flat_map(|&(a, b)| [a, b]).collect();
        }
    }
}

/// Returns `true` if the shards that `shard` follows, one after the other, lead back to it.
fn leads_back(shard: usize, followers: &BTreeMap<usize, BTreeSet<usize>>) -> bool {
    let next = |of: usize| {
        followers.iter().find(|(_, by)| by.contains(&of)).map(|(followed, _)| *followed)
    };
    let mut at = shard;
    let mut seen = BTreeSet::new();
    while let Some(followed) = next(at) {
        if followed == shard {
            return true;
        }
        // A circle that `shard` leads to and is not part of.
        if !seen.insert(followed) {
            return false;
        }
        at = followed;
    }
    false
}

#[cfg(test)]
mod tests;
