//! What carries a link: a connection with streams in it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use bytes::Bytes;
use quinn::{ReadError, StoppedError, WriteError};
use rustls::pki_types::CertificateDer;

use crate::close::{CloseReason, LinkLost};
use crate::identity::PeerIdentity;
use crate::{tcp, tls};

/// Pieces taken from a stream at once.
const PIECES: usize = 16;

/// A future that several places may keep.
pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send + Sync>>;

/// Why a stream gives or takes no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamError {
    /// The other side ended this stream, for this reason.
    Ended(CloseReason),
    /// The connection is gone, or this side ended the stream.
    Lost(LinkLost),
}

/// A connection to one other process.
#[derive(Clone)]
pub(crate) enum Carrier {
    Quic(quinn::Connection),
    Tcp(tcp::Connection),
}

impl Carrier {
    /// A one-way stream to the other side, as soon as it allows another.
    pub(crate) async fn open_uni(&self) -> Result<Sending, LinkLost> {
        match self {
            Self::Quic(conn) => Ok(Sending::quic(conn.open_uni().await?)),
            Self::Tcp(conn) => Ok(Sending::Tcp(conn.open_uni().await?)),
        }
    }

    /// The next one-way stream that the other side opens.
    pub(crate) async fn accept_uni(&self) -> Result<Receiving, LinkLost> {
        match self {
            Self::Quic(conn) => Ok(Receiving::quic(conn.accept_uni().await?)),
            Self::Tcp(conn) => Ok(Receiving::Tcp(conn.accept_uni().await?)),
        }
    }

    /// Ends the connection with all its streams, at once.
    pub(crate) fn close(&self, reason: CloseReason) {
        match self {
            Self::Quic(conn) => conn.close(reason.code(), reason.text().as_bytes()),
            Self::Tcp(conn) => conn.close(reason),
        }
    }

    pub(crate) async fn closed(&self) -> LinkLost {
        match self {
            Self::Quic(conn) => conn.closed().await.into(),
            Self::Tcp(conn) => conn.closed().await,
        }
    }

    pub(crate) fn lost(&self) -> Option<LinkLost> {
        match self {
            Self::Quic(conn) => conn.close_reason().map(LinkLost::from),
            Self::Tcp(conn) => conn.lost(),
        }
    }

    pub(crate) fn remote_addr(&self) -> SocketAddr {
        match self {
            Self::Quic(conn) => conn.remote_address(),
            Self::Tcp(conn) => conn.remote_addr(),
        }
    }

    pub(crate) fn remote_identity(&self) -> Option<PeerIdentity> {
        match self {
            Self::Quic(conn) => {
                let keys = conn.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
                tls::identity_of(keys.first()?).ok()
            }
            Self::Tcp(conn) => conn.remote_identity(),
        }
    }
}

/// The sending end of a stream. Dropped, it ends the stream as if all were said.
pub(crate) enum Sending {
    Quic(Mutex<quinn::SendStream>),
    Tcp(tcp::Sending),
}

impl Sending {
    pub(crate) fn quic(stream: quinn::SendStream) -> Self {
        Self::Quic(Mutex::new(stream))
    }

    /// Lets this stream go out before others.
    pub(crate) fn prefer(&self) {
        match self {
            // Fails only on a stream that is closed already, which the first write reports.
            Self::Quic(stream) => drop(lock(stream).set_priority(1)),
            // The control stream always goes first.
            Self::Tcp(_) => {}
        }
    }

    /// Writes `pieces` in order, leaving them empty. One task at a time.
    pub(crate) async fn write_all(&self, mut pieces: &mut [Bytes]) -> Result<(), StreamError> {
        match self {
            Self::Quic(stream) => {
                while !pieces.is_empty() {
                    // The stream is locked for one step at a time, so that it can be reset while
                    // this waits.
                    let written = poll_fn(|cx| pin!(lock(stream).write_chunks(pieces)).poll(cx));
                    let written = written.await?.chunks;
                    pieces = &mut pieces[written..];
                }
                Ok(())
            }
            Self::Tcp(stream) => stream.write_all(pieces).await,
        }
    }

    /// All is said. What was written is still on its way.
    pub(crate) fn finish(&self) {
        match self {
            // Fails only if it is finished already.
            Self::Quic(stream) => drop(lock(stream).finish()),
            Self::Tcp(stream) => stream.finish(),
        }
    }

    /// Gives the stream up; nothing if all of it has arrived already.
    pub(crate) fn reset(&self, reason: CloseReason) {
        match self {
            Self::Quic(stream) => drop(lock(stream).reset(reason.code())),
            Self::Tcp(stream) => stream.reset(reason),
        }
    }

    /// Waits until the other side has received all of a finished stream (`None`) or wants no more
    /// of it.
    pub(crate) fn stopped(&self) -> Boxed<Result<Option<CloseReason>, LinkLost>> {
        match self {
            Self::Quic(stream) => {
                let stopped = lock(stream).stopped();
                Box::pin(async move {
                    match stopped.await {
                        Ok(code) => Ok(code.map(CloseReason::from_code)),
                        Err(StoppedError::ConnectionLost(lost)) => Err(lost.into()),
                        Err(StoppedError::ZeroRttRejected) => Err(LinkLost::ByUs),
                    }
                })
            }
            Self::Tcp(stream) => stream.stopped(),
        }
    }

    /// Whether what [`Sending::stopped`] waits for is there, as far as is known without asking.
    pub(crate) fn is_settled(&self) -> bool {
        match self {
            Self::Quic(stream) => {
                let stopped = pin!(lock(stream).stopped());
                stopped.poll(&mut Context::from_waker(Waker::noop())).is_ready()
            }
            Self::Tcp(stream) => stream.is_settled(),
        }
    }
}

/// The receiving end of a stream. Dropped, it tells the other side to stop.
pub(crate) enum Receiving {
    Quic(Mutex<quinn::RecvStream>),
    Tcp(tcp::Receiving),
}

impl Receiving {
    pub(crate) fn quic(stream: quinn::RecvStream) -> Self {
        Self::Quic(Mutex::new(stream))
    }

    /// Appends what has arrived, at least one piece, to `pieces`; false at the end of the stream.
    pub(crate) async fn read(&self, pieces: &mut VecDeque<Bytes>) -> Result<bool, StreamError> {
        match self {
            Self::Quic(stream) => {
                let mut taken = [const { Bytes::new() }; PIECES];
                let count = poll_fn(|cx| pin!(lock(stream).read_chunks(&mut taken)).poll(cx));
                let Some(count) = count.await? else { return Ok(false) };
                pieces.extend(taken.into_iter().take(count));
                Ok(true)
            }
            Self::Tcp(stream) => stream.read(pieces).await,
        }
    }

    /// Tells the other side that nothing more is wanted.
    pub(crate) fn stop(&self, reason: CloseReason) {
        match self {
            // Fails only if it has ended already.
            Self::Quic(stream) => drop(lock(stream).stop(reason.code())),
            Self::Tcp(stream) => stream.stop(reason),
        }
    }
}

fn lock<T>(stream: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while holding it.
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

impl From<WriteError> for StreamError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::ConnectionLost(lost) => Self::Lost(lost.into()),
            WriteError::Stopped(code) => Self::Ended(CloseReason::from_code(code)),
            // Streams are not written before the handshake's end.
            WriteError::ClosedStream | WriteError::ZeroRttRejected => Self::Lost(LinkLost::ByUs),
        }
    }
}

impl From<ReadError> for StreamError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(code) => Self::Ended(CloseReason::from_code(code)),
            ReadError::ConnectionLost(lost) => Self::Lost(lost.into()),
            // Streams are read in order, and not before the handshake's end.
            ReadError::ClosedStream
            | ReadError::IllegalOrderedRead
            | ReadError::ZeroRttRejected => Self::Lost(LinkLost::ByUs),
        }
    }
}
