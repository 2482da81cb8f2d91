#![doc = include_str!("../README.md")]

mod carrier;
pub mod clock;
mod close;
pub mod config_file;
pub mod descriptors;
mod dialer;
pub mod entropy;
mod frame;
mod identity;
pub mod kept_file;
pub mod keyfile;
mod limits;
mod link;
mod persistent;
mod prefix;
mod server;
mod socket;
mod tcp;
mod tls;

pub use close::{CloseReason, LinkLost};
pub use dialer::{Connection, DialError, Dialer};
pub use frame::{FrameDecoder, FrameTooLarge, HEADER_BYTES, encode_frames};
pub use identity::{Identity, PeerIdentity};
pub use limits::{Limits, Port, Transport};
pub use link::{
    BulkReceipt, BulkReceiver, BulkSender, Incoming, Link, LinkReceiver, LinkSender, RecvError,
    SendError,
};
pub use persistent::{PeerEvent, Persistence, Persistent, QueueFull};
pub use prefix::{BadPrefix, Prefix};
pub use server::{Accept, BindError, Endpoint, Server, ServerStats};

#[cfg(test)]
mod raw_tests;
