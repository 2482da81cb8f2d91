//! Events as rows with rising ids.

use antiphon_wire::{Decode, DecodeError, Encode, Reader, Timestamp};

use crate::message::{ContactId, MessageId};

/// Number of an event. Later events have higher ones, and there are gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u64);

/// An event that an application is to see, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Number of the event.
    pub id: EventId,
    /// Time at which it was kept.
    pub at: Timestamp,
    /// Event itself.
    pub kind: EventKind,
}

/// Kinds of events. The message itself is asked for by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A message of this end was kept, and waits.
    Queued(MessageId),
    /// It was handed to a session for the first time.
    UnderWay(MessageId),
    /// It is in the partner's store.
    Delivered(MessageId),
    /// It was given up.
    Failed(MessageId),
    /// It was taken back.
    Recalled(MessageId),
    /// A message came and is kept.
    Received(MessageId),
    /// The contact takes so many messages as delivered that this store does not have: it was put back from a copy.
    Missing {
        /// Contact that sent them.
        contact: ContactId,
        /// Number of messages.
        messages: u64,
    },
    /// The contact begins to number its messages anew: its profile was restored from a backup.
    ContactRestored(ContactId),
    /// The contact has told another identity than before, or does not know the session that bound the two.
    ContactChanged(ContactId),
    /// This profile was restored from a backup.
    Restored {
        /// Time at which the backup was made.
        made_at: Timestamp,
    },
    /// Somebody who has one of the user's codes asks to talk. Who accepts makes a contact of this id.
    Requested(ContactId),
}

impl EventKind {
    /// Message that it is about.
    pub const fn message(&self) -> Option<MessageId> {
        match self {
            Self::Queued(id)
            | Self::UnderWay(id)
            | Self::Delivered(id)
            | Self::Failed(id)
            | Self::Recalled(id)
            | Self::Received(id) => Some(*id),
            Self::Missing { .. }
            | Self::ContactRestored(_)
            | Self::ContactChanged(_)
            | Self::Restored { .. }
            | Self::Requested(_) => None,
        }
    }

    /// Name for programs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Queued(_) => "queued",
            Self::UnderWay(_) => "under_way",
            Self::Delivered(_) => "delivered",
            Self::Failed(_) => "failed",
            Self::Recalled(_) => "recalled",
            Self::Received(_) => "received",
            Self::Missing { .. } => "missing",
            Self::ContactRestored(_) => "contact_restored",
            Self::ContactChanged(_) => "contact_changed",
            Self::Restored { .. } => "restored",
            Self::Requested(_) => "requested",
        }
    }
}

impl Encode for EventKind {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut about = |tag: u8, id: &MessageId| {
            out.push(tag);
            id.encode(out);
        };
        match self {
            Self::Queued(id) => about(1, id),
            Self::UnderWay(id) => about(2, id),
            Self::Delivered(id) => about(3, id),
            Self::Failed(id) => about(4, id),
            Self::Recalled(id) => about(5, id),
            Self::Received(id) => about(6, id),
            Self::Missing { contact, messages } => {
                out.push(7);
                contact.encode(out);
                messages.encode(out);
            }
            Self::ContactRestored(contact) => {
                out.push(8);
                contact.encode(out);
            }
            Self::Restored { made_at } => {
                out.push(9);
                made_at.encode(out);
            }
            Self::ContactChanged(contact) => {
                out.push(10);
                contact.encode(out);
            }
            Self::Requested(contact) => {
                out.push(11);
                contact.encode(out);
            }
        }
    }
}

impl Decode for EventKind {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match u8::decode(input)? {
            1 => Self::Queued(Decode::decode(input)?),
            2 => Self::UnderWay(Decode::decode(input)?),
            3 => Self::Delivered(Decode::decode(input)?),
            4 => Self::Failed(Decode::decode(input)?),
            5 => Self::Recalled(Decode::decode(input)?),
            6 => Self::Received(Decode::decode(input)?),
            7 => {
                Self::Missing { contact: Decode::decode(input)?, messages: Decode::decode(input)? }
            }
            8 => Self::ContactRestored(Decode::decode(input)?),
            9 => Self::Restored { made_at: Decode::decode(input)? },
            10 => Self::ContactChanged(Decode::decode(input)?),
            11 => Self::Requested(Decode::decode(input)?),
            tag => return Err(DecodeError::UnknownTag { what: "event", tag }),
        })
    }
}
