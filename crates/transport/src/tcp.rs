//! Links over TCP, for shards among themselves: TLS over one TCP connection, and in it the control
//! stream and the bulks, cut into records that take turns.
//!
//! QUIC costs more than twice the processor time for each byte, which shows between shards.

mod drive;
mod ends;
pub(crate) mod record;
mod set_up;
pub(crate) mod streams;

pub(crate) use ends::{Connection, Receiving, Sending, WeakConnection};
pub(crate) use set_up::{EstablishError, establish};

#[cfg(test)]
mod tests;
