//! The shard that others open links to.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::medium::{Listener, Stream};
use super::session::Session;
use super::{Lane, Medium, PeerReceiver, handshake};
use crate::bind_error::BindError;
use crate::close::CloseReason;
use crate::door::{BACKLOG, Door, Endpoint, Permit};
use crate::identity::{Identity, PeerIdentity};
use crate::limits::Limits;
use crate::{socket, tls};

/// Pause when the system gives no more sockets.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(100);
/// Interval of warnings about that.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// A listening endpoint for other shards. Dropping it refuses new links and leaves those
/// that exist.
pub struct PeerServer {
    addr: SocketAddr,
    links: mpsc::Receiver<PeerReceiver>,
    door: Arc<Door>,
    sessions: Arc<Sessions>,
    acceptor: JoinHandle<()>,
}

/// Sessions that are there, and those that are gone since the last new one; `None` once the server is shut
/// down.
type Sessions = Mutex<Option<Vec<Weak<Session>>>>;

impl PeerServer {
    /// Starts listening over TCP, as [`PeerServer::bind_over`].
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    pub fn bind(
        addr: SocketAddr,
        identity: &Identity,
        listed: impl Fn(&PeerIdentity) -> bool + Send + Sync + 'static,
        limits: Limits,
    ) -> Result<Self, BindError> {
        Self::bind_over(&Medium::Tcp, addr, identity, listed, limits)
    }

    /// Starts listening for shards for which `listed` returns true. It is asked once for each link, in
    /// the handshake: when the list changes, closing the links of those who left it is up to the
    /// caller. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    pub fn bind_over(
        medium: &Medium,
        addr: SocketAddr,
        identity: &Identity,
        listed: impl Fn(&PeerIdentity) -> bool + Send + Sync + 'static,
        limits: Limits,
    ) -> Result<Self, BindError> {
        let mut tls = tls::server_config(identity, Some(Arc::new(listed)))?;
        tls.alpn_protocols = Lane::ALL.map(|lane| lane.alpn().to_vec()).into();
        let socket = |source| BindError::Socket { addr, source };
        let listener = medium.listen(addr).map_err(socket)?;
        let addr = listener.local_addr().map_err(socket)?;
        // A connection takes a descriptor, and nobody has proven anything before the handshake.
        let quarter = usize::try_from(socket::most_open() / 4).unwrap_or(usize::MAX);
        let max_handshakes = limits.max_handshakes.min(quarter);
        let door = Door::new(Limits { max_handshakes, ..limits });
        let sessions = Arc::new(Mutex::new(Some(Vec::new())));
        let (sender, links) = mpsc::channel(BACKLOG);
        let listening = Listening {
            tls: Arc::new(tls),
            door: Arc::clone(&door),
            sessions: Arc::clone(&sessions),
            links: sender,
        };
        let acceptor = tokio::spawn(listening.accept(listener));
        Ok(Self { addr, links, door, sessions, acceptor })
    }

    /// The next link whose handshake is complete; `None` after [`PeerServer::shut_down`].
    pub async fn accept(&mut self) -> Option<PeerReceiver> {
        self.links.recv().await
    }

    /// The address listened on, with the port that the system chose if none was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// A handle for those who do not accept links.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new(Arc::clone(&self.door))
    }

    /// Closes every link of this server and waits until the other sides have been told.
    pub async fn shut_down(&self) {
        self.acceptor.abort();
        let sessions = open(&self.sessions).take().unwrap_or_default();
        let sessions: Vec<_> = sessions.iter().filter_map(Weak::upgrade).collect();
        for session in &sessions {
            session.close(CloseReason::ShuttingDown);
        }
        for session in sessions {
            session.said().await;
        }
    }
}

impl fmt::Debug for PeerServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerServer").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Drop for PeerServer {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

fn open(sessions: &Sessions) -> MutexGuard<'_, Option<Vec<Weak<Session>>>> {
    // Nothing panics while holding it.
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

/// State that handshakes share.
#[derive(Clone)]
struct Listening {
    tls: Arc<rustls::ServerConfig>,
    door: Arc<Door>,
    sessions: Arc<Sessions>,
    links: mpsc::Sender<PeerReceiver>,
}

impl Listening {
    async fn accept(self, mut listener: Listener) {
        let mut told = None;
        loop {
            let (stream, from) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Those that wait for a handshake give theirs back within seconds.
                    if told.is_none_or(|told: Instant| told.elapsed() >= TELL_EVERY) {
                        tracing::warn!(
                            %error, "cannot accept a connection: raise the limit of open files"
                        );
                        told = Some(Instant::now());
                    }
                    sleep(OUT_OF_SOCKETS).await;
                    continue;
                }
            };
            let Some(permit) = self.door.admit(from.ip()) else { continue };
            let Some(slot) = self.door.begin(from.ip()) else { continue };
            let listening = self.clone();
            tokio::spawn(async move {
                let handshake = listening.handshake(stream, permit);
                listening.door.unless_pushed_out(slot, handshake, &listening.links).await;
            });
        }
    }

    async fn handshake(&self, stream: Stream, permit: Permit) -> Option<((), PeerReceiver)> {
        let tls = rustls::ServerConnection::new(Arc::clone(&self.tls)).ok()?;
        let limits = self.door.limits();
        let answer = handshake::answer(stream, tls.into());
        let established = timeout(limits.handshake_timeout, answer).await.ok()?.ok()?;
        let link = PeerReceiver::start(established, self.door.rules(), limits, permit);
        // The link closes if the server is shut down.
        let mut sessions = open(&self.sessions);
        let sessions = sessions.as_mut()?;
        sessions.retain(|session| session.strong_count() > 0);
        sessions.push(Arc::downgrade(link.session()));
        Some(((), link))
    }
}
