//! The records of a store, as bytes.

use antiphon_wire::{Decode, DecodeError, Encode, Reader, Timestamp};
use zeroize::Zeroizing;

use crate::event::EventKind;
use crate::keepsake::{Keepsake, SessionState};
use crate::message::{ContactId, Message, MessageId, StreamId};
use crate::store_error::StoreError;
use crate::vault::Drawer;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Numberings of a contact that are remembered, so that messages of former sessions are known again.
pub(crate) const MOST_HEARD: usize = 4;
/// Room for most records, so that none leaves a copy behind while it grows.
const USUAL_BYTES: usize = 1 << 10;

/// Numberings of the messages from and to a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Streams {
    pub(crate) contact: ContactId,
    /// Numbering of this end's messages.
    pub(crate) own: StreamId,
    /// Number of the last message that was handed over.
    pub(crate) handed: u64,
    /// Number up to which all are in the contact's store.
    pub(crate) receipted: u64,
    /// The contact's numberings, the newest last.
    pub(crate) heard: Vec<Heard>,
}

/// A contact's numbering, as far as it was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) stream: StreamId,
    /// Number up to which all are in this store.
    pub(crate) have: u64,
    /// Name that the contact gave the message with that number; zeros if there is none.
    pub(crate) last: MessageId,
}

/// All that is left of a deleted message: enough to know it again, and nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stub {
    pub(crate) id: MessageId,
    pub(crate) at: Timestamp,
    pub(crate) key: [u8; 16],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Message(Message),
    Stub(Stub),
    Event {
        at: Timestamp,
        kind: EventKind,
    },
    Streams(Streams),
    Keepsake(Keepsake),
    Session(SessionState),
    /// The number of the last event that was dropped.
    Dropped(u64),
    /// The key for what lies beside the store. No backup takes it.
    DeviceKey(Zeroizing<[u8; 32]>),
}

impl Record {
    /// The drawer that a record lies in.
    pub(crate) fn drawer(&self) -> Drawer {
        match self {
            Self::Message(Message { at, .. })
            | Self::Stub(Stub { at, .. })
            | Self::Event { at, .. } => Drawer::Day(day(*at)),
            Self::Keepsake(_) | Self::DeviceKey(_) => Drawer::Standing,
            Self::Streams(_) | Self::Session(_) | Self::Dropped(_) => Drawer::Running,
        }
    }

    pub(crate) fn render(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.room()));
        self.encode(&mut bytes);
        bytes
    }

    /// Bytes that it takes up at most.
    fn room(&self) -> usize {
        USUAL_BYTES
            + match self {
                Self::Message(message) => message.body.len(),
                Self::Keepsake(keepsake) => keepsake.bytes.len(),
                Self::Session(state) => state.bytes.len(),
                _ => 0,
            }
    }

    /// Reads a record that the vault has opened: nobody else has made it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, StoreError> {
        Self::from_bytes(bytes).map_err(|error| match error {
            DecodeError::UnknownTag { tag, .. } => StoreError::Newer(tag),
            error => StoreError::damaged(error.to_string()),
        })
    }
}

/// The day of a moment, counted from the beginning of 1970.
pub(crate) fn day(at: Timestamp) -> u32 {
    u32::try_from(at.0 / DAY_MS).unwrap_or(u32::MAX)
}

/// The moment that lies so many days before `now`.
pub(crate) fn days_before(now: Timestamp, days: u32) -> Timestamp {
    Timestamp(now.0.saturating_sub(u64::from(days) * DAY_MS))
}

impl Encode for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Message(message) => {
                out.push(1);
                message.encode(out);
            }
            Self::Stub(Stub { id, at, key }) => {
                out.push(2);
                id.encode(out);
                at.encode(out);
                key.encode(out);
            }
            Self::Event { at, kind } => {
                out.push(3);
                at.encode(out);
                kind.encode(out);
            }
            Self::Streams(streams) => {
                out.push(4);
                streams.encode(out);
            }
            Self::Keepsake(keepsake) => {
                out.push(5);
                keepsake.encode(out);
            }
            Self::Session(state) => {
                out.push(6);
                state.encode(out);
            }
            Self::Dropped(event) => {
                out.push(7);
                event.encode(out);
            }
            Self::DeviceKey(key) => {
                out.push(8);
                out.extend_from_slice(&key[..]);
            }
        }
    }
}

impl Decode for Record {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match u8::decode(input)? {
            1 => Self::Message(Decode::decode(input)?),
            2 => {
                let (id, at) = (Decode::decode(input)?, Decode::decode(input)?);
                Self::Stub(Stub { id, at, key: input.array()? })
            }
            3 => Self::Event { at: Decode::decode(input)?, kind: Decode::decode(input)? },
            4 => Self::Streams(Decode::decode(input)?),
            5 => Self::Keepsake(Decode::decode(input)?),
            6 => Self::Session(Decode::decode(input)?),
            7 => Self::Dropped(Decode::decode(input)?),
            8 => Self::DeviceKey(Zeroizing::new(input.array()?)),
            tag => return Err(DecodeError::UnknownTag { what: "record", tag }),
        })
    }
}

impl Encode for Streams {
    fn encode(&self, out: &mut Vec<u8>) {
        self.contact.encode(out);
        self.own.encode(out);
        self.handed.encode(out);
        self.receipted.encode(out);
        // At most `MOST_HEARD`.
        out.push(self.heard.len() as u8);
        for Heard { stream, have, last } in &self.heard {
            stream.encode(out);
            have.encode(out);
            last.encode(out);
        }
    }
}

impl Decode for Streams {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (contact, own) = (Decode::decode(input)?, Decode::decode(input)?);
        let (handed, receipted) = (Decode::decode(input)?, Decode::decode(input)?);
        let count = usize::from(u8::decode(input)?);
        if count > MOST_HEARD {
            return Err(DecodeError::OutOfRange("the count of numberings"));
        }
        let heard = (0..count).map(|_| {
            let (stream, have) = (Decode::decode(input)?, Decode::decode(input)?);
            Ok(Heard { stream, have, last: Decode::decode(input)? })
        });
        let heard = heard.collect::<Result<_, DecodeError>>()?;
        Ok(Self { contact, own, handed, receipted, heard })
    }
}
