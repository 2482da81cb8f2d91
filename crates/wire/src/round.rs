//! What shards say to each other in a round, and sign.

use crate::codec::{Decode, DecodeError, Encode, Reader, choice, record};
use crate::{Blob, Digest, Epoch, Layer, Round, ShardIndex, Signable, Signed, SignedHeader};

/// Which way a batch travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Onions, towards the dead drops.
    Forward,
    /// Replies, back to the clients.
    Reply,
}

impl Encode for Direction {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
}

impl Decode for Direction {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(input)? {
            0 => Ok(Self::Forward),
            1 => Ok(Self::Reply),
            tag => Err(DecodeError::UnknownTag { what: "direction", tag }),
        }
    }
}

record! {
    /// What goes ahead of the onions or replies that one shard sends another for one layer; signed,
    /// a [`SignedHeader`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct BatchHeader {
        /// [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION).
        pub version: u16,
        /// The epoch.
        pub epoch: Epoch,
        /// The round.
        pub round: Round,
        /// Forward: the layer that the onions enter. Reply: the layer that the replies leave.
        pub layer: Layer,
        /// Which way it travels.
        pub direction: Direction,
        /// Who sends it.
        pub sender: ShardIndex,
        /// Whom it is for.
        pub receiver: ShardIndex,
        /// How many onions or replies follow.
        pub count: u32,
        /// The hash of all that follows.
        pub hash: Digest,
    }
}

/// Drawn by a seal-layer shard when all its sealed onions are in, so that nobody could choose onions by
/// the bits that they set in its filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterSalt(pub [u8; 16]);

crate::codec::newtype!(FilterSalt);

record! {
    /// A seal-layer shard's Bloom filter of the sealed onions it holds.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct FilterStatement {
        /// The epoch.
        pub epoch: Epoch,
        /// The round.
        pub round: Round,
        /// Whose filter it is.
        pub shard: ShardIndex,
        /// What its bits' places depend on.
        pub salt: FilterSalt,
        /// How many sealed onions went into it.
        pub onions: u32,
        /// Its bits.
        pub bits: Blob,
    }
}

impl Signable for FilterStatement {
    const CONTEXT: &'static str = "antiphon v2 seal filter";
}

choice! {
    /// What a shard found in the filters.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Finding("finding") {
        /// All that it looked for was there.
        0 = Satisfied {
            /// The hash of all filters, in the order of the shards.
            filters: Digest,
        },
        /// Something that it sent was missing.
        1 = Complaint {
            /// The seal-layer shard in whose filter it was missing.
            at: ShardIndex,
            /// How many onions were missing there.
            missing: u32,
        },
    }
}

record! {
    /// A shard's verdict on a round's filters.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Verdict {
        /// The epoch.
        pub epoch: Epoch,
        /// The round.
        pub round: Round,
        /// Whose verdict it is.
        pub shard: ShardIndex,
        /// What it found.
        pub finding: Finding,
    }
}

impl Signable for Verdict {
    const CONTEXT: &'static str = "antiphon v1 verdict";
}

choice! {
    /// Why a shard withheld its seal key.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Reason("reason") {
        /// A shard's batch did not come in time, or was not what its header said.
        0 = MissingBatch {
            /// The layer that the batch was to enter.
            layer: Layer,
            /// Who was to send it.
            sender: ShardIndex,
        },
        /// A shard's filter did not come in time.
        1 = MissingFilter {
            /// Whose filter.
            shard: ShardIndex,
        },
        /// A shard's filter does not have the size that follows from the onions it declares.
        2 = BadFilter {
            /// Whose filter.
            shard: ShardIndex,
        },
        /// Onions were missing from a filter.
        3 = MissingOnions {
            /// Who complains.
            complainant: ShardIndex,
            /// In whose filter they were missing.
            at: ShardIndex,
            /// How many.
            missing: u32,
        },
        /// A shard was satisfied over other filters.
        4 = OtherFilters {
            /// Which shard.
            shard: ShardIndex,
        },
        /// A shard's verdict did not come in time.
        5 = MissingVerdict {
            /// Whose verdict.
            shard: ShardIndex,
        },
        /// Another shard withheld first.
        6 = Follows {
            /// Which shard.
            shard: ShardIndex,
        },
        /// This shard did not have what the round needs.
        7 = NotPrepared,
        /// A shard's filter has so many ones that it would pass too much, or declares more onions than
        /// the receiver would have taken. Neither proves anything against its owner.
        8 = FullFilter {
            /// Whose filter.
            shard: ShardIndex,
        },
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::MissingBatch { layer, sender } => {
                write!(f, "no batch from shard {sender} for layer {layer} in time")
            }
            Self::MissingFilter { shard } => write!(f, "no filter from shard {shard} in time"),
            Self::BadFilter { shard } => write!(f, "shard {shard} published an unusable filter"),
            Self::MissingOnions { complainant, at, missing } => {
                write!(f, "shard {complainant} found {missing} of its onions missing at shard {at}")
            }
            Self::FullFilter { shard } => write!(f, "the filter of shard {shard} is too full"),
            Self::OtherFilters { shard } => write!(f, "shard {shard} was shown other filters"),
            Self::MissingVerdict { shard } => write!(f, "no verdict from shard {shard} in time"),
            Self::Follows { shard } => write!(f, "shard {shard} withheld first"),
            Self::NotPrepared => f.write_str("this shard was not prepared for the round"),
        }
    }
}

/// The secret half of a shard's seal key for one round.
#[derive(Clone, PartialEq, Eq)]
pub struct SealSecret(pub [u8; 32]);

impl std::fmt::Debug for SealSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealSecret(..)")
    }
}

impl Drop for SealSecret {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

crate::codec::newtype!(SealSecret);

choice! {
    /// What a shard did with its seal key. It signs one of the two in a round, never both.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum SealAct("act") {
        /// It released the key.
        0 = Released {
            /// The secret.
            secret: SealSecret,
        },
        /// It erased the key.
        1 = Withheld {
            /// Why.
            reason: Reason,
        },
    }
}

record! {
    /// A shard's statement about its seal key in one round.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SealStatement {
        /// The network file's id, so that a statement proves something on its own.
        pub network: Digest,
        /// The epoch.
        pub epoch: Epoch,
        /// The round.
        pub round: Round,
        /// Whose statement it is.
        pub shard: ShardIndex,
        /// What it did.
        pub act: SealAct,
    }
}

impl Signable for SealStatement {
    const CONTEXT: &'static str = "antiphon v1 seal statement";
}

choice! {
    /// A message from one shard to another. Onions and replies follow a batch header as they are.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum PeerMessage("peer message") {
        /// Opens a batch.
        0 = Batch {
            /// The header.
            header: SignedHeader,
        },
        /// The sender's filter.
        1 = Filter {
            /// The filter.
            filter: Signed<FilterStatement>,
        },
        /// The sender's verdict.
        2 = Verdict {
            /// The verdict.
            verdict: Signed<Verdict>,
        },
        /// Statements that the sender made or was sent.
        3 = Statements {
            /// The statements, each signed by the shard it is about.
            statements: Vec<Signed<SealStatement>>,
        },
        /// Asks for the statements that the receiver has seen: a key that was released to one shard
        /// must not be kept from another.
        4 = AskStatements {
            /// The epoch.
            epoch: Epoch,
            /// The round.
            round: Round,
        },
    }
}

impl PeerMessage {
    /// The epoch and round that this is about, as its sender claims; `None` if it says nothing.
    pub fn round(&self) -> Option<(Epoch, Round)> {
        Some(match self {
            Self::Batch { header } => (header.claimed().epoch, header.claimed().round),
            Self::Filter { filter } => (filter.claimed().epoch, filter.claimed().round),
            Self::Verdict { verdict } => (verdict.claimed().epoch, verdict.claimed().round),
            Self::Statements { statements } => {
                let first = statements.first()?.claimed();
                (first.epoch, first.round)
            }
            Self::AskStatements { epoch, round } => (*epoch, *round),
        })
    }
}
