//! Inputs and outputs of a shard.

use std::sync::Arc;
use std::time::Duration;

use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{
    Addresses, BatchHeader, CellBatch, Direction, Epoch, FromClient, IdentityKey, Layer,
    OperatorList, PeerMessage, Round, RoundCounts, RoundOutcome, Signed, SignedHeader, Term,
    ToClient, ToCoordinator, ToShard,
};

use crate::SignerState;
use bytes::Bytes;

use crate::trace::RoundTrace;
use crate::work::{Work, WorkDone};

/// A client's link, as the process around the shard numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// Reason why a client's link is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misconduct {
    /// It hands in nothing.
    Silent,
    /// It sends more messages than a round needs.
    Floods,
    /// It speaks another version of the protocol.
    OtherVersion,
}

/// Names one batch of one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BatchKey {
    /// Round that the batch is part of.
    pub round: Round,
    /// The layer, as in its header.
    pub layer: Layer,
    /// The way that it travels.
    pub direction: Direction,
}

impl BatchKey {
    /// The key that `header` names.
    pub const fn of(header: &BatchHeader) -> Self {
        Self { round: header.round, layer: header.layer, direction: header.direction }
    }
}

/// Event that the shard is told of.
#[derive(Debug)]
pub enum Input {
    /// The link to a coordinator is there.
    CoordinatorLinked(IdentityKey),
    /// A coordinator says something, over a link that proves its identity.
    Coordinator {
        /// Coordinator that sent the message.
        from: IdentityKey,
        /// Its message.
        message: ToShard,
    },
    /// The link to a coordinator is gone.
    CoordinatorLost(IdentityKey),
    /// Another shard says something, over a link that proves its identity.
    Peer {
        /// Shard that sent the message.
        from: IdentityKey,
        /// Its message. A batch header opens a batch.
        message: PeerMessage,
    },
    /// Part of an opened batch: whole onions or replies.
    PeerChunk {
        /// The shard that sends it.
        from: IdentityKey,
        /// The batch that it belongs to.
        batch: BatchKey,
        /// The onions or replies.
        bytes: Bytes,
    },
    /// Part of a batch of cells that was announced: whole cells.
    PeerCells {
        /// The shard that sends it.
        from: IdentityKey,
        /// The batch that it belongs to.
        batch: CellBatch,
        /// The cells.
        bytes: Bytes,
    },
    /// A client's link is there.
    ClientJoined(ClientId),
    /// A client says something.
    Client {
        /// Link that the client came over.
        from: ClientId,
        /// Message as it was read.
        message: FromClient,
    },
    /// A client's link is gone.
    ClientLeft(ClientId),
    /// Work that was handed out is done.
    WorkDone(WorkDone),
    /// The shard is to serve until it is released, and to be in no epoch after that.
    Leave,
    /// The shard that was to leave is to stay. Nothing comes of it if its operator's list does not have it.
    Stay,
    /// The operator has signed a new list; the signature is checked.
    List(Signed<OperatorList>),
    /// The shard is reached at these addresses from now on. Epochs that are planned list them.
    Addresses {
        /// For other shards.
        peers: Addresses,
        /// For clients.
        clients: Addresses,
    },
    /// Time has passed; nothing else is new.
    Tick,
}

/// Something to do, in the order given.
#[derive(Debug)]
pub enum Output {
    /// Make this durable before doing anything that comes after.
    Persist(SignerState),
    /// Send a message to a coordinator.
    Coordinator {
        /// Coordinator that the message is for.
        to: IdentityKey,
        /// Message to send.
        message: ToCoordinator,
    },
    /// Tell another shard.
    Peer {
        /// Shard that the message is for.
        to: IdentityKey,
        /// Message to send.
        message: PeerMessage,
    },
    /// Send another shard a batch.
    Batch {
        /// Shard that the batch is for.
        to: IdentityKey,
        /// Header, which goes ahead of the bytes.
        header: SignedHeader,
        /// The onions or replies. Drop it when it is sent: the buffer is used again.
        bytes: Bytes,
        /// Bytes of one onion or reply: chunks must be multiples of it.
        item_bytes: usize,
    },
    /// Send another shard cells of a beat.
    Cells {
        /// Shard that the cells are for.
        to: IdentityKey,
        /// Announcement, which goes ahead of the bytes.
        batch: CellBatch,
        /// The cells. Drop it when it is sent: the buffer is used again.
        bytes: Bytes,
        /// Bytes of one cell: chunks must be multiples of it.
        item_bytes: usize,
    },
    /// Tell a client. Messages to all clients share their content.
    Client {
        /// Link that the message goes over.
        to: ClientId,
        /// Message to send, shared by all clients that get it.
        message: Arc<ToClient>,
    },
    /// Close a client's link: it breaks the rules.
    DropClient {
        /// Link to close.
        client: ClientId,
        /// Reason, for the metrics.
        reason: Misconduct,
    },
    /// Run this, on any core, and put in what it returns.
    Work(Work),
    /// A new epoch: these are the shards to keep links to.
    Roster(Arc<VerifiedEpoch>),
    /// An epoch is proposed: these are shards to have links with as well, until another is proposed or one as new
    /// has come about.
    Proposed {
        /// Epoch that is proposed.
        epoch: Epoch,
        /// The other shards, with their addresses for shards.
        peers: Vec<(IdentityKey, Addresses)>,
    },
    /// For logs and metrics.
    Notice(Notice),
}

/// News for an operator. Nothing about single users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The coordinator's call for keys was not answered with keys.
    CallRefused {
        /// Reason, in words.
        why: String,
    },
    /// Another coordinator leads, or none does.
    Led {
        /// The term in which it leads, or the last one.
        term: Term,
        /// The coordinator, if one is heard.
        by: Option<IdentityKey>,
    },
    /// An epoch goes on of which this shard has no keys, since it was started again.
    KeysGone {
        /// Epoch that goes on.
        epoch: Epoch,
    },
    /// The operator's list ends soon, or has ended.
    ListEnds {
        /// The last epoch that it is for.
        last_epoch: Epoch,
        /// Newest epoch.
        epoch: Epoch,
    },
    /// A newer list of the operator was taken.
    ListTaken {
        /// Its number.
        number: u32,
        /// The first epoch that it holds for.
        first_epoch: Epoch,
        /// Whether this shard is on it; it leaves if not.
        listed: bool,
    },
    /// A list of the operator was not taken.
    ListRefused {
        /// Why.
        why: String,
    },
    /// The coordinator's proposal was not signed.
    ProposalRefused {
        /// Reason, in words.
        why: String,
    },
    /// A published document was not taken.
    DocumentRefused {
        /// Reason, in words.
        why: String,
    },
    /// The coordinator does not accept this shard.
    Rejected {
        /// Reason that the coordinator gave.
        why: String,
    },
    /// The coordinator announced a round otherwise than its epoch has it. It is not opened here.
    AnnouncementRefused {
        /// Round that was announced.
        round: Round,
    },
    /// A peer broke the rules.
    PeerFault {
        /// Identity of the peer.
        peer: IdentityKey,
        /// The rule that it broke, in words.
        what: String,
    },
    /// A published box lacks noise that this shard has sent for it: its host left it out, or did not get it.
    BoxLacksNoise {
        /// Round of the box.
        round: Round,
        /// Shard that hosts the box.
        host: IdentityKey,
        /// Items of this shard's checked noise that are missing.
        missing: u32,
    },
    /// A mailbox round is over, and a host has published no box that is in order.
    BoxMissing {
        /// Round of the box.
        round: Round,
        /// Shard that hosts the box.
        host: IdentityKey,
    },
    /// A round ended here.
    RoundEnded {
        /// Round that ended.
        round: Round,
        /// Outcome at this shard.
        outcome: RoundOutcome,
        /// Figures that anyone could count.
        counts: RoundCounts,
        /// Milliseconds from its opening.
        took_ms: u64,
    },
    /// The time that each step of a round that ended took.
    RoundTraced(RoundTrace),
    /// The cells of a beat have gone on from all of its stops here.
    BeatEnded {
        /// Round whose circuits carried them.
        round: Round,
        /// Number of the beat.
        beat: u64,
        /// Cells that did not come in time, in whose place random ones went on.
        filled: u64,
        /// Batches of other shards that did not come whole in time.
        late: u32,
        /// Times that the cipher went over a cell here.
        ciphered: u64,
        /// Computing time of this, and of moving the cells.
        cpu: Duration,
    },
}
