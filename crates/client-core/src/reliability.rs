//! Ordered, exactly-once messages of any length over rounds that may be lost.
//!
//! Messages are split into fragments, numbered from 0 over the whole conversation. Every body
//! acknowledges all that has arrived; what stays unacknowledged is sent again.

mod receiver;
mod sender;
#[cfg(test)]
mod tests;

pub use receiver::ReceiveError;
pub(crate) use receiver::Receiver;
#[cfg(test)]
use sender::AcknowledgeError;
pub(crate) use sender::Sender;
pub use sender::{MessageId, SendError};

/// Carrier of fragments. Each carries every fragment until it is acknowledged, whatever the other does: a
/// beat may bring in seconds what a round's body brings in minutes, or the body what a spoilt beat did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// The bodies of the rounds in which the conversation meets.
    Rounds,
    /// The cells of their beats.
    Beats,
}

/// Fragments that may be under way: as many as an [`Acknowledgement`] tells apart, the lowest that is missing
/// and the 32 after it.
///
/// [`Acknowledgement`]: crate::conversation::Acknowledgement
const WINDOW: u32 = 33;

/// Fragments of one end at most: a conversation that has sent them sends no more. At two a second, after 34 years.
pub(crate) const MOST_FRAGMENTS: u32 = 1 << 31;
