//! Sums of noise that is wider than any document's.
//!
//! Direct convolution would take hours. Transforms drown what is less likely than 1e-16 of the
//! likeliest in rounding errors, so the sum is computed several times, each time tilted: with
//! probabilities multiplied by exp(t x), another part of it is the likeliest one. Every point is taken
//! from where it comes out best. That keeps relative errors some orders of magnitude below the margin of a
//! round.

use std::collections::BTreeMap;

use super::HonestSum;
use crate::distribution::PairDistribution;
use crate::fft::{Complex, transform};

/// The most points of a sum. Shards beyond are left out, which can only overstate what is learnt.
const MOST_POINTS: u64 = 1 << 22;

/// Tilts, in the sum's deviations by which they move its mean: up to where the ends are trimmed.
const TILTS: [f64; 4] = [0.0, 4.0, 8.0, 12.0];

/// Part of the likeliest point below which a value is rounding error.
const NOISE_FLOOR: f64 = 1e-12;

/// The sum over so many shards of each distribution, the widest first; `None` without any.
pub(super) fn sum(counts: &BTreeMap<PairDistribution, u32>) -> Option<HonestSum> {
    let used = fitting(counts);
    if let [(shard, 1)] = used[..] {
        return Some(HonestSum { pmf: shard.pmf(), lost: 0.0 }.trimmed());
    }
    let variance = |(shard, count): &(PairDistribution, u32)| {
        shard.sigma().pairs() * shard.sigma().pairs() * f64::from(*count)
    };
    let deviation = used.iter().map(variance).sum::<f64>().sqrt();
    let last: u64 = used.iter().map(|(shard, count)| span(*shard) * u64::from(*count)).sum();
    // At most MOST_POINTS.
    let last = last as usize;
    let pmfs: Vec<(Vec<f64>, u32)> =
        used.iter().map(|(shard, count)| (shard.pmf(), *count)).collect();
    if pmfs.is_empty() {
        return None;
    }
    let tilted: Vec<Tilted> =
        TILTS.iter().map(|tilt| Tilted::of(&pmfs, tilt / deviation, last)).collect();
    // Every shard's pairs are symmetric around their mean, and so is the sum.
    let mut upper = Vec::with_capacity(last / 2 + 1);
    for at in last / 2..=last {
        let nearest = tilted.iter().min_by(|a, b| {
            let away = |tilted: &&Tilted| (at as f64 - tilted.mean).abs();
            away(a).total_cmp(&away(b))
        });
        upper.push(nearest.map_or(0.0, |tilted| tilted.back(at, last)));
    }
    let mut pmf = vec![0.0; last + 1];
    for (at, p) in (last / 2..=last).zip(upper) {
        pmf[at] = p;
        pmf[last - at] = p;
    }
    Some(HonestSum { pmf, lost: 0.0 }.trimmed())
}

/// Points of a shard's distribution, less one.
fn span(shard: PairDistribution) -> u64 {
    u64::from(shard.pairs_max())
}

/// Shards of each distribution that there is room for.
fn fitting(counts: &BTreeMap<PairDistribution, u32>) -> Vec<(PairDistribution, u32)> {
    let mut widest: Vec<_> = counts.iter().map(|(&shard, &count)| (shard, count)).collect();
    widest.sort_by_key(|(shard, _)| std::cmp::Reverse(shard.sigma()));
    let mut room = MOST_POINTS - 1;
    let mut used = Vec::new();
    for (shard, count) in widest {
        let count = u64::from(count).min(room / span(shard));
        room -= count * span(shard);
        if count > 0 {
            // No more than there were.
            used.push((shard, count as u32));
        }
    }
    used
}

/// The sum with every probability multiplied by exp(`tilt` x), scaled to one.
struct Tilted {
    pmf: Vec<f64>,
    mean: f64,
    tilt: f64,
    /// Logarithm of the factor that the scaling divided by, for x counted from the middle.
    log_scale: f64,
    least: f64,
}

impl Tilted {
    fn of(pmfs: &[(Vec<f64>, u32)], tilt: f64, last: usize) -> Self {
        let points = (last + 1).next_power_of_two();
        let (mut log_scale, mut mean) = (0.0, 0.0);
        let mut product = vec![Complex { re: 1.0, im: 0.0 }; points];
        for (pmf, count) in pmfs {
            let middle = (pmf.len() - 1) as f64 / 2.0;
            let weighed: Vec<f64> = pmf
                .iter()
                .enumerate()
                .map(|(x, p)| p * libm::exp(tilt * (x as f64 - middle)))
                .collect();
            let scale: f64 = weighed.iter().sum();
            let mut values = vec![Complex::ZERO; points];
            for ((x, weight), value) in weighed.iter().enumerate().zip(&mut values) {
                value.re = weight / scale;
                mean += f64::from(*count) * x as f64 * weight / scale;
            }
            log_scale += f64::from(*count) * libm::log(scale);
            transform(&mut values);
            for (so_far, value) in product.iter_mut().zip(values) {
                *so_far = so_far.mul(value.pow(*count));
            }
        }
        // Back again: reversed in place, and so many times too large.
        transform(&mut product);
        let pmf: Vec<f64> =
            (0..=last).map(|x| product[(points - x) % points].re / points as f64).collect();
        let least = NOISE_FLOOR * pmf.iter().copied().fold(0.0, f64::max);
        Self { pmf, mean, tilt, log_scale, least }
    }

    /// The probability that the sum is `x`.
    fn back(&self, x: usize, last: usize) -> f64 {
        let p = self.pmf[x];
        if p < self.least {
            return 0.0;
        }
        p * libm::exp(self.log_scale - self.tilt * (x as f64 - last as f64 / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::Sigma;

    #[test]
    fn transforms_agree_with_direct_convolution_down_to_the_ends() {
        let dist = |volume, sigma: u32| {
            PairDistribution::new(volume, Sigma::from_units(sigma * 1024).unwrap()).unwrap()
        };
        for counts in [
            BTreeMap::from([(dist(1616, 101), 4)]),
            BTreeMap::from([(dist(6400, 200), 7)]),
            BTreeMap::from([(dist(1600, 100), 2), (dist(800, 60), 3)]),
        ] {
            let direct = HonestSum::of_counts(&counts).unwrap();
            let by_transform = sum(&counts).unwrap();
            let off = |sum: &HonestSum| sum.pmf.len() / 2;
            let points = direct.pmf.len().min(by_transform.pmf.len());
            assert!(direct.pmf.len().abs_diff(by_transform.pmf.len()) <= 4);
            for from_middle in 0..points / 2 - 2 {
                let a = direct.pmf[off(&direct) + from_middle];
                let b = by_transform.pmf[off(&by_transform) + from_middle];
                // Ratios of neighbours are what counts.
                let close = if a > 1e-24 { 1e-7 } else { 1e-5 };
                assert!(a < 1e-30 || (b / a - 1.0).abs() < close, "{from_middle}: {a:e} {b:e}");
            }
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_left_out() {
        let wide = |count| {
            let sigma = Sigma::MAX_ACCOUNTED;
            BTreeMap::from([(PairDistribution::accounted(1 << 20, sigma).unwrap(), count)])
        };
        assert_eq!(fitting(&wide(7)).first().map(|used| used.1), Some(7));
        assert_eq!(fitting(&wide(80)).first().map(|used| used.1), Some(7));
        assert!(sum(&BTreeMap::new()).is_none());
    }
}
