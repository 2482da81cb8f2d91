//! Bounds on what a shard holds for others.

use antiphon_wire::Suite;

/// Upper bounds on what a shard takes from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Onions in one batch of one peer. All of a round's may be in one: their senders chose the hops. So
    /// no less will do than twice the pairs of all clients that there may be, and all noise; else clients
    /// could have an honest shard's batch refused.
    pub onions_per_batch: u32,
    /// Clients whose onions are taken in a round.
    pub submissions: usize,
    /// Messages of one client in a round, beyond which its link is closed; not counting those in which
    /// a client that comes back asks for the rounds that were under way.
    pub client_messages_per_round: u32,
    /// Bytes of answers kept for clients that come back for them over another link.
    pub kept_answer_bytes: usize,
    /// Bytes of published boxes kept for clients that come back. What was published first goes first.
    pub kept_box_bytes: usize,
    /// Bytes of onions, cells and replies kept for clients that sleep. What there is no room for is refused before
    /// the client sleeps, and nothing that was taken gives way.
    pub kept_sleeper_bytes: usize,
}

impl Limits {
    /// The usual limits of a network of this suite: where onions are some seventeen times as long, a sixteenth of
    /// them, so that a batch takes as much memory.
    pub fn of(suite: Suite) -> Self {
        let usual = Self::default();
        match suite {
            Suite::Classic => usual,
            Suite::Hybrid => Self {
                onions_per_batch: usual.onions_per_batch / 16,
                submissions: usual.submissions / 16,
                ..usual
            },
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            onions_per_batch: 1 << 18,
            submissions: 100_000,
            client_messages_per_round: 8,
            kept_answer_bytes: 64 << 20,
            kept_box_bytes: 64 << 20,
            kept_sleeper_bytes: 512 << 20,
        }
    }
}
