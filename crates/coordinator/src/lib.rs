#![doc = include_str!("../README.md")]

mod advice;
mod clients;
mod config;
mod driver;
mod links;
mod metrics;
mod shards;
mod store;
mod traces;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use antiphon_coordinator_core::Replica;
use antiphon_process::clock::SystemClock;
use antiphon_process::metrics::network::guarantee;
use antiphon_process::readiness::Readiness;
use antiphon_process::requests::{self, Asker};
use antiphon_transport::{Accept, BindError, Limits, Server};
use antiphon_wire::IdentityKey;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use driver::{CANNOT_LEAD, Driver, Telling};
use metrics::Doors;
use store::Store;

pub use antiphon_coordinator_core::{
    CannotForm, CoordinatorConfig, EpochStatus, GuaranteeStatus, LeadershipStatus, Notice,
    PlannedStatus, Presence, QuorumStatus, RoundReport, RoundResult, RoundTotals, RoundsStatus,
    ShardStatus, Status,
};
pub use config::{ConfigError, ConfigFile, ServerConfig};
pub use store::StoreError;

/// Notices kept for a watcher that lags behind.
const NOTICES: usize = 1024;
/// Inputs on their way to the decisions; links wait when there are more.
const INPUTS: usize = 256;
/// Time for telling the other sides of links that the coordinator leaves.
const FAREWELL_WITHIN: Duration = Duration::from_secs(8);

/// The reason for which a coordinator's process cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// An endpoint has no address.
    #[error("cannot tell the address listened on: {0}")]
    Address(#[from] io::Error),
    /// The state cannot be read or kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The part that decides ended in an error of its own.
    #[error("the coordinator ended unexpectedly: its log says why")]
    Ended,
}

/// A running coordinator. Dropping it stops it at once; [`shut_down`](Self::shut_down) lets the
/// open rounds end first.
#[derive(Debug)]
pub struct CoordinatorServer {
    shard_addr: SocketAddr,
    client_addr: SocketAddr,
    notices: broadcast::Sender<Notice>,
    stop: watch::Sender<bool>,
    readiness: watch::Receiver<Readiness>,
    asker: Asker,
    driver: Option<JoinHandle<Result<(), ServerError>>>,
    acceptors: [JoinHandle<()>; 2],
}

impl CoordinatorServer {
    /// Binds both endpoints, takes up the state and begins. Must be called within a tokio runtime
    /// with more than one thread: planning an epoch computes for a while.
    ///
    /// # Errors
    /// If an address or the state file cannot be used.
    pub fn start(config: ServerConfig) -> Result<Self, ServerError> {
        guarantee(&config.network.policy);
        let mut store = Store::take(&config.state)?;
        let state = store.load()?;
        // Proves that the state can be kept before anybody relies on it.
        store.save(&state)?;
        let [shards, clients] = bind(&config)?;
        let (shard_addr, client_addr) = (shards.local_addr()?, clients.local_addr()?);
        let network = Arc::new(config.network.clone());
        let doors = Doors { shards: shards.endpoint(), clients: clients.endpoint() };
        let (inputs, input_queue) = mpsc::channel(INPUTS);
        let (documents, newest) = watch::channel(Vec::new());
        let (stop, stopped) = watch::channel(false);
        let notices = broadcast::Sender::new(NOTICES);
        let me = IdentityKey(config.identity.public().0);
        let (settings, network_file) = (config.coordinator, config.network);
        let coordinator = Replica::new(settings, network_file, me, state, SystemClock::now());
        let readiness = if coordinator.could_lead() {
            Readiness::Ready("shards can register".to_owned())
        } else {
            Readiness::NotReady(CANNOT_LEAD.to_owned())
        };
        let (tell_readiness, readiness) = watch::channel(readiness);
        let tell = Telling { notices: notices.clone(), readiness: tell_readiness };
        let (asker, requests) = requests::channel();
        let driver = Driver::new(coordinator, store, documents, doors, tell, stopped.clone());
        Ok(Self {
            shard_addr,
            client_addr,
            notices,
            stop,
            readiness,
            asker,
            driver: Some(tokio::spawn(driver.run(input_queue, requests, stopped.clone()))),
            acceptors: [
                tokio::spawn(shards::serve(shards, network, inputs, stopped.clone())),
                tokio::spawn(clients::serve(clients, newest, stopped)),
            ],
        })
    }

    /// The address at which shards connect.
    pub const fn shard_addr(&self) -> SocketAddr {
        self.shard_addr
    }

    /// The address at which clients connect.
    pub const fn client_addr(&self) -> SocketAddr {
        self.client_addr
    }

    /// Tells whether the coordinator can plan and open rounds, and what keeps it from that otherwise. The only
    /// one is ready without shards; one of several is ready if it leads, or shards enough are linked to elect it.
    pub fn readiness(&self) -> watch::Receiver<Readiness> {
        self.readiness.clone()
    }

    /// Asks how the coordinator stands. The answer is a [`Status`] as JSON, with the `version` of the
    /// program beside its fields.
    pub fn asker(&self) -> Asker {
        self.asker.clone()
    }

    /// Notices from now on. A watcher that lags behind by too many loses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Waits until the coordinator fails; for ever if it does not.
    ///
    /// # Errors
    /// The reason for which it failed.
    pub async fn failed(&mut self) -> Result<(), ServerError> {
        match &mut self.driver {
            Some(driver) => {
                let ended = driver.await;
                self.driver = None;
                ended.unwrap_or(Err(ServerError::Ended))
            }
            None => Ok(()),
        }
    }

    /// Lets the open rounds end, keeps the state and leaves.
    ///
    /// # Errors
    /// If the state could not be kept.
    pub async fn shut_down(mut self) -> Result<(), ServerError> {
        // Fails only when everybody who listens is gone.
        let _ = self.stop.send(true);
        let result = self.failed().await;
        let told = async {
            for acceptor in &mut self.acceptors {
                // Fails only if it panicked, and then nobody can be told.
                let _ = acceptor.await;
            }
        };
        // Those who are left then notice by themselves.
        let _ = timeout(FAREWELL_WITHIN, told).await;
        result
    }
}

/// The endpoints for shards and for clients.
fn bind(config: &ServerConfig) -> Result<[Server; 2], BindError> {
    let endpoint = |address, accept, limits| {
        let limits = Limits { trusted: config.trusted.clone(), ..limits };
        Server::bind(address, &config.identity, accept, limits)
    };
    Ok([
        endpoint(config.listen_shards, Accept::AnyIdentity, Limits::coordinator())?,
        endpoint(config.listen_clients, Accept::Anonymous, Limits::documents())?,
    ])
}

impl Drop for CoordinatorServer {
    fn drop(&mut self) {
        if let Some(driver) = &self.driver {
            driver.abort();
        }
        self.acceptors.iter().for_each(JoinHandle::abort);
    }
}
