//! Errors of starting a client.

use std::time::Duration;

use antiphon_client_core::DocumentRefusal;
use antiphon_transport::DialError;

use crate::StateError;

/// Reason why a client could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The state file cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Somebody else is where the coordinator should be.
    #[error("the coordinator is not who it should be: {0}")]
    Coordinator(DialError),
    /// The coordinator's epoch document is not valid in the network file's eyes.
    #[error(
        "the coordinator's epoch document is refused: {0}: is the network file that of this network?"
    )]
    Document(DocumentRefusal),
    /// It took too long.
    #[error("no gateway after {} seconds of trying; the last attempt: {last}", within.as_secs())]
    TimedOut {
        /// Time that was spent on trying.
        within: Duration,
        /// Failure of the last attempt.
        last: String,
    },
    /// The client's task is gone: the runtime is shutting down.
    #[error("the async runtime is shutting down")]
    RuntimeGone,
}
