#![doc = include_str!("../README.md")]

mod embedded;
mod sharing;
mod tamper;

pub use embedded::{EmbeddedError, EmbeddedNetwork, EmbeddedOptions, THREAD_NAMES, start_shard};
pub use sharing::ShardLinks;
pub use tamper::{DropOnions, GarbleCells, OutgoingBatch, Tamper};
