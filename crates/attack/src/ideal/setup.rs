//! Setup of an ideal network: operators, hops and users.

use antiphon_dp_noise::PairDistribution;
use antiphon_routing::Ppm;
use antiphon_wire::ShardIndex;

/// An operator and its shards.
#[derive(Clone, Copy, Debug)]
pub struct IdealOperator {
    /// Weight of the operator among all paths.
    pub weight: u32,
    /// Number of shards that it runs.
    pub shards: u16,
    /// True if the adversary is inside all of its shards.
    pub malicious: bool,
    /// Noise of each of its shards, unless it is malicious: then the adversary would know it.
    pub noise: PairDistribution,
}

/// An ideal network to simulate.
#[derive(Clone, Debug)]
pub struct IdealSetup {
    /// Who runs the shards, numbered operator by operator.
    pub operators: Vec<IdealOperator>,
    /// m: layers before the dead drops, the seal layer being the last of them.
    pub mixing_hops: u8,
    /// Users, two onions each.
    pub users: usize,
    /// The last of them, whose onions are not in question.
    pub bystanders: usize,
}

impl IdealSetup {
    /// Operators of equal weight with a shard each, the first few of them malicious.
    pub fn equal(
        operators: usize,
        malicious: usize,
        mixing_hops: u8,
        noise: PairDistribution,
    ) -> Self {
        let operators = (0..operators)
            .map(|i| IdealOperator { weight: 1, shards: 1, malicious: i < malicious, noise })
            .collect();
        Self { operators, mixing_hops, users: 2, bystanders: 0 }
    }

    /// The same with so many users in question, and so many others.
    #[must_use]
    pub fn with_users(mut self, in_question: usize, bystanders: usize) -> Self {
        self.users = in_question + bystanders;
        self.bystanders = bystanders;
        self
    }

    /// The same with so many shards. If all operators run as many, there are more or fewer operators, the
    /// malicious share of them rounded down; else the one that runs most makes up for it.
    #[must_use]
    pub fn with_shards(mut self, shards: u16) -> Self {
        let Some(&first) = self.operators.first() else { return self };
        let each = first.shards.max(1);
        if self.operators.iter().all(|operator| operator.shards == each) {
            let operators = usize::from((shards / each).max(1));
            let malicious = self.operators.iter().filter(|operator| operator.malicious).count();
            let malicious = malicious * operators / self.operators.len().max(1);
            self.operators = (0..operators)
                .map(|i| IdealOperator { shards: each, malicious: i < malicious, ..first })
                .collect();
        } else {
            let others: u16 = self.operators.iter().map(|operator| operator.shards).sum();
            if let Some(most) = self.operators.iter_mut().max_by_key(|operator| operator.shards) {
                most.shards = shards.saturating_sub(others - most.shards).max(1);
            }
        }
        self
    }

    /// All shards, and whether the adversary is inside.
    pub fn shards(&self) -> Vec<bool> {
        self.operators
            .iter()
            .flat_map(|operator| (0..operator.shards).map(|_| operator.malicious))
            .collect()
    }

    /// The shards of each operator.
    pub fn rosters(&self) -> Vec<Vec<ShardIndex>> {
        let mut next = 0;
        self.operators
            .iter()
            .map(|operator| {
                let first = next;
                next += operator.shards;
                (first..next).map(ShardIndex).collect()
            })
            .collect()
    }

    /// Shards that are honest.
    pub fn honest_shards(&self) -> usize {
        self.honest_noise().count()
    }

    /// Noise of each honest shard, one by one.
    pub fn honest_noise(&self) -> impl Iterator<Item = PairDistribution> {
        let honest = self.operators.iter().filter(|operator| !operator.malicious);
        honest.flat_map(|operator| (0..operator.shards).map(|_| operator.noise))
    }

    /// Noise deposits that they add together.
    pub fn noise_deposits(&self) -> u64 {
        self.honest_noise().map(|noise| u64::from(noise.volume())).sum()
    }

    /// f: the malicious share of the path weight.
    pub fn malicious_share(&self) -> Ppm {
        let weight = |all: bool| -> u64 {
            let counted = self.operators.iter().filter(|operator| all || operator.malicious);
            counted.map(|operator| u64::from(operator.weight)).sum()
        };
        let parts = weight(false) * u64::from(Ppm::WHOLE) / weight(true).max(1);
        // A part is no more than the whole.
        Ppm::new(parts as u32).unwrap_or_default()
    }
}
