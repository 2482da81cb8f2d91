//! Notices of a running shard to its operator.

use antiphon_mix::{Notice, RoundTrace};
use antiphon_wire::{Epoch, IdentityKey, Round, RoundCounts, RoundOutcome};

/// Notice to an operator. Nothing about single users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardNotice {
    /// The link to the coordinator is up.
    CoordinatorLinked,
    /// The link to the coordinator is lost, or could not be opened. It is tried again.
    CoordinatorLost {
        /// Reason, in words.
        why: String,
    },
    /// A document was published that lists this shard.
    EpochPublished {
        /// Number of the epoch.
        epoch: Epoch,
        /// First round of the epoch.
        first_round: Round,
        /// Last round of the epoch.
        last_round: Round,
        /// Number of shards that take part.
        shards: usize,
        /// L, the number of layers.
        layers: u8,
    },
    /// A round ended here.
    RoundEnded {
        /// Round that ended.
        round: Round,
        /// Outcome at this shard.
        outcome: RoundOutcome,
        /// Figures that anybody could count.
        counts: RoundCounts,
        /// Milliseconds since its opening.
        took_ms: u64,
    },
    /// Durations of a round that ended here.
    RoundTraced(RoundTrace),
    /// The coordinator's call for keys was not answered with keys.
    CallRefused {
        /// Reason, in words.
        why: String,
    },
    /// An epoch goes on of which this shard has no keys, since it was started again. It waits for
    /// the next.
    KeysGone {
        /// Epoch that goes on.
        epoch: Epoch,
    },
    /// The operator's list ends soon, or has ended.
    ListEnds {
        /// Last epoch of the list.
        last_epoch: Epoch,
        /// Newest epoch.
        epoch: Epoch,
    },
    /// A newer list of the operator was taken.
    ListTaken {
        /// Number of the list.
        number: u32,
        /// The first epoch that it holds for.
        first_epoch: Epoch,
        /// True if this shard is on the list; otherwise it leaves.
        listed: bool,
    },
    /// A list of the operator was not taken.
    ListRefused {
        /// Reason for which the list is not taken.
        why: String,
    },
    /// The coordinator's proposal was not signed.
    ProposalRefused {
        /// Reason, in words.
        why: String,
    },
    /// A published document was not taken.
    DocumentRefused {
        /// Reason, in words.
        why: String,
    },
    /// The coordinator does not accept this shard.
    Rejected {
        /// Reason that the coordinator gave.
        why: String,
    },
    /// A peer broke the rules.
    PeerFault {
        /// Identity of the peer.
        peer: IdentityKey,
        /// Fault, in words.
        what: String,
    },
}

impl From<Notice> for ShardNotice {
    fn from(notice: Notice) -> Self {
        match notice {
            Notice::CallRefused { why } => Self::CallRefused { why },
            Notice::ListEnds { last_epoch, epoch } => Self::ListEnds { last_epoch, epoch },
            Notice::ListTaken { number, first_epoch, listed } => {
                Self::ListTaken { number, first_epoch, listed }
            }
            Notice::ListRefused { why } => Self::ListRefused { why },
            Notice::KeysGone { epoch } => Self::KeysGone { epoch },
            Notice::ProposalRefused { why } => Self::ProposalRefused { why },
            Notice::DocumentRefused { why } => Self::DocumentRefused { why },
            Notice::Rejected { why } => Self::Rejected { why },
            Notice::PeerFault { peer, what } => Self::PeerFault { peer, what },
            Notice::RoundEnded { round, outcome, counts, took_ms } => {
                Self::RoundEnded { round, outcome, counts, took_ms }
            }
            Notice::RoundTraced(trace) => Self::RoundTraced(trace),
        }
    }
}

impl ShardNotice {
    /// Writes this to the log and counts it.
    ///
    /// Long, because it is one table: a level and a sentence for each notice.
    pub(crate) fn record(&self) {
        match self {
            Self::CoordinatorLinked => tracing::info!("linked to the coordinator"),
            Self::CoordinatorLost { why } => tracing::warn!(%why, "no link to the coordinator"),
            Self::EpochPublished { epoch, first_round, last_round, shards, layers } => {
                tracing::info!(%epoch, %first_round, %last_round, shards, layers, "new epoch");
            }
            Self::RoundEnded { round, outcome, took_ms, .. } => {
                crate::metrics::round_ended(outcome, *took_ms);
                match outcome {
                    RoundOutcome::Delivered => tracing::debug!(%round, took_ms, "round delivered"),
                    outcome => tracing::warn!(%round, took_ms, ?outcome, "round not delivered"),
                }
            }
            Self::RoundTraced(trace) => crate::metrics::round_traced(trace),
            Self::CallRefused { why } => {
                tracing::warn!(%why, "offered no keys for an epoch: if this goes on, compare what the \
                    coordinator's log says");
            }
            Self::KeysGone { epoch } => tracing::info!(
                %epoch, "this epoch's keys were in memory only: waiting for the next epoch"
            ),
            Self::ListEnds { last_epoch, epoch } if last_epoch < epoch => tracing::error!(
                %last_epoch, %epoch,
                "the operator's list has ended: this shard is in no epoch until there is a new one"
            ),
            Self::ListEnds { last_epoch, epoch } => tracing::warn!(
                %last_epoch, %epoch, "the operator's list ends soon: the operator has to sign a new one"
            ),
            Self::ListTaken { number, first_epoch, listed: true } => {
                tracing::info!(number, %first_epoch, "took a list of the operator");
            }
            Self::ListTaken { number, first_epoch, listed: false } => tracing::warn!(
                number, %first_epoch,
                "the operator's new list is without this shard: it is in no epoch after those that have it"
            ),
            Self::ListRefused { why } => {
                tracing::error!(%why, "did not take a list of the operator");
            }
            Self::ProposalRefused { why } => tracing::warn!(%why, "did not sign a proposal"),
            Self::DocumentRefused { why } => tracing::warn!(%why, "did not take a document"),
            Self::Rejected { why } => tracing::error!(%why, "the coordinator rejects this shard"),
            Self::PeerFault { peer, what } => {
                tracing::warn!(%peer, %what, "a peer broke the rules");
            }
        }
    }
}
