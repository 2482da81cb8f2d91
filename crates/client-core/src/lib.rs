#![doc = include_str!("../README.md")]

mod beats;
mod checkpoint;
mod client;
mod clock;
mod conversation;
mod documents;
mod epochs;
mod event;
pub mod file_message;
mod gateways;
mod hold;
mod ledger;
mod mailboxes;
mod reliability;
mod round;
mod round_refusal;
mod schedule;

pub use antiphon_onion::EntropySource;
pub use beats::{Departure, EvidenceError, departure_after, departure_of, due_at};
pub use checkpoint::{Checkpoint, CircuitMark, RoundMark};
pub use client::{Client, ClientConfig, SleepError};
pub use clock::{CLOCK_SLACK_MS, RoundPace};
pub use conversation::{BareMeeting, CLOSING_ROUNDS, ConversationSecret, PartnerError, Role};
pub use documents::DocumentRefusal;
pub use epochs::Epochs;
pub use event::{ConversationId, Event, Input, OpenError, Opening, Outcome, Output};
pub use gateways::{GatewayFault, GatewayPolicy};
pub use hold::hold_ms;
pub use ledger::{Budget, Ledger};
pub use mailboxes::{BoxRefusal, Item, PostError, Posting};
pub use reliability::{MessageId, ReceiveError, SendError};
pub use round_refusal::RoundRefusal;
pub use schedule::{Level, Start};

/// Returns `true` if a decrypted body's plaintext can be read: for the fuzz target alone.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn reads_as_body(plaintext: &[u8]) -> bool {
    conversation::reads_as_body(plaintext)
}
