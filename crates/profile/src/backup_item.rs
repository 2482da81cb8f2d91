//! The items of a backup, as bytes.

use antiphon_wire::{Decode, DecodeError, Encode, Reader, Timestamp};

use crate::keepsake::Keepsake;
use crate::message::Message;

/// One of the things that are in a backup. There is none for a session's state, and none for the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupItem {
    /// Head of all, the first.
    Head {
        /// Time at which the backup was made.
        made_at: Timestamp,
    },
    /// Something that the user keeps.
    Keepsake(Keepsake),
    /// A message, if messages were wished.
    Message(Message),
    /// The last: so many items came before, the head included.
    End {
        /// Number of items.
        items: u64,
    },
}

impl From<Keepsake> for BackupItem {
    fn from(keepsake: Keepsake) -> Self {
        Self::Keepsake(keepsake)
    }
}

impl From<Message> for BackupItem {
    fn from(message: Message) -> Self {
        Self::Message(message)
    }
}

impl Encode for BackupItem {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Head { made_at } => {
                out.push(1);
                made_at.encode(out);
            }
            Self::Keepsake(keepsake) => {
                out.push(2);
                keepsake.encode(out);
            }
            Self::Message(message) => {
                out.push(3);
                message.encode(out);
            }
            Self::End { items } => {
                out.push(4);
                items.encode(out);
            }
        }
    }
}

impl Decode for BackupItem {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match u8::decode(input)? {
            1 => Self::Head { made_at: Decode::decode(input)? },
            2 => Self::Keepsake(Decode::decode(input)?),
            3 => Self::Message(Decode::decode(input)?),
            4 => Self::End { items: Decode::decode(input)? },
            tag => return Err(DecodeError::UnknownTag { what: "item of a backup", tag }),
        })
    }
}
