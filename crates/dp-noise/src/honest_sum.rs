//! The total number of pairs that all honest shards add in a round.

mod tilted_sum;

use std::collections::BTreeMap;

use crate::distribution::PairDistribution;

/// Mass that a convolution may drop at each end; handed on as `lost`, and charged to delta.
const TRIM: f64 = 1e-30;

/// Sums wider than this are not widened further; see [`HonestSum::of_counts`].
const MAX_STANDARD_DEVIATION: f64 = 4096.0;

/// The distribution of the honest sum, up to a shift: the part of it that is kept, point by point
/// at most the true probability, and the mass that was not kept.
#[derive(Clone, Debug)]
pub(crate) struct HonestSum {
    pub(crate) pmf: Vec<f64>,
    pub(crate) lost: f64,
}

impl HonestSum {
    /// The sum over shards, each given by its own distribution; `None` without any.
    pub(crate) fn of_shards(shards: impl IntoIterator<Item = PairDistribution>) -> Option<Self> {
        let mut counts = BTreeMap::new();
        for shard in shards {
            *counts.entry(shard).or_insert(0) += 1;
        }
        Self::of_counts(&counts)
    }

    /// The sum over so many shards of each distribution; `None` without any.
    ///
    /// Convolved directly, since a transform would drown the tails in rounding errors, and the
    /// privacy loss is a ratio of tail probabilities. All terms are positive, so relative
    /// accuracy is kept. Once the sum is wider than 4096 pairs the remaining shards are left out:
    /// leaving out independent noise can only overstate what is learnt.
    pub(crate) fn of_counts(counts: &BTreeMap<PairDistribution, u32>) -> Option<Self> {
        if counts.keys().any(|shard| !shard.is_for_documents()) {
            return tilted_sum::sum(counts);
        }
        let mut parts: Vec<Self> = wide_enough(counts)
            .into_iter()
            .map(|(shard, used)| Self { pmf: shard.pmf(), lost: 0.0 }.trimmed().repeated(used))
            .collect();
        // Balanced pairs, narrowest with narrowest, keep the direct convolutions cheap.
        parts.sort_by_key(|part| part.pmf.len());
        while parts.len() > 1 {
            parts = parts
                .chunks(2)
                .map(|pair| match pair {
                    [a, b] => a.plus(b),
                    _ => pair[0].clone(),
                })
                .collect();
        }
        parts.pop()
    }

    /// The sum of `count` independent copies, at least one.
    pub(crate) fn repeated(&self, mut count: u32) -> Self {
        let mut doubled = self.clone();
        let mut total: Option<Self> = None;
        loop {
            if count & 1 == 1 {
                total = Some(total.map_or_else(|| doubled.clone(), |sum| sum.plus(&doubled)));
            }
            count >>= 1;
            match total {
                Some(sum) if count == 0 => return sum,
                _ => doubled = doubled.plus(&doubled),
            }
        }
    }

    pub(crate) fn plus(&self, other: &Self) -> Self {
        let mut pmf = vec![0.0; self.pmf.len() + other.pmf.len() - 1];
        let (short, long) = if self.pmf.len() < other.pmf.len() {
            (&self.pmf, &other.pmf)
        } else {
            (&other.pmf, &self.pmf)
        };
        for (i, &p) in short.iter().enumerate() {
            for (sum, &q) in pmf[i..].iter_mut().zip(long) {
                *sum += p * q;
            }
        }
        Self { pmf, lost: self.lost + other.lost }.trimmed()
    }

    /// Drops at most [`TRIM`] at each end.
    pub(crate) fn trimmed(mut self) -> Self {
        let run = |values: &mut dyn Iterator<Item = &f64>| {
            let (mut dropped, mut count) = (0.0, 0);
            for &p in values {
                if dropped + p > TRIM {
                    break;
                }
                dropped += p;
                count += 1;
            }
            (dropped, count)
        };
        let (top, above) = run(&mut self.pmf.iter().rev());
        let (bottom, below) = run(&mut self.pmf.iter());
        self.lost += top + bottom;
        self.pmf.truncate(self.pmf.len() - above);
        self.pmf.drain(..below);
        debug_assert!(
            self.lost + self.pmf.iter().sum::<f64>() <= 1.0 + 1e-6,
            "some number of pairs is more than certain"
        );
        self
    }
}

/// Shards of each distribution that count: all, or enough for [`MAX_STANDARD_DEVIATION`].
pub(crate) fn wide_enough(
    counts: &BTreeMap<PairDistribution, u32>,
) -> Vec<(PairDistribution, u32)> {
    let mut variance = 0.0;
    let mut used = Vec::new();
    for (&shard, &count) in counts.iter().rev() {
        let each = shard.sigma().pairs() * shard.sigma().pairs();
        let room = (MAX_STANDARD_DEVIATION * MAX_STANDARD_DEVIATION - variance) / each;
        let count = count.min(room.max(0.0).ceil() as u32);
        if count > 0 {
            variance += each * f64::from(count);
            used.push((shard, count));
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::Sigma;

    fn dist(volume: u32, units: u32) -> PairDistribution {
        PairDistribution::new(volume, Sigma::from_units(units).unwrap()).unwrap()
    }

    #[test]
    fn variances_add_and_mass_is_kept() {
        let shards = [dist(304, 19_302), dist(304, 19_302), dist(304, 19_302), dist(48, 2662)];
        let sum = HonestSum::of_shards(shards).unwrap();
        let total: f64 = sum.pmf.iter().sum();
        assert!((total - 1.0).abs() < 1e-12 && sum.lost < 1e-20);
        let mean: f64 = sum.pmf.iter().enumerate().map(|(x, p)| x as f64 * p).sum();
        let variance: f64 =
            sum.pmf.iter().enumerate().map(|(x, p)| (x as f64 - mean).powi(2) * p).sum();
        let expected: f64 = shards.iter().map(|d| d.sigma().pairs().powi(2)).sum();
        assert!((variance / expected - 1.0).abs() < 2e-3);
    }

    #[test]
    fn repeating_equals_adding_one_by_one() {
        let one = HonestSum { pmf: dist(12, 614).pmf(), lost: 0.0 };
        let mut chain = one.clone();
        for _ in 0..6 {
            chain = chain.plus(&one);
        }
        let repeated = one.repeated(7);
        assert_eq!(chain.pmf.len(), repeated.pmf.len());
        for (a, b) in chain.pmf.iter().zip(&repeated.pmf) {
            // Beyond this the trimmed ends make a difference.
            assert!(*a < 1e-12 || (a / b - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn nobody_adds_nothing() {
        assert!(HonestSum::of_shards([]).is_none());
    }

    #[test]
    fn very_wide_sums_are_bounded() {
        let counts = BTreeMap::from([(dist(1616, 103_424), 65_535)]);
        assert!(HonestSum::of_counts(&counts).unwrap().pmf.len() < 100_000);
    }
}
