#![doc = include_str!("../README.md")]

mod embedded;
mod tamper;

pub use embedded::{EmbeddedError, EmbeddedNetwork, EmbeddedOptions, THREAD_NAMES};
pub use tamper::{DropOnions, OutgoingBatch, Tamper};
