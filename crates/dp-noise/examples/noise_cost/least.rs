//! The least noise of each mechanism that keeps a guarantee.

use antiphon_dp_noise::{
    Account, Budget, LaplaceNoise, Mechanism, OperatorShare, PairDistribution, PoissonNoise, Sigma,
    Step, solve,
};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guarantee {
    /// For people.
    pub(crate) name: &'static str,
    /// Epsilon over all rounds.
    pub(crate) epsilon: f64,
    /// Delta over all rounds.
    pub(crate) delta: f64,
    /// Disturbed rounds.
    pub(crate) rounds: u32,
}

/// In the order of [`least_total`].
pub(crate) const MECHANISMS: [&str; 4] =
    ["constant volume", "constant volume, any cut", "Laplace", "Poisson"];

/// Noise deposits a round of all shards together: exactly for a constant volume, on average for
/// the others. Only those of the honest shards count for the guarantee.
pub(crate) fn least_total(guarantee: &Guarantee, shards: u32, honest: u32) -> [f64; 4] {
    let all = f64::from(shards);
    [
        ours(guarantee, shards, shards - honest),
        all * any_cut(guarantee, honest),
        all * laplace(guarantee, honest),
        all * poisson(guarantee, honest),
    ]
}

fn ours(guarantee: &Guarantee, shards: u32, malicious: u32) -> f64 {
    let operators = vec![OperatorShare { weight: 1, shards: 1 }; shards as usize];
    Budget::new(guarantee.epsilon, guarantee.delta, guarantee.rounds)
        .ok()
        .and_then(|budget| solve(&budget, &operators, malicious.into()).ok())
        .map_or(f64::NAN, |noise| noise.total_volume(&operators) as f64)
}

/// Without the rule that the cut lies at four sigma or beyond: the volume is V, the width V/c for
/// whichever c in quarters needs the least, down to none at all, where every number of pairs is as
/// likely as another.
fn any_cut(guarantee: &Guarantee, honest: u32) -> f64 {
    let at_cut = |cut: u32| {
        let keeps = |volume: u32| {
            // Twice the volume is as good as flat.
            let flat = 2 * volume * Sigma::UNITS_PER_PAIR;
            let units = (volume * Sigma::UNITS_PER_PAIR).checked_div(cut).unwrap_or(flat);
            let shard =
                Sigma::from_units(units).and_then(|sigma| PairDistribution::new(volume, sigma));
            shard.is_ok_and(|shard| {
                guarantee.kept(Mechanism::ConstantVolume(vec![shard; honest as usize]))
            })
        };
        let (mut low, mut high) = (0, 1024);
        while high - low > 1 {
            let middle = u32::midpoint(low, high);
            if keeps(4 * middle) { high = middle } else { low = middle }
        }
        4 * high
    };
    f64::from([0, 4, 6, 8, 10, 12, 14, 16].map(at_cut).into_iter().min().unwrap_or(0))
}

/// The better of half as many pairs as singles and of the split that tells least.
fn poisson(guarantee: &Guarantee, honest: u32) -> f64 {
    let with_pairs = |share: f64| {
        let noise = |mean| PoissonNoise::new(mean, share * mean).ok();
        let least = bisect(1.0, 1e6, |mean| {
            noise(mean)
                .is_some_and(|each| guarantee.kept(Mechanism::Poisson { shards: honest, each }))
        });
        noise(least).map_or(f64::INFINITY, PoissonNoise::volume)
    };
    // 4/singles + 1/pairs, at a given singles + 2 pairs, is least at this ratio.
    with_pairs(0.5).min(with_pairs(0.5 / 2.0_f64.sqrt()))
}

/// The best ratio of the mean to the scale.
fn laplace(guarantee: &Guarantee, honest: u32) -> f64 {
    let mut best = f64::INFINITY;
    for ratio in [0.0, 1.0, 2.0, 4.0, 6.0, 8.0, 11.0] {
        let noise = |scale| LaplaceNoise::new(ratio * scale, scale).ok();
        let keeps = |scale| {
            noise(scale)
                .is_some_and(|each| guarantee.kept(Mechanism::Laplace { shards: honest, each }))
        };
        // Doubled until it keeps, or costs more than what was found before.
        let mut high = 2.0;
        while noise(high).is_some_and(|wide| wide.volume() < 2.0 * best) && !keeps(high) {
            high *= 2.0;
        }
        if noise(high).is_some_and(|wide| wide.volume() < 2.0 * best) {
            let least = bisect(high / 2.0, high, keeps);
            best = best.min(noise(least).map_or(f64::INFINITY, LaplaceNoise::volume));
        }
    }
    best
}

/// The least value that keeps, to four in a thousand.
fn bisect(mut low: f64, mut high: f64, keeps: impl Fn(f64) -> bool) -> f64 {
    while high > 1.004 * low {
        let middle = (low * high).sqrt();
        if keeps(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

impl Guarantee {
    fn kept(&self, mechanism: Mechanism) -> bool {
        Account::new(mechanism).is_ok_and(|account| {
            account.epsilon(self.delta, self.rounds, Step::One) <= self.epsilon
        })
    }
}
