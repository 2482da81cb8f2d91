//! What layer L does with the deposits of a round.

mod dead_drops;

pub use dead_drops::{DeadDrops, PairCounts};

/// A service at layer L. Every deposit gets exactly one reply of the same size as a body.
pub trait Service {
    /// Takes the round's deposits, each a dead-drop id and a body, one after the other, and returns
    /// the replies in the same order, and what anyone watching could count.
    fn exchange(&self, deposits: &[u8], body_bytes: usize) -> (Vec<u8>, PairCounts);
}
