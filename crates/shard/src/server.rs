//! A shard server from start to stop.

pub(crate) mod endpoints;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use antiphon_mix::{EntropySource, ListError, Shard, ShardConfig, SignerState};
use antiphon_process::entropy::entropy;
use antiphon_process::kept_file::KeptFile;
use antiphon_process::metrics::network::guarantee;
use antiphon_process::readiness::Readiness;
use antiphon_process::requests::{self, Asker};
use antiphon_transport::{BindError, Dialer, Identity, Limits, PeerDialer};
use antiphon_wire::{
    AddressesError, IdentityKey, NetworkFile, OperatorIndex, OperatorList, Signed,
};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;

use self::endpoints::Endpoints;
use crate::advertised::Advertising;
use crate::coordinator;
use crate::event_loop::{AbortOnDrop, EventLoop, Hands, Sources};
use crate::peers::PeerLinks;
use crate::phase::Phase;
use crate::through::{Nothing, Through};
use crate::workers::Workers;
use crate::{
    CoordinatorAddress, RunError, ShardNotice, ShardServerConfig, StateFileError, state_file,
};

/// Notices kept for a subscriber that is slow to take them.
const NOTICES: usize = 256;
/// Messages from the coordinator that wait for the machine.
const COORDINATOR_EVENTS: usize = 16;

/// Reason why a shard server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An endpoint cannot listen.
    #[error("the endpoint for {whom}: {source}")]
    Bind {
        /// `shards` or `clients`.
        whom: &'static str,
        /// Error of the endpoint.
        source: BindError,
    },
    /// Others cannot dial the address that would be registered.
    #[error(
        "`listen_{whom}` is {address}, which nobody else can dial: \
         set `advertise_{whom}` to the address at which this shard is reached"
    )]
    NoAddress {
        /// `peers` or `clients`.
        whom: &'static str,
        /// The address listened on.
        address: SocketAddr,
    },
    /// The name that is advertised has no address.
    #[error("`advertise_{whom}` is {name}, which cannot be resolved: {source}")]
    Unresolved {
        /// `peers` or `clients`.
        whom: &'static str,
        /// Name that is advertised.
        name: String,
        /// Error of the lookup.
        source: io::Error,
    },
    /// The addresses that are advertised are none that a shard can have.
    #[error("`advertise_{whom}`: {source}")]
    Addresses {
        /// `peers` or `clients`.
        whom: &'static str,
        /// What is wrong with them.
        source: AddressesError,
    },
    /// The operator's list is for another network.
    #[error("the operator list is for another network file than the one given")]
    OtherNetwork,
    /// The operator is unknown.
    #[error("the operator list is by operator {0}, whom the network file does not have")]
    UnknownOperator(OperatorIndex),
    /// The operator did not sign the list.
    #[error("the operator list is not signed by `{name}`, whose list it says it is")]
    ListSignature {
        /// The operator's name in the network file.
        name: String,
    },
    /// The list is another operator's than the shard began with.
    #[error("the operator list is by operator {found}, and this shard belongs to operator {ours}")]
    OtherOperator {
        /// Whose list it is.
        found: OperatorIndex,
        /// Whose shard this is.
        ours: OperatorIndex,
    },
    /// The list must not be taken, by what the state file remembers.
    #[error(transparent)]
    List(#[from] ListError),
    /// The shard is not on the list.
    #[error(
        "this shard's identity {identity} is not on its operator's list number {number}: \
         the operator has to sign a list that has it"
    )]
    NotListed {
        /// The identity, in full.
        identity: String,
        /// Number of the list.
        number: u32,
    },
    /// The state file cannot be used.
    #[error(transparent)]
    State(#[from] StateFileError),
    /// The system gives no threads.
    #[error("cannot start the threads that peel onions: {0}")]
    Threads(io::Error),
}

/// A running shard. Dropping it stops the shard at once, in the middle of a round if one runs.
#[derive(Debug)]
pub struct ShardServer {
    identity: IdentityKey,
    /// For other shards, and for clients.
    addresses: (SocketAddr, SocketAddr),
    notices: broadcast::Sender<ShardNotice>,
    phase: watch::Sender<Phase>,
    lists: watch::Sender<Option<Signed<OperatorList>>>,
    readiness: watch::Receiver<Readiness>,
    asker: Asker,
    expected: Expected,
    task: Option<JoinHandle<Result<(), RunError>>>,
}

impl ShardServer {
    /// Starts a shard. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If what it is given does not fit together, or the system refuses something.
    pub fn start(config: ShardServerConfig) -> Result<Self, StartError> {
        Self::start_through(config, Nothing)
    }

    /// Starts a shard whose machine's inputs and outputs pass through something.
    /// Networks for tests watch or change there what a shard does; any other shard has no need of it.
    /// Must be called within a tokio runtime.
    ///
    /// Long, as it is one order: what may fail comes first, then the channels between tasks, then the tasks.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_through(
        config: ShardServerConfig,
        through: impl Through,
    ) -> Result<Self, StartError> {
        config.check_fit()?;
        if let Err(error) = config.check_listed() {
            tracing::warn!("{error}; this shard waits for it");
        }
        guarantee(&config.network.policy);
        // On disk before anything else: no two processes should find out about each other later.
        let (state_file, state) = kept_state(config.state.as_deref(), config.list.claimed())?;
        let operator = config.list.claimed().operator;
        let credentials = Identity::new(config.identity.clone());
        let links = Arc::new(PeerLinks::default());
        let endpoints = Endpoints::bind(&config, &credentials, &links)?;
        let addresses = (endpoints.peer_address, endpoints.client_address);
        let network = Arc::new(config.network.clone());
        let advertising = advertising(&config, addresses);
        let machine = machine(&config, &network, &advertising, state)?;
        let workers = workers(&config)?;
        let (results_in, results) = mpsc::unbounded_channel();
        let identity = machine.identity();
        tracing::info!(%identity, peer_address = %addresses.0, client_address = %addresses.1, "shard started");

        let (phase_in, phase) = watch::channel(Phase::Running);
        let (lists_in, lists) = watch::channel(None);
        let (notices, _) = broadcast::channel(NOTICES);
        let (asker, requests) = requests::channel();
        let doors = endpoints.doors();
        let medium = config.medium;
        let served = endpoints.serve(&config.limits, &links, &phase);
        let (coordinators, coordinator_tasks) =
            linked(&credentials, config.coordinators, advertising);
        let hands = Hands {
            state_file,
            phase: phase.clone(),
            workers,
            results: results_in,
            dialer: Arc::new(PeerDialer::new(&credentials, medium.limits()).over(medium)),
            links,
            doors,
            notices: notices.clone(),
        };
        let sources =
            Sources { results, coordinators, served, phase, lists, requests, coordinator_tasks };
        let (tell_readiness, readiness) = watch::channel(starting());
        let expected = Expected { network, operator };
        let event_loop = EventLoop::new(machine, through, state, hands, tell_readiness);
        let task = Some(tokio::spawn(event_loop.run(sources, phase_in.clone())));
        let (phase, lists) = (phase_in, lists_in);
        Ok(Self { identity, addresses, notices, phase, lists, readiness, asker, expected, task })
    }

    /// Identity by which others know the shard.
    pub fn identity(&self) -> IdentityKey {
        self.identity
    }

    /// Address on which it listens for other shards.
    pub fn peer_address(&self) -> SocketAddr {
        self.addresses.0
    }

    /// Address on which it listens for clients.
    pub fn client_address(&self) -> SocketAddr {
        self.addresses.1
    }

    /// Readiness of the shard for its part in the network, or what it lacks, as it changes.
    pub fn readiness(&self) -> watch::Receiver<Readiness> {
        self.readiness.clone()
    }

    /// Hands in requests to the shard: how it stands, to leave at the next hand-over and stay up, and to take
    /// part again. Answers are a [`Status`](crate::Status) as JSON.
    pub fn asker(&self) -> Asker {
        self.asker.clone()
    }

    /// Notices from now on. A subscriber that falls far behind misses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<ShardNotice> {
        self.notices.subscribe()
    }

    /// Goes on with a new list of the operator, from the first epoch that it is for. A shard that is not
    /// on it serves the epochs that have it, and is in none after them. What becomes of the list is told as
    /// [`Notice::ListTaken`](antiphon_mix::Notice::ListTaken) or
    /// [`Notice::ListRefused`](antiphon_mix::Notice::ListRefused).
    ///
    /// # Errors
    /// If the list is not of this shard's operator. The one before stays.
    pub fn renew_list(&self, list: Signed<OperatorList>) -> Result<(), StartError> {
        self.expected.check(&list)?;
        self.lists.send_replace(Some(list));
        Ok(())
    }

    /// Waits until the shard fails; for ever if it does not. The future may be dropped and called again.
    ///
    /// # Errors
    /// The reason of the failure, once.
    pub async fn failed(&mut self) -> Result<(), RunError> {
        let Some(task) = &mut self.task else { return Ok(()) };
        let ended = task.await;
        self.task = None;
        ended.unwrap_or(Err(RunError::Panicked))
    }

    /// Serves until an epoch without this shard has taken over, so that nobody is disturbed, says
    /// goodbye and leaves. Takes no longer than [`termination_grace`](antiphon_process::grace::termination_grace), and a round if
    /// there is no coordinator.
    ///
    /// # Errors
    /// If the shard failed, unless [`failed`](Self::failed) has said so.
    pub async fn shut_down(mut self) -> Result<(), RunError> {
        self.phase.send_replace(Phase::Stopping);
        self.failed().await
    }
}

impl Drop for ShardServer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

fn starting() -> Readiness {
    Readiness::NotReady("it is starting".to_owned())
}

/// Takes the state file, if there is one, and makes its state durable once more, with `list`. A file that
/// cannot be written is an error now and not in the first round.
fn kept_state(
    path: Option<&Path>,
    list: &OperatorList,
) -> Result<(Option<Arc<KeptFile>>, SignerState), StartError> {
    let Some(path) = path else { return Ok((None, SignerState::default())) };
    let (file, state) = state_file::take(path)?;
    let state = state.take(list)?;
    state_file::store(&file, state)?;
    Ok((Some(Arc::new(file)), state))
}

fn machine(
    config: &ShardServerConfig,
    network: &Arc<NetworkFile>,
    advertising: &Advertising,
    state: SignerState,
) -> Result<Shard, StartError> {
    let (peer_addresses, client_addresses) = advertising.resolve()?;
    let config = ShardConfig {
        network: Arc::clone(network),
        identity: config.identity.clone(),
        list: config.list.clone(),
        peer_addresses,
        client_addresses,
        coordinators: config.coordinators.iter().map(|coordinator| coordinator.identity).collect(),
        limits: config.limits.rounds,
    };
    Ok(Shard::new(config, state, EntropySource::new(entropy())))
}

/// Threads that peel: those that the shard shares, or else its own.
fn workers(config: &ShardServerConfig) -> Result<Arc<Workers>, StartError> {
    if let Some(shared) = &config.workers {
        return Ok(Arc::clone(shared));
    }
    let threads = config.threads.or_else(|| available_parallelism().ok());
    let workers = Workers::start(threads.unwrap_or(NonZeroUsize::MIN));
    Ok(Arc::new(workers.map_err(StartError::Threads)?))
}

/// Starts the tasks that keep the coordinators linked, and returns their events with them.
fn linked(
    identity: &Identity,
    coordinators: Vec<CoordinatorAddress>,
    advertising: Advertising,
) -> (mpsc::Receiver<coordinator::Event>, Vec<AbortOnDrop>) {
    let (events, events_out) = mpsc::channel(COORDINATOR_EVENTS);
    let dialer = Arc::new(Dialer::new(Some(identity), Limits::coordinator()));
    let advertising = Arc::new(advertising);
    let start = |address| {
        let (dialer, advertising) = (Arc::clone(&dialer), Arc::clone(&advertising));
        let link = coordinator::keep_linked(dialer, address, advertising, events.clone());
        AbortOnDrop(tokio::spawn(link))
    };
    let tasks = coordinators.into_iter().map(start).collect();
    (events_out, tasks)
}

/// Everything that the addresses to register come from, of a shard that listens at `listened`.
fn advertising(config: &ShardServerConfig, listened: (SocketAddr, SocketAddr)) -> Advertising {
    Advertising {
        peers: config.advertise_peers.clone(),
        clients: config.advertise_clients.clone(),
        listened,
        coordinator: config.coordinators.first().map(|c| c.address.clone()).unwrap_or_default(),
    }
}

impl ShardServerConfig {
    /// Finds out here what every coordinator would say anyway: whether the shard is on a list that its
    /// operator signed for this network, and has addresses that others can dial.
    ///
    /// # Errors
    /// If it would be rejected.
    pub fn check(&self) -> Result<(), StartError> {
        self.check_listed()?;
        self.check_fit()
    }

    fn check_listed(&self) -> Result<(), StartError> {
        let identity = IdentityKey::of(&self.identity);
        let list = check_list(&self.network, &self.list)?;
        if list.shards.contains(&identity) {
            return Ok(());
        }
        Err(StartError::NotListed { identity: identity.to_hex(), number: list.number })
    }

    /// What a shard cannot start without. It may be on no list yet: the operator lists it once it runs, and a list
    /// that ends another one names nobody.
    fn check_fit(&self) -> Result<(), StartError> {
        check_list(&self.network, &self.list)?;
        // A port of 0 becomes one that can be dialled when the system has chosen it.
        for (whom, advertised, listen) in [
            ("peers", &self.advertise_peers, self.listen_peers),
            ("clients", &self.advertise_clients, self.listen_clients),
        ] {
            // What is advertised was checked when it was read, and names are looked up at the start.
            if advertised.is_empty() && listen.ip().is_unspecified() {
                return Err(StartError::NoAddress { whom, address: listen });
            }
        }
        Ok(())
    }
}

/// Network and operator that a new list has to fit.
#[derive(Debug)]
struct Expected {
    network: Arc<NetworkFile>,
    operator: OperatorIndex,
}

impl Expected {
    fn check(&self, list: &Signed<OperatorList>) -> Result<(), StartError> {
        let (found, ours) = (check_list(&self.network, list)?.operator, self.operator);
        if found != ours {
            return Err(StartError::OtherOperator { found, ours });
        }
        Ok(())
    }
}

fn check_list<'a>(
    network: &NetworkFile,
    list: &'a Signed<OperatorList>,
) -> Result<&'a OperatorList, StartError> {
    let claimed = list.claimed();
    if claimed.network != network.id() {
        return Err(StartError::OtherNetwork);
    }
    let operator =
        network.operator(claimed.operator).ok_or(StartError::UnknownOperator(claimed.operator))?;
    list.verify(&operator.key)
        .map_err(|_| StartError::ListSignature { name: operator.name.clone() })
}
