//! The epoch documents that a client holds: the one in use and those that follow it.

use std::collections::VecDeque;
use std::sync::Arc;

use antiphon_routing::{DocumentError, VerifiedEpoch};
use antiphon_wire::{Epoch, IdentityKey, NetworkFile, Round, SignedDocument, Timestamp};

use crate::RoundRefusal;

/// Reason why an epoch document was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DocumentRefusal {
    /// It is not valid.
    #[error("{0}")]
    Invalid(#[from] DocumentError),
    /// Its time is over.
    #[error("the document has expired; if it should not have, check this computer's clock")]
    Expired,
    /// A newer one is known.
    #[error("the document is of epoch {offered}, and epoch {known} is known already")]
    Older {
        /// Epoch of the document that was offered.
        offered: Epoch,
        /// Newest epoch known.
        known: Epoch,
    },
    /// Another one of the same epoch is known.
    #[error("there are two documents of epoch {0}: keep both as evidence")]
    Conflict(Epoch),
}

/// Hops built to a shard after which the slowest kernel has gained from a table what making it cost.
const HOPS_FOR_A_TABLE: u64 = 100;

/// The epoch with tables for building onions, if it is long enough that they pay for themselves.
fn with_tables(epoch: VerifiedEpoch) -> VerifiedEpoch {
    let document = epoch.document();
    let onions = 2 * u64::from(document.parameters.pairs_per_client);
    let hops = onions * u64::from(epoch.geometry().mixing_hops());
    let built = document.rounds().saturating_mul(hops);
    let shards = document.shards.len() as u64;
    if built >= HOPS_FOR_A_TABLE * shards { epoch.with_tables() } else { epoch }
}

/// Documents held at most. An epoch may be handed over before its first round opens, while the one
/// before it is still in use: that makes three.
const MOST_HELD: usize = 4;

pub(crate) struct Documents {
    /// Least epoch that is taken up.
    floor: Epoch,
    /// By rising epoch and first round: one whose rounds have all been taken over is dropped.
    held: VecDeque<Arc<VerifiedEpoch>>,
}

impl Documents {
    pub(crate) fn new(floor: Epoch) -> Self {
        Self { floor, held: VecDeque::new() }
    }

    /// The document in use, the oldest that is held.
    pub(crate) fn current(&self) -> Option<&Arc<VerifiedEpoch>> {
        self.held.front()
    }

    /// The document of the highest epoch.
    pub(crate) fn newest(&self) -> Option<&Arc<VerifiedEpoch>> {
        self.held.back()
    }

    /// The document of the rounds that open at `now`, or that will open first.
    pub(crate) fn at(&self, now: Timestamp) -> Option<&Arc<VerifiedEpoch>> {
        let lasts = |held: &&Arc<VerifiedEpoch>| now < held.document().expires_at;
        let begun = |held: &&Arc<VerifiedEpoch>| now >= held.document().starts_at && lasts(held);
        let first = || self.held.iter().find(lasts);
        self.held.iter().rfind(begun).or_else(first).or_else(|| self.newest())
    }

    /// The document of the epoch to whose gateway a client that uses `present` turns next: the one at `now`, or one
    /// after it that `present` does not serve.
    pub(crate) fn turning(
        &self,
        now: Timestamp,
        present: &IdentityKey,
    ) -> Option<&Arc<VerifiedEpoch>> {
        self.left_by(now, present).or_else(|| self.at(now))
    }

    /// The document of the epoch for which a client that uses `present` turns next: the first from the one at `now` on
    /// that `present` does not serve, or else the newest, for which another gateway is drawn.
    pub(crate) fn next_turn(
        &self,
        now: Timestamp,
        present: Option<&IdentityKey>,
    ) -> Option<&Arc<VerifiedEpoch>> {
        present.and_then(|present| self.left_by(now, present)).or_else(|| self.newest())
    }

    /// The first document from the one at `now` on that `gateway` does not serve.
    fn left_by(&self, now: Timestamp, gateway: &IdentityKey) -> Option<&Arc<VerifiedEpoch>> {
        let at = self.at(now)?.epoch();
        let mut following = self.held.iter().filter(|held| held.epoch() >= at);
        following.find(|held| held.index_of(gateway).is_none())
    }

    /// Takes a document up if it is valid and newer. Returns it, or `None` if it is known already.
    pub(crate) fn offer(
        &mut self,
        signed: SignedDocument,
        network: &NetworkFile,
        now: Timestamp,
    ) -> Result<Option<Arc<VerifiedEpoch>>, DocumentRefusal> {
        let offered = signed.document.epoch;
        if let Some(held) = self.held.iter().find(|held| held.epoch() == offered) {
            return match held.digest() == signed.document.digest() {
                true => Ok(None),
                false => Err(DocumentRefusal::Conflict(offered)),
            };
        }
        let known = self.newest().map_or(self.floor, |newest| newest.epoch());
        if offered < known {
            return Err(DocumentRefusal::Older { offered, known });
        }
        if now >= signed.document.expires_at {
            return Err(DocumentRefusal::Expired);
        }
        let epoch = Arc::new(with_tables(VerifiedEpoch::verify(signed, network)?));
        let first = epoch.document().first_round;
        self.held.retain(|held| held.document().first_round < first);
        if self.held.len() == MOST_HELD {
            self.held.pop_front();
        }
        self.held.push_back(Arc::clone(&epoch));
        debug_assert!(self.held.len() <= MOST_HELD);
        debug_assert!(
            self.held.iter().is_sorted_by_key(|held| (held.epoch(), held.document().first_round)),
            "documents are out of order"
        );
        Ok(Some(epoch))
    }

    /// The document of this epoch, if it is held.
    pub(crate) fn of_epoch(&self, epoch: Epoch) -> Option<&Arc<VerifiedEpoch>> {
        self.held.iter().find(|held| held.epoch() == epoch)
    }

    /// The document under which `round` of `epoch` is to be served.
    pub(crate) fn of_round(
        &self,
        epoch: Epoch,
        round: Round,
    ) -> Result<Arc<VerifiedEpoch>, RoundRefusal> {
        let position = self.held.iter().position(|held| held.epoch() == epoch);
        let at = position.ok_or(RoundRefusal::UnknownEpoch)?;
        if !self.held[at].document().covers(round) {
            return Err(RoundRefusal::OutsideEpoch);
        }
        // A round number is served under one document only, and the newest goes first.
        match self.held.get(at + 1) {
            Some(next) if round >= next.document().first_round => Err(RoundRefusal::Superseded),
            _ => Ok(Arc::clone(&self.held[at])),
        }
    }

    /// Takes note that a round of `epoch` is served, and drops older documents: they have had their time.
    pub(crate) fn enter(&mut self, epoch: Epoch) {
        self.held.retain(|held| held.epoch() >= epoch);
    }
}
