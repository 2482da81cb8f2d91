#![doc = include_str!("../README.md")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "made for tests, which may fail")]

mod boxes;
mod circuits;
mod exchange;
mod plan;

use antiphon_onion::{OnionSecretKey, SealSecretKey};
use antiphon_routing::{Draft, Offer, VerifiedEpoch, assemble_unproven};
use antiphon_wire::{
    Contribution, Digest, Epoch, IdentityKey, NetworkFile, Operator, OperatorIndex, OperatorList,
    PROTOCOL_VERSION, Parameters, Reason, Registration, Round, SUITE_1, SealAct, SealStatement,
    ShardIndex, Signed, SignedDocument,
};
use ed25519_dalek::SigningKey;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

pub use circuits::Circuits;
pub use plan::{Place, Plan};

/// One epoch of a network.
#[derive(Debug)]
pub struct Mix {
    /// Network file of the epoch's operators.
    pub network: NetworkFile,
    /// The epoch's document, signed by all shards.
    pub signed: SignedDocument,
    epoch: VerifiedEpoch,
    /// In the document's order.
    shards: Vec<Shard>,
}

#[derive(Debug)]
struct Shard {
    identity: SigningKey,
    onion: OnionSecretKey,
    seals: Vec<SealSecretKey>,
}

/// The identity of shard `number`.
pub fn shard_key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number + 1; 32])
}

fn operator_key(operator: u8) -> SigningKey {
    SigningKey::from_bytes(&[100 + operator; 32])
}

impl Mix {
    /// The epoch that `plan` describes.
    ///
    /// # Panics
    /// If there can be no such epoch.
    pub fn new(plan: &Plan) -> Self {
        let operators = (0..plan.operators).map(|i| Operator {
            name: format!("operator {i}"),
            key: IdentityKey::of(&operator_key(i)),
            weight: 1,
        });
        let network = NetworkFile::new(operators.collect(), plan.policy.clone()).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(plan.epoch.0);
        let mut shards: Vec<_> = plan
            .shards
            .iter()
            .map(|place| Shard {
                identity: shard_key(place.number),
                onion: OnionSecretKey::generate(&mut rng),
                seals: (0..plan.rounds).map(|_| SealSecretKey::generate(&mut rng)).collect(),
            })
            .collect();
        let places = plan.shards.iter().zip(&shards);
        let offers: Vec<_> =
            places.map(|(place, shard)| offer(plan, &network, place, shard)).collect();
        let document = assemble_unproven(draft(plan), &offers, &network).unwrap();
        let position = |shard: &Shard| {
            let identity = IdentityKey::of(&shard.identity);
            document.shards.iter().position(|entry| entry.identity == identity)
        };
        shards.sort_by_key(position);
        let signatures = shards.iter().map(|shard| document.endorse(&shard.identity)).collect();
        let signed = SignedDocument { document, signatures };
        let epoch = VerifiedEpoch::verify(signed.clone(), &network).unwrap();
        Self { network, signed, epoch, shards }
    }

    /// The epoch as a client holds it, verified.
    pub fn epoch(&self) -> &VerifiedEpoch {
        &self.epoch
    }

    /// Bytes of an entry.
    pub fn entry_bytes(&self) -> usize {
        self.epoch.geometry().entry_bytes()
    }

    /// The statement of the shard at position `shard` that it withheld its seal key.
    ///
    /// # Panics
    /// If there is no such shard.
    pub fn withheld(&self, round: Round, shard: u16) -> Signed<SealStatement> {
        self.stated(round, shard, SealAct::Withheld { reason: Reason::NotPrepared })
    }

    /// The statement of the shard at position `shard` about its seal key of `round`, as it signs it.
    ///
    /// # Panics
    /// If there is no such shard.
    pub fn stated(&self, round: Round, shard: u16, act: SealAct) -> Signed<SealStatement> {
        let (network, epoch) = (self.network.id(), self.epoch.epoch());
        let statement = SealStatement { network, epoch, round, shard: ShardIndex(shard), act };
        Signed::new(statement, &self.shards[usize::from(shard)].identity)
    }

    fn seal_of(&self, round: Round, shard: u16) -> &SealSecretKey {
        &self.shards[usize::from(shard)].seals[self.offset(round)]
    }

    fn offset(&self, round: Round) -> usize {
        (round.0 - self.signed.document.first_round.0) as usize
    }
}

/// Registration and contribution of a shard.
fn offer(plan: &Plan, network: &NetworkFile, place: &Place, shard: &Shard) -> Offer {
    let its = plan.shards.iter().filter(|other| other.operator == place.operator);
    let mut listed: Vec<_> = its.map(|other| IdentityKey::of(&shard_key(other.number))).collect();
    listed.sort_unstable();
    let list = OperatorList {
        network: network.id(),
        operator: OperatorIndex(place.operator.into()),
        number: 1,
        first_epoch: Epoch(0),
        last_epoch: Epoch(1000),
        shards: listed,
    };
    Offer {
        registration: Registration {
            version: PROTOCOL_VERSION,
            list: Signed::new(list, &operator_key(place.operator)),
            peer_addresses: place.address.into(),
            client_addresses: place.address.into(),
        },
        contribution: Contribution {
            epoch: plan.epoch,
            first_round: plan.first_round,
            identity: IdentityKey::of(&shard.identity),
            onion_key: shard.onion.public_key().to_bytes(),
            kem_key: None,
            seal_keys: shard.seals.iter().map(|seal| seal.public_key().to_bytes()).collect(),
            // Clients do not see proofs.
            proof: [0; 64],
        },
    }
}

fn draft(plan: &Plan) -> Draft {
    Draft {
        epoch: plan.epoch,
        first_round: plan.first_round,
        last_round: Round(plan.first_round.0 + plan.rounds - 1),
        starts_at: plan.starts_at,
        previous: Digest::default(),
        parameters: Parameters {
            suite: SUITE_1,
            service: 0,
            layers: 4,
            body: 256,
            pairs_per_client: plan.pairs,
            filter_bits: 20,
            interval_ms: plan.interval_ms,
            submit_ms: 500,
            layer_ms: 500,
            verify_ms: 500,
            reply_ms: 500,
            beats: plan.beats,
        },
    }
}
