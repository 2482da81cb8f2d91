//! What a simulated network is made of.

use antiphon_coordinator::CoordinatorConfig;
use antiphon_wire::{
    Epoch, IdentityKey, NetworkFile, Operator, OperatorIndex, OperatorList, Policy, Signed,
};
use ed25519_dalek::SigningKey;
use rand::Rng as _;
use rand_chacha::ChaCha20Rng;

/// How long messages take.
#[derive(Clone, Copy, Debug)]
pub struct LinkModel {
    /// Milliseconds that every message takes.
    pub delay_ms: u64,
    /// Up to so many milliseconds more, at random.
    pub jitter_ms: u64,
    /// The chance that a message is lost and has to be sent again, in millionths. Links are
    /// reliable: a loss costs three delays and 50 ms.
    pub loss_ppm: u32,
}

impl LinkModel {
    pub(crate) fn delay(&self, rng: &mut ChaCha20Rng) -> u64 {
        let mut delay = self.delay_ms;
        if self.jitter_ms > 0 {
            delay += rng.next_u64() % (self.jitter_ms + 1);
        }
        while rng.next_u32() % 1_000_000 < self.loss_ppm.min(900_000) {
            delay += 3 * self.delay_ms + 50;
        }
        delay
    }
}

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How many shards.
    pub shards: usize,
    /// How many operators run them, in turn; as many as shards by default.
    pub operators: usize,
    /// How many of the shards the first operator runs, if not as many as the others.
    pub first_operators: Option<usize>,
    /// How many clients.
    pub clients: usize,
    /// The network file's policy.
    pub policy: Policy,
    /// The coordinator's choices.
    pub coordinator: CoordinatorConfig,
    /// How long messages take.
    pub link: LinkModel,
    /// How clients come by their gateways.
    pub gateways: Gateways,
    /// Where all randomness comes from.
    pub seed: u64,
}

/// How clients come by their gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateways {
    /// Client i always uses shard i, counted round: scenarios know who is whose gateway.
    Pinned,
    /// As deployed clients do: a new one is drawn for every epoch.
    Drawn,
}

impl Setup {
    /// A small network: three mixing hops, about a dozen noise onions a shard, 20 ms links.
    ///
    /// Its guarantee is worth nothing; its rounds are quick to simulate.
    pub fn small(shards: usize, clients: usize) -> Self {
        let policy = Policy {
            malicious_ppm: 0,
            epsilon: 2.0,
            delta: 0.01,
            disturbed_rounds: 20,
            least_mixing_hops: 3,
            least_round_interval_ms: 500,
            trusts_heavy_operators: true,
            total_delta: 1.0,
            ..Policy::DEFAULT
        };
        let coordinator = CoordinatorConfig {
            epoch_rounds: 40,
            interval_ms: 1000,
            rounds_in_flight: 1,
            prepare_ahead_rounds: 10,
            submit_ms: 400,
            layer_ms: 400,
            verify_ms: 400,
            reply_ms: 400,
            contribute_ms: 1000,
            endorse_ms: 1000,
            ready_ms: 1000,
            gather_ms: 2000,
            retry_ms: 200,
            ..CoordinatorConfig::default()
        };
        let link = LinkModel { delay_ms: 20, jitter_ms: 10, loss_ppm: 0 };
        Self {
            shards,
            operators: shards,
            first_operators: None,
            clients,
            policy,
            coordinator,
            link,
            gateways: Gateways::Pinned,
            seed: 1,
        }
    }

    /// The same with less than half of the noise: for long runs in which noise is not the point.
    #[must_use]
    pub fn with_little_noise(mut self) -> Self {
        self.policy.epsilon = 8.0;
        self
    }

    /// The same with f = 0.2 and the hops that takes: for what depends on weights.
    #[must_use]
    pub fn with_malicious_fifth(mut self) -> Self {
        self.policy.malicious_ppm = 200_000;
        self
    }

    pub(crate) fn operator_key(position: usize) -> SigningKey {
        key(1, position)
    }

    pub(crate) fn shard_key(position: usize) -> SigningKey {
        key(2, position)
    }

    pub(crate) fn operator_of(&self, shard: usize) -> usize {
        match self.first_operators {
            None => shard % self.operators,
            Some(first) if shard < first => 0,
            Some(first) => 1 + (shard - first) % (self.operators - 1),
        }
    }

    pub(crate) fn network(&self) -> NetworkFile {
        let operators = (0..self.operators)
            .map(|position| Operator {
                name: format!("operator {position}"),
                key: IdentityKey::of(&Self::operator_key(position)),
                weight: 1,
            })
            .collect();
        NetworkFile::new(operators, self.policy.clone()).expect("a setup's policy is in range")
    }

    pub(crate) fn list_of(&self, operator: usize, network: &NetworkFile) -> Signed<OperatorList> {
        let shards = (0..self.shards)
            .filter(|shard| self.operator_of(*shard) == operator)
            .map(|shard| IdentityKey::of(&Self::shard_key(shard)))
            .collect();
        let list = OperatorList {
            network: network.id(),
            operator: OperatorIndex(operator as u16),
            number: 1,
            first_epoch: Epoch(0),
            last_epoch: Epoch(u64::MAX),
            shards,
        };
        Signed::new(list, &Self::operator_key(operator))
    }
}

/// Keys need no randomness here, only to differ.
fn key(kind: u8, position: usize) -> SigningKey {
    let mut seed = [kind; 32];
    seed[..8].copy_from_slice(&(position as u64).to_be_bytes());
    SigningKey::from_bytes(&seed)
}
