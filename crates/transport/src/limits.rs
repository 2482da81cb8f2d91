//! Limits of one endpoint on what it carries, holds and waits for.

use std::sync::Arc;
use std::time::Duration;

use quinn::{IdleTimeout, TransportConfig, VarInt};

use crate::prefix::Prefix;

/// The delay assumed before any is measured. A lost first packet is sent again after three of these.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Kind of port that a link is for. Both sides name it in the handshake, so that a link to the wrong port, or
/// of another protocol, ends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// A shard's for other shards.
    Shards,
    /// A shard's for clients.
    Gateway,
    /// The coordinator's for shards.
    Coordinator,
    /// The coordinator's for clients.
    Documents,
}

impl Port {
    /// The name of the application protocol.
    pub(crate) const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Shards => b"antiphon/2 shards",
            Self::Gateway => b"antiphon/2 gateway",
            Self::Coordinator => b"antiphon/2 coordinator",
            Self::Documents => b"antiphon/2 documents",
        }
    }
}

/// The longest frame on links with the coordinator, in bytes: a document as clients get it, with the hash of every
/// shard's contribution.
const COORDINATOR_FRAME_BYTES: usize = 8 << 20;

/// The longest frame that a client gets, in bytes: a document of 4096 shards, each with an ML-KEM key and as many
/// addresses as it may have.
const DOCUMENT_FRAME_BYTES: usize = 8 << 20;

/// The longest registration, in bytes: its operator's list of 4096 shards.
const REGISTRATION_BYTES: usize = 256 << 10;

/// The longest frame that says hello, in bytes.
const HELLO_BYTES: usize = 1 << 10;

/// Longest time that a stranger's frame may take.
const FRAME_WITHIN: Duration = Duration::from_secs(10);

/// Bytes of all unfinished frames of strangers.
const UNFINISHED_BYTES: usize = 64 << 20;

/// Bounds on an endpoint and each of its links. Start from [`Limits::shards`], [`Limits::clients`],
/// [`Limits::coordinator`] or [`Limits::documents`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Kind of port that the links are for. Both sides have to choose the same.
    pub port: Port,
    /// The longest frame sent, and the longest that a dialler accepts, in bytes.
    pub max_frame_bytes: usize,
    /// The longest frame that a server accepts, in bytes, until it says otherwise: see
    /// [`LinkReceiver::trust`](crate::LinkReceiver::trust) and [`Server::accept_up_to`](crate::Server::accept_up_to).
    pub max_received_bytes: usize,
    /// Longest time that a frame may take on its way to a server that has not come to trust its sender.
    pub frame_within: Duration,
    /// Bytes of unfinished frames that a server keeps for all whom it does not trust; more where that is not 8192 of the
    /// longest frame.
    pub max_unfinished_bytes: usize,
    /// Over QUIC: bytes that one link may have in flight or waiting to be read. Bounds its speed to this
    /// many bytes per round trip.
    pub stream_window_bytes: u32,
    /// Over QUIC: links that one connection may carry at once. More than one is for programs that stand for many
    /// clients, such as load tests.
    pub links_per_connection: u32,
    /// Links that a server holds at once, over all connections.
    pub max_links: usize,
    /// Links that a server holds at once from one IPv4 address or one IPv6 /64, and takes anew within
    /// a minute. Four times as many from a /56, sixteen times from a /48.
    pub max_links_per_ip: usize,
    /// Addresses that have no share of their own: load tests, and networks that hide many clients
    /// behind one address.
    pub trusted: Vec<Prefix>,
    /// Handshakes that a server works on at once. When there are as many, the address that has the most
    /// of them loses its oldest.
    pub max_handshakes: usize,
    /// Over QUIC: with this many handshakes in progress, a server asks newcomers to prove their address
    /// first. TCP always does.
    pub retry_above: usize,
    /// Longest time that either side waits for a link to be set up.
    pub handshake_timeout: Duration,
    /// A link on which nothing arrives for this long is lost. The smaller of both sides' counts.
    pub idle_timeout: Duration,
    /// Interval of signs of life on an idle link. Less than a third of `idle_timeout` is wise.
    pub keep_alive: Option<Duration>,
}

impl Limits {
    /// For links among shards, of which each has two to every other one.
    pub fn shards() -> Self {
        Self {
            port: Port::Shards,
            max_frame_bytes: 4 << 20,
            max_received_bytes: 4 << 20,
            frame_within: FRAME_WITHIN,
            max_unfinished_bytes: UNFINISHED_BYTES,
            stream_window_bytes: 4 << 20,
            links_per_connection: 1,
            max_links: 8192,
            max_links_per_ip: 1024,
            trusted: Vec::new(),
            max_handshakes: 256,
            retry_above: 64,
            handshake_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(4),
            keep_alive: Some(Duration::from_secs(1)),
        }
    }

    /// For links of shards to the coordinator. Until a shard has registered, it may say no more than
    /// that takes.
    pub fn coordinator() -> Self {
        Self {
            port: Port::Coordinator,
            max_frame_bytes: COORDINATOR_FRAME_BYTES,
            max_received_bytes: REGISTRATION_BYTES,
            max_links: 4096,
            ..Self::shards()
        }
    }

    /// For links of clients to the coordinator, which sends them documents.
    pub fn documents() -> Self {
        Self { port: Port::Documents, max_links: 16_384, ..Self::clients() }
    }

    /// For links with clients: tens of kilobytes a second each, very many of them. Documents come in
    /// frames that are longer by far than anything that clients say.
    pub fn clients() -> Self {
        Self {
            port: Port::Gateway,
            max_frame_bytes: DOCUMENT_FRAME_BYTES,
            max_received_bytes: HELLO_BYTES,
            frame_within: FRAME_WITHIN,
            max_unfinished_bytes: UNFINISHED_BYTES,
            stream_window_bytes: 96 << 10,
            links_per_connection: 1,
            max_links: 65_536,
            max_links_per_ip: 256,
            trusted: Vec::new(),
            max_handshakes: 1024,
            retry_above: 128,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(45),
            keep_alive: Some(Duration::from_secs(14)),
        }
    }

    /// The most that one QUIC connection buffers in each direction, in bytes: a window for each link's
    /// stream, so that links that nobody reads cannot starve others.
    pub const fn buffered_bytes(&self) -> u64 {
        self.stream_window_bytes as u64 * self.links_per_connection as u64
    }

    /// Two-way streams that a client may open to a server at once, for links beyond the first. One
    /// more than may become links, so that the server can say no.
    pub(crate) fn further_streams(&self) -> u32 {
        if self.links_per_connection > 1 { self.links_per_connection } else { 0 }
    }

    /// These limits for QUIC, letting the other side open `control_streams` two-way streams.
    pub(crate) fn quic(&self, control_streams: u32) -> Arc<TransportConfig> {
        let mut config = TransportConfig::default();
        let idle_ms = u64::try_from(self.idle_timeout.as_millis()).unwrap_or(u64::MAX);
        config
            .max_concurrent_bidi_streams(control_streams.into())
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .stream_receive_window(self.stream_window_bytes.into())
            .receive_window(VarInt::from_u64(self.buffered_bytes()).unwrap_or(VarInt::MAX))
            .send_window(self.buffered_bytes())
            .max_idle_timeout(Some(IdleTimeout::from(
                VarInt::from_u64(idle_ms).unwrap_or(VarInt::MAX),
            )))
            .keep_alive_interval(self.keep_alive)
            .initial_rtt(INITIAL_RTT)
            .datagram_receive_buffer_size(None);
        Arc::new(config)
    }
}
