//! Epoch documents and what goes into them.

use ed25519_dalek::SigningKey;

use crate::codec::{Decode, DecodeError, Encode, Reader, record};
use crate::{
    Addresses, BeatParameters, Digest, Epoch, IdentityKey, KemKey, OperatorIndex, Round, Signable,
    Signature, Signed, Timestamp,
};

/// The version of every format in this crate.
pub const PROTOCOL_VERSION: u16 = 4;

/// The number of [`Suite::Classic`](crate::Suite::Classic).
pub const SUITE_1: u8 = crate::Suite::Classic.number();

/// The service at layer L that carries conversations: two deposits at one dead drop swap bodies.
pub const SERVICE_CONVERSATION: u8 = 0;

record! {
    /// An operator's numbered list of its shards. Being on it is what certifies a shard.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct OperatorList {
        /// The network the list is for.
        pub network: Digest,
        /// Operator that signs the list.
        pub operator: OperatorIndex,
        /// Rises with every list that the operator signs.
        pub number: u32,
        /// The first epoch the list holds for.
        pub first_epoch: Epoch,
        /// The last epoch the list holds for. Ranges of an operator's lists never overlap.
        pub last_epoch: Epoch,
        /// The identities of all shards of the operator.
        pub shards: Vec<IdentityKey>,
    }
}

impl Signable for OperatorList {
    const CONTEXT: &'static str = "antiphon v1 operator list";
}

record! {
    /// Values that hold for all rounds of an epoch.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Parameters {
        /// Cryptographic [suite](crate::Suite), by its number: that of the network file's policy.
        pub suite: u8,
        /// Service that layer L runs on deposits: [`SERVICE_CONVERSATION`] is the only one.
        pub service: u8,
        /// L, the number of layers.
        pub layers: u8,
        /// Bytes of a body, a multiple of 16.
        pub body: u16,
        /// Pairs of onions that every client sends in every round.
        pub pairs_per_client: u8,
        /// Filters have a false-positive rate of 2 to the minus this.
        pub filter_bits: u8,
        /// Nominal time between two rounds, in milliseconds.
        pub interval_ms: u32,
        /// Time for which a round is open to clients, in milliseconds.
        pub submit_ms: u32,
        /// Longest wait of a shard for the batches of one layer, in milliseconds.
        pub layer_ms: u32,
        /// Longest wait of a shard for filters, for verdicts and for seal keys each, in milliseconds.
        pub verify_ms: u32,
        /// Longest wait of a shard for the replies of one layer, in milliseconds.
        pub reply_ms: u32,
        /// Beats that follow each round.
        pub beats: BeatParameters,
    }
}

impl Parameters {
    /// The longest that a round can take, in milliseconds: every layer forward and back, filters, verdicts and
    /// seal keys at their deadlines, and an interval for the links.
    pub fn longest_round_ms(&self) -> u64 {
        let per_layer = u64::from(self.layer_ms) + u64::from(self.reply_ms);
        let steps = u64::from(self.layers) * per_layer + 3 * u64::from(self.verify_ms);
        u64::from(self.submit_ms) + steps + u64::from(self.interval_ms)
    }
}

record! {
    /// One shard of an epoch.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ShardEntry {
        /// Operator that runs the shard.
        pub operator: OperatorIndex,
        /// Long-term identity, which signs for the shard.
        pub identity: IdentityKey,
        /// Addresses for other shards.
        pub peer_addresses: Addresses,
        /// Addresses for clients.
        pub client_addresses: Addresses,
        /// Onion key for this epoch, a compressed Edwards point.
        pub onion_key: [u8; 32],
        /// ML-KEM key for this epoch, in suite 2 and in no other.
        pub kem_key: Option<KemKey>,
        /// V: noise deposits that the shard adds in every round.
        pub noise_volume: u32,
        /// Width of the distribution of the shard's pair count, in 1/1024.
        pub noise_sigma: u32,
    }
}

record! {
    /// All that clients and shards need to know about one epoch.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct EpochDocument {
        /// [`PROTOCOL_VERSION`] of whoever composed the document.
        pub version: u16,
        /// The network file's id.
        pub network: Digest,
        /// Number of the epoch.
        pub epoch: Epoch,
        /// First round of the epoch.
        pub first_round: Round,
        /// Last round of the epoch.
        pub last_round: Round,
        /// Time at which the first round is to open.
        pub starts_at: Timestamp,
        /// Time at which every shard erases the epoch's keys and clients stop using it.
        pub expires_at: Timestamp,
        /// The hash of the document before this one: evidence for audits.
        pub previous: Digest,
        /// Values that hold for all rounds.
        pub parameters: Parameters,
        /// The lists of the operators present, by rising operator index.
        pub operators: Vec<Signed<OperatorList>>,
        /// The shards, in the order that [`ShardIndex`](crate::ShardIndex) counts.
        pub shards: Vec<ShardEntry>,
        /// For each round, the sum of all shards' seal keys as a compressed Edwards point.
        pub joint_seal_keys: Vec<[u8; 32]>,
    }
}

impl Signable for EpochDocument {
    const CONTEXT: &'static str = "antiphon v1 epoch document";
}

impl EpochDocument {
    /// The hash that the next document and the shards' endorsements name.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.signed_bytes())
    }

    /// Rounds from the first to the last, or 0 if they are in the wrong order. At most 2^64 - 1.
    pub const fn rounds(&self) -> u64 {
        match self.last_round.0.checked_sub(self.first_round.0) {
            Some(after_first) => after_first.saturating_add(1),
            None => 0,
        }
    }

    /// Returns `true` if `round` is one of the epoch's.
    pub fn covers(&self, round: Round) -> bool {
        (self.first_round..=self.last_round).contains(&round)
    }

    /// A shard's signature on this document.
    pub fn endorse(&self, key: &SigningKey) -> Signature {
        self.sign_with(key)
    }
}

/// An epoch document with its shards' signatures, in the order of the shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedDocument {
    /// Document as it was proposed: nothing of it has been checked.
    pub document: EpochDocument,
    /// One signature for each shard listed.
    pub signatures: Vec<Signature>,
}

impl Encode for SignedDocument {
    fn encode(&self, out: &mut Vec<u8>) {
        self.document.encode(out);
        self.signatures.encode(out);
    }
}

impl Decode for SignedDocument {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { document: Decode::decode(input)?, signatures: Decode::decode(input)? })
    }
}

record! {
    /// A shard's keys for an epoch, with the proof that it holds their secrets.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Contribution {
        /// The epoch the keys are for.
        pub epoch: Epoch,
        /// The epoch's first round.
        pub first_round: Round,
        /// Shard that the keys belong to.
        pub identity: IdentityKey,
        /// The onion key, a compressed Edwards point.
        pub onion_key: [u8; 32],
        /// The ML-KEM key, in suite 2 and in no other.
        pub kem_key: Option<KemKey>,
        /// One seal key per round: compressed Edwards points, of which the keys are the eightfold.
        pub seal_keys: Vec<[u8; 32]>,
        /// One proof that the shard knows the secrets of onion key and seal keys, made for this ML-KEM key.
        pub proof: [u8; 64],
    }
}

impl Contribution {
    /// The hash by which a proposal names it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// The bytes that its proof of possession is bound to, beside the keys that it proves: network, operator,
    /// shard, epoch, rounds, and the ML-KEM key, whose secret no such proof is about.
    pub fn possession_context(&self, network: &Digest, operator: OperatorIndex) -> Vec<u8> {
        let mut bytes = b"antiphon v3 proof of possession\0".to_vec();
        network.encode(&mut bytes);
        operator.encode(&mut bytes);
        self.identity.encode(&mut bytes);
        self.epoch.encode(&mut bytes);
        self.first_round.encode(&mut bytes);
        self.kem_key.encode(&mut bytes);
        bytes
    }
}
