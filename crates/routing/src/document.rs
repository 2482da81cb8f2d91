//! Epoch documents that have been checked.

mod beats;
mod bounds;
mod checks;

use std::sync::Arc;

use antiphon_onion::{HopKey, JointSealKey, KemPublicKey, KeyError, OnionPublicKey};
use antiphon_wire::{
    Announcement, Digest, Epoch, EpochDocument, Geometry, IdentityKey, NetworkFile, OperatorIndex,
    Parameters, Round, RoundKind, Services, ShardEntry, ShardIndex, SignedDocument, Timestamp,
    box_dead_drop,
};

use crate::{EpochRules, PathSampler, Ppm, RoundKeys};

pub use beats::beat_bounds;
pub use bounds::bounds;
use checks::signatures;
pub use checks::{DocumentError, MAX_ROUNDS, MAX_SHARDS};
pub(crate) use checks::{content, shares};

/// An epoch document that meets the network file's policy and that every listed shard has signed.
///
/// There is no other way to get one, so whoever holds it need not check again.
#[derive(Debug)]
pub struct VerifiedEpoch {
    signed: SignedDocument,
    content: CheckedContent,
}

/// The content of a document that was found to be in order, whoever has signed it.
#[derive(Debug)]
pub(crate) struct CheckedContent {
    digest: Digest,
    geometry: Geometry,
    rules: EpochRules,
    paths: PathSampler,
    onion_keys: Vec<OnionPublicKey>,
    /// In suite 2, and in no other.
    kem_keys: Option<Vec<Arc<KemPublicKey>>>,
    hop_keys: Vec<HopKey>,
    /// One key for each round of the epoch.
    joint_seal_keys: Vec<JointSealKey>,
    /// The network file's.
    services: Services,
}

impl VerifiedEpoch {
    /// Checks everything that a client has to check of a document.
    ///
    /// # Errors
    /// If it belongs to another network, breaks a rule of the protocol, is weaker than the network
    /// file's policy, or lacks a shard's signature.
    pub fn verify(signed: SignedDocument, network: &NetworkFile) -> Result<Self, DocumentError> {
        let content = content(&signed.document, network)?;
        signatures(&signed)?;
        Ok(Self { signed, content })
    }

    /// The same epoch with tables that make building onions faster, at 30 KiB and up to a millisecond
    /// of processor time per shard: worth it for whoever builds some hundred hops to each shard in an
    /// epoch.
    #[must_use]
    pub fn with_tables(mut self) -> Self {
        let plain = std::mem::take(&mut self.content.hop_keys);
        self.content.hop_keys = plain.into_iter().map(HopKey::with_table).collect();
        self
    }

    /// The document without its signatures.
    pub fn document(&self) -> &EpochDocument {
        &self.signed.document
    }

    /// The document with its signatures, to pass on.
    pub fn signed(&self) -> &SignedDocument {
        &self.signed
    }

    /// Hash of the document, which the next one and the endorsements name.
    pub fn digest(&self) -> Digest {
        self.content.digest
    }

    /// Number of the epoch.
    pub fn epoch(&self) -> Epoch {
        self.document().epoch
    }

    /// The shape of the epoch's onions.
    pub fn geometry(&self) -> Geometry {
        self.content.geometry
    }

    /// Values that the epoch fixes for all its rounds.
    pub fn parameters(&self) -> &Parameters {
        &self.document().parameters
    }

    /// The shards, in the order of their indices.
    pub fn shards(&self) -> &[ShardEntry] {
        &self.document().shards
    }

    /// The index of the shard with this identity.
    pub fn index_of(&self, identity: &IdentityKey) -> Option<ShardIndex> {
        let position = self.shards().iter().position(|shard| shard.identity == *identity)?;
        // At most MAX_SHARDS of them, as was checked.
        Some(ShardIndex(position as u16))
    }

    /// All indices, rising.
    pub fn shard_indices(&self) -> impl ExactSizeIterator<Item = ShardIndex> + Clone + use<> {
        (0..self.shards().len() as u16).map(ShardIndex)
    }

    /// The operator of the shard at `index`.
    pub fn operator_of(&self, index: ShardIndex) -> Option<OperatorIndex> {
        self.shards().get(index.position()).map(|shard| shard.operator)
    }

    /// The network file's demands on this epoch.
    pub fn rules(&self) -> &EpochRules {
        &self.content.rules
    }

    /// Canaries that each shard makes in `round`: none where no beats follow.
    pub fn canaries(&self, round: Round) -> u8 {
        if self.has_beats(round) { self.rules().canaries } else { 0 }
    }

    /// f over the weight that is present, which is at least the network file's.
    pub fn effective_malicious(&self) -> Ppm {
        self.content.rules.effective_malicious
    }

    /// The network's services, which say what each round is for.
    pub fn services(&self) -> &Services {
        &self.content.services
    }

    /// Service that `round` is for.
    pub fn kind_of(&self, round: Round) -> RoundKind {
        self.services().of(round)
    }

    /// Onions that a client hands in for `round`.
    pub fn onions_per_client(&self, round: Round) -> usize {
        self.kind_of(round).onions_per_client(self.parameters().pairs_per_client)
    }

    /// Returns `true` if `round` leaves circuits behind, for the beats that follow it.
    pub fn has_beats(&self, round: Round) -> bool {
        !self.parameters().beats.is_classic() && self.kind_of(round) == RoundKind::DeadDrops
    }

    /// The announcement of `round`, whose first beat begins at `first_beat` if it has beats.
    pub fn announce(&self, round: Round, first_beat: Timestamp) -> Announcement {
        self.parameters().announce(self.epoch(), round, self.kind_of(round), first_beat)
    }

    /// The shard that hosts box `number` of `round`.
    pub fn box_host(&self, round: Round, number: u16) -> ShardIndex {
        let dead_drop = box_dead_drop(self.kind_of(round), self.epoch(), round, number);
        self.paths().dead_drop_shard(&dead_drop)
    }

    /// The sampler of hops and dead-drop shards.
    pub fn paths(&self) -> &PathSampler {
        &self.content.paths
    }

    /// The key for a shard's onions at every layer but the seal layer.
    pub(crate) fn hop_key(&self, index: ShardIndex) -> &HopKey {
        &self.content.hop_keys[index.position()]
    }

    /// The keys to build a round's onions with, or `None` if the round is not the epoch's.
    ///
    /// # Errors
    /// If a shard's key and the joint seal key cancel each other.
    pub fn round_keys(&self, round: Round) -> Option<Result<RoundKeys<&Self>, KeyError>> {
        RoundKeys::new(self, round)
    }

    /// The joint seal key of `round`, or `None` if it is not the epoch's.
    pub fn joint_seal_key(&self, round: Round) -> Option<&JointSealKey> {
        let position = round.0.checked_sub(self.document().first_round.0)?;
        self.content.joint_seal_keys.get(usize::try_from(position).ok()?)
    }

    /// The keys of the seal layer in `round`, or `None` if it is not the epoch's.
    pub(crate) fn sealed_keys(&self, round: Round) -> Option<Result<Vec<HopKey>, KeyError>> {
        let document = self.document();
        if !document.covers(round) {
            return None;
        }
        let position = (round.0 - document.first_round.0) as usize;
        let joint = &self.content.joint_seal_keys[position];
        let sealed = HopKey::sealed_each(&self.content.onion_keys, joint);
        Some(sealed.map(|keys| with_kems(keys, self.content.kem_keys.as_deref())))
    }
}

/// The shards' keys with the halves that suite 2 adds, if there are any.
fn with_kems(keys: Vec<HopKey>, kems: Option<&[Arc<KemPublicKey>]>) -> Vec<HopKey> {
    let Some(kems) = kems else { return keys };
    keys.into_iter().zip(kems).map(|(key, kem)| key.with_kem(Arc::clone(kem))).collect()
}
