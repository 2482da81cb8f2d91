//! A network of a few shards that peels onions one by one: the least that can answer clients.

use std::net::SocketAddr;

use antiphon_onion::{
    OnionSecretKey, PeelKey, Peeled, RoundContext, SealSecretKey, apply_reply_stream, inner_offset,
    peel_batch,
};
use antiphon_process::clock::SystemClock;
use antiphon_routing::{Draft, Offer, VerifiedEpoch, assemble};
use antiphon_wire::{
    Contribution, DEAD_DROP_BYTES, Digest, Epoch, IdentityKey, NEXT_HOP_BYTES, NetworkFile,
    Operator, OperatorIndex, OperatorList, PROTOCOL_VERSION, Parameters, Policy, Reason,
    Registration, Round, SUITE_1, SealAct, SealStatement, ShardIndex, Signed, SignedDocument,
};
use ed25519_dalek::SigningKey;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

pub(crate) const ROUNDS: u64 = 140;

/// One epoch of a network of three operators with a shard each.
pub(crate) struct Mix {
    pub(crate) network: NetworkFile,
    pub(crate) signed: SignedDocument,
    epoch: VerifiedEpoch,
    /// In the document's order.
    shards: Vec<Shard>,
}

struct Shard {
    identity: SigningKey,
    onion: OnionSecretKey,
    seals: Vec<SealSecretKey>,
}

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

impl Mix {
    /// Epoch `epoch` of those of the three shards that are listening at `addresses`.
    pub(crate) fn new(epoch: u64, first_round: u64, addresses: &[Option<SocketAddr>; 3]) -> Self {
        let present: Vec<u8> = (0..3).filter(|i| addresses[usize::from(*i)].is_some()).collect();
        let starts_at = SystemClock::now();
        let mut rng = ChaCha20Rng::seed_from_u64(epoch);
        let operators = (0..3).map(|i| Operator {
            name: format!("operator {i}"),
            key: IdentityKey::of(&key(100 + i)),
            weight: 1,
        });
        let policy = Policy {
            malicious_ppm: 10_000,
            epsilon: 4.0,
            delta: 1e-2,
            disturbed_rounds: 20,
            least_mixing_hops: 2,
            least_round_interval_ms: 0,
            trusts_heavy_operators: true,
            total_delta: 1.0,
            ..Policy::DEFAULT
        };
        let network = NetworkFile::new(operators.collect(), policy).unwrap();
        let (first_round, last_round) = (Round(first_round), Round(first_round + ROUNDS - 1));
        let epoch = Epoch(epoch);
        let mut shards: Vec<_> = present
            .iter()
            .map(|&i| Shard {
                identity: key(i + 1),
                onion: OnionSecretKey::generate(&mut rng),
                seals: (0..ROUNDS).map(|_| SealSecretKey::generate(&mut rng)).collect(),
            })
            .collect();
        let offers: Vec<_> = shards
            .iter()
            .zip(&present)
            .map(|(shard, &i)| {
                let identity = IdentityKey::of(&shard.identity);
                let operator = OperatorIndex(i.into());
                let list = OperatorList {
                    network: network.id(),
                    operator,
                    number: 1,
                    first_epoch: Epoch(0),
                    last_epoch: Epoch(1000),
                    shards: vec![identity],
                };
                let address = addresses[usize::from(i)].unwrap();
                Offer {
                    registration: Registration {
                        version: PROTOCOL_VERSION,
                        list: Signed::new(list, &key(100 + i)),
                        peer_address: address,
                        client_address: address,
                    },
                    contribution: Contribution {
                        epoch,
                        first_round,
                        identity,
                        onion_key: shard.onion.public_key().to_bytes(),
                        // Clients do not see proofs.
                        onion_proof: [0; 64],
                        seal_keys: shard.seals.iter().map(|s| s.public_key().to_bytes()).collect(),
                        seal_proofs: Vec::new(),
                    },
                }
            })
            .collect();
        let parameters = Parameters {
            suite: SUITE_1,
            service: 0,
            layers: 4,
            body: 256,
            pairs_per_client: 1,
            filter_bits: 20,
            interval_ms: 2000,
            submit_ms: 500,
            layer_ms: 500,
            verify_ms: 500,
            reply_ms: 500,
        };
        let draft = Draft {
            epoch,
            first_round,
            last_round,
            starts_at,
            previous: Digest::default(),
            parameters,
        };
        let document = assemble(draft, &offers, &network).unwrap();
        let place = |shard: &Shard| {
            let identity = IdentityKey::of(&shard.identity);
            document.shards.iter().position(|entry| entry.identity == identity)
        };
        shards.sort_by_key(place);
        let signatures = shards.iter().map(|shard| document.endorse(&shard.identity)).collect();
        let signed = SignedDocument { document, signatures };
        let epoch = VerifiedEpoch::verify(signed.clone(), &network).unwrap();
        Self { network, signed, epoch, shards }
    }

    pub(crate) fn entry_bytes(&self) -> usize {
        self.epoch.geometry().entry_bytes()
    }

    /// One shard's statement that it withheld its seal key.
    #[allow(dead_code, reason = "not all who share this file abort rounds")]
    pub(crate) fn withheld(&self, round: Round, shard: u16) -> Signed<SealStatement> {
        let statement = SealStatement {
            network: self.network.id(),
            epoch: self.epoch.epoch(),
            round,
            shard: ShardIndex(shard),
            act: SealAct::Withheld { reason: Reason::NotPrepared },
        };
        Signed::new(statement, &self.shards[usize::from(shard)].identity)
    }

    /// Runs a round over what each client submitted; returns each one's replies.
    pub(crate) fn exchange(&self, round: Round, submissions: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let geometry = self.epoch.geometry();
        let context = RoundContext { geometry, epoch: self.epoch.epoch(), round };
        let offset = (round.0 - self.signed.document.first_round.0) as usize;
        let mut opened = Vec::new();
        for (client, submission) in submissions.iter().enumerate() {
            for entry in submission.chunks_exact(geometry.entry_bytes()) {
                let (hop, onion) = entry.split_at(NEXT_HOP_BYTES);
                let mut shard = ShardIndex(u16::from_be_bytes([hop[0], hop[1]]));
                let mut onion = onion.to_vec();
                let mut reply_keys = Vec::new();
                for layer in geometry.all_layers() {
                    let secret = &self.shards[shard.position()].onion;
                    let key = if layer == geometry.seal_layer() {
                        PeelKey::sealed(secret, self.shards.iter().map(|s| &s.seals[offset]))
                            .unwrap()
                    } else {
                        PeelKey::plain(secret)
                    };
                    let mut peeled = Peeled::default();
                    peel_batch(&key, context, layer, &mut onion, &mut peeled).unwrap();
                    assert!(peeled.opened(0));
                    reply_keys.push(peeled.reply_key(0).unwrap().clone());
                    shard = peeled.next_hop(0).unwrap_or(shard);
                    onion.drain(..inner_offset(geometry, layer));
                }
                let (dead_drop, body) = onion.split_at(DEAD_DROP_BYTES);
                assert_eq!(
                    shard,
                    self.epoch.paths().dead_drop_shard(dead_drop.try_into().unwrap())
                );
                opened.push((client, dead_drop.to_vec(), body.to_vec(), reply_keys));
            }
        }
        let mut replies = vec![Vec::new(); submissions.len()];
        for (at, (client, dead_drop, body, reply_keys)) in opened.iter().enumerate() {
            let mut others =
                (0..opened.len()).filter(|other| *other != at && opened[*other].1 == *dead_drop);
            let mut reply = match (others.next(), others.next()) {
                (Some(partner), None) => opened[partner].2.clone(),
                _ => body.clone(),
            };
            for key in reply_keys.iter().rev() {
                apply_reply_stream(key, &mut reply);
            }
            replies[*client].extend(reply);
        }
        replies
    }
}
