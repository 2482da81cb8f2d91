#![doc = include_str!("../README.md")]

mod backup;
mod backup_item;
mod event;
mod exchange;
mod export;
#[cfg(test)]
mod failing;
mod folder;
mod formats;
mod keepsake;
mod lock;
mod message;
mod moment;
mod piece;
mod place;
mod profile;
mod record;
mod roots;
mod seal;
mod store;
mod store_error;
mod text;
mod unlock;
mod vault;

pub use backup::{BackUpError, Backup, BackupError, BackupSummary, RestoreError};
pub use backup_item::BackupItem;
pub use event::{Event, EventId, EventKind};
pub use exchange::{Arrival, ArrivalError, ContactError, Exchange, Outgoing};
pub use export::ExportError;
pub use formats::{KeyCost, KeySource};
pub use keepsake::{Keepsake, KeepsakeKind, MOST_KEEPSAKE_BYTES, MOST_NAME_BYTES, SessionState};
pub use message::{
    ContactId, Direction, MOST_MESSAGE_BYTES, Message, MessageId, MessageState, NoId, Progress,
    StreamId,
};
pub use moment::moment;
pub use place::{Folder, Place};
pub use profile::{Profile, ProfileError};
pub use store::{
    EventsGone, KeepsakeError, Retention, RoomError, Store, StoreCounts, StoreLimits, Submission,
    SubmitError, Submitted,
};
pub use store_error::StoreError;
pub use unlock::Unlock;
