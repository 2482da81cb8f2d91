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
    /// A coordinator stops without warning.
    CoordinatorStops(usize),
    /// A coordinator is asked to stop, and stops when its rounds have ended.
    CoordinatorLeaves(usize),
    /// A coordinator is started again.
    CoordinatorStarts(usize, Kept),
    /// A coordinator and a shard lose the link between them.
    Unlinks(usize, usize),
    /// A coordinator and a shard have a link again.
    Links(usize, usize),
    /// Coordinators and shards stop at once and are started again.
    Power,
    /// A client stops without warning.
    ClientStops(usize),
    /// A client that is down is started again.
    ClientStarts(usize),
    /// A client loses its link, and has another one to the same gateway at once.
    ClientRelinks(usize),
    /// A client gives up its gateway, and goes to its epoch's other one.
    ClientMoves(usize),
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
            Self::CoordinatorStops(i) => write!(f, "coordinator {i} crashes"),
            Self::CoordinatorLeaves(i) => write!(f, "coordinator {i} is asked to stop"),
            Self::CoordinatorStarts(i, Kept::All) => write!(f, "coordinator {i} is started again"),
            Self::CoordinatorStarts(i, Kept::Old) => {
                write!(f, "coordinator {i} is started again with an old state")
            }
            Self::CoordinatorStarts(i, Kept::Nothing) => {
                write!(f, "coordinator {i} is started again without its state")
            }
            Self::Unlinks(i, shard) => write!(f, "shard {shard} loses its link to coordinator {i}"),
            Self::Links(i, shard) => write!(f, "shard {shard} has a link to coordinator {i} again"),
            Self::Power => write!(f, "coordinators and shards lose power for a moment"),
            Self::ClientStops(i) => write!(f, "client {i} crashes"),
            Self::ClientStarts(i) => write!(f, "client {i} is started again"),
            Self::ClientRelinks(i) => write!(f, "client {i} loses its link and has another"),
            Self::ClientMoves(i) => write!(f, "client {i} gives up its gateway"),
            Self::Silence(i) => write!(f, "a stranger links to shard {i} and says nothing"),
            Self::Clock(party, ms) => write!(f, "the clock of {party:?} is set to {ms} ms ahead"),
        }
    }
}
