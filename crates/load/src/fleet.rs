//! The simulated clients' links: many clients on few connections.

mod cells;
mod client;
#[cfg(test)]
mod tests;
mod turn;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use antiphon_client_core::Epochs;
use antiphon_routing::VerifiedEpoch;
use antiphon_transport::{Connection, DialError, Dialer, Limits, Link};
use antiphon_wire::{IdentityKey, Round, Timestamp};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::arrivals::Arrivals;
use crate::beats::Beats;
use crate::builder::Builder;
use crate::population::Population;
use crate::window::{Window, WireBytes};

/// Bytes that one client may have in flight in one direction: a round's onions or a document.
const STREAM_WINDOW_BYTES: u32 = 96 << 10;
/// Links opened at once: a server lets few in at a time.
const OPENING_AT_ONCE: usize = 64;
/// Pause of a client before it links again.
const AGAIN: Duration = Duration::from_millis(500);

/// A round that is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    pub(crate) round: Round,
    /// Until when gateways take onions for it.
    pub(crate) closes: Instant,
}

/// State that all clients share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) population: Population,
    pub(crate) builder: Builder,
    arrivals: Arrivals,
    pub(crate) window: Window,
    pub(crate) beats: Beats,
    /// The newest epochs.
    epochs: watch::Sender<Epochs>,
    limits: Limits,
    /// Gateways of all epochs so far, by where they are.
    gateways: Mutex<BTreeMap<(IdentityKey, SocketAddr), Arc<Gateway>>>,
    opening: Semaphore,
    opened: watch::Sender<Option<Open>>,
    linked: AtomicUsize,
    links_lost: AtomicU64,
    turns: AtomicU64,
    /// Reason for which the link that failed last could not be opened.
    failure: Mutex<Option<DialError>>,
    /// Last words of a gateway that took no onions.
    refusal: Mutex<Option<String>>,
}

/// One shard as the gateway of many clients.
#[derive(Debug)]
struct Gateway {
    address: SocketAddr,
    identity: IdentityKey,
    dialer: Dialer,
    links_per_connection: u32,
    /// The connection with room for more links.
    current: tokio::sync::Mutex<Option<(Arc<Connection>, Arc<AtomicU32>)>>,
    /// All connections there have been, for their counts.
    connections: Mutex<Vec<Arc<Connection>>>,
}

impl Gateway {
    /// Opens a link, on a connection that has room.
    async fn open(&self) -> Result<Link, DialError> {
        let (connection, used) = {
            let mut current = self.current.lock().await;
            let full = |used: &AtomicU32| used.load(Ordering::Relaxed) >= self.links_per_connection;
            match &*current {
                Some((connection, used)) if !full(used) => {
                    (Arc::clone(connection), Arc::clone(used))
                }
                _ => {
                    let connection =
                        Arc::new(self.dialer.connect(self.address, self.identity.0).await?);
                    lock(&self.connections).push(Arc::clone(&connection));
                    let used = Arc::new(AtomicU32::new(0));
                    *current = Some((Arc::clone(&connection), Arc::clone(&used)));
                    (connection, used)
                }
            }
        };
        used.fetch_add(1, Ordering::Relaxed);
        let opened = connection.open_link().await;
        if opened.is_err() {
            // Gone, or full sooner than thought: others go elsewhere.
            used.store(self.links_per_connection, Ordering::Relaxed);
        }
        opened
    }
}

/// The clients. Dropped, they leave at once.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) shared: Arc<Shared>,
    clients: JoinSet<()>,
}

impl Fleet {
    /// Has every client link to a gateway of the epoch, as its policy draws it.
    pub(crate) fn start(
        population: Population,
        builder: Builder,
        window: Window,
        arrivals: Arrivals,
        epoch: &Arc<VerifiedEpoch>,
        links_per_connection: u32,
    ) -> Self {
        let limits = Limits {
            stream_window_bytes: STREAM_WINDOW_BYTES,
            links_per_connection,
            ..Limits::clients()
        };
        let mut epochs = Epochs::default();
        epochs.add(Arc::clone(epoch));
        let shared = Arc::new(Shared {
            builder,
            beats: Beats::new(population.clone(), window.marks()),
            window,
            arrivals,
            epochs: watch::Sender::new(epochs),
            limits,
            gateways: Mutex::default(),
            opening: Semaphore::new(OPENING_AT_ONCE),
            opened: watch::Sender::new(None),
            linked: AtomicUsize::new(0),
            links_lost: AtomicU64::new(0),
            turns: AtomicU64::new(0),
            failure: Mutex::default(),
            refusal: Mutex::default(),
            population,
        });
        let mut clients = JoinSet::new();
        for number in 0..shared.population.clients() {
            clients.spawn(client::live(Arc::clone(&shared), number));
        }
        Self { shared, clients }
    }

    /// Ends every client, waits until all have ended, and returns what they shared.
    pub(crate) async fn shut_down(mut self) -> Arc<Shared> {
        self.clients.shutdown().await;
        Arc::clone(&self.shared)
    }
}

impl Shared {
    /// Takes a newer document: for onions that are not built yet, and for clients, which turn to its gateways.
    pub(crate) fn add_epoch(&self, epoch: Arc<VerifiedEpoch>) {
        self.builder.add_epoch(Arc::clone(&epoch));
        self.epochs.send_modify(|epochs| epochs.add(epoch));
    }

    /// The epoch whose gateways clients use at `now`.
    fn epoch_at(&self, now: Timestamp) -> Option<Arc<VerifiedEpoch>> {
        self.epochs.borrow().at(now).map(Arc::clone)
    }

    fn gateway(&self, epoch: &VerifiedEpoch, identity: &IdentityKey) -> Option<Arc<Gateway>> {
        let address = epoch.shards()[epoch.index_of(identity)?.position()].client_addresses.first();
        let mut gateways = lock(&self.gateways);
        let gateway = gateways.entry((*identity, address)).or_insert_with(|| {
            Arc::new(Gateway {
                address,
                identity: *identity,
                // Clients stay anonymous.
                dialer: Dialer::new(None, self.limits.clone()),
                links_per_connection: self.limits.links_per_connection,
                current: tokio::sync::Mutex::new(None),
                connections: Mutex::default(),
            })
        });
        Some(Arc::clone(gateway))
    }

    async fn open_link(&self, epoch: &VerifiedEpoch, gateway: &IdentityKey) -> Option<Link> {
        let gateway = self.gateway(epoch, gateway)?;
        // Never closed.
        let _permit = self.opening.acquire().await.ok()?;
        match gateway.open().await {
            Ok(link) => Some(link),
            Err(error) => {
                *lock(&self.failure) = Some(error);
                None
            }
        }
    }

    /// A gateway says that a round is open.
    fn note_open(&self, round: Round, closes: Instant) {
        let first = self.opened.send_if_modified(|open| {
            let newer = open.is_none_or(|open| open.round < round);
            if newer {
                *open = Some(Open { round, closes });
            }
            newer
        });
        if first {
            self.window.heard(round, || self.wire_bytes());
        }
    }

    /// The newest round that is open, as clients hear of it.
    pub(crate) fn watch_opened(&self) -> watch::Receiver<Option<Open>> {
        self.opened.subscribe()
    }

    /// Number of clients that have a link.
    pub(crate) fn linked(&self) -> usize {
        self.linked.load(Ordering::Relaxed)
    }

    /// Number of links that broke, those that clients left not counted.
    pub(crate) fn links_lost(&self) -> u64 {
        self.links_lost.load(Ordering::Relaxed)
    }

    /// Number of times that a client turned to the gateway of a new epoch.
    pub(crate) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// Number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        let gateways = lock(&self.gateways);
        gateways.values().map(|gateway| lock(&gateway.connections).len()).sum()
    }

    /// Reason for which the link that failed last could not be opened, in words.
    pub(crate) fn failure(&self) -> Option<String> {
        lock(&self.failure).as_ref().map(ToString::to_string)
    }

    /// Last words of a gateway that took no onions.
    pub(crate) fn refusal(&self) -> Option<String> {
        lock(&self.refusal).clone()
    }

    /// A round has ended everywhere. Unless another has opened meanwhile, nothing but beats goes on.
    pub(crate) fn quiet_after(&self, round: Round) {
        if self.opened.borrow().is_some_and(|open| open.round == round) {
            self.window.quiet();
        }
    }

    /// The last measured round is over.
    pub(crate) fn close_window(&self) {
        self.window.close(|| self.wire_bytes());
    }

    /// Bytes that have gone over all connections so far.
    fn wire_bytes(&self) -> WireBytes {
        let mut sum = WireBytes::default();
        for gateway in lock(&self.gateways).values() {
            for connection in lock(&gateway.connections).iter() {
                let (up, down) = connection.wire_bytes();
                sum.up += up;
                sum.down += down;
            }
        }
        sum
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while holding one of these.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
