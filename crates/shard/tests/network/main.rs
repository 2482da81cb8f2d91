//! Whole networks over QUIC and TCP on this machine: a coordinator, three shards, bare clients.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod addresses;
mod client;
mod drain;
mod lists;
mod misbehaving;
mod rounds;
mod world;
