//! Notices of a coordinator for those who watch it. All of it could be seen by anybody on the wire.

use std::fmt;

use antiphon_wire::{Epoch, IdentityKey, Reason, Round, RoundCounts, Term};

use super::planner::Presence;

/// Something worth a line in a log or on a display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A shard registered, with its operator's list.
    ShardRegistered {
        /// Identity of the shard.
        shard: IdentityKey,
        /// Operator's name in the network file.
        operator: String,
    },
    /// A shard's registration was not accepted.
    ShardRejected {
        /// Identity of the shard.
        shard: IdentityKey,
        /// Reason, in words for the shard's operator.
        reason: String,
    },
    /// Shards have elected this coordinator.
    Elected {
        /// Term in which it leads.
        term: Term,
        /// Number of shards that let it lead so far.
        shards: usize,
    },
    /// This coordinator leads no more.
    Deposed {
        /// Term in which it led.
        term: Term,
        /// Reason for which it does not, in words.
        reason: String,
        /// Number of rounds that it opened, and of whose end it has not heard.
        open_rounds: usize,
    },
    /// Too few shards let this coordinator lead; it tries again.
    NotElected {
        /// Term in which it wanted to lead.
        term: Term,
    },
    /// The link of a registered shard went away.
    ShardLost {
        /// Identity of the shard.
        shard: IdentityKey,
    },
    /// A shard is leaving. It is in no epoch that is planned from now on.
    ShardLeaving {
        /// Identity of the shard.
        shard: IdentityKey,
    },
    /// A shard that was leaving stays.
    ShardStaying {
        /// Identity of the shard.
        shard: IdentityKey,
    },
    /// So many links were lost together that the coordinator itself must have been away. Nobody
    /// sits out for it.
    WasAway {
        /// Number of links that were lost.
        links: usize,
    },
    /// The process stood still: its machine was suspended, or it got no processor time.
    StoodStill {
        /// Milliseconds from when it was to do something until it did.
        late_ms: u64,
    },
    /// The state was lost, or is an old one: shards are further on. The numbers continue above what
    /// operators of more than f of the weight say.
    Behind {
        /// The highest epoch that shards signed.
        epoch: Epoch,
        /// The highest round that shards served.
        round: Round,
    },
    /// A shard's clock is away from those of most shards.
    ShardClock {
        /// Identity of the shard.
        shard: IdentityKey,
        /// Operator's name in the network file.
        operator: String,
        /// By how much it is ahead, in milliseconds; 0 if it is right again.
        ahead_ms: i64,
    },
    /// The coordinator's clock is away from those of most shards, and it goes by theirs.
    OwnClock {
        /// By how much it is ahead, in milliseconds; 0 if it is right again.
        ahead_ms: i64,
    },
    /// An operator's list ends soon, or has ended.
    ListEnds {
        /// Operator's name in the network file.
        operator: String,
        /// The last epoch that the list is for.
        last_epoch: Epoch,
        /// The newest epoch so far.
        epoch: Epoch,
    },
    /// A shard sits out epochs, unless a quorum needs it.
    ShardSuspended {
        /// Identity of the shard.
        shard: IdentityKey,
        /// Number of epochs that it sits out.
        epochs: u32,
        /// Failure that it sits out for.
        reason: String,
    },
    /// Canaries of some rounds came back broken, and were judged.
    CellsJudged {
        /// Canaries that their makers opened.
        canaries: u32,
        /// Their cells that were changed on the way.
        garbled: u32,
        /// Their cells that were lost to batches that came late, or to shards that say nothing.
        lost: u32,
        /// Shards that explain by themselves why cells were lost.
        late: Vec<IdentityKey>,
    },
    /// A shard was named: it garbled cells, and sits out epochs, unless a quorum needs it.
    ShardNamed {
        /// Identity of the shard.
        shard: IdentityKey,
        /// Operator's name in the network file.
        operator: String,
        /// Number of epochs that it sits out.
        epochs: u32,
    },
    /// Shards are asked for their keys for a new epoch.
    EpochCalled {
        /// Number of the epoch.
        epoch: Epoch,
        /// First round of the epoch.
        first_round: Round,
        /// Number of shards that are asked.
        shards: usize,
    },
    /// An epoch did not come about. Its number is not used again.
    EpochFailed {
        /// Number of the epoch.
        epoch: Epoch,
        /// Reason for which it failed.
        reason: String,
    },
    /// All shards of an epoch have signed it.
    EpochPublished {
        /// Number of the epoch.
        epoch: Epoch,
        /// First round of the epoch.
        first_round: Round,
        /// Last round of the epoch.
        last_round: Round,
        /// L, the number of layers.
        layers: u8,
        /// Who is in it.
        presence: Presence,
    },
    /// The running epoch cannot go on.
    EpochBroken {
        /// Number of the epoch.
        epoch: Epoch,
        /// Reason for which it cannot go on.
        reason: String,
    },
    /// A document in the state file is of no use any more.
    DocumentDropped {
        /// Number of the document's epoch.
        epoch: Epoch,
        /// Reason for which it is of no use.
        reason: String,
    },
    /// No epoch can be planned before more shards are here.
    WaitingForQuorum(Presence),
    /// A round was opened.
    RoundOpened {
        /// Epoch that the round is of.
        epoch: Epoch,
        /// Number of the round.
        round: Round,
        /// Shards that did not say in time that they are ready.
        late: Vec<IdentityKey>,
    },
    /// A round ended, or its deadline passed.
    RoundEnded(RoundReport),
}

/// Course and outcome of one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundReport {
    /// Epoch that the round is of.
    pub epoch: Epoch,
    /// Number of the round.
    pub round: Round,
    /// Outcome over all shards.
    pub result: RoundResult,
    /// Counts, summed over the shards that reported.
    pub totals: RoundTotals,
    /// Milliseconds from the opening to the last shard's report.
    pub latency_ms: u64,
    /// Shards that did not report its end.
    pub silent: Vec<IdentityKey>,
}

/// Outcome of a round, over all shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoundResult {
    /// Every shard opened its seal layer and replies went back.
    Delivered,
    /// Seals were opened, but not everywhere.
    Partial {
        /// Shards whose seal key did not come everywhere, or that did not report.
        missing: Vec<IdentityKey>,
    },
    /// A shard withheld its seal key.
    Aborted {
        /// Whom the shards name as the cause; empty if they name nobody.
        missing: Vec<IdentityKey>,
        /// The first cause that a shard gave; `None` if no shard gave one.
        reason: Option<Reason>,
    },
}

/// Sums of [`RoundCounts`] over shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundTotals {
    /// Onions that clients handed in.
    pub user_onions: u64,
    /// Onions that shards added as noise.
    pub noise_onions: u64,
    /// Filters that shards tested for their onions.
    pub filters_checked: u64,
    /// Bytes of these filters.
    pub filter_bytes: u64,
    /// Dead drops with two deposits.
    pub pairs: u64,
    /// Dead drops with one deposit.
    pub singles: u64,
}

impl RoundTotals {
    pub(crate) fn add(&mut self, counts: &RoundCounts) {
        self.user_onions += u64::from(counts.user_onions);
        self.noise_onions += u64::from(counts.noise_onions);
        self.filters_checked += u64::from(counts.filters_checked);
        self.filter_bytes += u64::from(counts.filter_bytes);
        self.pairs += u64::from(counts.pairs);
        self.singles += u64::from(counts.singles);
    }
}

impl Notice {
    /// Returns `true` if somebody has to do something about it.
    pub fn is_warning(&self) -> bool {
        match self {
            Self::Behind { .. }
            | Self::WasAway { .. }
            | Self::StoodStill { .. }
            | Self::ShardRejected { .. }
            | Self::ListEnds { .. }
            | Self::ShardNamed { .. }
            | Self::WaitingForQuorum(_) => true,
            Self::ShardClock { ahead_ms, .. } | Self::OwnClock { ahead_ms } => *ahead_ms != 0,
            _ => false,
        }
    }

    /// Returns `true` if epochs lack something until somebody has done something about it.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::ListEnds { last_epoch, epoch, .. } if last_epoch < epoch)
    }
}

/// Milliseconds as a clock's error.
struct Apart(i64);

impl fmt::Display for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.unsigned_abs();
        let which = if self.0 > 0 { "later" } else { "earlier" };
        write!(f, "{}.{} s {which}", ms / 1000, ms % 1000 / 100)
    }
}

/// Identities, written behind commas.
struct Names<'a>(&'a [IdentityKey]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, shard) in self.0.iter().enumerate() {
            write!(f, "{}{shard}", if position == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { present_weight, total_weight, shards, absent } = self;
        write!(f, "{shards} shards of operators of weight {present_weight} of {total_weight}")?;
        if absent.is_empty() { Ok(()) } else { write!(f, "; absent: {}", absent.join(", ")) }
    }
}

impl fmt::Display for RoundResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered => f.write_str("delivered"),
            Self::Partial { missing } => write!(f, "delivered in part, without {}", Names(missing)),
            Self::Aborted { missing, reason } => {
                f.write_str("aborted")?;
                if let Some(reason) = reason {
                    write!(f, ": {reason}")?;
                }
                if missing.is_empty() { Ok(()) } else { write!(f, " ({})", Names(missing)) }
            }
        }
    }
}

impl fmt::Display for Notice {
    /// Long, because it is one table: a sentence for each notice.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShardRegistered { shard, operator } => {
                write!(f, "shard {shard} of {operator} registered")
            }
            Self::ShardRejected { shard, reason } => write!(f, "shard {shard} rejected: {reason}"),
            Self::Elected { term, shards } => {
                write!(f, "this coordinator leads in term {term}: {shards} shards let it so far")
            }
            Self::Deposed { term, reason, .. } => {
                write!(f, "this coordinator, which led in term {term}, stands by: {reason}")
            }
            Self::NotElected { term } => {
                write!(f, "too few shards let this coordinator lead in term {term}: trying again")
            }
            Self::ShardLost { shard } => write!(f, "shard {shard} is gone"),
            Self::ShardLeaving { shard } => write!(f, "shard {shard} is leaving"),
            Self::ShardStaying { shard } => write!(f, "shard {shard} stays after all"),
            Self::WasAway { links } => write!(
                f,
                "{links} links were lost together: this coordinator was away, and nobody sits out"
            ),
            Self::StoodStill { late_ms } => write!(
                f,
                "this coordinator stood still for {}.{} s: hearing what became of its shards, and \
                 nobody sits out",
                late_ms / 1000,
                late_ms % 1000 / 100
            ),
            Self::Behind { epoch, round } => write!(
                f,
                "shards have signed epoch {epoch} and served round {round}, which the state file \
                 does not know: going on above that"
            ),
            Self::ShardClock { shard, operator, ahead_ms: 0 } => {
                write!(f, "the clock of shard {shard} of {operator} is right again")
            }
            Self::ShardClock { shard, operator, ahead_ms } => write!(
                f,
                "the clock of shard {shard} of {operator} is {} than those of most shards: set it",
                Apart(*ahead_ms)
            ),
            Self::OwnClock { ahead_ms: 0 } => f.write_str("this machine's clock is right again"),
            Self::OwnClock { ahead_ms } => write!(
                f,
                "this machine's clock is {} than those of most shards: set it; until then, epochs \
                 go by theirs",
                Apart(*ahead_ms)
            ),
            Self::ListEnds { operator, last_epoch, epoch } if last_epoch < epoch => write!(
                f,
                "the list of {operator} has ended with epoch {last_epoch}: it counts as absent \
                 until it has signed a new one"
            ),
            Self::ListEnds { operator, last_epoch, epoch } => write!(
                f,
                "the list of {operator} ends with epoch {last_epoch}, this is epoch {epoch}: it \
                 has to sign a new one"
            ),
            Self::ShardSuspended { shard, epochs, reason } => {
                write!(f, "shard {shard} sits out {epochs} epochs: {reason}")
            }
            Self::CellsJudged { canaries, garbled, lost, late } => {
                write!(
                    f,
                    "{canaries} canaries came back broken: {garbled} of their cells were changed on the way, {lost} \
                     lost to late batches"
                )?;
                if late.is_empty() { Ok(()) } else { write!(f, "; late: {}", Names(late)) }
            }
            Self::ShardNamed { shard, operator, epochs } => write!(
                f,
                "shard {shard} of {operator} garbles cells, and sits out {epochs} epochs: canaries were broken on \
                 their way through it, and nobody else explains all of them"
            ),
            Self::EpochCalled { epoch, first_round, shards } => {
                write!(f, "epoch {epoch} from round {first_round}: calling {shards} shards")
            }
            Self::EpochFailed { epoch, reason } => {
                write!(f, "epoch {epoch} did not come about: {reason}")
            }
            Self::EpochPublished { epoch, first_round, last_round, layers, presence } => write!(
                f,
                "epoch {epoch} published: rounds {first_round} to {last_round}, {layers} layers, \
                 {presence}"
            ),
            Self::EpochBroken { epoch, reason } => {
                write!(f, "epoch {epoch} cannot go on: {reason}")
            }
            Self::DocumentDropped { epoch, reason } => {
                write!(f, "the saved document of epoch {epoch} is of no use: {reason}")
            }
            Self::WaitingForQuorum(presence) => {
                write!(f, "waiting for more shards to make a quorum: {presence}")
            }
            Self::RoundOpened { epoch, round, late } if late.is_empty() => {
                write!(f, "round {round} of epoch {epoch} opened")
            }
            Self::RoundOpened { epoch, round, late } => {
                write!(f, "round {round} of epoch {epoch} opened; not ready: {}", Names(late))
            }
            Self::RoundEnded(report) => write!(
                f,
                "round {} of epoch {} {} after {} ms: {} user onions, {} noise onions",
                report.round,
                report.epoch,
                report.result,
                report.latency_ms,
                report.totals.user_onions,
                report.totals.noise_onions
            ),
        }
    }
}
