#![doc = include_str!("../README.md")]

mod batches;
mod bind_error;
mod carrier;
mod close;
mod dial_error;
mod dialer;
mod door;
mod frame;
mod identity;
mod intake;
mod limits;
mod link;
mod peer;
mod prefix;
mod rules;
mod server;
mod socket;
mod tls;

pub use batches::{BATCHES_AT_ONCE, BatchSender, Begun, CHUNK_HEAD_BYTES, Chunk, OutOfTurn};
pub use bind_error::BindError;
pub use close::{CloseReason, LinkLost};
pub use dial_error::DialError;
pub use dialer::{Connection, Dialer};
pub use door::{Endpoint, ServerStats};
pub use frame::{FrameDecoder, FrameTooLarge, HEADER_BYTES, encode_frames};
pub use identity::{Identity, PeerIdentity};
pub use intake::RecvError;
pub use limits::{Limits, Port};
pub use link::{Link, LinkReceiver, LinkSender, SendError};
pub use peer::{Lane, PeerDialer, PeerHandle, PeerReceiver, PeerSendError, PeerSender, PeerServer};
pub use prefix::{BadPrefix, Prefix};
pub use server::{Accept, Server};

#[cfg(test)]
mod raw_tests;
