#![doc = include_str!("../README.md")]

mod client;
pub mod config;
mod connect_error;
mod conversation;
mod driver;
mod event;
mod formats;
mod inbox;
mod options;
mod pace;
mod seal;
mod state_file;
mod traffic;
mod used_secrets;
mod witness;

pub use antiphon_client_core::Event as CoreEvent;
pub use antiphon_client_core::file_message;
pub use antiphon_client_core::{
    BoxRefusal, Budget, ConversationId, ConversationSecret, DocumentRefusal, Item, Ledger, Level,
    MessageId, OpenError, Opening as ConversationOptions, Outcome, PartnerError, PostError,
    Posting, Role, RoundRefusal, SleepError as SleepRefusal, Start,
};
pub use antiphon_wire::{
    BoxContent, CallBox, Epoch, IdentityKey, InvitationBox, NetworkFile, Round, RoundKind,
    Timestamp, Token,
};
pub use client::{Client, ClientGone, OpenConversationError, PostingError, SleepError};
pub use connect_error::ConnectError;
pub use conversation::{
    Arrival, Conversation, ConversationReceiver, ConversationSender, Delivery, ReceiveError,
    SendError, Undelivered,
};
pub use event::{Event, Events, Status};
pub use formats::{Record, StateKey, Witnessed};
pub use options::{ClientConfig, Coordinator, Gateway};
pub use pace::Pace;
pub use state_file::{StateError, StateOrigin};
pub use traffic::Traffic;
pub use witness::{FileWitness, StateWitness};
