//! The network whose round is predicted.

use antiphon_verify::FilterPrecision;
use antiphon_wire::Suite;

/// Where the shards run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Each on a machine of its own with so many cores, joined by links.
    Apart {
        /// Cores of each machine.
        cores: u32,
    },
    /// All on one machine with so many cores, with the coordinator and the simulated clients, over
    /// loopback.
    Together {
        /// Cores of the machine.
        cores: u32,
    },
}

impl Placement {
    pub(super) fn cores(self) -> u32 {
        match self {
            Self::Apart { cores } | Self::Together { cores } => cores,
        }
    }
}

/// Spread of the shards' speed: standard deviations of its logarithm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Between shards, the whole round long.
    pub shards: f64,
    /// Between the steps of one shard.
    pub steps: f64,
}

impl Spread {
    /// All equal, batch sizes included.
    pub const NONE: Self = Self { shards: 0.0, steps: 0.0 };
    /// Machines of one kind in other people's data centres.
    pub const USUAL: Self = Self { shards: 0.05, steps: 0.05 };
}

/// A network and its load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scenario {
    /// Clients that take part.
    pub users: u64,
    /// Pairs of onions of each client.
    pub pairs: u8,
    /// Shards of the network.
    pub shards: u32,
    /// Layers of onions, L in the documentation.
    pub layers: u8,
    /// Bytes of a body.
    pub body: u16,
    /// Cryptographic suite of the onions.
    pub suite: Suite,
    /// V, noise onions that each shard adds.
    pub noise_per_shard: u32,
    /// Filters let an onion that is not in them pass with probability 2^-k: k.
    pub filter_bits: u8,
    /// Where the shards run.
    pub placement: Placement,
    /// Each shard's link, in gigabits a second in each direction. Of no meaning on one machine.
    pub link_gbps: f64,
    /// Milliseconds that every message is under way. Of no meaning on one machine.
    pub delay_ms: f64,
    /// Milliseconds between the starts of two rounds.
    pub interval_ms: f64,
    /// Spread of the shards' speed.
    pub spread: Spread,
    /// Where all randomness comes from.
    pub seed: u64,
}

/// Reason for which nothing can be predicted.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ScenarioError {
    /// There are no users, or they send no onions.
    #[error("no users: give 1 at least")]
    Users,
    /// Batches are counted by 32 bits.
    #[error("{0:.0} onions a shard in a round: at most 4294967295; take more shards")]
    Onions(f64),
    /// Shards are numbered by 16 bits.
    #[error("{0} shards: a network has from 1 to 65535")]
    Shards(u32),
    /// No shape of onions.
    #[error(transparent)]
    Geometry(#[from] antiphon_wire::GeometryError),
    /// Filters of a precision that they cannot have.
    #[error("filters of precision 2^-{0}: from 1 to 32 bits")]
    Filters(u8),
    /// Nothing to compute on.
    #[error("{0} cores: a machine has from 1 to 4096")]
    Cores(u32),
    /// More shards than the model puts on one machine.
    #[error("{0} shards on one machine: the model puts at most 1000 there")]
    TooManyTogether(u32),
    /// Links that carry nothing, or everything.
    #[error("links of {0} Gbit/s: give a number above 0 and at most 100000")]
    Link(f64),
    /// Delays that no link has.
    #[error("a delay of {0} ms: give a number from 0 to 100000")]
    Delay(f64),
    /// Rounds that never start.
    #[error("an interval of {0} ms: give a number above 0")]
    Interval(f64),
    /// Beats of a classic network, or without time or cells.
    #[error(
        "beats that carry nothing: a round has 1 at least, with cells of 1 byte and an interval of 1 ms at least"
    )]
    Beats,
    /// A spread of speeds that no machines have.
    #[error("a spread of {0}: give a number from 0 to 2")]
    Spread(f64),
    /// A machine's figure that makes no sense.
    #[error("the machine's {name} is {value}: it takes a finite number of the right sign")]
    Figure {
        /// As the JSON names it.
        name: &'static str,
        /// Value that it has.
        value: f64,
    },
}

/// Shards on one machine whose batches are simulated one by one.
const MOST_TOGETHER: u32 = 1000;

impl Scenario {
    /// Bytes of a body, as the coordinator proposes.
    pub const BODY: u16 = 256;
    /// Cores of each machine, as Karaoke was measured on.
    pub const CORES: u32 = 36;

    /// `users` with a pair of onions each, on shards with 36 cores and 10 Gbit/s each, 50 ms from one
    /// another, and a round every five seconds.
    pub fn usual(users: u64, shards: u32, layers: u8, noise_per_shard: u32) -> Self {
        Self {
            users,
            pairs: 1,
            shards,
            layers,
            body: Self::BODY,
            suite: Suite::Classic,
            noise_per_shard,
            filter_bits: FilterPrecision::default().hashes(),
            placement: Placement::Apart { cores: Self::CORES },
            link_gbps: 10.0,
            delay_ms: 50.0,
            interval_ms: 5000.0,
            spread: Spread::USUAL,
            seed: 1,
        }
    }

    /// The same with everything on one machine.
    #[must_use]
    pub fn on_one_machine(self, cores: u32) -> Self {
        // One machine is as fast as itself, but batches differ in size all the same.
        let spread = Spread { shards: 0.0, steps: 0.01 };
        Self {
            placement: Placement::Together { cores },
            link_gbps: 1.0,
            delay_ms: 0.0,
            spread,
            ..self
        }
    }

    /// Refuses what is no network.
    pub(super) fn check(&self) -> Result<(), ScenarioError> {
        if self.users == 0 || self.pairs == 0 {
            return Err(ScenarioError::Users);
        }
        if !(1..=65_535).contains(&self.shards) {
            return Err(ScenarioError::Shards(self.shards));
        }
        if !(1..=32).contains(&self.filter_bits) {
            return Err(ScenarioError::Filters(self.filter_bits));
        }
        let cores = self.placement.cores();
        if !(1..=4096).contains(&cores) {
            return Err(ScenarioError::Cores(cores));
        }
        if matches!(self.placement, Placement::Together { .. }) && self.shards > MOST_TOGETHER {
            return Err(ScenarioError::TooManyTogether(self.shards));
        }
        if !(self.link_gbps > 0.0 && self.link_gbps <= 100_000.0) {
            return Err(ScenarioError::Link(self.link_gbps));
        }
        if !(0.0..=100_000.0).contains(&self.delay_ms) {
            return Err(ScenarioError::Delay(self.delay_ms));
        }
        if !(self.interval_ms > 0.0 && self.interval_ms.is_finite()) {
            return Err(ScenarioError::Interval(self.interval_ms));
        }
        for spread in [self.spread.shards, self.spread.steps] {
            if !(0.0..=2.0).contains(&spread) {
                return Err(ScenarioError::Spread(spread));
            }
        }
        Ok(())
    }

    /// Returns `true` if batches differ in size by chance, as shards do in speed.
    pub(super) fn is_uneven(&self) -> bool {
        self.spread != Spread::NONE
    }
}
