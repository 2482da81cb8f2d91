#![doc = include_str!("../README.md")]

pub mod adversary;
mod network;
mod party;
mod record;
mod setup;

pub use network::{Network, START};
pub use party::{Party, Payload, Sent};
pub use record::{Observed, Record};
pub use setup::{LinkModel, Setup};
