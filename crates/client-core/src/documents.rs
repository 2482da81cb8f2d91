//! The epoch documents that a client takes up, and those that it refuses.

use std::sync::Arc;

use antiphon_routing::{DocumentError, VerifiedEpoch};
use antiphon_wire::{Epoch, NetworkFile, Round, SignedDocument, Timestamp};

use crate::{Epochs, RoundRefusal};

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

pub(crate) struct Documents {
    /// Least epoch that is taken up.
    floor: Epoch,
    held: Epochs,
}

impl Documents {
    pub(crate) fn new(floor: Epoch) -> Self {
        Self { floor, held: Epochs::default() }
    }

    /// The documents that are held.
    pub(crate) const fn epochs(&self) -> &Epochs {
        &self.held
    }

    /// Takes a document up if it is valid and newer. Returns it, or `None` if it is known already.
    pub(crate) fn offer(
        &mut self,
        signed: SignedDocument,
        network: &NetworkFile,
        now: Timestamp,
    ) -> Result<Option<Arc<VerifiedEpoch>>, DocumentRefusal> {
        let offered = signed.document.epoch;
        if let Some(held) = self.held.of_epoch(offered) {
            return match held.digest() == signed.document.digest() {
                true => Ok(None),
                false => Err(DocumentRefusal::Conflict(offered)),
            };
        }
        let known = self.held.newest().map_or(self.floor, |newest| newest.epoch());
        if offered < known {
            return Err(DocumentRefusal::Older { offered, known });
        }
        if now >= signed.document.expires_at {
            return Err(DocumentRefusal::Expired);
        }
        let epoch = Arc::new(with_tables(VerifiedEpoch::verify(signed, network)?));
        self.held.add(Arc::clone(&epoch));
        Ok(Some(epoch))
    }

    /// The document under which `round` of `epoch` is to be served.
    pub(crate) fn of_round(
        &self,
        epoch: Epoch,
        round: Round,
    ) -> Result<Arc<VerifiedEpoch>, RoundRefusal> {
        let held = self.held.of_epoch(epoch).ok_or(RoundRefusal::UnknownEpoch)?;
        if !held.document().covers(round) {
            return Err(RoundRefusal::OutsideEpoch);
        }
        // A round number is served under one document only, and the newest goes first.
        match self.held.after(epoch) {
            Some(next) if round >= next.document().first_round => Err(RoundRefusal::Superseded),
            _ => Ok(Arc::clone(held)),
        }
    }

    /// Takes note that a round of `epoch` is served, and drops older documents: they have had their time.
    pub(crate) fn enter(&mut self, epoch: Epoch) {
        self.held.enter(epoch);
    }
}
