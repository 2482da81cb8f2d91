//! Bounds on what the count of pairs tells an adversary over many rounds.

use crate::composition::{Aim, ComposedLoss, Repeated, composed};
use crate::distribution::PairDistribution;
use crate::honest_sum::HonestSum;
use crate::privacy_loss::{PrivacyLoss, Step};

/// Added to the loss of every round for each count that is seen, on top of a bound that is tight
/// without it.
///
/// It is half the grid of Google's dp-accounting at its default discretisation of 1e-4, which
/// rounds losses up by that much on average. With it, results agree with that tool's to a tenth of
/// a per cent, so that a document can be verified with either. It is not needed
/// for the guarantee: at the default budget, noise solved without it has 7 % less volume.
pub(crate) const MARGIN_PER_ROUND: f64 = 5e-5;

/// An upper bound on the epsilon at `delta` that an adversary reaches in `rounds` rounds, in each
/// of which it sees m plus the pairs of every shard in `honest` and tells apart two values of m
/// that differ by `step`, in either direction.
///
/// `honest` has one item per honest shard. The result is 0 if `delta` alone covers everything and
/// infinite if no epsilon does (no shards, or cuts so near that they show). All rounding is
/// upwards: less than one part in a thousand from the grid, and on purpose 5e-5 a round, as
/// dp-accounting has it. Tails of about 1e-21 a round are counted into delta.
#[must_use]
pub fn epsilon(
    honest: impl IntoIterator<Item = PairDistribution>,
    delta: f64,
    rounds: u32,
    step: Step,
) -> f64 {
    let Some(sum) = HonestSum::of_shards(honest) else { return f64::INFINITY };
    compose(&sum, rounds, step.pairs(), Aim::Delta(delta)).epsilon(delta)
}

/// An upper bound on the delta at `epsilon`; otherwise as [`fn@epsilon`]. One without any honest
/// shard. Not resolved below about 1e-20 a round.
#[must_use]
pub fn delta(
    honest: impl IntoIterator<Item = PairDistribution>,
    epsilon: f64,
    rounds: u32,
    step: Step,
) -> f64 {
    let Some(sum) = HonestSum::of_shards(honest) else { return 1.0 };
    compose(&sum, rounds, step.pairs(), Aim::Epsilon(epsilon)).delta(epsilon)
}

/// The loss of `rounds` rounds in which the count moves by so many pairs, with errors that are small beside
/// what is asked for.
pub(crate) fn compose(sum: &HonestSum, rounds: u32, by: u32, aim: Aim) -> ComposedLoss {
    let rounds = rounds.max(1);
    let loss = PrivacyLoss::of_round(sum, by);
    composed(vec![Repeated { loss, times: rounds }], margin(rounds), aim)
}

/// The margin for so many rounds together.
pub(crate) fn margin(rounds: u32) -> f64 {
    MARGIN_PER_ROUND * f64::from(rounds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::Sigma;

    #[test]
    fn without_the_margin_the_bound_is_tight_against_the_gaussian_mechanism() {
        // sigma of the sum, rounds, delta, and the epsilon of the analytic Gaussian mechanism
        // (Balle and Wang, ICML 2018, theorem 8) at mu = sqrt(rounds) / sigma, from mpmath. The
        // integer-valued noise of large width differs from it by far less than the tolerance.
        for (shards, units, rounds, delta, exact) in
            [(4_usize, 96_256, 1000, 1e-6, 0.692_581_5), (4, 22_938, 245, 1e-4, 1.128_920)]
        {
            let volume = 4 * (5 * units / 1024);
            let sigma = Sigma::from_units(units).unwrap();
            let shard = PairDistribution::new(volume, sigma).unwrap();
            let sum = HonestSum::of_shards(core::iter::repeat_n(shard, shards)).unwrap();
            let loss = PrivacyLoss::of_round(&sum, 1);
            let loss = composed(vec![Repeated { loss, times: rounds }], 0.0, Aim::Delta(delta));
            let ratio = loss.epsilon(delta) / exact;
            assert!((0.9999..1.001).contains(&ratio), "{ratio}");
            let margin = epsilon(core::iter::repeat_n(shard, shards), delta, rounds, Step::One)
                - loss.epsilon(delta);
            assert!((margin - MARGIN_PER_ROUND * f64::from(rounds)).abs() < 1e-6);
        }
    }

    /// Epsilon without the margin.
    fn plain(shard: PairDistribution, shards: usize, delta: f64, rounds: u32) -> f64 {
        let sum = HonestSum::of_shards(core::iter::repeat_n(shard, shards)).unwrap();
        let loss = PrivacyLoss::of_round(&sum, 1);
        composed(vec![Repeated { loss, times: rounds }], 0.0, Aim::Delta(delta)).epsilon(delta)
    }

    fn dist(volume: u32, units: u32) -> PairDistribution {
        PairDistribution::new(volume, Sigma::from_units(units).unwrap()).unwrap()
    }

    #[test]
    fn without_the_margin_the_bound_is_tight_for_wide_and_narrow_noise() {
        // Wide: the analytic Gaussian mechanism again. Narrow: between dp-accounting's lower and
        // upper estimate at a grid of 1e-6, which differ in the fifth digit.
        for (shards, volume, units, rounds, delta, exact) in [
            (16, 2000, 102_400, 2000, 1e-8, 0.554_011_9),
            (4, 2000, 96_256, 1, 1e-6, 0.017_012_31),
            (64, 480, 20_480, 20, 1e-4, 0.064_815_19),
            (1, 40, 1536, 20, 1e-6, 18.042_29),
            (2, 48, 2662, 245, 1e-4, 24.182_7),
            (8, 20, 922, 20, 1e-6, 9.401_41),
        ] {
            let ratio = plain(dist(volume, units), shards, delta, rounds) / exact;
            assert!((0.9995..1.002).contains(&ratio), "{shards} of {volume}: {ratio}");
        }
    }

    #[test]
    fn one_round_is_exact() {
        for (shards, volume, units) in [(1, 48, 2662), (4, 20, 1536), (3, 304, 19_302)] {
            let one = dist(volume, units).pmf();
            let mut sum = vec![1.0];
            for _ in 0..shards {
                let mut next = vec![0.0; sum.len() + one.len() - 1];
                for (i, p) in sum.iter().enumerate() {
                    for (j, q) in one.iter().enumerate() {
                        next[i + j] += p * q;
                    }
                }
                sum = next;
            }
            let delta = 1e-3;
            let epsilon = plain(dist(volume, units), shards, delta, 1);
            let back: f64 = (0..sum.len())
                .map(|x| {
                    let moved = x.checked_sub(1).map_or(0.0, |x| sum[x]);
                    (sum[x] - libm::exp(epsilon) * moved).max(0.0)
                })
                .sum();
            assert!((back / delta - 1.0).abs() < 1e-9, "{back}");
        }
    }
}
