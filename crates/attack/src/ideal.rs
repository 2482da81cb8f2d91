//! Whole networks with ideal onions: thousands of rounds a second, for measuring what an adversary
//! learns.
//!
//! An onion is a record of its path, its deposit and a name for its sealed bytes; whoever has the
//! keys of a hop can open that hop and no other. What decides what is learnt is the product's own:
//! routes and dead-drop shards come from `antiphon_routing::PathSampler`, the number of
//! noise pairs from `antiphon_dp_noise::PairSampler`, filters from `antiphon_verify`, noise deposits,
//! shuffle and exchange from `antiphon_mix`. Links carry counts and batches, and nothing else.

mod attacker;
mod broken;
mod network;
mod onions;
mod setup;
mod trace;
mod verification;

pub use attacker::{Attacker, Held, Watcher};
pub use broken::Broken;
pub use network::{Gathered, IdealNetwork, Opened, Outcome, View};
pub use setup::{IdealOperator, IdealSetup};
pub use trace::{Trace, TraceLayer};
