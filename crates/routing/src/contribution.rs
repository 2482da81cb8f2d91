//! A shard's keys for an epoch, read and proven.

use antiphon_onion::{
    KemPublicKey, KeyError, KeySet, OnionPublicKey, ProofOfPossession, SealPublicKey,
};
use antiphon_wire::{Contribution, Digest, OperatorIndex};

/// Reason why a shard's keys are of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContributionError {
    /// One of them is no key.
    #[error("one of its keys cannot be used: {0}")]
    Key(#[from] KeyError),
    /// The shard has not proven that it knows their secrets.
    #[error("it has no valid proof of possession for its keys")]
    Possession,
    /// It has an ML-KEM key where the network's suite has none, or none where it has one.
    #[error("its keys are of another suite than the network's")]
    Suite,
    /// Another shard has the same ML-KEM key.
    #[error("its ML-KEM key is another shard's")]
    Twice,
}

/// The keys of a contribution, which are keys. Whether anybody knows their secrets is another matter.
#[derive(Debug)]
pub(crate) struct ReadKeys {
    onion: OnionPublicKey,
    pub(crate) seals: Vec<SealPublicKey>,
}

impl ReadKeys {
    pub(crate) fn of(contribution: &Contribution) -> Result<Self, KeyError> {
        let onion = OnionPublicKey::from_bytes(contribution.onion_key)?;
        // Only looked at: whoever builds onions reads it from the document.
        contribution
            .kem_key
            .as_ref()
            .map(|key| KemPublicKey::from_bytes(key.as_bytes()))
            .transpose()?;
        let seals = contribution.seal_keys.iter().map(|&key| SealPublicKey::from_bytes(key));
        Ok(Self { onion, seals: seals.collect::<Result<_, _>>()? })
    }

    /// The keys of a contribution, if a shard of `operator` has proven that it knows all secrets.
    pub(crate) fn proven(
        contribution: &Contribution,
        network: &Digest,
        operator: OperatorIndex,
    ) -> Result<Self, ContributionError> {
        let keys = Self::of(contribution)?;
        let context = contribution.possession_context(network, operator);
        let proof = ProofOfPossession(contribution.proof);
        let set = KeySet { onion: &keys.onion, seals: &keys.seals };
        if set.are_possessed(&context, &proof) {
            Ok(keys)
        } else {
            Err(ContributionError::Possession)
        }
    }
}
