//! Events that a client tells its application beside messages.

use antiphon_client_core::{Budget, ConversationId, Event as CoreEvent, Ledger};
use antiphon_wire::{Epoch, IdentityKey, Round, Timestamp};
use tokio::sync::broadcast;

use crate::pace::Pace;

/// Event for the application.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A link to a gateway is up: the client takes part in rounds from the next one on.
    Connected {
        /// Identity of the gateway.
        gateway: IdentityKey,
    },
    /// The link to the gateway is gone. The client looks for a gateway on its own.
    Disconnected {
        /// Identity of the gateway.
        gateway: IdentityKey,
        /// Reason, in words.
        reason: String,
    },
    /// An attempt to reach the coordinator or a gateway failed. There will be another.
    AttemptFailed {
        /// Reason, in words.
        reason: String,
    },
    /// The shard that the configuration names as gateway is not in the epoch: offline until it is.
    GatewayMissing {
        /// Identity of the shard.
        gateway: IdentityKey,
    },
    /// The state file could not be written, so nothing was submitted for a round.
    StateNotWritten {
        /// Round whose onions stayed here.
        round: Round,
        /// Error of the system.
        reason: String,
    },
    /// The application did not take its messages, and the inbox is full: one was dropped.
    MessagesMissed {
        /// Conversation whose inbox is full.
        conversation: ConversationId,
        /// Messages dropped in a row so far.
        missed: u64,
    },
    /// Event of the client's state machine: epochs, rounds, the ledger and conversations. Messages and
    /// acknowledgements are not among them: the halves of a conversation hand them out.
    Core(CoreEvent),
    /// The application was slow to take events: this many are gone.
    EventsMissed(u64),
}

/// Events as they happen, from when [`Client::events`](crate::Client::events) was called.
#[derive(Debug)]
pub struct Events(pub(crate) broadcast::Receiver<Event>);

impl Events {
    /// The next event; `None` once the client is shut down. The future may be dropped and called
    /// again without losing anything.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Event::EventsMissed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Status of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Rounds that conversations have been charged.
    pub ledger: Ledger,
    /// Budget of the guarantee: rounds spent, reserved for those in flight, and left. Conversations rest when
    /// nothing is left, and [`CoreEvent::Resting`] says so.
    pub budget: Budget,
    /// The same for rounds that were aborted with nothing revealed, and [`CoreEvent::RestingAfterAborts`].
    pub attempts: Budget,
    /// Speed at which a conversation of one pair moves bytes, by the newest epoch's document.
    pub pace: Option<Pace>,
    /// The newest epoch whose document was verified.
    pub epoch: Option<Epoch>,
    /// The newest round that onions were made for.
    pub last_round: Option<Round>,
    /// The gateway, while the link to it is up.
    pub gateway: Option<IdentityKey>,
    /// Milliseconds that the clock of the gateway last seen is ahead of this one's; negative if it is behind. Whether this one
    /// is wrong or that of the gateway, only a person can find out.
    pub clock_ahead_ms: Option<i64>,
    /// The next round of calls, and when it opens if rounds keep to their interval; `None` in a network without.
    pub next_call: Option<(Round, Timestamp)>,
}
