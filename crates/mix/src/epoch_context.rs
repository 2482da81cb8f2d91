//! The keys and identities that all rounds of an epoch have in common at one shard.

use std::sync::Arc;

use antiphon_onion::{KemSecretKey, OnionSecretKey, PeelKey, SealPublicKey};
use antiphon_routing::{PublishedKeys, VerifiedEpoch};
use antiphon_wire::{IdentityKey, Round, ShardIndex};
use ed25519_dalek::{SigningKey, VerifyingKey};

use crate::noise::NoiseMaker;

/// Data that a shard keeps for the rounds of one epoch.
#[derive(Debug)]
pub(crate) struct EpochContext {
    pub(crate) epoch: Arc<VerifiedEpoch>,
    pub(crate) me: ShardIndex,
    pub(crate) identities: Arc<[IdentityKey]>,
    /// The identities as keys, to check what they sign; `None` for what is no usable key.
    pub(crate) keys: Arc<[Option<VerifyingKey>]>,
    pub(crate) identity: SigningKey,
    pub(crate) onion: OnionSecretKey,
    /// In suite 2, and in no other.
    pub(crate) kem: Option<Arc<KemSecretKey>>,
    pub(crate) peel: Arc<PeelKey>,
    pub(crate) noise: Arc<NoiseMaker>,
    /// The seal keys of all shards and rounds.
    pub(crate) published: PublishedKeys,
}

impl EpochContext {
    pub(crate) fn shards(&self) -> usize {
        self.identities.len()
    }

    /// The published seal keys of `round`, in the order of the shards.
    pub(crate) fn published(&self, round: Round) -> Option<Vec<SealPublicKey>> {
        let offset = round.0.checked_sub(self.epoch.document().first_round.0)?;
        self.published.of_round(usize::try_from(offset).ok()?)
    }
}
