//! Events that a client tells its application beside messages.

use antiphon_client_core::{
    Budget, ConversationId, DocumentRefusal, Ledger, Level, Outcome, PartnerError, RoundRefusal,
};
use antiphon_wire::{Epoch, IdentityKey, Round};
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
    /// A new epoch document was verified.
    EpochAdopted {
        /// Number of the epoch.
        epoch: Epoch,
        /// First round of the epoch.
        first_round: Round,
        /// Last round of the epoch.
        last_round: Round,
    },
    /// An epoch document was refused.
    DocumentRefused {
        /// Reason for the refusal.
        error: DocumentRefusal,
    },
    /// A round was refused: nothing was submitted for it.
    RoundRefused {
        /// Epoch that the gateway named.
        epoch: Epoch,
        /// Round that the gateway named.
        round: Round,
        /// Reason for the refusal.
        error: RoundRefusal,
    },
    /// The state file could not be written, so nothing was submitted for a round.
    StateNotWritten {
        /// Round whose onions stayed here.
        round: Round,
        /// Error of the system.
        reason: String,
    },
    /// A round ended.
    RoundEnded {
        /// Round that ended.
        round: Round,
        /// Outcome for this client.
        outcome: Outcome,
        /// Ledger after the round.
        ledger: Ledger,
    },
    /// The ledger is used up: conversations rest and idle traffic goes on. See
    /// [`Client::continue_at_a_price`](crate::Client::continue_at_a_price).
    Resting {
        /// Units charged so far.
        charged: u32,
    },
    /// As many rounds were aborted, in which conversations would have met, as the guarantee allows
    /// for: conversations rest and idle traffic goes on. See
    /// [`Client::continue_after_aborts`](crate::Client::continue_after_aborts).
    RestingAfterAborts {
        /// Aborted rounds counted so far.
        aborted: u32,
    },
    /// The partner was heard for the first time.
    Met {
        /// Conversation with the partner.
        conversation: ConversationId,
    },
    /// One of the ends was started again with the same secret, or two programs use it. The
    /// conversation closes; another one needs a new secret.
    Restarted {
        /// Conversation that closes.
        conversation: ConversationId,
    },
    /// A conversation meets more or less often from here on.
    Rhythm {
        /// Conversation whose rhythm changed.
        conversation: ConversationId,
        /// Rhythm from here on.
        level: Level,
    },
    /// The epoch's pairs do not suffice for this conversation; it rests until they do.
    NoRoom {
        /// Conversation that rests.
        conversation: ConversationId,
    },
    /// The partner sent what no honest partner sends. The conversation goes on.
    PartnerFailed {
        /// Conversation with the partner.
        conversation: ConversationId,
        /// Fault of the partner.
        error: PartnerError,
    },
    /// The application did not take its messages, and the inbox is full: one was dropped.
    MessagesMissed {
        /// Conversation whose inbox is full.
        conversation: ConversationId,
        /// Messages dropped in a row so far.
        missed: u64,
    },
    /// The partner closes a conversation.
    Closing {
        /// Conversation that the partner closes.
        conversation: ConversationId,
        /// First round without it.
        at: Round,
    },
    /// A conversation is over.
    Closed {
        /// Conversation that is over.
        conversation: ConversationId,
    },
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
    /// Rounds spent, reserved for those in flight, and left.
    pub budget: Budget,
    /// The same for rounds that were aborted with nothing revealed.
    pub attempts: Budget,
    /// Speed at which a conversation of one pair moves bytes, by the newest epoch's document.
    pub pace: Option<Pace>,
    /// The newest epoch whose document was verified.
    pub epoch: Option<Epoch>,
    /// The newest round that onions were made for.
    pub last_round: Option<Round>,
    /// The gateway, while the link to it is up.
    pub gateway: Option<IdentityKey>,
}
