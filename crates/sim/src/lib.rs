#![doc = include_str!("../README.md")]

pub mod adversary;
pub mod attack;
pub mod ideal;
mod network;
mod party;
mod promises;
mod record;
pub mod scenario;
pub mod scripted;
mod setup;
pub mod swarm;

pub use network::{Network, START};
pub use party::{Party, Payload, Sent};
pub use promises::Promises;
pub use record::{Observed, Record};
pub use setup::{Gateways, LinkModel, Setup};
