//! A whole network in this process: a coordinator and shards over QUIC on loopback, each shard with
//! an operator of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use antiphon_coordinator::server::{CoordinatorServer, ServerConfig, ServerError};
use antiphon_coordinator::{CoordinatorConfig, Notice};
use antiphon_shard::{
    CoordinatorAddress, ServerLimits, ShardServer, ShardServerConfig, StartError, Tamper,
};
use antiphon_transport::Identity;
use antiphon_transport::entropy::entropy;
use antiphon_wire::{
    Epoch, IdentityKey, NetworkFile, NetworkFileError, Operator, OperatorIndex, OperatorList,
    Policy, Signed,
};
use ed25519_dalek::SigningKey;
use rand::CryptoRng;
use tempfile::TempDir;
use tokio::sync::broadcast;

/// What to start.
#[derive(Debug)]
pub(crate) struct EmbeddedOptions {
    /// How many shards, and operators.
    pub(crate) shards: u16,
    /// The network file's policy.
    pub(crate) policy: Policy,
    /// How epochs and rounds are planned.
    pub(crate) coordinator: CoordinatorConfig,
}

/// Why a network does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EmbeddedError {
    #[error("cannot make a folder for the coordinator's state: {0}")]
    State(#[source] io::Error),
    #[error(transparent)]
    Network(#[from] NetworkFileError),
    #[error("the coordinator does not start: {0}")]
    Coordinator(#[from] ServerError),
    #[error("shard {shard} does not start: {source}")]
    Shard { shard: u16, source: StartError },
}

/// A running network. Dropping it stops everything at once, in the middle of a round if one runs.
#[derive(Debug)]
pub(crate) struct EmbeddedNetwork {
    pub(crate) file: NetworkFile,
    pub(crate) coordinator_identity: IdentityKey,
    coordinator: CoordinatorServer,
    shards: Vec<ShardServer>,
    _state: TempDir,
}

impl EmbeddedNetwork {
    /// Starts all processes. `tamper` may make a shard misbehave, given its number.
    pub(crate) fn start(
        options: EmbeddedOptions,
        mut tamper: impl FnMut(u16) -> Option<Box<dyn Tamper>>,
    ) -> Result<Self, EmbeddedError> {
        let mut rng = entropy();
        let operators: Vec<_> = (0..options.shards).map(|_| signing_key(&mut rng)).collect();
        let named = operators.iter().enumerate().map(|(position, key)| Operator {
            name: format!("operator-{position}"),
            key: IdentityKey::of(key),
            weight: 1,
        });
        let file = NetworkFile::new(named.collect(), options.policy)?;

        let state = tempfile::tempdir().map_err(EmbeddedError::State)?;
        let identity = signing_key(&mut rng);
        let coordinator_identity = IdentityKey::of(&identity);
        let coordinator = CoordinatorServer::start(ServerConfig {
            listen_shards: any_port(),
            listen_clients: any_port(),
            identity: Identity::new(identity),
            network: file.clone(),
            state: state.path().join("coordinator.json"),
            coordinator: options.coordinator,
        })?;
        let mut network =
            Self { file, coordinator_identity, coordinator, shards: Vec::new(), _state: state };
        for (shard, operator) in (0..options.shards).zip(&operators) {
            network.add_shard(shard, operator, tamper(shard), &mut rng)?;
        }
        Ok(network)
    }

    fn add_shard(
        &mut self,
        shard: u16,
        operator: &SigningKey,
        tamper: Option<Box<dyn Tamper>>,
        rng: &mut impl CryptoRng,
    ) -> Result<(), EmbeddedError> {
        let identity = signing_key(rng);
        let public = IdentityKey::of(&identity);
        let list = OperatorList {
            network: self.file.id(),
            operator: OperatorIndex(shard),
            number: 1,
            first_epoch: Epoch(0),
            last_epoch: Epoch(u64::MAX),
            shards: vec![public],
        };
        let server = ShardServer::start(ShardServerConfig {
            identity,
            network: self.file.clone(),
            list: Signed::new(list, operator),
            listen_peers: any_port(),
            listen_clients: any_port(),
            advertise_peers: None,
            advertise_clients: None,
            coordinator: CoordinatorAddress {
                address: self.coordinator.shard_addr().to_string(),
                identity: self.coordinator_identity,
            },
            // Nothing of this network outlives the process.
            state: None,
            limits: ServerLimits::default(),
            threads: None,
            tamper,
        })
        .map_err(|source| EmbeddedError::Shard { shard, source })?;
        self.shards.push(server);
        Ok(())
    }

    /// Where clients get the first document.
    pub(crate) fn client_address(&self) -> SocketAddr {
        self.coordinator.client_addr()
    }

    /// What the coordinator reports from here on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.coordinator.subscribe()
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn signing_key(rng: &mut impl CryptoRng) -> SigningKey {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *seed);
    SigningKey::from_bytes(&seed)
}
