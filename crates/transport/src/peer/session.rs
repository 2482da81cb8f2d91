//! A TLS session over one connection.

use std::io::{self, BufRead as _, IoSlice, Write as _};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use rustls::Connection as Tls;
use tokio::sync::watch;

use super::medium::Stream;
use crate::close::{CloseReason, LinkLost};
use crate::identity::PeerIdentity;

/// Bytes read from the socket at once.
pub(super) const READ_BYTES: usize = 128 << 10;

/// State that the tasks at one end of a link share. One of them reads, and one writes.
pub(super) struct Session {
    stream: Stream,
    tls: Mutex<Tls>,
    remote: SocketAddr,
    identity: PeerIdentity,
    end: watch::Sender<Option<End>>,
    /// `true` once the other side has been told of the end.
    said: watch::Sender<bool>,
}

/// End of a link.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) why: LinkLost,
    /// Reason that the other side is to be told.
    pub(super) farewell: Option<CloseReason>,
}

/// Result of reading from a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Something is there.
    Some,
    /// The other side hung up.
    End,
}

impl Session {
    pub(super) fn new(
        stream: Stream,
        tls: Tls,
        remote: SocketAddr,
        identity: PeerIdentity,
    ) -> Self {
        let (end, said) = (watch::Sender::new(None), watch::Sender::new(false));
        Self { stream, tls: Mutex::new(tls), remote, identity, end, said }
    }

    pub(super) fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    pub(super) fn remote_identity(&self) -> PeerIdentity {
        self.identity
    }

    fn tls(&self) -> MutexGuard<'_, Tls> {
        // Nothing panics while holding it.
        self.tls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // The end.

    /// Ends the link, unless it was over before.
    pub(super) fn finish(&self, why: LinkLost, farewell: Option<CloseReason>) {
        self.end.send_if_modified(|end| {
            let first = end.is_none();
            if first {
                *end = Some(End { why, farewell });
            }
            first
        });
    }

    /// Closes the link on this side.
    pub(super) fn close(&self, reason: CloseReason) {
        self.finish(LinkLost::ByUs, Some(reason));
    }

    pub(super) fn lost(&self) -> Option<LinkLost> {
        self.end.borrow().as_ref().map(|end| end.why.clone())
    }

    /// Waits until the link is over.
    pub(super) async fn ended(&self) -> End {
        let mut end = self.end.subscribe();
        match end.wait_for(Option::is_some).await.map(|end| end.clone()) {
            Ok(Some(end)) => end,
            // The sending half lives in `self`.
            Ok(None) | Err(_) => End { why: LinkLost::ByUs, farewell: None },
        }
    }

    /// Notes that the other side has been told of the end, as far as it can be told.
    pub(super) fn say_no_more(&self) {
        self.said.send_replace(true);
    }

    /// Waits for [`Session::say_no_more`].
    pub(super) async fn said(&self) {
        // The sending half lives in `self`.
        let _ = self.said.subscribe().wait_for(|said| *said).await;
    }

    // Reading.

    /// Reads the bytes that are there and appends them to `unread`, at least one.
    pub(super) async fn read(&self, unread: &mut BytesMut) -> io::Result<Read> {
        read(&self.stream, unread).await
    }

    /// Decrypts `unread` and shows it to `taken` piece by piece, which returns the number of bytes that it
    /// takes. Once it takes none, the rest stays where it is. Returns `true` once the other side has said
    /// that nothing more follows, and all before that is taken.
    pub(super) fn decrypt(
        &self,
        unread: &mut BytesMut,
        taken: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Result<bool, rustls::Error> {
        decrypt(&mut self.tls(), unread, taken)
    }

    // Writing.

    /// Encrypts `pieces`, in as few TLS records as they fit in. [`Session::flush`] sends them.
    pub(super) fn encrypt(&self, pieces: &[Bytes]) -> io::Result<()> {
        let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        // All of it: the session's buffer has no limit, and its writer sees to it that it stays small.
        let mut left = &mut slices[..];
        let mut tls = self.tls();
        while !left.is_empty() {
            let written = tls.writer().write_vectored(left)?;
            IoSlice::advance_slices(&mut left, written);
        }
        Ok(())
    }

    /// Writes the encrypted bytes. If it is dropped half-way, the next call goes on.
    pub(super) async fn flush(&self) -> io::Result<()> {
        loop {
            let written = write_tls(&self.stream, &mut self.tls())?;
            match written {
                Written::All => return Ok(()),
                Written::Full => self.stream.writable().await?,
            }
        }
    }

    /// Says that nothing more follows, and hangs up in this direction.
    pub(super) async fn hang_up(&self) -> io::Result<()> {
        self.tls().send_close_notify();
        self.flush().await?;
        self.stream.hang_up()
    }
}

/// Reads the bytes that are there and appends them to `unread`, at least one.
pub(super) async fn read(stream: &Stream, unread: &mut BytesMut) -> io::Result<Read> {
    // The rest of a record moves to the front, where there is room again: reads stay large.
    unread.reserve(READ_BYTES / 2);
    loop {
        match stream.try_read(unread) {
            Ok(0) => return Ok(Read::End),
            Ok(_) => return Ok(Read::Some),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.readable().await?,
            Err(error) => return Err(error),
        }
    }
}

/// See [`Session::decrypt`].
pub(super) fn decrypt(
    tls: &mut Tls,
    unread: &mut BytesMut,
    taken: &mut dyn FnMut(&[u8]) -> usize,
) -> Result<bool, rustls::Error> {
    let mut rest = &unread[..];
    let mut full = false;
    loop {
        while let Ok(chunk) = tls.reader().fill_buf()
            && !chunk.is_empty()
        {
            let count = taken(chunk);
            full = count == 0;
            if full {
                break;
            }
            tls.reader().consume(count);
        }
        // It takes in one record at a time, and nothing after the other side's goodbye.
        if rest.is_empty() || full || !matches!(tls.read_tls(&mut rest), Ok(1..)) {
            break;
        }
        tls.process_new_packets()?;
    }
    let left = if full { rest.len() } else { 0 };
    if left == 0 {
        // Unlike advancing, this keeps all the room.
        unread.clear();
    } else {
        bytes::Buf::advance(unread, unread.len() - left);
    }
    Ok(!full && tls.process_new_packets()?.peer_has_closed())
}

enum Written {
    All,
    Full,
}

fn write_tls(stream: &Stream, tls: &mut Tls) -> io::Result<Written> {
    while tls.wants_write() {
        match tls.write_tls(&mut &*stream) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Written::Full),
            Err(error) => return Err(error),
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => {}
        }
    }
    Ok(Written::All)
}

/// Writes a session's bytes, before there is a [`Session`].
pub(super) async fn flush(stream: &Stream, tls: &mut Tls) -> io::Result<()> {
    while let Written::Full = write_tls(stream, tls)? {
        stream.writable().await?;
    }
    Ok(())
}
