//! The handshake of a link between shards.

use std::io;

use bytes::BytesMut;
use rustls::Connection as Tls;

use super::Lane;
use super::answer::Answer;
use super::medium::Stream;
use super::session::{READ_BYTES, Read, Session, decrypt, flush, read};
use crate::tls;

/// Reason why there is no link.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the other side hung up")]
    HungUp,
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    #[error("the other side speaks another protocol")]
    Protocol,
}

/// A session, the bytes that have arrived for it and are not decrypted yet, and its lane.
pub(super) type Established = (Session, BytesMut, Lane);

/// Shakes hands as the side that dials. When this returns, the other has let it in.
pub(super) async fn dial(stream: Stream, mut tls: Tls) -> Result<Established, HandshakeError> {
    let mut unread = shake_hands(&stream, &mut tls).await?;
    let mut first = None;
    // The server answers once it has checked this side, which TLS 1.3 finishes without knowing.
    while first.is_none() {
        let mut take = |answers: &[u8]| {
            let wanted = answers.first().filter(|_| first.is_none());
            first = first.or(wanted.copied());
            usize::from(wanted.is_some())
        };
        if decrypt(&mut tls, &mut unread, &mut take)? && first.is_none() {
            return Err(HandshakeError::HungUp);
        }
        if first.is_none() {
            read_some(&stream, &mut unread).await?;
        }
    }
    if first.map(Answer::decode) != Some(Answer::LetIn) {
        return Err(HandshakeError::Protocol);
    }
    establish(stream, tls, unread)
}

/// Shakes hands as the side that was dialled, and lets the other in.
pub(super) async fn answer(stream: Stream, mut tls: Tls) -> Result<Established, HandshakeError> {
    let unread = shake_hands(&stream, &mut tls).await?;
    // TLS refuses another protocol, but lets those in who name none.
    let (session, unread, lane) = establish(stream, tls, unread)?;
    session.encrypt(&[vec![Answer::LetIn.encode()].into()])?;
    session.flush().await?;
    Ok((session, unread, lane))
}

fn establish(stream: Stream, tls: Tls, unread: BytesMut) -> Result<Established, HandshakeError> {
    let alpn = tls.alpn_protocol();
    let lane = Lane::ALL.into_iter().find(|lane| alpn == Some(lane.alpn()));
    let lane = lane.ok_or(HandshakeError::Protocol)?;
    let raw_key = tls.peer_certificates().and_then(<[_]>::first).ok_or(HandshakeError::Protocol)?;
    let identity = tls::identity_of(raw_key)?;
    let remote = stream.peer_addr()?;
    Ok((Session::new(stream, tls, remote, identity), unread, lane))
}

async fn shake_hands(stream: &Stream, tls: &mut Tls) -> Result<BytesMut, HandshakeError> {
    stream.hurry()?;
    tls.set_buffer_limit(None);
    let mut unread = BytesMut::with_capacity(READ_BYTES);
    while tls.is_handshaking() {
        flush(stream, tls).await?;
        if tls.is_handshaking() {
            read_some(stream, &mut unread).await?;
            if let Err(error) = decrypt(tls, &mut unread, &mut |_| 0) {
                // Says why to the other side, if that can be said.
                let _ = flush(stream, tls).await;
                return Err(error.into());
            }
        }
    }
    flush(stream, tls).await?;
    Ok(unread)
}

async fn read_some(stream: &Stream, unread: &mut BytesMut) -> Result<(), HandshakeError> {
    match read(stream, unread).await? {
        Read::Some => Ok(()),
        Read::End => Err(HandshakeError::HungUp),
    }
}
