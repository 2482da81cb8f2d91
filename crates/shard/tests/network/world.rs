//! A network with a weak policy: short paths and a little noise, so that rounds are quick.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use antiphon_coordinator::{CoordinatorConfig, CoordinatorServer, ServerConfig};
use antiphon_mix::Notice;
use antiphon_shard::{
    CoordinatorAddress, ServerLimits, ShardNotice, ShardServer, ShardServerConfig,
};
use antiphon_transport::{Identity, Medium};
use antiphon_wire::{
    Epoch, IdentityKey, NetworkFile, Operator, OperatorIndex, OperatorList, Policy, Round,
    RoundOutcome, Signed,
};
use ed25519_dalek::SigningKey;
use tempfile::TempDir;
use tokio::sync::broadcast;
use tokio::time::timeout;

/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) network: NetworkFile,
    pub(crate) coordinator: CoordinatorServer,
    _directory: TempDir,
}

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn operator_key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[100 + number; 32])
}

pub(crate) fn shard_key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number + 1; 32])
}

const COORDINATOR: [u8; 32] = [99; 32];

impl World {
    /// A coordinator that opens a round `interval_ms` after the one before, at the earliest, and
    /// plans one epoch.
    pub(crate) fn start(interval_ms: u32) -> Self {
        Self::with_epochs(interval_ms, 1000)
    }

    /// The same with epochs of so many rounds.
    pub(crate) fn with_epochs(interval_ms: u32, epoch_rounds: u32) -> Self {
        let operators = (0..3).map(|number| Operator {
            name: format!("operator {number}"),
            key: IdentityKey::of(&operator_key(number)),
            weight: 1,
        });
        let policy = Policy {
            malicious_ppm: 0,
            epsilon: 20.0,
            delta: 0.1,
            disturbed_rounds: 1,
            least_mixing_hops: 3,
            least_round_interval_ms: 50,
            trusts_heavy_operators: true,
            total_delta: 1.0,
            ..Policy::DEFAULT
        };
        let network = NetworkFile::new(operators.collect(), policy).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let coordinator = CoordinatorServer::start(ServerConfig {
            listen_shards: local(),
            listen_clients: local(),
            identity: Identity::from_seed(&COORDINATOR),
            trusted: Vec::new(),
            network: network.clone(),
            state: directory.path().join("coordinator.json"),
            coordinator: CoordinatorConfig {
                epoch_rounds,
                interval_ms,
                prepare_ahead_rounds: 5,
                submit_ms: 2000,
                layer_ms: 5000,
                verify_ms: 5000,
                reply_ms: 5000,
                gather_ms: 60_000,
                hand_over_ms: 300,
                ..CoordinatorConfig::default()
            },
        })
        .unwrap();
        Self { network, coordinator, _directory: directory }
    }

    /// The configuration of one of the three shards.
    pub(crate) fn config(&self, number: u8) -> ShardServerConfig {
        let identity = shard_key(number);
        ShardServerConfig {
            list: self.list(number, (1, Epoch(0)), &[number]),
            identity,
            network: self.network.clone(),
            listen_peers: local(),
            listen_clients: local(),
            advertise_peers: Vec::new(),
            advertise_clients: Vec::new(),
            coordinators: vec![CoordinatorAddress {
                address: self.coordinator.shard_addr().to_string(),
                identity: IdentityKey::of(&SigningKey::from_bytes(&COORDINATOR)),
            }],
            state: None,
            limits: ServerLimits::default(),
            threads: NonZeroUsize::new(1),
            workers: None,
            medium: Medium::Tcp,
        }
    }

    /// A list of an operator: its number, its first epoch, and the numbers of its shards.
    pub(crate) fn list(
        &self,
        operator: u8,
        (number, first_epoch): (u32, Epoch),
        shards: &[u8],
    ) -> Signed<OperatorList> {
        let list = OperatorList {
            network: self.network.id(),
            operator: OperatorIndex(operator.into()),
            number,
            first_epoch,
            last_epoch: Epoch(1000),
            shards: shards.iter().map(|shard| IdentityKey::of(&shard_key(*shard))).collect(),
        };
        Signed::new(list, &operator_key(operator))
    }

    pub(crate) fn shards(&self) -> Vec<ShardServer> {
        (0..3).map(|number| ShardServer::start(self.config(number)).unwrap()).collect()
    }
}

/// The next round that ended.
pub(crate) async fn round_end(
    notices: &mut broadcast::Receiver<ShardNotice>,
) -> (Round, RoundOutcome) {
    timeout(PATIENCE, async {
        loop {
            let notice = notices.recv().await.unwrap();
            if let ShardNotice::Machine(Notice::RoundEnded { round, outcome, .. }) = notice {
                return (round, outcome);
            }
        }
    })
    .await
    .expect("rounds go on")
}
