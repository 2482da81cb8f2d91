#![doc = include_str!("../README.md")]

pub mod announce;
pub mod cli;
pub mod coordinator;
mod operator_lists;
mod serve_error;
pub mod shard;

pub use serve_error::ServeError;
