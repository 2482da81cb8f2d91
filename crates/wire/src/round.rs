//! Messages between shards in a round, and the statements in them.

use std::sync::Arc;

use crate::codec::{Decode, DecodeError, Encode, Reader, choice, record};
use crate::{
    Blob, BoxStatement, CellBatch, Contribution, Digest, Epoch, Layer, Round, ShardIndex, Signable,
    Signed, SignedHeader,
};

/// Direction in which a batch travels.
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
    /// Announces the batch of onions or replies that one shard sends another for one layer. Signed, it is a
    /// [`SignedHeader`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct BatchHeader {
        /// The sender's [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION).
        pub version: u16,
        /// Epoch that the round belongs to.
        pub epoch: Epoch,
        /// Round that the batch is part of.
        pub round: Round,
        /// Forward: the layer that the onions enter. Reply: the layer that the replies leave.
        pub layer: Layer,
        /// Forward for onions, back for replies.
        pub direction: Direction,
        /// Shard that sends the batch.
        pub sender: ShardIndex,
        /// Shard that the batch is for.
        pub receiver: ShardIndex,
        /// Number of onions or replies that follow.
        pub count: u32,
        /// Hash of all bytes that follow.
        pub hash: Digest,
    }
}

/// Salt of a filter. A seal-layer shard draws it when all its sealed onions are in, so that nobody could
/// choose onions by the bits that they set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterSalt(pub [u8; 16]);

crate::codec::newtype!(FilterSalt);

record! {
    /// A seal-layer shard's Bloom filter of the sealed onions it holds.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct FilterStatement {
        /// Epoch that the round belongs to.
        pub epoch: Epoch,
        /// Round whose onions are in the filter.
        pub round: Round,
        /// Shard that holds the onions.
        pub shard: ShardIndex,
        /// Salt of the positions of bits.
        pub salt: FilterSalt,
        /// Number of sealed onions that went into the filter.
        pub onions: u32,
        /// Bits of the filter, eight to a byte.
        pub bits: Blob,
    }
}

impl Signable for FilterStatement {
    const CONTEXT: &'static str = "antiphon v2 seal filter";
}

choice! {
    /// Result of a shard's search in all filters.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Finding("finding") {
        /// All onions that it sent were there.
        0 = Satisfied {
            /// Hash of all filters, in the order of the shards.
            filters: Digest,
            /// Hash of the announcement that opened the round here.
            announcement: Digest,
        },
        /// At least one onion that it sent was missing.
        1 = Complaint {
            /// Seal-layer shard in whose filter onions were missing.
            at: ShardIndex,
            /// Number of onions missing there.
            missing: u32,
        },
    }
}

record! {
    /// A shard's verdict on a round's filters.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Verdict {
        /// Epoch that the round belongs to.
        pub epoch: Epoch,
        /// Round that the verdict is about.
        pub round: Round,
        /// Shard that signs the verdict.
        pub shard: ShardIndex,
        /// Result of the shard's search.
        pub finding: Finding,
    }
}

impl Signable for Verdict {
    const CONTEXT: &'static str = "antiphon v1 verdict";
}

choice! {
    /// Reason why a shard withheld its seal key.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Reason("reason") {
        /// A shard's batch did not come in time, or was not what its header said.
        0 = MissingBatch {
            /// Layer that the batch was to enter.
            layer: Layer,
            /// Shard that was to send it.
            sender: ShardIndex,
        },
        /// A shard's filter did not come in time.
        1 = MissingFilter {
            /// Shard whose filter is missing.
            shard: ShardIndex,
        },
        /// A shard's filter does not have the size that follows from the onions it declares.
        2 = BadFilter {
            /// Shard whose filter is malformed.
            shard: ShardIndex,
        },
        /// Onions were missing from a filter.
        3 = MissingOnions {
            /// Shard that complains.
            complainant: ShardIndex,
            /// Shard in whose filter onions were missing.
            at: ShardIndex,
            /// Number of missing onions, as the complaint says.
            missing: u32,
        },
        /// A shard was satisfied over other filters, or in a round that was announced otherwise.
        4 = OtherFilters {
            /// Shard that saw other filters.
            shard: ShardIndex,
        },
        /// A shard's verdict did not come in time.
        5 = MissingVerdict {
            /// Shard whose verdict is missing.
            shard: ShardIndex,
        },
        /// Another shard withheld first.
        6 = Follows {
            /// Shard that withheld first, as far as this one knows.
            shard: ShardIndex,
        },
        /// This shard did not have what the round needs.
        7 = NotPrepared,
        /// A shard's filter has so many ones that it would pass too much, or declares more onions than
        /// the receiver would have taken. Neither proves anything against its owner.
        8 = FullFilter {
            /// Shard whose filter is too full.
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
            Self::OtherFilters { shard } => {
                write!(f, "shard {shard} was shown other filters or another announcement")
            }
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
    /// Use that a shard made of its seal key. It signs one of the two in a round, never both.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum SealAct("act") {
        /// The shard gave the key to everybody.
        0 = Released {
            /// Secret half of the seal key.
            secret: SealSecret,
            /// Hash of the announcement that all shards were satisfied with: with the releases of all, it is
            /// evidence of which beats run.
            announcement: Digest,
        },
        /// The shard erased the key.
        1 = Withheld {
            /// Reason, which decides with the others' statements whether the round is charged.
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
        /// Epoch that the round belongs to.
        pub epoch: Epoch,
        /// Round that the seal key is for.
        pub round: Round,
        /// Shard that owns the key.
        pub shard: ShardIndex,
        /// Release or erasure.
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
            /// Header, signed alone or with others of its layer.
            header: SignedHeader,
        },
        /// The sender's filter, for everybody.
        1 = Filter {
            /// Filter of the sender's sealed onions.
            filter: Signed<FilterStatement>,
        },
        /// The sender's verdict, for everybody.
        2 = Verdict {
            /// Finding about all filters.
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
            /// Epoch that the round belongs to.
            epoch: Epoch,
            /// Round whose statements are wanted.
            round: Round,
        },
        /// Asks for a contribution to the epoch that is proposed.
        5 = AskContribution {
            /// Hash of the contribution.
            digest: Digest,
        },
        /// A contribution that the receiver asked for.
        6 = Contribution {
            /// One shard's keys, with their proof.
            contribution: Arc<Contribution>,
        },
        /// The sender does not have the contribution, or not for the receiver.
        7 = NoContribution,
        /// Opens a batch of cells.
        8 = Cells {
            /// Its place in a beat, and the number of cells.
            batch: CellBatch,
        },
        /// A box that the sender hosts, for everybody.
        9 = Box {
            /// Items of the box.
            published: Signed<BoxStatement>,
        },
    }
}

impl PeerMessage {
    /// Epoch and round of the message, as its sender claims; `None` if it is about none, or a list of statements
    /// is empty.
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
            Self::Cells { batch } => (batch.epoch, batch.round),
            Self::Box { published } => (published.claimed().epoch, published.claimed().round),
            Self::AskContribution { .. } | Self::Contribution { .. } | Self::NoContribution => {
                return None;
            }
        })
    }
}
