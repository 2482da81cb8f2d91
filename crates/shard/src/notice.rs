//! Notices of a running shard to its operator.

use std::collections::BTreeSet;

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

/// Reasons of coordinators that are remembered as told.
const MOST_TOLD: usize = 16;

/// What the log has said of links to coordinators that come to nothing, so that it says it once.
#[derive(Debug, Default)]
pub(crate) struct Told {
    rejections: BTreeSet<String>,
}

impl Told {
    /// Returns `true` if the log has said all of it, and more of the same at each dial would help nobody. Of a shard that
    /// is not `listed`, it has said at the start, or with the list that is without it, what its operator has to do.
    pub(crate) fn has(&mut self, notice: &ShardNotice, listed: bool) -> bool {
        match notice {
            ShardNotice::CoordinatorLinked | ShardNotice::CoordinatorLost { .. } => !listed,
            ShardNotice::Machine(Notice::Rejected { why }) if listed => {
                if self.rejections.len() >= MOST_TOLD {
                    self.rejections.clear();
                }
                !self.rejections.insert(why.clone())
            }
            ShardNotice::Machine(Notice::Rejected { .. }) => true,
            // Its operator has done something about it.
            ShardNotice::EpochPublished { .. } => {
                self.rejections.clear();
                false
            }
            ShardNotice::Machine(_) => false,
        }
    }
}

impl ShardNotice {
    /// Writes this to the log and counts it; for developers alone if the log has said all of it.
    pub(crate) fn record(&self, is_told: bool) {
        match self {
            Self::CoordinatorLinked if is_told => tracing::debug!("linked to the coordinator"),
            Self::CoordinatorLost { why } if is_told => {
                tracing::debug!(%why, "no link to the coordinator");
            }
            Self::Machine(Notice::Rejected { why }) if is_told => {
                tracing::debug!(%why, "the coordinator rejects this shard");
            }
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
        Notice::BeatEnded { round, beat, filled, late, cpu, .. } => {
            crate::metrics::beat_ended(*filled, *late, *cpu);
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
        Notice::BoxLacksNoise { round, host, missing } => tracing::error!(
            %round, %host, missing,
            "a published box lacks noise that this shard sent: its host left items out, or did not get them"
        ),
        Notice::BoxMissing { round, host } => tracing::error!(
            %round, %host, "a round is over, and the host of a box has published none that is in order"
        ),
        Notice::Rejected { why } => tracing::error!(%why, "the coordinator rejects this shard"),
        Notice::PeerFault { peer, what } => {
            PEER_FAULTS.add((), 1);
            tracing::warn!(%peer, %what, "a peer broke the rules");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(why: &str) -> ShardNotice {
        ShardNotice::Machine(Notice::Rejected { why: why.to_owned() })
    }

    #[test]
    fn a_shard_that_is_on_no_list_does_not_say_so_at_each_dial() {
        let mut told = Told::default();
        let lost = ShardNotice::CoordinatorLost { why: "it closed the link".to_owned() };
        for notice in [ShardNotice::CoordinatorLinked, rejected("not listed"), lost] {
            assert!(told.has(&notice, false), "{notice:?}");
        }
        let list = Notice::ListTaken { number: 2, first_epoch: Epoch(3), listed: true };
        assert!(!told.has(&ShardNotice::Machine(list), false));
    }

    #[test]
    fn a_rejection_is_told_once_and_again_when_it_was_lifted() {
        let mut told = Told::default();
        let epoch = ShardNotice::EpochPublished {
            epoch: Epoch(1),
            first_round: Round(1),
            last_round: Round(9),
            shards: 3,
            layers: 3,
        };
        for _ in 0..2 {
            assert_eq!(
                [(); 3].map(|()| told.has(&rejected("another version"), true)),
                [false, true, true]
            );
            assert!(!told.has(&rejected("another network"), true));
            assert!(!told.has(&ShardNotice::CoordinatorLinked, true));
            assert!(!told.has(&epoch, true));
        }
        // However many reasons a coordinator thinks of.
        for number in 0..100 {
            told.has(&rejected(&number.to_string()), true);
            assert!(told.rejections.len() <= MOST_TOLD);
        }
    }
}
