//! Services at layer L, which turn a round's deposits into replies.

mod dead_drops;

use antiphon_wire::SERVICE_CONVERSATION;

pub use dead_drops::{DeadDrops, PairCounts};

/// A service at layer L. Every deposit gets exactly one reply of the same size as a body.
pub trait Service: std::fmt::Debug + Sync {
    /// Takes the round's deposits, each a dead-drop id and a body, one after the other. Puts the
    /// replies into `replies`, in the same order and instead of whatever it held, and returns what
    /// anyone watching could count.
    fn exchange(&self, deposits: &[u8], body_bytes: usize, replies: &mut Vec<u8>) -> PairCounts;

    /// For each deposit of the round the one whose cells its circuit gets in the round's beats: that with which it
    /// was swapped, or itself.
    fn partners(&self, deposits: &[u8], body_bytes: usize) -> Vec<u32>;
}

/// The service that an epoch document's parameters name, if this program has it.
pub(crate) fn named(service: u8) -> Option<&'static dyn Service> {
    match service {
        SERVICE_CONVERSATION => Some(&DeadDrops),
        _ => None,
    }
}
