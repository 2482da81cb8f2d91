//! What clients and gateways say to each other, and what clients ask of a coordinator.

use std::fmt;

use crate::codec::{Decode, DecodeError, Encode, Reader, choice, newtype};
use crate::{Blob, Digest, Epoch, Round, SealStatement, Signed, SignedDocument};

/// Bytes that a client draws for a round: whoever shows them gets the round's replies over another
/// link. Their hash goes with the onions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ticket(pub [u8; 32]);

newtype!(Ticket);

impl Ticket {
    /// The hash that goes with the onions.
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
            /// [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION).
            version: u16,
        },
        /// The client's onions for a round, each behind the index of its first shard: the same
        /// form that the inside of a layer has.
        1 = Submit {
            /// The epoch.
            epoch: Epoch,
            /// The round.
            round: Round,
            /// The hash of the round's [`Ticket`].
            ticket: Digest,
            /// Two onions per pair, each behind the two bytes of its first shard's index.
            onions: Blob,
        },
        /// What became of the onions that were handed in with this ticket's hash? The answer, now or
        /// once the round is over, goes to this link.
        2 = Resume {
            /// The epoch.
            epoch: Epoch,
            /// The round.
            round: Round,
            /// The ticket.
            ticket: Ticket,
        },
    }
}

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
            /// The epoch.
            epoch: Epoch,
            /// The round.
            round: Round,
            /// For how long, in milliseconds.
            closes_in_ms: u32,
        },
        /// The replies of a round, in the order of the onions.
        2 = Replies {
            /// The epoch.
            epoch: Epoch,
            /// The round.
            round: Round,
            /// The replies, each the size of a body.
            replies: Blob,
        },
        /// A round whose seal was not opened.
        3 = Aborted {
            /// The epoch.
            epoch: Epoch,
            /// The round.
            round: Round,
            /// What the shards signed about it.
            statements: Vec<Signed<SealStatement>>,
        },
        /// Onions that were not taken.
        4 = Refused {
            /// The epoch.
            epoch: Epoch,
            /// The round.
            round: Round,
            /// Why, as text for a person.
            reason: Blob,
        },
    }
}
