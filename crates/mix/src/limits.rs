//! Bounds on what a shard holds for others.

/// What a shard takes from others at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Onions in one batch of one peer.
    pub onions_per_batch: u32,
    /// Clients whose onions are taken in a round.
    pub submissions: usize,
    /// Messages of one client in a round, beyond which its link is closed.
    pub client_messages_per_round: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { onions_per_batch: 1 << 18, submissions: 100_000, client_messages_per_round: 8 }
    }
}
