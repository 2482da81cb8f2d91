//! Drawing the number of pairs: exact to 2^-114 in total variation, in constant time.

use rand::CryptoRng;
use subtle::ConstantTimeLess;
use zeroize::Zeroize;

use crate::distribution::{PairDistribution, Sigma};
use crate::fixed_point::Fixed;

/// Draws from a [`PairDistribution`] by inverting a 128-bit fixed-point table of its distribution
/// function, scanned whole: the full-table, constant-time CDT of Bos, Costello, Naehrig and
/// Stebila (IEEE S&P 2015, "Post-quantum key exchange for the TLS protocol from the ring learning
/// with errors problem", section 5.2), on a symmetric distribution.
///
/// The table holds floor(2^128 P(X <= k)) for k below the centre, computed with 192 fractional
/// bits whose errors add up to less than 2^-140; the upper half mirrors it. Every entry
/// is therefore within 2^-128 of the truth (plus that 2^-140), each probability within 2^-127,
/// and the total variation distance at most `pairs_max` 2^-128 <= 2^-114. The probabilities add up
/// to one exactly and are symmetric exactly.
#[derive(Clone, Debug)]
pub struct PairSampler {
    distribution: PairDistribution,
    /// 2^128 P(X <= k) for k in 0..centre.
    lower: Vec<u128>,
}

impl PairSampler {
    /// Builds the table for one distribution. Holds nothing secret.
    #[must_use]
    pub fn new(distribution: PairDistribution) -> Self {
        let centre = distribution.centre() as usize;
        // Weight at distance d from the centre: q^(d^2), q = exp(-1 / (2 sigma^2)), and with
        // sigma = s / 1024 that exponent is 2^19 / s^2. From one distance to the next the weight
        // changes by q^(2d+1), which itself changes by q^2.
        let units = u64::from(distribution.sigma().units());
        let halved_square = u64::from(Sigma::UNITS_PER_PAIR).pow(2) / 2;
        let q = Fixed::exp_neg(halved_square, units * units);
        let (mut weight, mut ratio, square) = (Fixed::ONE, q, q.mul(q));
        let mut by_distance = Vec::with_capacity(centre + 1);
        for _ in 0..=centre {
            by_distance.push(weight);
            weight = weight.mul(ratio);
            ratio = ratio.mul(square);
        }

        let tail = by_distance[1..].iter().fold(Fixed::ZERO, |sum, &weight| sum.add(weight));
        let inverse = Fixed::ONE.add(tail).add(tail).reciprocal();
        let mut cumulative = Fixed::ZERO;
        let lower = by_distance[1..]
            .iter()
            .rev()
            .map(|&weight| {
                cumulative = cumulative.add(weight);
                cumulative.mul(inverse).times_two_to_the_128()
            })
            .collect();
        let sampler = Self { distribution, lower };
        debug_assert!(sampler.lower.is_sorted(), "the distribution function falls");
        debug_assert!(
            sampler.lower.last().is_none_or(|&half| half < 1 << 127),
            "what is below the centre is likelier than a half"
        );
        sampler
    }

    /// The distribution drawn from.
    #[must_use]
    pub fn distribution(&self) -> PairDistribution {
        self.distribution
    }

    /// One number of pairs in 0..=pairs_max. Takes 16 bytes of `rng` and the same time and memory
    /// accesses whatever the result, which is secret.
    #[must_use]
    pub fn sample<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> u32 {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        let mut draw = u128::from_le_bytes(bytes);
        bytes.zeroize();
        let pairs = self.invert(draw);
        draw.zeroize();
        pairs
    }

    /// The value whose share of 0..2^128 `draw` lies in. The lowest draws give 0; mirrored draws
    /// give mirrored values.
    fn invert(&self, draw: u128) -> u32 {
        let (mut below, mut above) = (0_u32, 0_u32);
        // Every entry is compared, without a branch: time and addresses tell nothing of the draw.
        for entry in &self.lower {
            below += u32::from(draw.ct_lt(entry).unwrap_u8());
            above += u32::from((!draw).ct_lt(entry).unwrap_u8());
        }
        self.distribution.centre() + above - below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(volume: u32, units: u32) -> PairSampler {
        let sigma = Sigma::from_units(units).unwrap();
        PairSampler::new(PairDistribution::new(volume, sigma).unwrap())
    }

    #[test]
    fn tables_agree_with_high_precision_arithmetic() {
        // Lines of "volume sigma_units k floor(2^128 P(X <= k))", from mpmath at 600 bits.
        for line in include_str!("../vectors/sampler.txt").lines() {
            if line.starts_with('#') {
                continue;
            }
            let mut fields = line.split_whitespace();
            let mut number = || fields.next().unwrap().parse::<u128>().unwrap();
            let [volume, units, k, expected] = [(); 4].map(|()| number());
            let table = sampler(volume as u32, units as u32).lower;
            let got = table[k as usize];
            assert!(got.abs_diff(expected) <= 1, "volume {volume}, k {k}: {got} vs {expected}");
        }
    }

    #[test]
    fn inversion_steps_exactly_at_the_table_and_mirrors() {
        let s = sampler(48, 2662);
        let centre = s.distribution.centre();
        for (k, &entry) in (0_u32..).zip(&s.lower) {
            assert_eq!(s.invert(entry - 1), k);
            assert_eq!(s.invert(entry), k + 1);
            assert_eq!(s.invert(!(entry - 1)), 2 * centre - k);
        }
        assert_eq!(s.invert(0), 0);
        assert_eq!(s.invert(u128::MAX), 2 * centre);
        assert_eq!(s.invert(1 << 127), centre);
    }

    #[test]
    fn tables_rise_and_stay_below_a_half() {
        for s in [sampler(4, 64), sampler(304, 19_302), sampler(1 << 15, 1 << 21)] {
            assert!(s.lower.is_sorted());
            assert!(s.lower.iter().all(|&entry| entry < 1 << 127));
        }
        // A width so narrow that only the centre has a share.
        assert_eq!(sampler(4096, 64).lower[0], 0);
        assert_eq!(sampler(4096, 64).invert(0), 1024);
    }
}
