//! Phases of a server's life.

/// Phase of a server's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// All doors are open.
    Running,
    /// The shard serves until it is needed no more, and finishes its last round; no new client comes
    /// in.
    Stopping,
    /// The shard has said goodbye to all.
    Closed,
}
