//! What goes into a client and what comes out.

use antiphon_onion::{BuildError, KeyError};
use antiphon_wire::{
    Digest, Epoch, Round, SealStatement, Signed, SignedDocument, Ticket, Timestamp, ToClient,
};

use crate::conversation::PartnerError;
use crate::{Checkpoint, ConversationSecret, DocumentRefusal, Level, MessageId, Role, Start};

/// One of a client's conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationId(pub u64);

/// What happens to a client.
#[derive(Clone, Debug)]
pub enum Input {
    /// An epoch document came.
    Document(Box<SignedDocument>),
    /// The gateway takes onions for a round.
    Opened {
        /// The epoch.
        epoch: Epoch,
        /// The round.
        round: Round,
        /// For how long, in milliseconds.
        closes_in_ms: u32,
    },
    /// A round's replies came, behind each other in the order of the onions.
    Replies {
        /// The epoch.
        epoch: Epoch,
        /// The round.
        round: Round,
        /// The replies.
        replies: Vec<u8>,
    },
    /// A round was aborted.
    Aborted {
        /// The epoch.
        epoch: Epoch,
        /// The round.
        round: Round,
        /// What shards signed about it.
        statements: Vec<Signed<SealStatement>>,
    },
    /// The gateway did not take a round's onions.
    Refused {
        /// The epoch.
        epoch: Epoch,
        /// The round.
        round: Round,
    },
    /// There is a link to the gateway again that has the rounds under way.
    Linked,
    /// The gateway is given up: nothing more will come of the rounds under way. A link that breaks is
    /// no reason yet.
    LinkLost,
    /// Time passed: see [`Client::next_deadline`](crate::Client::next_deadline).
    Tick,
}

impl From<ToClient> for Input {
    fn from(message: ToClient) -> Self {
        match message {
            ToClient::Document { document } => Self::Document(Box::new(document)),
            ToClient::Opened { epoch, round, closes_in_ms } => {
                Self::Opened { epoch, round, closes_in_ms }
            }
            ToClient::Replies { epoch, round, replies } => {
                Self::Replies { epoch, round, replies: replies.0 }
            }
            ToClient::Aborted { epoch, round, statements } => {
                Self::Aborted { epoch, round, statements }
            }
            ToClient::Refused { epoch, round, .. } => Self::Refused { epoch, round },
        }
    }
}

/// What a client wants done, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Write this to disk, and take no further output before it is there.
    Persist(Checkpoint),
    /// Send these onions to the gateway, at a time that is the same whatever they are for.
    Submit {
        /// When to send them: not sooner, and not later if that can be helped.
        at: Timestamp,
        /// The epoch.
        epoch: Epoch,
        /// The round.
        round: Round,
        /// The hash of the round's ticket.
        ticket: Digest,
        /// `2 * pairs` onions, each behind the two bytes of its first shard's index.
        onions: Vec<u8>,
    },
    /// Ask the gateway for what became of a round that it was given over another link.
    Resume {
        /// The epoch.
        epoch: Epoch,
        /// The round.
        round: Round,
        /// Proves that the round's onions were this client's.
        ticket: Ticket,
    },
    /// Tell the application.
    Event(Event),
}

/// How a round ended for this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All replies are what they had to be.
    Undisturbed,
    /// They are not, or did not come.
    Disturbed,
    /// Nothing was opened, as enough shards signed.
    FreeAbort,
    /// Aborted without such proof: counts as disturbed.
    ChargedAbort,
}

/// What an application may want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A message arrived, whole, in order, once.
    Received {
        /// In which conversation.
        conversation: ConversationId,
        /// The message.
        message: Vec<u8>,
    },
    /// A message has arrived at the partner.
    Acknowledged {
        /// In which conversation.
        conversation: ConversationId,
        /// Which message.
        message: MessageId,
    },
    /// The partner sent what no honest partner sends. The conversation goes on.
    PartnerFailed {
        /// In which conversation.
        conversation: ConversationId,
        /// What it was.
        error: PartnerError,
    },
    /// The partner was heard for the first time.
    Met {
        /// In which conversation.
        conversation: ConversationId,
    },
    /// One of the ends is not the one that the other has talked to before: it was started again with
    /// the same secret, or two programs use it. The conversation closes; another one needs a new
    /// secret.
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
    /// The partner closes the conversation.
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
    /// The gateway took no onions for a round, or brought nothing that looks like its replies, in
    /// time or at all. Says nothing about what replies hold, so that acting on it tells nothing
    /// about conversations. Comes before the round's end.
    Unanswered {
        /// The round.
        round: Round,
    },
    /// A round ended.
    RoundEnded {
        /// The round.
        round: Round,
        /// How.
        outcome: Outcome,
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
    /// Openings of rounds arrived late, in a burst: nothing was submitted for so many.
    RoundsLate {
        /// How many.
        rounds: u64,
    },
    /// An opened round was refused; nothing was submitted for it.
    RoundRefused {
        /// The epoch named.
        epoch: Epoch,
        /// The round named.
        round: Round,
        /// Why.
        error: RoundRefusal,
    },
}

/// Why nothing is submitted for a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoundRefusal {
    /// No document of the epoch is held.
    #[error("no document of this epoch is known; the gateway has to send it first")]
    UnknownEpoch,
    /// The epoch does not have the round.
    #[error("the round is outside its epoch")]
    OutsideEpoch,
    /// A newer epoch has taken the round over.
    #[error("a newer epoch has taken this round over")]
    Superseded,
    /// The epoch has expired.
    #[error("the epoch's document has expired; if it should not have, check this computer's clock")]
    Expired,
    /// The client's state was restored from a backup, and the epoch may have been used before.
    #[error(
        "the state was restored from a backup, and a newer one may have used this epoch: the next \
         epoch to start is served"
    )]
    AfterRestore,
    /// The round is open before it can be.
    #[error("the round opened {0} ms before it can have; check this computer's clock")]
    BeforeItsTime(u64),
    /// The round is open long after it should be.
    #[error("the round opened {0} ms later than is accepted; check this computer's clock")]
    AfterItsTime(u64),
    /// Rounds follow each other faster than the network file allows.
    #[error("rounds follow each other faster than the network file allows, by {0} ms")]
    TooSoon(u64),
    /// The round's keys cannot be used.
    #[error("the round's keys cannot be used: {0}")]
    Keys(#[from] KeyError),
    /// The onions cannot be built.
    #[error("the round's onions cannot be built: {0}")]
    Build(#[from] BuildError),
}

/// What a conversation starts from. Both ends agree on all of it, but take different roles.
#[derive(Clone, Debug)]
pub struct Opening {
    /// What both ends share.
    pub secret: ConversationSecret,
    /// Which end this is.
    pub role: Role,
    /// How often to meet at first.
    pub start: Start,
    /// Pairs of onions per meeting, at least 1.
    pub pairs: u8,
}

impl Opening {
    /// A conversation that takes one pair of onions per meeting.
    pub const fn new(secret: ConversationSecret, role: Role, start: Start) -> Self {
        Self { secret, role, start, pairs: 1 }
    }
}

/// Why a conversation was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Open conversations need all pairs.
    #[error(
        "{needed} pairs of onions would be needed in every round, and there are {available}; close another conversation first"
    )]
    TooMany {
        /// Pairs needed with the new conversation.
        needed: u32,
        /// Pairs of the epoch.
        available: u8,
    },
    /// A conversation without pairs never meets.
    #[error("a conversation takes at least one pair of onions")]
    NoPairs,
}
