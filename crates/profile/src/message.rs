//! Messages as rows, and their states.

use std::fmt;
use std::str::FromStr;

use antiphon_wire::{Decode, DecodeError, Encode, Reader, Timestamp};
use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::text::{self, Blob, Text};

/// Most bytes of a message.
pub const MOST_MESSAGE_BYTES: usize = 64 << 10;
/// Most bytes of the reason why a message failed.
pub(crate) const MOST_REASON_BYTES: usize = 256;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Zeroize)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// Draws one that nobody has.
            pub fn draw(rng: &mut impl CryptoRng) -> Self {
                let mut id = [0; 16];
                rng.fill_bytes(&mut id);
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = NoId;

            fn from_str(text: &str) -> Result<Self, NoId> {
                let mut id = [0; 16];
                hex::decode_to_slice(text, &mut id).map_err(|_| NoId)?;
                Ok(Self(id))
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend(self.0);
            }
        }

        impl Decode for $name {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                input.array().map(Self)
            }
        }
    };
}

id! {
    /// Name of a message, the same over every restart and for as long as it is remembered.
    MessageId
}
id! {
    /// Name of a contact in this store.
    ContactId
}
id! {
    /// Name of a numbering of messages: of one end, and from one backup to the next.
    StreamId
}

/// Text that is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id has 32 hexadecimal digits")]
pub struct NoId;

impl MessageId {
    /// Name in this store of the message that a contact calls `theirs`. No contact can choose that of another's message.
    pub(crate) fn received(contact: ContactId, theirs: Self) -> Self {
        Self(text::short_hash("Antiphon 2026 id of a received message", &[&contact.0, &theirs.0]))
    }
}

/// End that a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// This end.
    Sent,
    /// The contact.
    Received,
}

/// Way that a message has gone so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Parts that have arrived.
    pub part: u32,
    /// Parts of the message.
    pub parts: u32,
    /// Time by which it is expected to be there.
    pub expected_by: Timestamp,
}

/// State of a message.
#[derive(Clone, Debug, PartialEq, Eq, Zeroize)]
pub enum MessageState {
    /// Kept, and nothing of it has left. It can be recalled.
    Queued,
    /// Handed to a session, perhaps more than once. It may have arrived.
    UnderWay {
        /// Place among what was handed over.
        number: u64,
    },
    /// In the partner's store.
    Delivered {
        /// Time at which this end learned of it.
        #[zeroize(skip)]
        at: Timestamp,
    },
    /// Given up.
    Failed {
        /// Reason, in words.
        why: String,
    },
    /// Taken back before anything of it left.
    Recalled,
    /// Come from the contact.
    Received,
}

/// A message.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Message {
    /// Name of the message.
    pub id: MessageId,
    /// Contact at the other end.
    pub contact: ContactId,
    /// Time at which it was queued, or stored.
    #[zeroize(skip)]
    pub at: Timestamp,
    /// State of the message.
    pub state: MessageState,
    /// Content.
    pub body: Vec<u8>,
    /// Mark of the idempotency key that it was submitted under; zeros for none.
    pub(crate) key: [u8; 16],
}

impl Message {
    /// End that it comes from.
    pub fn direction(&self) -> Direction {
        match self.state {
            MessageState::Received => Direction::Received,
            _ => Direction::Sent,
        }
    }

    /// `true` if nobody knows yet how it ends.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, MessageState::Queued | MessageState::UnderWay { .. })
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({}, {} bytes, {:?})", self.id, self.body.len(), self.state)
    }
}

impl Encode for MessageState {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Queued => out.push(1),
            Self::UnderWay { number } => {
                out.push(2);
                number.encode(out);
            }
            Self::Delivered { at } => {
                out.push(3);
                at.encode(out);
            }
            Self::Failed { why } => {
                out.push(4);
                Text(why).encode(out);
            }
            Self::Recalled => out.push(5),
            Self::Received => out.push(6),
        }
    }
}

impl Decode for MessageState {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match u8::decode(input)? {
            1 => Self::Queued,
            2 => Self::UnderWay { number: Decode::decode(input)? },
            3 => Self::Delivered { at: Decode::decode(input)? },
            4 => Self::Failed { why: text::string(input, MOST_REASON_BYTES)? },
            5 => Self::Recalled,
            6 => Self::Received,
            tag => return Err(DecodeError::UnknownTag { what: "state of a message", tag }),
        })
    }
}

impl Encode for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        self.id.encode(out);
        self.contact.encode(out);
        self.at.encode(out);
        self.state.encode(out);
        Blob(&self.body).encode(out);
        self.key.encode(out);
    }
}

impl Decode for Message {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (id, contact) = (Decode::decode(input)?, Decode::decode(input)?);
        let (at, state) = (Decode::decode(input)?, Decode::decode(input)?);
        let body = text::bytes(input, MOST_MESSAGE_BYTES)?;
        Ok(Self { id, contact, at, state, body, key: input.array()? })
    }
}
