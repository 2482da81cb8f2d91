//! Notices of a running shard to its operator.

use antiphon_mix::Notice;
use antiphon_process::metrics::labels::Refused;
use antiphon_process::metrics::shard::{DOCUMENTS_REFUSED, PEER_FAULTS};
use antiphon_wire::{Epoch, Round, RoundOutcome};

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
    /// Notice of the machine: rounds, keys, lists, proposals and peers.
    Machine(Notice),
}

impl ShardNotice {
    /// Writes this to the log and counts it.
    pub(crate) fn record(&self) {
        match self {
            Self::CoordinatorLinked => tracing::info!("linked to the coordinator"),
            Self::CoordinatorLost { why } => tracing::warn!(%why, "no link to the coordinator"),
            Self::EpochPublished { epoch, first_round, last_round, shards, layers } => {
                tracing::info!(%epoch, %first_round, %last_round, shards, layers, "new epoch");
            }
            Self::Machine(notice) => record(notice),
        }
    }
}

/// Long, as it is one table: a level and a sentence for each notice of the machine.
fn record(notice: &Notice) {
    match notice {
        Notice::RoundEnded { round, outcome, took_ms, .. } => {
            crate::metrics::round_ended(outcome, *took_ms);
            match outcome {
                RoundOutcome::Delivered => tracing::debug!(%round, took_ms, "round delivered"),
                outcome => tracing::warn!(%round, took_ms, ?outcome, "round not delivered"),
            }
        }
        Notice::RoundTraced(trace) => crate::metrics::round_traced(trace),
        Notice::BeatEnded { round, beat, filled, late, .. } => {
            crate::metrics::beat_ended(*filled, *late);
            tracing::debug!(%round, beat, filled, late, "beat ended");
        }
        Notice::CallRefused { why } => {
            DOCUMENTS_REFUSED.add(Refused::Call, 1);
            tracing::warn!(%why, "offered no keys for an epoch: if this goes on, compare what the \
                coordinator's log says");
        }
        Notice::Led { term, by: Some(coordinator) } => {
            tracing::info!(%term, %coordinator, "a coordinator leads");
        }
        Notice::Led { term, by: None } => tracing::warn!(%term, "no coordinator leads"),
        Notice::KeysGone { epoch } => tracing::info!(
            %epoch, "this epoch's keys were in memory only: waiting for the next epoch"
        ),
        Notice::ListEnds { last_epoch, epoch } if last_epoch < epoch => tracing::error!(
            %last_epoch, %epoch,
            "the operator's list has ended: this shard is in no epoch until there is a new one"
        ),
        Notice::ListEnds { last_epoch, epoch } => tracing::warn!(
            %last_epoch, %epoch, "the operator's list ends soon: the operator has to sign a new one"
        ),
        Notice::ListTaken { number, first_epoch, listed: true } => {
            tracing::info!(number, %first_epoch, "took a list of the operator");
        }
        Notice::ListTaken { number, first_epoch, listed: false } => tracing::warn!(
            number, %first_epoch,
            "the operator's new list is without this shard: it is in no epoch after those that have it"
        ),
        Notice::ListRefused { why } => {
            DOCUMENTS_REFUSED.add(Refused::List, 1);
            tracing::error!(%why, "did not take a list of the operator");
        }
        Notice::ProposalRefused { why } => {
            DOCUMENTS_REFUSED.add(Refused::Proposal, 1);
            tracing::warn!(%why, "did not sign a proposal");
        }
        Notice::DocumentRefused { why } => {
            DOCUMENTS_REFUSED.add(Refused::Document, 1);
            tracing::warn!(%why, "did not take a document");
        }
        Notice::AnnouncementRefused { round } => {
            tracing::error!(%round, "the coordinator announced a round with other beats than its epoch has");
        }
        Notice::Rejected { why } => tracing::error!(%why, "the coordinator rejects this shard"),
        Notice::PeerFault { peer, what } => {
            PEER_FAULTS.add((), 1);
            tracing::warn!(%peer, %what, "a peer broke the rules");
        }
    }
}
