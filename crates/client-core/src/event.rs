//! The inputs and outputs of a client.

use antiphon_wire::{BoxContent, Digest, Epoch, Round, Ticket, Timestamp, ToClient};

use crate::beats::EvidenceError;
use crate::conversation::PartnerError;
use crate::{
    BoxRefusal, Checkpoint, ConversationSecret, DocumentRefusal, Level, MessageId, Role,
    RoundRefusal, Start,
};

/// One of a client's conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationId(pub u64);

/// Event that a client is told of.
#[derive(Clone, Debug)]
pub enum Input {
    /// A message came from the gateway, or a document from the coordinator.
    Message(Box<ToClient>),
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
        Self::Message(Box::new(message))
    }
}

/// Action that a client wants, to be carried out in the order given.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there are few outputs at a time, and every other one is a checkpoint"
)]
pub enum Output {
    /// Write this to disk, and take no further output before it is there. If it cannot be, neither onions nor cells
    /// that follow leave.
    Persist(Checkpoint),
    /// Send these onions to the gateway, at a time that is the same whatever they are for.
    Submit {
        /// Time to send them: not sooner, and not later if that can be helped.
        at: Timestamp,
        /// Epoch that the round belongs to.
        epoch: Epoch,
        /// Round that the onions are for.
        round: Round,
        /// Hash of the round's ticket.
        ticket: Digest,
        /// `2 * pairs` onions, or one in a mailbox round, each behind the two bytes of its first shard's index.
        onions: Vec<u8>,
    },
    /// Send these cells to the gateway that has the round's onions, at a time that is the same for every client
    /// and whatever they carry.
    Cells {
        /// Time to send them: not sooner, and not later. Cells that were held up do not leave any more.
        at: Timestamp,
        /// Epoch that the round belongs to.
        epoch: Epoch,
        /// Round whose circuits carry them.
        round: Round,
        /// Number of the beat among the round's.
        beat: u64,
        /// `2 * pairs` cells, in the order of the round's onions.
        cells: Vec<u8>,
    },
    /// Leave a round that has not opened to the gateway, with cells for all of its beats: the client sleeps in it.
    Leave {
        /// Time to send it: not sooner, and not later if that can be helped.
        at: Timestamp,
        /// Epoch that the round belongs to.
        epoch: Epoch,
        /// Round that is left.
        round: Round,
        /// Hash of the round's ticket.
        ticket: Digest,
        /// `2 * pairs` onions, each behind the two bytes of its first shard's index.
        onions: Vec<u8>,
        /// `2 * pairs` cells for each beat that the round can have, the first beat's first.
        cells: Vec<u8>,
    },
    /// Ask the gateway for what became of a round that it was given over another link.
    Resume {
        /// Epoch that the round belongs to.
        epoch: Epoch,
        /// Round that is asked about.
        round: Round,
        /// Secret that proves that the round's onions were this client's.
        ticket: Ticket,
    },
    /// Ask the gateway for boxes that it keeps.
    AskBoxes {
        /// The last round whose boxes are not wanted.
        after: Round,
    },
    /// Tell the application of an event.
    Event(Event),
}

/// End of a round for this client.
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

/// Event for the application.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A message arrived, whole, in order, once.
    Received {
        /// Conversation that it came in.
        conversation: ConversationId,
        /// Bytes of the message.
        message: Vec<u8>,
    },
    /// A message has arrived at the partner.
    Acknowledged {
        /// Conversation that it was sent in.
        conversation: ConversationId,
        /// Number that sending it returned.
        message: MessageId,
    },
    /// The partner sent what no honest partner sends. The conversation goes on.
    PartnerFailed {
        /// Conversation with the partner.
        conversation: ConversationId,
        /// Fault of the partner.
        error: PartnerError,
    },
    /// The partner was heard for the first time.
    Met {
        /// Conversation with the partner.
        conversation: ConversationId,
    },
    /// One of the ends is not the one that the other has talked to before: it was started again with
    /// the same secret, or two programs use it. The conversation closes; another one needs a new
    /// secret.
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
    /// The partner closes the conversation.
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
    /// The gateway took no onions for a round, or brought nothing that looks like its replies, in
    /// time or at all. Says nothing about what replies hold, so that acting on it tells nothing
    /// about conversations. Comes before the round's end.
    Unanswered {
        /// Round that was not answered.
        round: Round,
    },
    /// What came back of a round's onions, each of which tests its path there and back: an idle pair is two
    /// messages of this client to itself, and what nobody met comes back as it left. Comes before the round's end. Nothing
    /// that an application does, and that shows, may depend on what it says.
    Returned {
        /// Round of the onions.
        round: Round,
        /// Onions that left.
        sent: u16,
        /// Onions whose reply was whole.
        whole: u16,
        /// Milliseconds from when they left until their replies were there; `None` if none came.
        after_ms: Option<u64>,
    },
    /// A round ended.
    RoundEnded {
        /// Round that ended.
        round: Round,
        /// Outcome for this client.
        outcome: Outcome,
    },
    /// A round with a posting ended, or was passed over.
    Posted {
        /// Round of the posting.
        round: Round,
        /// Whether it arrived at its host, as far as can be known: the onion's reply is what its host sends back. What did
        /// not arrive has to be made anew for a later round.
        arrived: bool,
    },
    /// A box was published. Every client gets every box.
    Box {
        /// Round whose items it holds.
        round: Round,
        /// Number of the box among those of its service.
        number: u16,
        /// The items.
        content: BoxContent,
    },
    /// A box is not what its host has to publish.
    BoxRefused {
        /// Round that it claims to be of.
        round: Round,
        /// Reason for the refusal.
        error: BoxRefusal,
    },
    /// A box of a round that was not aborted has not come: its host has published none, or the gateway keeps it back.
    BoxMissing {
        /// Round of the box.
        round: Round,
        /// Number of the box.
        number: u16,
    },
    /// There is evidence that a round's beats run.
    BeatsRun {
        /// Round whose beats run.
        round: Round,
        /// Time at which the first of them begins.
        from: Timestamp,
    },
    /// The client's gateway acts for it from now on. Its link may go, and has to be there again by then, whatever comes
    /// and goes meanwhile.
    Asleep {
        /// Time to link again, to the same gateway.
        until: Timestamp,
    },
    /// What came back in a round that was left to the gateway has been fetched. What it held came as events before.
    Fetched {
        /// Round that was slept through.
        round: Round,
        /// Beats of which cells were there.
        beats: u64,
    },
    /// Evidence that a round's beats run does not hold.
    EvidenceRefused {
        /// Round that it was for.
        round: Round,
        /// Reason for the refusal.
        error: EvidenceError,
    },
    /// A beat ended. Nothing that an application does, and that shows, may depend on what it says.
    BeatEnded {
        /// Round whose circuits carried the cells.
        round: Round,
        /// Number of the beat among the round's.
        beat: u64,
        /// Cells that came back as they had to.
        arrived: u16,
        /// Cells that did not. Where a conversation keeps to the rounds' bodies, nothing is counted.
        spoilt: u16,
        /// Milliseconds from when the cells left by the schedule until theirs were back; `None` if none came, or if they
        /// were fetched after a sleep.
        after_ms: Option<u64>,
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
    /// Openings of rounds arrived late, in a burst: nothing was submitted for so many.
    RoundsLate {
        /// Number of rounds that were missed.
        rounds: u64,
    },
    /// An opened round was refused; nothing was submitted for it.
    RoundRefused {
        /// Epoch that the gateway named.
        epoch: Epoch,
        /// Round that the gateway named.
        round: Round,
        /// Reason for the refusal.
        error: RoundRefusal,
    },
}

/// Terms of a new conversation. Both ends agree on all of them, but take different roles.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Secret that both ends share.
    pub secret: ConversationSecret,
    /// Role of this end.
    pub role: Role,
    /// Rhythm at first.
    pub start: Start,
    /// Pairs of onions per meeting, at least 1.
    pub pairs: u8,
    /// `true` if the user has made sure who the partner is, for instance by comparing numbers in person. Only
    /// then do beats carry content: a partner who works with the network, or reacts to messages where
    /// others see it, could find out which link is whose by having cells spoilt, at no cost. With any other,
    /// the rounds' own bodies carry all content.
    pub verified: bool,
    /// The first round in which it meets: 0 for the next one. Ends that agree on it do not deposit alone at the beginning.
    pub first: Round,
}

impl Opening {
    /// A conversation that takes one pair of onions per meeting, with a partner who is not verified.
    pub const fn new(secret: ConversationSecret, role: Role, start: Start) -> Self {
        Self { secret, role, start, pairs: 1, verified: false, first: Round(0) }
    }
}

/// Reason why a conversation was not opened.
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
