#![doc = include_str!("../README.md")]

mod embedded;

pub use embedded::{EmbeddedError, EmbeddedNetwork, EmbeddedOptions, THREAD_NAMES};
