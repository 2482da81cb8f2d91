//! A stand-in for a shard: real keys, proofs and signatures, no onions.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use antiphon_onion::{KeySet, OnionSecretKey, SealPublicKey, SealSecretKey};
use antiphon_wire::{
    Blob, Contribution, Digest, Epoch, EpochDocument, HeldEpoch, IdentityKey, OperatorIndex,
    OperatorList, PROTOCOL_VERSION, Reason, Registration, Round, RoundCounts, RoundOutcome,
    ShardIndex, Signed, Standing, Timestamp, ToCoordinator, ToShard,
};
use ed25519_dalek::SigningKey;
use rand_chacha::ChaCha20Rng;

/// What a shard does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) sends_no_keys: bool,
    pub(crate) forges_proofs: bool,
    pub(crate) refuses: bool,
    pub(crate) signs_nothing: bool,
    pub(crate) is_never_ready: bool,
    pub(crate) reports_nothing: bool,
}

pub(crate) struct FakeShard {
    key: SigningKey,
    pub(crate) list: Signed<OperatorList>,
    pub(crate) faults: Faults,
    pub(crate) connected: bool,
    /// Epochs whose secrets it has.
    secrets: BTreeSet<Epoch>,
    /// What it claims to have signed and served, instead of what it has.
    pub(crate) claims: Option<(Epoch, Round)>,
    signed_epoch: Epoch,
    served_round: Round,
    held: BTreeMap<Epoch, Digest>,
    /// By how much its clock is ahead, in milliseconds.
    pub(crate) ahead_ms: i64,
    /// Port at which other shards reach it.
    pub(crate) peer_port: u16,
    /// Whether it was told that it may leave.
    pub(crate) released: bool,
    /// Why it was told that it is needed.
    pub(crate) needed: Option<String>,
    pub(crate) documents: BTreeMap<Epoch, EpochDocument>,
}

impl FakeShard {
    pub(crate) fn new(key: SigningKey, list: Signed<OperatorList>) -> Self {
        Self {
            key,
            list,
            faults: Faults::default(),
            connected: false,
            secrets: BTreeSet::new(),
            claims: None,
            signed_epoch: Epoch(0),
            served_round: Round(0),
            held: BTreeMap::new(),
            ahead_ms: 0,
            peer_port: 1,
            released: false,
            needed: None,
            documents: BTreeMap::new(),
        }
    }

    pub(crate) fn identity(&self) -> IdentityKey {
        IdentityKey::of(&self.key)
    }

    pub(crate) fn registration(&self) -> Registration {
        Registration {
            version: PROTOCOL_VERSION,
            list: self.list.clone(),
            peer_addresses: SocketAddr::from(([127, 0, 0, 1], self.peer_port)).into(),
            client_addresses: SocketAddr::from(([127, 0, 0, 1], 2)).into(),
        }
    }

    pub(crate) fn standing(&self, now: Timestamp) -> Standing {
        let (signed_epoch, served_round) =
            self.claims.unwrap_or((self.signed_epoch, self.served_round));
        let held = self.held.iter().map(|(&epoch, &document)| HeldEpoch { epoch, document });
        let clock = self.clock(now);
        Standing { signed_epoch, served_round, held: held.collect(), clock }
    }

    pub(crate) fn clock(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_add_signed(self.ahead_ms))
    }

    /// Serves a round, unless it has served it, or a later one, before.
    pub(crate) fn serve(&mut self, round: Round) -> bool {
        let is_new = round > self.served_round;
        self.served_round = self.served_round.max(round);
        is_new
    }

    /// The process dies, and all secrets with it.
    pub(crate) fn forget(&mut self) {
        self.connected = false;
        self.released = false;
        self.held.clear();
        self.secrets.clear();
        self.documents.clear();
    }

    /// Whether it takes part in rounds of `epoch`.
    pub(crate) fn works(&self, epoch: Epoch) -> bool {
        self.connected && self.secrets.contains(&epoch)
    }

    /// Answers anything but an opening.
    pub(crate) fn answer(
        &mut self,
        message: ToShard,
        rng: &mut ChaCha20Rng,
    ) -> Option<ToCoordinator> {
        match message {
            ToShard::Call { epoch, first_round, .. }
                if epoch <= self.signed_epoch || first_round <= self.served_round =>
            {
                Some(ToCoordinator::Refuse { epoch, reason: Blob(b"signed already".to_vec()) })
            }
            ToShard::Call { epoch, first_round, last_round } if !self.faults.sends_no_keys => {
                self.secrets.insert(epoch);
                let contribution = self.contribute(epoch, first_round, last_round, rng);
                Some(ToCoordinator::Contribute { contribution })
            }
            ToShard::Propose { document, .. } if self.faults.refuses => {
                let reason = Blob(b"I do not like it".to_vec());
                Some(ToCoordinator::Refuse { epoch: document.epoch, reason })
            }
            ToShard::Propose { document, .. }
                if document.epoch <= self.signed_epoch
                    || document.first_round <= self.served_round =>
            {
                let reason = Blob(b"signed already".to_vec());
                Some(ToCoordinator::Refuse { epoch: document.epoch, reason })
            }
            ToShard::Propose { document, .. } if !self.faults.signs_nothing => {
                self.signed_epoch = document.epoch;
                Some(ToCoordinator::Endorse {
                    epoch: document.epoch,
                    document: document.digest(),
                    signature: document.endorse(&self.key),
                })
            }
            ToShard::Publish { document } => {
                let document = document.document;
                if self.secrets.contains(&document.epoch) {
                    self.held.insert(document.epoch, document.digest());
                }
                let ready = self.ready(document.epoch, document.first_round);
                self.documents.insert(document.epoch, document);
                ready
            }
            ToShard::Release => {
                self.released = true;
                None
            }
            ToShard::Needed { reason } => {
                self.needed = Some(String::from_utf8(reason.0).unwrap());
                None
            }
            _ => None,
        }
    }

    pub(crate) fn ready(&self, epoch: Epoch, round: Round) -> Option<ToCoordinator> {
        let is_ready = self.secrets.contains(&epoch) && !self.faults.is_never_ready;
        is_ready.then_some(ToCoordinator::Ready { epoch, round })
    }

    /// How a round ends here when `missing` is the first shard that does not work.
    pub(crate) fn end(
        &self,
        epoch: Epoch,
        round: Round,
        missing: Option<ShardIndex>,
    ) -> Option<ToCoordinator> {
        let outcome = match missing {
            _ if self.faults.reports_nothing => return None,
            _ if !self.secrets.contains(&epoch) => {
                RoundOutcome::Withheld { reason: Reason::NotPrepared }
            }
            Some(sender) => RoundOutcome::Withheld {
                reason: Reason::MissingBatch { layer: antiphon_wire::Layer(1), sender },
            },
            None => RoundOutcome::Delivered,
        };
        let counts = RoundCounts { user_onions: 10, pairs: 3, ..RoundCounts::default() };
        Some(ToCoordinator::Ended { epoch, round, outcome, counts })
    }

    fn contribute(
        &self,
        epoch: Epoch,
        first_round: Round,
        last_round: Round,
        rng: &mut ChaCha20Rng,
    ) -> Contribution {
        let OperatorList { network, operator, .. } = *self.list.claimed();
        let identity = self.identity();
        let (onion, seals): (_, Vec<_>) = (
            OnionSecretKey::generate(rng),
            (first_round.0..=last_round.0).map(|_| SealSecretKey::generate(rng)).collect(),
        );
        let onion_key = onion.public_key();
        let seal_keys: Vec<_> = seals.iter().map(SealSecretKey::public_key).collect();
        let mut contribution = Contribution {
            epoch,
            first_round,
            identity,
            onion_key: onion_key.to_bytes(),
            kem_key: None,
            seal_keys: seal_keys.iter().map(SealPublicKey::to_bytes).collect(),
            proof: [0; 64],
        };
        let operator = OperatorIndex(operator.0 + u16::from(self.faults.forges_proofs));
        let context = contribution.possession_context(&network, operator);
        let set = KeySet { onion: &onion_key, seals: &seal_keys };
        contribution.proof = set.prove(&onion, &seals, &context, rng).0;
        contribution
    }
}
