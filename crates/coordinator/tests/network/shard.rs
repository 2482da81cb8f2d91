//! A stand-in for a shard: real keys, proofs and signatures, no onions.

use std::collections::BTreeSet;

use antiphon_onion::{OnionSecretKey, SealSecretKey};
use antiphon_wire::{
    Blob, Contribution, Epoch, EpochDocument, IdentityKey, KeyRole, OperatorIndex, OperatorList,
    PROTOCOL_VERSION, Reason, Registration, Round, RoundCounts, RoundOutcome, ShardIndex, Signed,
    ToCoordinator, ToShard, possession_context,
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
    pub(crate) document: Option<EpochDocument>,
}

impl FakeShard {
    pub(crate) fn new(key: SigningKey, list: Signed<OperatorList>) -> Self {
        Self {
            key,
            list,
            faults: Faults::default(),
            connected: false,
            secrets: BTreeSet::new(),
            document: None,
        }
    }

    pub(crate) fn identity(&self) -> IdentityKey {
        IdentityKey::of(&self.key)
    }

    pub(crate) fn registration(&self) -> Registration {
        Registration {
            version: PROTOCOL_VERSION,
            list: self.list.clone(),
            peer_address: "127.0.0.1:1".parse().unwrap(),
            client_address: "127.0.0.1:2".parse().unwrap(),
        }
    }

    /// The process dies, and all secrets with it.
    pub(crate) fn forget(&mut self) {
        self.connected = false;
        self.secrets.clear();
        self.document = None;
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
            ToShard::Call { epoch, first_round, last_round } if !self.faults.sends_no_keys => {
                self.secrets.insert(epoch);
                let contribution = self.contribute(epoch, first_round, last_round, rng);
                Some(ToCoordinator::Contribute { contribution })
            }
            ToShard::Propose { document, .. } if self.faults.refuses => {
                let reason = Blob(b"I do not like it".to_vec());
                Some(ToCoordinator::Refuse { epoch: document.epoch, reason })
            }
            ToShard::Propose { document, .. } if !self.faults.signs_nothing => {
                Some(ToCoordinator::Endorse {
                    epoch: document.epoch,
                    document: document.digest(),
                    signature: document.endorse(&self.key),
                })
            }
            ToShard::Publish { document } => {
                let document = document.document;
                let ready = self.ready(document.epoch, document.first_round);
                self.document = Some(document);
                ready
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
        let context = |operator: OperatorIndex, role| {
            possession_context(&network, operator, &identity, epoch, role)
        };
        let onion = OnionSecretKey::generate(rng);
        let onion_proof = onion.prove(&context(operator, KeyRole::Onion), rng).0;
        let (mut seal_keys, mut seal_proofs) = (Vec::new(), Vec::new());
        for round in first_round.0..=last_round.0 {
            let key = SealSecretKey::generate(rng);
            let role = KeyRole::Seal(Round(round + u64::from(self.faults.forges_proofs)));
            seal_keys.push(key.public_key().to_bytes());
            seal_proofs.push(key.prove(&context(operator, role), rng).0);
        }
        Contribution {
            epoch,
            first_round,
            identity,
            onion_key: onion.public_key().to_bytes(),
            onion_proof,
            seal_keys,
            seal_proofs,
        }
    }
}
