//! The pieces that go over a session, as bytes: they come from the contact.

use antiphon_wire::{Decode, DecodeError, Encode, Reader};

use crate::message::{MOST_MESSAGE_BYTES, MessageId, StreamId};
use crate::text::short_hash;

/// Mark by which a receipt shows of which numbering and which message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceiptMark(pub(crate) [u8; 16]);

impl ReceiptMark {
    pub(crate) fn of(stream: StreamId, last: MessageId) -> Self {
        Self(short_hash("Antiphon 2026 receipt of messages", &[&stream.0, &last.0]))
    }
}

/// Piece of what goes over a session. A message takes 17 bytes more than its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// This end's numbering, and the number of the first message that follows.
    Begin { stream: StreamId, from: u64 },
    /// The next message.
    Content { id: MessageId, body: Vec<u8> },
    /// Something in the place of the next message, which was given up or deleted.
    Void,
    /// All messages up to this number are in the store. The mark shows of which numbering, and which is the last.
    Receipt { up_to: u64, mark: ReceiptMark },
    /// This end does not know any more how the other one numbers its messages: it is to say so again, and then
    /// all that has no receipt.
    Again,
}

impl Encode for Piece {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Begin { stream, from } => {
                out.push(1);
                stream.encode(out);
                from.encode(out);
            }
            Self::Content { id, body } => {
                out.push(2);
                id.encode(out);
                // To the end: the session keeps messages apart.
                out.extend_from_slice(body);
            }
            Self::Void => out.push(3),
            Self::Receipt { up_to, mark } => {
                out.push(4);
                up_to.encode(out);
                mark.0.encode(out);
            }
            Self::Again => out.push(5),
        }
    }
}

impl Decode for Piece {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match u8::decode(input)? {
            1 => Self::Begin { stream: Decode::decode(input)?, from: Decode::decode(input)? },
            2 => {
                let id = Decode::decode(input)?;
                if input.remaining() > MOST_MESSAGE_BYTES {
                    return Err(DecodeError::OutOfRange("the length of a message"));
                }
                Self::Content { id, body: input.take(input.remaining())?.to_vec() }
            }
            3 => Self::Void,
            4 => Self::Receipt { up_to: Decode::decode(input)?, mark: ReceiptMark(input.array()?) },
            5 => Self::Again,
            tag => return Err(DecodeError::UnknownTag { what: "piece of a session", tag }),
        })
    }
}
