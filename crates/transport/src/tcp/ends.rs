//! What the two halves of a link hold of a TCP connection.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::watch;

use super::streams::{CONTROL, Streams};
use crate::carrier::{Boxed, StreamError};
use crate::close::{CloseReason, LinkLost};
use crate::identity::PeerIdentity;

pub(super) struct Shared {
    streams: Mutex<Streams>,
    remote: SocketAddr,
    identity: Option<PeerIdentity>,
    /// Whether the other side has been told of the end.
    pub(super) said: watch::Sender<bool>,
}

impl Shared {
    pub(super) fn new(
        streams: Streams,
        remote: SocketAddr,
        identity: Option<PeerIdentity>,
    ) -> Arc<Self> {
        let (streams, said) = (Mutex::new(streams), watch::Sender::new(false));
        Arc::new(Self { streams, remote, identity, said })
    }

    pub(super) fn streams(&self) -> MutexGuard<'_, Streams> {
        // Nothing panics while holding it.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn closed(&self) -> LinkLost {
        poll_fn(|cx| self.streams().poll_closed(cx)).await
    }
}

/// A connection. Stays open until closed.
#[derive(Clone)]
pub(crate) struct Connection(Arc<Shared>);

/// A connection, without keeping anything of it.
pub(crate) struct WeakConnection(Weak<Shared>);

impl WeakConnection {
    pub(crate) fn upgrade(&self) -> Option<Connection> {
        self.0.upgrade().map(Connection)
    }
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    pub(crate) fn downgrade(&self) -> WeakConnection {
        WeakConnection(Arc::downgrade(&self.0))
    }

    /// The ends of the control stream.
    pub(crate) fn control(&self) -> (Sending, Receiving) {
        let shared = &self.0;
        (
            Sending { shared: Arc::clone(shared), stream: CONTROL },
            Receiving { shared: Arc::clone(shared), stream: CONTROL },
        )
    }

    pub(crate) async fn open_uni(&self) -> Result<Sending, LinkLost> {
        let stream = poll_fn(|cx| self.0.streams().poll_open(cx)).await?;
        Ok(Sending { shared: Arc::clone(&self.0), stream })
    }

    pub(crate) async fn accept_uni(&self) -> Result<Receiving, LinkLost> {
        let stream = poll_fn(|cx| self.0.streams().poll_accept(cx)).await?;
        Ok(Receiving { shared: Arc::clone(&self.0), stream })
    }

    pub(crate) fn close(&self, reason: CloseReason) {
        self.0.streams().end(LinkLost::ByUs, Some(reason));
    }

    pub(crate) async fn closed(&self) -> LinkLost {
        self.0.closed().await
    }

    /// Waits until the other side has been told of the end, as far as it can be told.
    pub(crate) async fn said(&self) {
        // Fails only when nobody is left to tell it.
        let _ = self.0.said.subscribe().wait_for(|said| *said).await;
    }

    pub(crate) fn lost(&self) -> Option<LinkLost> {
        self.0.streams().lost()
    }

    pub(crate) fn remote_addr(&self) -> SocketAddr {
        self.0.remote
    }

    pub(crate) fn remote_identity(&self) -> Option<PeerIdentity> {
        self.0.identity
    }
}

/// The sending end of a stream.
pub(crate) struct Sending {
    shared: Arc<Shared>,
    stream: u32,
}

impl Sending {
    pub(crate) async fn write_all(&self, pieces: &mut [Bytes]) -> Result<(), StreamError> {
        let mut pieces: VecDeque<_> = pieces.iter_mut().map(std::mem::take).collect();
        poll_fn(|cx| self.shared.streams().poll_write(self.stream, &mut pieces, cx)).await
    }

    pub(crate) fn finish(&self) {
        self.shared.streams().finish(self.stream);
    }

    pub(crate) fn reset(&self, reason: CloseReason) {
        self.shared.streams().reset(self.stream, reason);
    }

    pub(crate) fn stopped(&self) -> Boxed<Result<Option<CloseReason>, LinkLost>> {
        let (shared, stream) = (Arc::clone(&self.shared), self.stream);
        Box::pin(poll_fn(move |cx| shared.streams().poll_stopped(stream, cx)))
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.shared.streams().is_settled(self.stream)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.shared.streams().drop_outgoing(self.stream);
    }
}

/// The receiving end of a stream.
pub(crate) struct Receiving {
    shared: Arc<Shared>,
    stream: u32,
}

impl Receiving {
    pub(crate) async fn read(&self, pieces: &mut VecDeque<Bytes>) -> Result<bool, StreamError> {
        poll_fn(|cx| self.shared.streams().poll_read(self.stream, pieces, cx)).await
    }

    pub(crate) fn stop(&self, reason: CloseReason) {
        self.shared.streams().release(self.stream, reason);
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.stop(CloseReason::Done);
    }
}
