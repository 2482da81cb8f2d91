//! The epoch documents that a client holds: the one in use and the newest to follow it.

use std::sync::Arc;

use antiphon_routing::{DocumentError, VerifiedEpoch};
use antiphon_wire::{Epoch, NetworkFile, Round, SignedDocument, Timestamp};

use crate::RoundRefusal;

/// Why an epoch document was refused.
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
        /// The epoch of the document.
        offered: Epoch,
        /// The newest epoch known.
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

pub(crate) struct Documents {
    /// No older epoch than this is taken up.
    floor: Epoch,
    current: Option<Arc<VerifiedEpoch>>,
    next: Option<Arc<VerifiedEpoch>>,
}

impl Documents {
    pub(crate) fn new(floor: Epoch) -> Self {
        Self { floor, current: None, next: None }
    }

    /// The document in use.
    pub(crate) fn current(&self) -> Option<&Arc<VerifiedEpoch>> {
        self.current.as_ref()
    }

    /// The document of the highest epoch.
    pub(crate) fn newest(&self) -> Option<&Arc<VerifiedEpoch>> {
        self.next.as_ref().or(self.current.as_ref())
    }

    /// The document of the rounds that open at `now`, or that will open first.
    pub(crate) fn at(&self, now: Timestamp) -> Option<&Arc<VerifiedEpoch>> {
        let over = self.current.as_ref().is_none_or(|held| now >= held.document().expires_at);
        let next = self.next.as_ref().filter(|next| over || now >= next.document().starts_at);
        next.or(self.current.as_ref())
    }

    /// Takes a document up if it is valid and newer. Returns it, or nothing if it is known already.
    pub(crate) fn offer(
        &mut self,
        signed: SignedDocument,
        network: &NetworkFile,
        now: Timestamp,
    ) -> Result<Option<Arc<VerifiedEpoch>>, DocumentRefusal> {
        let offered = signed.document.epoch;
        for held in self.current.iter().chain(&self.next) {
            if held.epoch() == offered {
                return match held.digest() == signed.document.digest() {
                    true => Ok(None),
                    false => Err(DocumentRefusal::Conflict(offered)),
                };
            }
        }
        let known = self.newest().map_or(self.floor, |newest| newest.epoch());
        if offered < known {
            return Err(DocumentRefusal::Older { offered, known });
        }
        if now >= signed.document.expires_at {
            return Err(DocumentRefusal::Expired);
        }
        let epoch = Arc::new(with_tables(VerifiedEpoch::verify(signed, network)?));
        let place = if self.current.is_some() { &mut self.next } else { &mut self.current };
        *place = Some(Arc::clone(&epoch));
        Ok(Some(epoch))
    }

    /// The document under which `round` of `epoch` is to be served.
    pub(crate) fn of_round(
        &self,
        epoch: Epoch,
        round: Round,
    ) -> Result<Arc<VerifiedEpoch>, RoundRefusal> {
        let mut held = self.current.iter().chain(&self.next);
        let found = held.find(|held| held.epoch() == epoch).ok_or(RoundRefusal::UnknownEpoch)?;
        if !found.document().covers(round) {
            return Err(RoundRefusal::OutsideEpoch);
        }
        // A round number is served under one document only, and the newest goes first.
        match &self.next {
            Some(next) if next.epoch() > epoch && round >= next.document().first_round => {
                Err(RoundRefusal::Superseded)
            }
            _ => Ok(Arc::clone(found)),
        }
    }

    /// A round of `epoch` is served: older documents have had their time.
    pub(crate) fn enter(&mut self, epoch: Epoch) {
        if let Some(next) = self.next.take_if(|next| next.epoch() == epoch) {
            self.current = Some(next);
        }
    }
}
