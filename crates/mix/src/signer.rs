//! The rules against forks: at most one document signed per epoch number, numbers only rising, and
//! every round served under one document only.

use antiphon_wire::{Epoch, EpochDocument, Round};

/// The state that a shard must not forget. It is made durable before anything is signed or served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignerState {
    /// The highest epoch number for which a document was signed.
    pub signed_epoch: Epoch,
    /// The highest round that was served.
    pub served_round: Round,
}

/// The reason for which a document is not signed although it is in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// A document for this epoch, or a later one, was signed already.
    #[error("a document for epoch {signed} was signed already; epoch {proposed} is not above it")]
    EpochUsed {
        /// The epoch of the proposal.
        proposed: Epoch,
        /// The highest epoch signed.
        signed: Epoch,
    },
    /// Its rounds begin before a round that was served already.
    #[error("round {served} was served already; the proposal begins with round {first}")]
    RoundUsed {
        /// The first round of the proposal.
        first: Round,
        /// The highest round served.
        served: Round,
    },
}

impl SignerState {
    /// The state after signing `document`.
    ///
    /// # Errors
    /// If it must not be signed.
    pub fn sign(self, document: &EpochDocument) -> Result<Self, SignerError> {
        self.may_sign(document.epoch, document.first_round)?;
        Ok(Self { signed_epoch: document.epoch, ..self })
    }

    /// Checks that a document for `epoch` that begins with round `first` may be signed.
    ///
    /// # Errors
    /// If it must not be.
    pub fn may_sign(self, epoch: Epoch, first: Round) -> Result<(), SignerError> {
        if epoch <= self.signed_epoch {
            return Err(SignerError::EpochUsed { proposed: epoch, signed: self.signed_epoch });
        }
        if first <= self.served_round {
            return Err(SignerError::RoundUsed { first, served: self.served_round });
        }
        Ok(())
    }

    /// The state after serving `round`, or `None` if it, or a later one, was served already.
    pub fn serve(self, round: Round) -> Option<Self> {
        (round > self.served_round).then_some(Self { served_round: round, ..self })
    }
}
