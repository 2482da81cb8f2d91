#![doc = include_str!("../README.md")]

mod batches;
mod bind_error;
mod close;
mod dial_error;
mod dial_first;
mod door;
mod frame;
mod identity;
mod intake;
mod limits;
mod peer;
mod prefix;
mod quic;
mod rules;
mod socket;
mod tls;

pub use batches::{BATCHES_AT_ONCE, BatchSender, Begun, CHUNK_HEAD_BYTES, Chunk, OutOfTurn};
pub use bind_error::BindError;
pub use close::{CloseReason, LinkLost};
pub use dial_error::DialError;
pub use door::{Endpoint, ServerStats};
pub use frame::{FrameDecoder, FrameTooLarge, HEADER_BYTES, encode_frames};
pub use identity::{Identity, PeerIdentity};
pub use intake::RecvError;
pub use limits::{Limits, Port};
pub use peer::{
    Lane, Medium, MemoryNetwork, PeerDialer, PeerHandle, PeerReceiver, PeerSendError, PeerSender,
    PeerServer,
};
pub use prefix::{BadPrefix, Prefix};
pub use quic::{
    Accept, ByteCounter, Connection, Dialer, Link, LinkReceiver, LinkSender, SendError, Server,
};
