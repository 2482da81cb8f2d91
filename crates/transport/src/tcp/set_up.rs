//! The handshake of a TCP link.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use bytes::BytesMut;
use rustls::Connection as Tls;
use tokio::net::TcpStream;

use super::drive::{self, READ_BYTES, feed, flush};
use super::ends::{Connection, Shared};
use super::record::{RECORD_BYTES, Record};
use super::streams::{Capacity, Streams};
use crate::limits::Limits;
use crate::{socket, tls};

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EstablishError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the other side hung up")]
    HungUp,
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    #[error("the other side speaks another protocol")]
    Protocol,
}

/// Makes a link of a TCP connection: the handshake, then a greeting from each side. When this
/// returns, each side has let the other in.
pub(crate) async fn establish(
    tcp: TcpStream,
    mut tls: Tls,
    limits: &Limits,
) -> Result<Connection, EstablishError> {
    tcp.set_nodelay(true)?;
    socket::keep_short(&tcp);
    let remote = tcp.peer_addr()?;
    tls.set_buffer_limit(None);
    let mut unread = BytesMut::with_capacity(READ_BYTES);
    let mut nothing = |_: &[u8]| 0;
    while tls.is_handshaking() {
        flush(&tcp, &mut tls).await?;
        if tls.is_handshaking() {
            read_some(&tcp, &mut unread).await?;
            if let Err(error) = feed(&mut tls, &mut unread, &mut nothing) {
                // Says why to the other side, if that can be said.
                let _ = flush(&tcp, &mut tls).await;
                return Err(error.into());
            }
        }
    }
    // TLS refuses another protocol, but lets those in who name none.
    if tls.alpn_protocol() != Some(limits.port.alpn()) {
        return Err(EstablishError::Protocol);
    }
    let ours = Capacity { window: limits.stream_window_bytes, max_bulks: limits.max_bulks };
    let hello = Record::Hello { window: ours.window, max_bulks: ours.max_bulks };
    tls.writer().write_all(&hello.encode())?;
    flush(&tcp, &mut tls).await?;

    let mut hello = [0; RECORD_BYTES];
    let mut filled = 0;
    while filled < RECORD_BYTES {
        match tls.reader().read(&mut hello[filled..]) {
            Ok(0) => return Err(EstablishError::HungUp),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if unread.is_empty() {
                    read_some(&tcp, &mut unread).await?;
                }
                feed(&mut tls, &mut unread, &mut nothing)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let Some(Record::Hello { window, max_bulks }) = Record::decode(hello) else {
        return Err(EstablishError::Protocol);
    };
    let identity = match tls.peer_certificates().and_then(<[_]>::first) {
        Some(raw_key) => Some(tls::identity_of(raw_key)?),
        None => None,
    };
    let shared = Shared::new(Streams::new(ours, Capacity { window, max_bulks }), remote, identity);
    drive::start(tcp, tls, unread, Arc::clone(&shared), limits);
    Ok(Connection::new(shared))
}

async fn read_some(tcp: &TcpStream, unread: &mut BytesMut) -> Result<(), EstablishError> {
    if drive::read(tcp, unread).await? == 0 { Err(EstablishError::HungUp) } else { Ok(()) }
}
