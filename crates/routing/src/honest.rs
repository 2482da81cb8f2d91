//! Bounds on the honest operators, whichever operators of limited weight are malicious.

use antiphon_dp_noise::{OperatorShare, PairDistribution};

use crate::{MixingPopulation, Ppm};

/// An operator's weight and its share of the noise.
#[derive(Clone, Copy, Debug)]
struct Contributor {
    /// Path weight.
    weight: u32,
    /// Number of its shards in the epoch.
    shards: u16,
    /// Noise onions that all its shards add in a round.
    noise: u64,
    /// Variance of the number of pairs that all its shards draw.
    variance: f64,
}

/// Bounds that hold for every maximal set of malicious operators: every set to which nobody could be added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Honest {
    /// Least number of honest operators.
    pub fewest_operators: usize,
    /// Greatest number of honest operators.
    pub most_operators: usize,
    /// Greatest number of honest shards.
    pub most_shards: u32,
    /// Least number of honest noise onions in a round.
    pub least_noise: u64,
    /// Least number of noise onions of any one shard in a round.
    pub least_volume: u64,
    /// Greatest standard deviation of the number of pairs that honest shards draw together.
    pub most_deviation: f64,
}

impl Contributor {
    /// Noise onions of each of its shards; all have as many.
    fn volume(&self) -> Option<u64> {
        self.noise.checked_div(self.shards.into())
    }
}

impl Honest {
    /// The bounds for operators with so much noise in each shard, of which some of weight up to `malicious`
    /// are malicious. Exact for equal operators.
    pub fn of(shares: &[OperatorShare], noise: &[PairDistribution], malicious: u64) -> Self {
        let contributors: Vec<_> = shares
            .iter()
            .zip(noise)
            .map(|(share, each)| Contributor {
                weight: share.weight,
                shards: share.shards,
                noise: u64::from(each.volume()) * u64::from(share.shards),
                variance: f64::from(share.shards) * each.sigma().pairs() * each.sigma().pairs(),
            })
            .collect();
        Self::among(&contributors, malicious)
    }

    /// The population that onions are certain to be mixed with, if a share `f` of all hops is malicious. Of a
    /// larger one, a part has these numbers, and the bounds hold for it too; more honest shards only raise
    /// them.
    pub fn population(&self, f: Ppm) -> MixingPopulation {
        MixingPopulation { f, onions: self.least_noise, honest_shards: self.most_shards }
    }

    fn among(operators: &[Contributor], malicious: u64) -> Self {
        let mut weights: Vec<u64> = operators.iter().map(|each| u64::from(each.weight)).collect();
        weights.sort_unstable();
        let most_malicious = fitting(weights.iter(), malicious);
        // As long as the heaviest fit together, any smaller number of operators leaves room.
        let fewest_malicious = fitting(weights.iter().rev(), malicious);
        let total: u64 = operators.iter().map(|each| each.noise).sum();
        let taken = by_weight(operators, malicious).min(by_number(operators, most_malicious));
        let most_operators = operators.len() - fewest_malicious;
        debug_assert!(fewest_malicious <= most_malicious, "the light are more than the heavy");
        let mut shards: Vec<u32> = operators.iter().map(|each| u32::from(each.shards)).collect();
        shards.sort_unstable();
        let mut variances: Vec<f64> = operators.iter().map(|each| each.variance).collect();
        variances.sort_unstable_by(f64::total_cmp);
        Self {
            fewest_operators: operators.len() - most_malicious,
            most_operators,
            most_shards: shards.iter().rev().take(most_operators).sum(),
            least_noise: total - taken.min(total),
            least_volume: operators.iter().filter_map(Contributor::volume).min().unwrap_or(0),
            most_deviation: libm::sqrt(variances.iter().rev().take(most_operators).sum()),
        }
    }
}

/// Number of the first `weights` that fit into `room` together.
fn fitting<'a>(weights: impl Iterator<Item = &'a u64>, mut room: u64) -> usize {
    weights
        .take_while(|&&weight| {
            let fits = weight <= room;
            room = room.saturating_sub(weight);
            fits
        })
        .count()
}

/// The most noise in a set of weight up to `room`, if a part of an operator could be taken: the
/// bound of the fractional knapsack.
fn by_weight(operators: &[Contributor], mut room: u64) -> u64 {
    let mut densest = operators.to_vec();
    densest.sort_by(|a, b| {
        let (a_over_b, b_over_a) = (a.noise * u64::from(b.weight), b.noise * u64::from(a.weight));
        b_over_a.cmp(&a_over_b)
    });
    let mut taken = 0;
    for operator in densest {
        let weight = u64::from(operator.weight);
        if weight > room {
            return taken + (operator.noise * room).div_ceil(weight);
        }
        room -= weight;
        taken += operator.noise;
    }
    taken
}

/// The most noise in a set of so many operators.
fn by_number(operators: &[Contributor], number: usize) -> u64 {
    let mut noise: Vec<u64> = operators.iter().map(|each| each.noise).collect();
    noise.sort_unstable();
    noise.iter().rev().take(number).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contributor(weight: u32, noise: u64) -> Contributor {
        Contributor { weight, shards: 2, noise, variance: noise as f64 }
    }

    fn equal(count: usize, weight: u32) -> Vec<Contributor> {
        vec![contributor(weight, 1000); count]
    }

    #[test]
    fn equal_operators_are_counted_exactly() {
        for (weight, malicious) in [(1, 2), (3, 6), (3, 8)] {
            let honest = Honest::among(&equal(10, weight), malicious);
            let expected = Honest {
                fewest_operators: 8,
                most_operators: 8,
                most_shards: 16,
                least_noise: 8000,
                least_volume: 500,
                most_deviation: libm::sqrt(8000.0),
            };
            assert_eq!(honest, expected);
        }
        assert_eq!(Honest::among(&equal(3, 1), 0).least_noise, 3000);
    }

    #[test]
    fn the_bounds_hold_for_every_set_that_nobody_fits_into() {
        let operators: Vec<_> = [(1, 400), (2, 570), (2, 560), (3, 700), (5, 900), (9, 1200)]
            .map(|(weight, noise)| contributor(weight, noise))
            .into();
        for malicious in 0..=21 {
            let honest = Honest::among(&operators, malicious);
            for mask in 0_u32..1 << operators.len() {
                let split = |wanted: bool| {
                    operators
                        .iter()
                        .enumerate()
                        .filter(move |(at, _)| (mask >> at & 1 == 1) == wanted)
                        .map(|(_, each)| each)
                };
                let weight: u64 = split(true).map(|each| u64::from(each.weight)).sum();
                let another_fits =
                    split(false).any(|each| weight + u64::from(each.weight) <= malicious);
                if weight > malicious || another_fits {
                    continue;
                }
                let left = split(false).count();
                assert!((honest.fewest_operators..=honest.most_operators).contains(&left));
                assert!(honest.least_noise <= split(false).map(|each| each.noise).sum());
                assert!(
                    honest.most_shards >= split(false).map(|each| u32::from(each.shards)).sum()
                );
                let variance: f64 = split(false).map(|each| each.variance).sum();
                assert!(honest.most_deviation >= libm::sqrt(variance));
            }
        }
    }
}
