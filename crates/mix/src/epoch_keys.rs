//! A shard's own keys for one epoch: made, contributed, signed for, and erased.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_onion::{KemSecretKey, KeySet, OnionSecretKey, PeelKey, SealPublicKey, SealSecretKey};
use antiphon_routing::{PublishedKeys, VerifiedEpoch};
use antiphon_wire::{
    Contribution, Digest, Epoch, EpochDocument, IdentityKey, OperatorIndex, Round, Suite,
};
use ed25519_dalek::{SigningKey, VerifyingKey};
use rand::CryptoRng;

use crate::epoch_context::EpochContext;
use crate::noise::NoiseMaker;

/// The most rounds a shard makes seal keys for at once.
const MAX_ROUNDS: u64 = antiphon_routing::MAX_ROUNDS;

/// The keys that a coordinator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyRequest {
    pub(crate) network: Digest,
    pub(crate) operator: OperatorIndex,
    pub(crate) identity: IdentityKey,
    pub(crate) epoch: Epoch,
    pub(crate) first: Round,
    pub(crate) last: Round,
    pub(crate) suite: Suite,
}

/// Keys that were offered for an epoch that is not published yet.
#[derive(Debug)]
pub(crate) struct OfferedKeys {
    pub(crate) contribution: Arc<Contribution>,
    onion: OnionSecretKey,
    /// In suite 2, and in no other.
    kem: Option<Arc<KemSecretKey>>,
    /// Drawn independently: a kept seed would make erasing them pointless.
    seals: BTreeMap<Round, SealSecretKey>,
    /// Digest of the document that was signed, with all shards' seal keys. `None` until then.
    pub(crate) signed: Option<(Digest, PublishedKeys)>,
}

/// The keys of an epoch that is published and not over.
#[derive(Debug)]
pub(crate) struct EpochKeys {
    pub(crate) context: Arc<EpochContext>,
    seals: BTreeMap<Round, SealSecretKey>,
}

impl OfferedKeys {
    /// Makes keys for the rounds asked for. `None` if that is no range of bearable size.
    pub(crate) fn generate(request: &KeyRequest, rng: &mut impl CryptoRng) -> Option<Self> {
        let KeyRequest { network, operator, identity, epoch, first, last, suite } = *request;
        if !(1..=MAX_ROUNDS).contains(&last.0.checked_sub(first.0)?.checked_add(1)?) {
            return None;
        }
        let onion = OnionSecretKey::generate(rng);
        let kem = (suite == Suite::Hybrid).then(|| Arc::new(KemSecretKey::generate(rng)));
        // Each drawn apart from all others: erasing it erases all that it follows from.
        let seals: BTreeMap<_, _> =
            (first.0..=last.0).map(|round| (Round(round), SealSecretKey::generate(rng))).collect();
        let onion_key = onion.public_key();
        let seal_keys: Vec<_> = seals.values().map(SealSecretKey::public_key).collect();
        let mut contribution = Contribution {
            epoch,
            first_round: first,
            identity,
            onion_key: onion_key.to_bytes(),
            kem_key: kem.as_ref().map(|kem| kem.public_key().to_wire()),
            seal_keys: seal_keys.iter().map(SealPublicKey::to_bytes).collect(),
            proof: [0; 64],
        };
        let context = contribution.possession_context(&network, operator);
        let set = KeySet { onion: &onion_key, seals: &seal_keys };
        contribution.proof = set.prove(&onion, seals.values(), &context, rng).0;
        Some(Self { contribution: Arc::new(contribution), onion, kem, seals, signed: None })
    }

    /// Returns true if these are the keys for the rounds `first..=last`.
    pub(crate) fn are_for(&self, first: Round, last: Round) -> bool {
        self.seals.keys().next() == Some(&first) && self.seals.keys().next_back() == Some(&last)
    }

    /// Returns true if the keys for onions, which no other offer has, are in `document`.
    pub(crate) fn are_listed(&self, document: &EpochDocument) -> bool {
        let own = &self.contribution;
        document
            .shards
            .iter()
            .filter(|shard| shard.identity == own.identity)
            .any(|shard| shard.onion_key == own.onion_key && shard.kem_key == own.kem_key)
    }

    /// The keys at work, once the document they were signed into is published. `None` if `epoch`
    /// is another document than the one signed.
    pub(crate) fn publish(
        self,
        epoch: Arc<VerifiedEpoch>,
        identity: &SigningKey,
    ) -> Option<EpochKeys> {
        let (signed, published) = self.signed?;
        // The keys serve the one document that was signed with them.
        if signed != epoch.digest() {
            return None;
        }
        let me = epoch.index_of(&self.contribution.identity)?;
        let noise = NoiseMaker::new(&epoch.shards()[me.position()]).ok()?;
        let context = EpochContext {
            me,
            identities: epoch.shards().iter().map(|shard| shard.identity).collect(),
            keys: epoch.shards().iter().map(|shard| key_of(&shard.identity)).collect(),
            identity: identity.clone(),
            peel: Arc::new(PeelKey::plain(&self.onion).with_kem(self.kem.clone())),
            onion: self.onion,
            kem: self.kem,
            noise: Arc::new(noise),
            published,
            epoch,
        };
        Some(EpochKeys { context: Arc::new(context), seals: self.seals })
    }
}

fn key_of(identity: &IdentityKey) -> Option<VerifyingKey> {
    VerifyingKey::from_bytes(&identity.0).ok().filter(|key| !key.is_weak())
}

impl EpochKeys {
    pub(crate) fn covers(&self, round: Round) -> bool {
        self.context.epoch.document().covers(round)
    }

    /// Takes out a round's seal key: there is one machine for a round, ever.
    pub(crate) fn take_seal(&mut self, round: Round) -> Option<SealSecretKey> {
        self.seals.remove(&round)
    }

    /// Erases the seal keys of rounds that will not be served any more.
    pub(crate) fn erase_before(&mut self, round: Round) {
        self.seals = self.seals.split_off(&round);
    }
}
