#![doc = include_str!("../README.md")]

pub mod adversary;
mod network;
mod party;
mod promises;
mod record;
pub mod scenario;
pub mod swarm;

pub use antiphon_fixture::{Gateways, LinkModel, START, Setup};
pub use network::Network;
pub use party::{Party, Payload, Sent};
pub use promises::Promises;
pub use record::{Observed, Record};
