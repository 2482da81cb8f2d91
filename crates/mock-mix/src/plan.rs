//! Plans of mock epochs.

use std::net::{Ipv4Addr, SocketAddr};

use antiphon_wire::{BeatParameters, Epoch, Policy, Round, Timestamp};

/// Plan of a mock epoch: its rounds, shards and policy.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The epoch. The shards' keys follow from it.
    pub epoch: Epoch,
    /// First round of the epoch.
    pub first_round: Round,
    /// Number of rounds.
    pub rounds: u64,
    /// Time at which the first round is to open.
    pub starts_at: Timestamp,
    /// Milliseconds from one round to the next.
    pub interval_ms: u32,
    /// Pairs of onions for each client.
    pub pairs: u8,
    /// Beats that follow each round.
    pub beats: BeatParameters,
    /// The policy of the network file.
    pub policy: Policy,
    /// Operators in the network file, all of one weight.
    pub operators: u8,
    /// Places of the shards.
    pub shards: Vec<Place>,
}

/// One shard's place in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The shard's number, from which its [identity](crate::shard_key) follows.
    pub number: u8,
    /// The operator that lists it.
    pub operator: u8,
    /// Where it says that it listens.
    pub address: SocketAddr,
}

impl Plan {
    /// An epoch of 150 rounds from `first_round` on, with a pair for each client, of three operators with
    /// a shard each.
    pub fn new(epoch: u64, first_round: u64, starts_at: Timestamp) -> Self {
        Self {
            epoch: Epoch(epoch),
            first_round: Round(first_round),
            rounds: 150,
            starts_at,
            interval_ms: 2000,
            pairs: 1,
            beats: BeatParameters::CLASSIC,
            policy: Policy {
                malicious_ppm: 10_000,
                epsilon: 4.0,
                delta: 1e-2,
                disturbed_rounds: 20,
                least_mixing_hops: 2,
                least_round_interval_ms: 1000,
                most_pairs: 16,
                trusts_heavy_operators: true,
                total_delta: 1.0,
                ..Policy::DEFAULT
            },
            operators: 3,
            shards: (0..3).map(|i| Place::of(i, i)).collect(),
        }
    }

    /// The same with 40 beats after each round, a tenth of a second apart.
    #[must_use]
    pub fn with_beats(self) -> Self {
        let beats = BeatParameters { beats: 40, beat_ms: 100, layer_ms: 10, cell_bytes: 256 };
        Self { beats, ..self }
    }

    /// The same with as many shards for each operator as are given.
    #[must_use]
    pub fn operated(self, shards: &[u8]) -> Self {
        let owners = (0..).zip(shards).flat_map(|(owner, &its)| (0..its).map(move |_| owner));
        let places = (0..).zip(owners).map(|(number, operator)| Place::of(number, operator));
        Self { operators: shards.len() as u8, shards: places.collect(), ..self }
    }
}

impl Place {
    /// Shard `number` of `operator`, at an address where nobody listens.
    pub fn of(number: u8, operator: u8) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 4000 + u16::from(number)));
        Self { number, operator, address }
    }
}
