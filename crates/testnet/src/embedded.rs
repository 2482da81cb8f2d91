//! A whole network in this process: a coordinator and shards over loopback, or among shards in memory,
//! each shard with an operator of its own, on threads of their own.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use antiphon_coordinator::{
    CoordinatorConfig, CoordinatorServer, Notice, ServerConfig, ServerError,
};
use antiphon_process::entropy::entropy;
use antiphon_shard::{
    CoordinatorAddress, RunError, ServerLimits, ShardNotice, ShardServer, ShardServerConfig,
    StartError,
};
use antiphon_transport::{Identity, Medium};
use antiphon_wire::{
    Epoch, IdentityKey, NetworkFile, NetworkFileError, Operator, OperatorIndex, OperatorList,
    Policy, Signed,
};
use ed25519_dalek::SigningKey;
use rand::CryptoRng;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::tamper::Tampering;
use crate::{ShardLinks, Tamper};

/// Beginning of the names of all threads of an embedded network. The threads of a shard that peel are called
/// `antiphon-work-...` wherever it runs.
pub const THREAD_NAMES: &str = "antiphon-";

/// Time in which a datagram has to come over loopback.
const LOOPBACK_WITHIN: Duration = Duration::from_secs(1);

/// Settings of an embedded network.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// Number of shards, and of operators.
    pub shards: u16,
    /// The network file's policy.
    pub policy: Policy,
    /// Settings of epochs and rounds.
    pub coordinator: CoordinatorConfig,
    /// Limits of each shard on clients and peers.
    pub limits: ServerLimits,
    /// Threads of each shard that peel and build noise, or of all that share them; `None` for one per core, and one
    /// more if they are shared.
    pub threads: Option<NonZeroUsize>,
    /// All shards share one set of threads, as those whose links are in memory always do: what is most urgent for any
    /// of them then goes first.
    pub shares_threads: bool,
    /// Sockets that the caller opens in this process besides.
    pub sockets: u32,
    /// Medium of the links between shards; `None` for TCP if there are enough descriptors, and memory if not.
    pub links: Option<ShardLinks>,
}

impl EmbeddedOptions {
    /// A network with the usual limits of a shard.
    pub fn new(shards: u16, policy: Policy, coordinator: CoordinatorConfig) -> Self {
        Self {
            shards,
            policy,
            coordinator,
            limits: ServerLimits::default(),
            threads: None,
            shares_threads: false,
            sockets: 0,
            links: None,
        }
    }
}

/// Reason for which a network does not start.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The folder for the coordinator's state cannot be made.
    #[error("cannot make a folder for the coordinator's state: {0}")]
    State(#[source] io::Error),
    /// The system gives no threads.
    #[error("cannot start the threads of a network: {0}")]
    Threads(#[source] io::Error),
    /// The process may not open the files and sockets that the network takes.
    #[error(
        "{limit} open files and sockets are allowed, and {shards} shards in one process with their \
         clients take some {needed}: raise the limit (ulimit -n)"
    )]
    Descriptors {
        /// Number of descriptors that are allowed.
        limit: u64,
        /// Number of shards asked for.
        shards: u16,
        /// Number of descriptors that they take.
        needed: u64,
    },
    /// The loopback interface carries nothing.
    #[error("127.0.0.1 cannot be reached from this process: {0}")]
    Loopback(io::Error),
    /// The policy makes no sense.
    #[error(transparent)]
    Network(#[from] NetworkFileError),
    /// The coordinator does not start.
    #[error("the coordinator does not start: {0}")]
    Coordinator(#[from] ServerError),
    /// A shard does not start.
    #[error("shard {shard} does not start: {source}")]
    Shard {
        /// Its number, from 0.
        shard: u16,
        /// Reason for which it does not start.
        source: StartError,
    },
}

/// A running network. Dropping it stops everything at once, in the middle of a round if one runs.
///
/// All of it runs on threads whose names start with [`THREAD_NAMES`], and on no others, so that what
/// it costs can be told from what its clients cost.
pub struct EmbeddedNetwork {
    file: NetworkFile,
    coordinator_identity: IdentityKey,
    coordinator: CoordinatorServer,
    shards: Vec<ShardServer>,
    rounds_in_flight: u8,
    links: ShardLinks,
    started: Instant,
    _state: TempDir,
    /// Taken when the network is dropped.
    runtime: Option<Runtime>,
}

impl EmbeddedOptions {
    /// The policy as the one person who runs all of this needs it: every operator is trusted, and the
    /// coordinator's settings are within bounds.
    fn fitting_policy(&self) -> Policy {
        let c = &self.coordinator;
        let interval_ms = u64::from(c.interval_ms.max(self.policy.least_round_interval_ms));
        let epoch_s = (u64::from(c.epoch_rounds) * interval_ms).div_ceil(1000);
        let deadline =
            [c.submit_ms, c.layer_ms, c.verify_ms, c.reply_ms].into_iter().fold(0, u32::max);
        Policy {
            most_pairs: self.policy.most_pairs.max(c.pairs_per_client),
            longest_epoch_s: self
                .policy
                .longest_epoch_s
                .max(u32::try_from(epoch_s).unwrap_or(u32::MAX)),
            longest_deadline_ms: self.policy.longest_deadline_ms.max(deadline),
            trusts_heavy_operators: true,
            ..self.policy.clone()
        }
    }
}

impl EmbeddedNetwork {
    /// Starts all processes. `tamper` may make a shard misbehave, given its number.
    ///
    /// # Errors
    /// If the system refuses something or the policy makes no sense.
    pub fn start(
        options: &EmbeddedOptions,
        mut tamper: impl FnMut(u16) -> Option<Box<dyn Tamper>>,
    ) -> Result<Self, EmbeddedError> {
        let links = ShardLinks::chosen(options)?;
        check_loopback().map_err(EmbeddedError::Loopback)?;
        let runtime = Builder::new_multi_thread()
            .thread_name(format!("{THREAD_NAMES}net"))
            .enable_all()
            .build()
            .map_err(EmbeddedError::Threads)?;
        // Servers spawn their tasks on the runtime that they are started within.
        let _inside = runtime.enter();
        let started = Instant::now();
        let mut rng = entropy();
        let operators: Vec<_> = (0..options.shards).map(|_| signing_key(&mut rng)).collect();
        let file = network_file(options, &operators)?;
        let state = tempfile::tempdir().map_err(EmbeddedError::State)?;
        let identity = signing_key(&mut rng);
        let coordinator_identity = IdentityKey::of(&identity);
        let coordinator = start_coordinator(options, &file, state.path(), identity)?;
        let to = CoordinatorAddress {
            address: coordinator.shard_addr().to_string(),
            identity: coordinator_identity,
        };
        let shards = start_shards(options, links, &file, &operators, &to, &mut tamper, &mut rng)?;
        drop(_inside);
        Ok(Self {
            file,
            coordinator_identity,
            coordinator,
            shards,
            rounds_in_flight: options.coordinator.rounds_in_flight,
            links,
            started,
            _state: state,
            runtime: Some(runtime),
        })
    }

    /// The network file that its processes and clients have.
    pub fn file(&self) -> &NetworkFile {
        &self.file
    }

    /// The key that the coordinator proves.
    pub fn coordinator_identity(&self) -> IdentityKey {
        self.coordinator_identity
    }

    /// Where clients get the first document.
    pub fn client_address(&self) -> SocketAddr {
        self.coordinator.client_addr()
    }

    /// Number of shards.
    pub fn shards(&self) -> u32 {
        self.shards.len() as u32
    }

    /// Number of rounds that may run at the same time.
    pub fn rounds_in_flight(&self) -> u8 {
        self.rounds_in_flight
    }

    /// Medium of the links between its shards.
    pub fn shard_links(&self) -> ShardLinks {
        self.links
    }

    /// Time since it was started.
    pub fn up_for(&self) -> Duration {
        self.started.elapsed()
    }

    /// Has the shard with this identity leave as one that is asked to stop: it serves until an epoch without it has
    /// taken over. Returns its end, or `None` if the network does not have it.
    pub fn leave(
        &mut self,
        shard: &IdentityKey,
    ) -> Option<impl Future<Output = Result<(), RunError>> + use<>> {
        let position = self.shards.iter().position(|server| server.identity() == *shard)?;
        Some(self.shards.remove(position).shut_down())
    }

    /// Ends the shard with this identity at once, in the middle of whatever it does, and for good. Returns `false` if the
    /// network does not have it.
    pub fn kill(&mut self, shard: &IdentityKey) -> bool {
        let position = self.shards.iter().position(|server| server.identity() == *shard);
        position.map(|position| self.shards.remove(position)).is_some()
    }

    /// The identities of its shards.
    pub fn identities(&self) -> impl Iterator<Item = IdentityKey> {
        self.shards.iter().map(ShardServer::identity)
    }

    /// Reports of the coordinator from here on.
    pub fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.coordinator.subscribe()
    }

    /// Reports of each shard from here on.
    pub fn subscribe_shards(&self) -> Vec<broadcast::Receiver<ShardNotice>> {
        self.shards.iter().map(ShardServer::subscribe).collect()
    }
}

impl fmt::Debug for EmbeddedNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedNetwork")
            .field("shards", &self.shards.len())
            .finish_non_exhaustive()
    }
}

impl Drop for EmbeddedNetwork {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting is not allowed where this may be dropped: among a runtime's tasks.
            runtime.shutdown_background();
        }
    }
}

/// The file of a network in which each operator has the same weight.
fn network_file(
    options: &EmbeddedOptions,
    operators: &[SigningKey],
) -> Result<NetworkFile, NetworkFileError> {
    let named = operators.iter().enumerate().map(|(position, key)| Operator {
        name: format!("operator-{position}"),
        key: IdentityKey::of(key),
        weight: 1,
    });
    NetworkFile::new(named.collect(), options.fitting_policy())
}

/// Starts the coordinator, which keeps its state in the folder `state`.
fn start_coordinator(
    options: &EmbeddedOptions,
    file: &NetworkFile,
    state: &Path,
    identity: SigningKey,
) -> Result<CoordinatorServer, ServerError> {
    CoordinatorServer::start(ServerConfig {
        listen_shards: any_port(),
        listen_clients: any_port(),
        identity: Identity::new(identity),
        trusted: Vec::new(),
        network: file.clone(),
        state: state.join("coordinator.json"),
        coordinator: options.coordinator.clone(),
    })
}

/// Starts the shards, each with an operator of its own.
fn start_shards(
    options: &EmbeddedOptions,
    links: ShardLinks,
    file: &NetworkFile,
    operators: &[SigningKey],
    coordinator: &CoordinatorAddress,
    tamper: &mut impl FnMut(u16) -> Option<Box<dyn Tamper>>,
    rng: &mut impl CryptoRng,
) -> Result<Vec<ShardServer>, EmbeddedError> {
    let (medium, workers) = links.shared(options)?;
    let start = |(shard, operator)| {
        let config = ShardServerConfig {
            medium: medium.clone(),
            workers: workers.clone(),
            ..shard_config(file, options, (shard, operator), coordinator.clone(), rng)
        };
        start_shard(config, tamper(shard)).map_err(|source| EmbeddedError::Shard { shard, source })
    };
    (0..options.shards).zip(operators).map(start).collect()
}

/// Starts a shard, with what makes it misbehave between its machine and its links. Must be called within a tokio
/// runtime.
///
/// # Errors
/// As [`ShardServer::start`].
pub fn start_shard(
    config: ShardServerConfig,
    tamper: Option<Box<dyn Tamper>>,
) -> Result<ShardServer, StartError> {
    let Some(tamper) = tamper else { return ShardServer::start(config) };
    let identity = config.identity.clone();
    ShardServer::start_through(config, Tampering { identity, tamper })
}

fn shard_config(
    file: &NetworkFile,
    options: &EmbeddedOptions,
    (shard, operator): (u16, &SigningKey),
    coordinator: CoordinatorAddress,
    rng: &mut impl CryptoRng,
) -> ShardServerConfig {
    let identity = signing_key(rng);
    let list = OperatorList {
        network: file.id(),
        operator: OperatorIndex(shard),
        number: 1,
        first_epoch: Epoch(0),
        last_epoch: Epoch(u64::MAX),
        shards: vec![IdentityKey::of(&identity)],
    };
    ShardServerConfig {
        identity,
        network: file.clone(),
        list: Signed::new(list, operator),
        listen_peers: any_port(),
        listen_clients: any_port(),
        advertise_peers: Vec::new(),
        advertise_clients: Vec::new(),
        coordinators: vec![coordinator],
        // Nothing of this network outlives the process.
        state: None,
        limits: options.limits.clone(),
        threads: options.threads,
        workers: None,
        medium: Medium::default(),
    }
}

/// Sends a datagram from one socket of this process to another: else every link would be tried until
/// its time is up.
fn check_loopback() -> io::Result<()> {
    let [from, to] = [UdpSocket::bind(any_port())?, UdpSocket::bind(any_port())?];
    to.set_read_timeout(Some(LOOPBACK_WITHIN))?;
    from.send_to(&[0], to.local_addr()?)?;
    to.recv(&mut [0]).map(drop)
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn signing_key(rng: &mut impl CryptoRng) -> SigningKey {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *seed);
    SigningKey::from_bytes(&seed)
}
