//! Messages between clients and gateways, and a client's requests to a coordinator.

use std::fmt;

use crate::codec::{Decode, DecodeError, Encode, Reader, choice, newtype};
use crate::{
    Announcement, Blob, BoxStatement, Digest, Epoch, Round, SealStatement, Signed, SignedDocument,
    Timestamp,
};

/// Bytes that a client draws for a round: whoever shows them gets the round's replies over another
/// link. Their hash goes with the onions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ticket(pub [u8; 32]);

newtype!(Ticket);

impl Ticket {
    /// Digest that goes with the onions in place of the ticket: a gateway learns the ticket only when it is
    /// shown.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(..)")
    }
}

choice! {
    /// From a client to its gateway, or to a coordinator.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum FromClient("message from a client") {
        /// The first message on a link.
        0 = Hello {
            /// The sender's [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION).
            version: u16,
        },
        /// The client's onions for a round, each behind the index of its first shard: the same
        /// form that the inside of a layer has.
        1 = Submit {
            /// Epoch that the round belongs to.
            epoch: Epoch,
            /// Round that the onions are for.
            round: Round,
            /// Hash of the round's [`Ticket`].
            ticket: Digest,
            /// Two onions per pair, or one in a mailbox round, each behind the two bytes of its first shard's index.
            onions: Blob,
        },
        /// Asks what became of the onions that were handed in with this ticket's hash. The answer, now or
        /// once the round is over, goes to this link.
        2 = Resume {
            /// Epoch that the round belongs to.
            epoch: Epoch,
            /// Round that the onions were handed in for.
            round: Round,
            /// Ticket whose digest went with the onions.
            ticket: Ticket,
        },
        /// The client's cells of a beat: one for each of its circuits, in every beat, always.
        3 = Cells {
            /// Epoch that the round belongs to.
            epoch: Epoch,
            /// Round whose circuits carry the cells.
            round: Round,
            /// Number of the beat.
            beat: u64,
            /// Cells behind each other, in the order of the round's onions.
            cells: Blob,
        },
        /// Asks for boxes of rounds that the client has not been linked in. It gets a few of those that the gateway
        /// keeps, the oldest first, and asks again.
        4 = AskBoxes {
            /// The last round whose boxes the client has.
            after: Round,
        },
        /// Leaves all that a client has for a round that has not opened, as it sleeps in it. The gateway hands in and
        /// fills for it, keeps what comes back, and gives it to whoever [resumes](Self::Resume) with the ticket.
        5 = Leave {
            /// Epoch that the round belongs to.
            epoch: Epoch,
            /// Round that is left to the gateway, one with beats.
            round: Round,
            /// Hash of the round's [`Ticket`].
            ticket: Digest,
            /// As in [`Submit`](Self::Submit).
            onions: Blob,
            /// For every beat that the round can have, what [`Cells`](Self::Cells) has, the first beat first.
            cells: Blob,
        },
    }
}

/// Rounds that one client leaves to its gateway at most, so that what is kept for a client is bounded: with the default
/// rounds, an hour.
pub const MOST_ROUNDS_LEFT: usize = 12;

choice! {
    /// From a gateway, or a coordinator, to a client.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum ToClient("message to a client") {
        /// The newest epoch document.
        0 = Document {
            /// The document and its signatures.
            document: SignedDocument,
        },
        /// A round is open for onions.
        1 = Opened {
            /// Epoch that the round belongs to.
            epoch: Epoch,
            /// Round that is open from now on.
            round: Round,
            /// Milliseconds that the round stays open.
            closes_in_ms: u32,
        },
        /// The replies of a round, in the order of the onions.
        2 = Replies {
            /// Epoch that the round belongs to.
            epoch: Epoch,
            /// Round that the replies are for.
            round: Round,
            /// Replies behind each other, each of the size of a body.
            replies: Blob,
        },
        /// A round whose seal was not opened.
        3 = Aborted {
            /// Epoch that the round belongs to.
            epoch: Epoch,
            /// Round that was aborted.
            round: Round,
            /// The shards' signed statements about their seal keys, as far as the gateway has them: proof of
            /// whether the round is charged.
            statements: Vec<Signed<SealStatement>>,
        },
        /// Onions that were not taken.
        4 = Refused {
            /// Epoch that the client named.
            epoch: Epoch,
            /// Round that the client named.
            round: Round,
            /// Reason, as text for a person.
            reason: Blob,
        },
        /// A round's beats run: public evidence, the same for all clients.
        5 = Circuits {
            /// Place of the round's beats in time.
            announcement: Announcement,
            /// Statements of all shards of the epoch that released their seal keys, so that the round opened.
            statements: Vec<Signed<SealStatement>>,
        },
        /// The cells that came back in a beat.
        6 = Cells {
            /// Epoch that the round belongs to.
            epoch: Epoch,
            /// Round whose circuits carried the cells.
            round: Round,
            /// Number of the beat.
            beat: u64,
            /// Cells behind each other, in the order of the round's onions.
            cells: Blob,
        },
        /// The gateway's clock, by which it takes cells: to a client that links, and to all when a round opens.
        7 = Clock {
            /// Time at which the message is made.
            now: Timestamp,
        },
        /// A box that its host has published, the same for all clients.
        8 = Box {
            /// Items of the box, signed by the host.
            published: Signed<BoxStatement>,
        },
        /// All that came back in the beats of a round that was [left](FromClient::Leave), so far.
        9 = Backlog {
            /// Epoch that the round belongs to.
            epoch: Epoch,
            /// Round whose circuits carried the cells.
            round: Round,
            /// For every beat that has come back, from the first on, what [`Cells`](Self::Cells) has; zeros for one in
            /// between of which nothing has come. So its size follows from the time alone.
            cells: Blob,
        },
    }
}
