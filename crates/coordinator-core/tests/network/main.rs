//! A coordinator among stand-ins for shards, on a virtual clock.

#![expect(clippy::unwrap_used, reason = "tests")]

mod epochs;
mod members;
mod planning;
mod restarts;
mod rounds;
mod shard;
mod status;
mod world;
