//! Faults of a network's processes and clocks, and what comes back of a process's state.

use std::fmt;

use crate::party::Party;

/// Part of a process's durable state that it finds again when it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// All that it had made durable.
    All,
    /// An older state, as of a backup.
    Old,
    /// None of it, as after the loss of a disk.
    Nothing,
}

/// Something that happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A shard stops without warning.
    Crash(usize),
    /// A shard that is down is started again.
    Restart(usize),
    /// A shard is asked to leave; it stops when it is released.
    Leave(usize),
    /// The coordinator stops without warning.
    CoordinatorStops,
    /// The coordinator is started again.
    CoordinatorStarts(Kept),
    /// A shard loses its link to the coordinator.
    Unlinks(usize),
    /// A shard has a link to the coordinator again.
    Links(usize),
    /// Coordinator and shards stop at once and are started again.
    Power,
    /// A client stops without warning.
    ClientStops(usize),
    /// A client that is down is started again.
    ClientStarts(usize),
    /// A client loses its link, and has another one to the same gateway at once.
    ClientRelinks(usize),
    /// A client goes to another gateway.
    ClientMoves(usize, usize),
    /// Somebody links to a gateway and says nothing.
    Silence(usize),
    /// A clock is set ahead of the others by so many milliseconds.
    Clock(Party, i64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crash(i) => write!(f, "shard {i} crashes"),
            Self::Restart(i) => write!(f, "shard {i} is started again"),
            Self::Leave(i) => write!(f, "shard {i} is asked to leave"),
            Self::CoordinatorStops => write!(f, "the coordinator crashes"),
            Self::CoordinatorStarts(Kept::All) => write!(f, "the coordinator is started again"),
            Self::CoordinatorStarts(Kept::Old) => {
                write!(f, "the coordinator is started again with an old state")
            }
            Self::CoordinatorStarts(Kept::Nothing) => {
                write!(f, "the coordinator is started again without its state")
            }
            Self::Unlinks(i) => write!(f, "shard {i} loses its link to the coordinator"),
            Self::Links(i) => write!(f, "shard {i} has a link to the coordinator again"),
            Self::Power => write!(f, "coordinator and shards lose power for a moment"),
            Self::ClientStops(i) => write!(f, "client {i} crashes"),
            Self::ClientStarts(i) => write!(f, "client {i} is started again"),
            Self::ClientRelinks(i) => write!(f, "client {i} loses its link and has another"),
            Self::ClientMoves(i, to) => write!(f, "client {i} goes to gateway {to}"),
            Self::Silence(i) => write!(f, "a stranger links to shard {i} and says nothing"),
            Self::Clock(party, ms) => write!(f, "the clock of {party:?} is set to {ms} ms ahead"),
        }
    }
}
