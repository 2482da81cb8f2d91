//! What a client tells its application beside messages.

use antiphon_client_core::{
    Budget, ConversationId, DocumentRefusal, Ledger, Level, Outcome, PartnerError, RoundRefusal,
};
use antiphon_wire::{Epoch, IdentityKey, Round};
use tokio::sync::broadcast;

use crate::pace::Pace;

/// What an application may want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A link to a gateway is up: the client takes part in rounds from the next one on.
    Connected {
        /// The gateway.
        gateway: IdentityKey,
    },
    /// The link to the gateway is gone. The client looks for a gateway on its own.
    Disconnected {
        /// The gateway.
        gateway: IdentityKey,
        /// Why, in words.
        reason: String,
    },
    /// An attempt to reach the coordinator or a gateway failed. There will be another.
    AttemptFailed {
        /// Why, in words.
        reason: String,
    },
    /// The shard that the configuration names as gateway is not in the epoch: offline until it is.
    GatewayMissing {
        /// The shard.
        gateway: IdentityKey,
    },
    /// A new epoch document was verified.
    EpochAdopted {
        /// The epoch.
        epoch: Epoch,
        /// Its first round.
        first_round: Round,
        /// Its last round.
        last_round: Round,
    },
    /// An epoch document was refused.
    DocumentRefused {
        /// Why.
        error: DocumentRefusal,
    },
    /// A round was refused: nothing was submitted for it.
    RoundRefused {
        /// The epoch named.
        epoch: Epoch,
        /// The round named.
        round: Round,
        /// Why.
        error: RoundRefusal,
    },
    /// The state file could not be written, so nothing was submitted for a round.
    StateNotWritten {
        /// The round.
        round: Round,
        /// What the system said.
        reason: String,
    },
    /// A round ended.
    RoundEnded {
        /// The round.
        round: Round,
        /// How.
        outcome: Outcome,
        /// What conversations have cost so far.
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
        /// In which conversation.
        conversation: ConversationId,
    },
    /// One of the ends was started again with the same secret, or two programs use it. The
    /// conversation closes; another one needs a new secret.
    Restarted {
        /// Which conversation.
        conversation: ConversationId,
    },
    /// A conversation meets more or less often from here on.
    Rhythm {
        /// Which conversation.
        conversation: ConversationId,
        /// How often it meets.
        level: Level,
    },
    /// The epoch's pairs do not suffice for this conversation; it rests until they do.
    NoRoom {
        /// Which conversation.
        conversation: ConversationId,
    },
    /// The partner sent what no honest partner sends. The conversation goes on.
    PartnerFailed {
        /// Which conversation.
        conversation: ConversationId,
        /// What it was.
        error: PartnerError,
    },
    /// The application did not take its messages, and the inbox is full: one was dropped.
    MessagesMissed {
        /// Which conversation.
        conversation: ConversationId,
        /// Messages dropped in a row so far.
        missed: u64,
    },
    /// The partner closes a conversation.
    Closing {
        /// Which conversation.
        conversation: ConversationId,
        /// The first round without it.
        at: Round,
    },
    /// A conversation is over.
    Closed {
        /// Which conversation.
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

/// How a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What conversations have cost.
    pub ledger: Ledger,
    /// What is spent, reserved for rounds in flight, and left.
    pub budget: Budget,
    /// The same for rounds that were aborted with nothing revealed.
    pub attempts: Budget,
    /// How fast a conversation of one pair moves bytes, by the newest epoch's document.
    pub pace: Option<Pace>,
    /// The newest epoch whose document was verified.
    pub epoch: Option<Epoch>,
    /// The newest round that onions were made for.
    pub last_round: Option<Round>,
    /// The gateway, while the link to it is up.
    pub gateway: Option<IdentityKey>,
}
