//! What the crate promises to those above it.
#![allow(clippy::unwrap_used)] // Helpers of tests are outside of #[test] functions.

mod cells;
mod hybrid;
mod keys;
mod possession;
mod refusals;
mod round_trip;
mod support;
mod vectors;
