//! What an adversary learns from the count of pairs, over many rounds.

use crate::distribution::PairDistribution;
use crate::honest_sum::HonestSum;
use crate::privacy_loss::{ComposedLoss, PrivacyLoss, Step};

/// Added to the loss of every round, on top of a bound that is tight without it.
///
/// It is half the grid of Google's dp-accounting at its default discretisation of 1e-4, which
/// rounds losses up by that much on average. With it, results agree with that tool's to a tenth of
/// a per cent, so that a document can be verified with either. It is not needed
/// for the guarantee: at the default budget, noise solved without it has 7 % less volume.
pub(crate) const MARGIN_PER_ROUND: f64 = 5e-5;

/// The margin stops growing here; beyond, it would swamp what it is a margin of.
const MARGIN_ROUNDS: u32 = 1000;

/// An upper bound on the epsilon at `delta` that an adversary reaches in `rounds` rounds, in each
/// of which it sees m plus the pairs of every shard in `honest` and tells apart two values of m
/// that differ by `step`, in either direction.
///
/// `honest` has one item per honest shard. The result is 0 if `delta` alone covers everything and
/// infinite if no epsilon does (no shards, or cuts so near that they show). All rounding is
/// upwards: less than one part in a thousand from the grid, and on purpose 5e-5 a round, up to
/// 0.05, as dp-accounting has it. Rounding errors of the transform, about 1e-13 a round, are
/// counted into delta, so deltas below about 1e-10 over 1000 rounds come out infinite.
#[must_use]
pub fn epsilon(
    honest: impl IntoIterator<Item = PairDistribution>,
    delta: f64,
    rounds: u32,
    step: Step,
) -> f64 {
    let Some(sum) = HonestSum::of_shards(honest) else { return f64::INFINITY };
    compose(&sum, delta, rounds, step).epsilon(delta)
}

/// An upper bound on the delta at `epsilon`; otherwise as [`fn@epsilon`]. One without any honest
/// shard. Not resolved below about 1e-13 a round.
#[must_use]
pub fn delta(
    honest: impl IntoIterator<Item = PairDistribution>,
    epsilon: f64,
    rounds: u32,
    step: Step,
) -> f64 {
    let Some(sum) = HonestSum::of_shards(honest) else { return 1.0 };
    compose(&sum, 1e-9, rounds, step).delta(epsilon)
}

/// Composes with tails that are small beside `delta`.
pub(crate) fn compose(sum: &HonestSum, delta: f64, rounds: u32, step: Step) -> ComposedLoss {
    let tail = (1e-5 * delta).clamp(1e-30, 1e-3);
    let rounds = rounds.max(1);
    let margin = MARGIN_PER_ROUND * f64::from(rounds.min(MARGIN_ROUNDS));
    PrivacyLoss::of_round(sum, step).composed(rounds, tail).raised(margin)
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
            let loss = PrivacyLoss::of_round(&sum, Step::One).composed(rounds, 1e-5 * delta);
            let ratio = loss.epsilon(delta) / exact;
            assert!((0.9999..1.001).contains(&ratio), "{ratio}");
            let margin = epsilon(core::iter::repeat_n(shard, shards), delta, rounds, Step::One)
                - loss.epsilon(delta);
            assert!((margin - MARGIN_PER_ROUND * f64::from(rounds)).abs() < 1e-6);
        }
    }
}
