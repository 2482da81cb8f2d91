//! The number of shards that the load asks for.
//!
//! An operator's part of all paths goes by its weight, so that a shard's computing is the operator's, divided by its shards:
//! the number that brings it to the target follows from what is measured. More shards come at once, and fewer one at a time.
//! After a change, two epochs pass before the next, and the shares at which there are more and fewer shards lie apart: on a
//! load that stays as it is, the number changes in one direction and comes to rest.

use super::{Decision, lists};
use crate::observed::{Network, Observed, Ordinal, Permille, Scaling};
use crate::step::Step;

/// Shards of all operators with which the model's rounds are shortest. With more, each has so little to do that batches and
/// signatures, of which there is one for every other shard, outweigh what is saved.
pub(crate) const MOST_HELPFUL: u16 = 200;
/// Epochs that begin after a list has changed, before the load is looked at again.
const SETTLES_IN: u64 = 2;
/// Rounds over which shares are measured.
const MEASURED_OVER: u64 = 20;
/// Share of the target above which there are more shards, in percent.
const MORE_ABOVE: u64 = 110;
/// Share of the target below which a shard less would leave the others, for there to be fewer, in percent.
const FEWER_BELOW: u64 = 80;
/// Share of the target from which on computing is part of what makes rounds long, in percent.
const COUNTS_FROM: u64 = 50;

/// The judgement of the load, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// `true` if the load decides: it is known, and nothing else has to be waited for.
    pub(crate) follows: bool,
    /// One word for it.
    pub(crate) reason: &'static str,
    /// A sentence for people.
    pub(crate) words: String,
}

/// Asks for another number of shards, if the load does. While something else changes, it is waited for; that a shard is
/// in no epoch keeps others from coming to its help only if one of them does not run.
pub(super) fn follow(seen: &Observed, changes: &Decision) -> Decision {
    let Some(scaling) = seen.scaling else { return Decision::default() };
    let verdict = verdict(seen, &scaling, changes);
    let steps = match verdict.to {
        Some(to) => {
            let why = verdict.outlook.words.clone();
            vec![Step::Scale { from: seen.wanted, to, why }]
        }
        None => Vec::new(),
    };
    Decision { steps, scaling: Some(verdict.outlook), ..Decision::default() }
}

/// The number that the load asks for, with the reason.
struct Verdict {
    /// Another number of shards.
    to: Option<u16>,
    outlook: Outlook,
}

impl Verdict {
    fn to(to: u16, reason: &'static str, words: String) -> Self {
        Self { to: Some(to), outlook: Outlook { follows: true, reason, words } }
    }

    fn holds(reason: &'static str, words: String) -> Self {
        Self { to: None, outlook: Outlook { follows: true, reason, words } }
    }

    fn waits(reason: &'static str, words: String) -> Self {
        Self { to: None, outlook: Outlook { follows: false, reason, words } }
    }
}

fn verdict(seen: &Observed, scaling: &Scaling, changes: &Decision) -> Verdict {
    let settled = changes.is_settled();
    if !settled && !may_be_helped(seen) {
        let waits = changes.waits.as_deref().or(changes.blocked.as_deref());
        let words = waits.unwrap_or("something else changes");
        return Verdict::waits("Waits", format!("looks at the load when all is settled: {words}"));
    }
    let within = seen.wanted.clamp(scaling.least, scaling.most);
    if settled && within != seen.wanted {
        let words = format!("bounds are {} and {}", scaling.least, scaling.most);
        return Verdict::to(within, "OutOfBounds", words);
    }
    match Load::of(seen) {
        Err(verdict) => verdict,
        Ok(load) => load.asks_for(seen.wanted, scaling, settled),
    }
}

/// `true` if only shards that run are waited for, to be in an epoch: they may have too much to do for it.
fn may_be_helped(seen: &Observed) -> bool {
    let mut wanted = seen.wanted();
    let runs = |shard: Ordinal| {
        let pod = seen.pods.get(&shard);
        pod.is_some_and(|pod| pod.running && !pod.outdated && !pod.stopping)
    };
    wanted.all(runs) && lists::change(seen).is_settled()
}

/// A load that is known.
#[derive(Clone, Copy, Debug)]
struct Load {
    /// Computing of the operator's busiest shard.
    computing: Permille,
    /// `true` if all of its shards said theirs.
    all_known: bool,
    /// The time that rounds take, of what they may.
    took: Permille,
    /// Shards of all operators in the epoch.
    in_network: u16,
}

impl Load {
    /// The load, if it is known and of an epoch that has settled.
    fn of(seen: &Observed) -> Result<Self, Verdict> {
        let (Some(network), Some(lists)) = (&seen.network, &seen.lists) else {
            let words = "cannot ask the coordinator how long rounds take".to_owned();
            return Err(Verdict::waits("NotKnown", words));
        };
        let looks_from = lists.newest.first_epoch + SETTLES_IN;
        let Network { epoch: Some(epoch), rounds_run, took, epoch_shards, .. } = *network else {
            return Err(Verdict::waits("NotKnown", "no epoch runs".to_owned()));
        };
        if epoch < looks_from {
            return Err(Verdict::waits(
                "CoolsDown",
                format!(
                    "shards changed with list {}: looks at the load again in epoch {looks_from}",
                    lists.newest.number
                ),
            ));
        }
        let wanted = usize::from(seen.wanted);
        let known: Vec<Permille> =
            seen.wanted().filter_map(|shard| seen.computing.get(&shard).copied()).collect();
        let (count, computing) = (known.len(), known.iter().max().copied());
        match (took, computing) {
            (Some(took), Some(computing)) if rounds_run >= MEASURED_OVER => {
                let all_known = count == wanted;
                Ok(Self { computing, all_known, took, in_network: epoch_shards })
            }
            _ => Err(Verdict::waits(
                "NotKnown",
                format!(
                    "waits for {MEASURED_OVER} rounds of the epoch, and for shards to say how busy they are: {rounds_run} \
                     rounds were opened, and {count} of {wanted} shards say so"
                ),
            )),
        }
    }

    fn asks_for(self, wanted: u16, scaling: &Scaling, settled: bool) -> Verdict {
        let target = u64::from(scaling.target.0);
        let is_above = |share: Permille, percent: u64| u64::from(share.0) * 100 > target * percent;
        // Rounds that are long without it are long by links and layers, of which more shards save nothing.
        let shortened = is_above(self.computing, COUNTS_FROM);
        let most_needed = self.computing.max(if shortened { self.took } else { Permille(0) });
        if is_above(most_needed, MORE_ABOVE) {
            return self.more(wanted, scaling, most_needed);
        }
        if is_above(self.took, MORE_ABOVE) {
            let words = format!(
                "{self}: more shards would shorten rounds by little, as it is not computing that makes them long. Look at links \
                 and their delays, or have longer intervals"
            );
            return Verdict::holds("MoreWouldNotHelp", words);
        }
        let needed = u64::from(self.computing.max(self.took).0);
        let (one_less, now) = (u64::from(wanted - 1), u64::from(wanted));
        let would_do = needed * now * 100 < target * one_less * FEWER_BELOW;
        match (would_do, wanted > scaling.least) {
            (false, _) => {
                Verdict::holds("Holds", format!("{self}, and {} is aimed at", scaling.target))
            }
            (true, false) => Verdict::holds(
                "AtLeast",
                format!("{self}: fewer would do, and {wanted} is the least"),
            ),
            (true, true) if settled && self.all_known => {
                Verdict::to(wanted - 1, "ScalesDown", format!("{self}, and fewer do"))
            }
            (true, true) => {
                let words =
                    format!("{self}: fewer would do, once all of them are in an epoch and say so");
                Verdict::waits("Waits", words)
            }
        }
    }

    /// As many as bring the share to the target, or as there may be.
    fn more(self, wanted: u16, scaling: &Scaling, share: Permille) -> Verdict {
        let others = self.in_network.saturating_sub(wanted);
        let helpful = MOST_HELPFUL.saturating_sub(others);
        let needed =
            (u64::from(wanted) * u64::from(share.0)).div_ceil(u64::from(scaling.target.0).max(1));
        let needed = u16::try_from(needed).unwrap_or(u16::MAX).min(wanted.saturating_mul(2));
        let to = needed.min(scaling.most).min(helpful);
        if to > wanted {
            return Verdict::to(
                to,
                "ScalesUp",
                format!("{self}, and {} is aimed at", scaling.target),
            );
        }
        if scaling.most <= helpful {
            return Verdict::holds(
                "AtMost",
                format!("{self}: more are needed, and {wanted} is the most"),
            );
        }
        let words = format!(
            "{self}: the epoch has {} shards of all operators, and with more than {MOST_HELPFUL} a round takes longer with \
             each. Give shards more processors",
            self.in_network
        );
        Verdict::holds("NetworkIsFull", words)
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { computing, took, .. } = self;
        write!(
            f,
            "the busiest shard computes {computing} of its time, and rounds take {took} of theirs"
        )
    }
}

#[cfg(test)]
mod tests;
