//! The grid on which losses are added up, by Fourier transform.

use super::{Extent, Repeated, log_mgf_of};
use crate::fft::{Complex, transform};
use crate::privacy_loss::{log_mgf, tilted_mean};

/// A loss on the grid: (index, probability), rising.
type OnGrid = Vec<(i64, f64)>;

/// Points at equal distances, indexed around a loss of 0. A transform of them is cyclic: what lies beyond
/// one end comes back at the other.
pub(super) struct Grid {
    spacing: f64,
    points: usize,
    /// Index of the greatest loss.
    top: i64,
    /// From the least to the greatest loss that is likelier than a tail.
    pub(super) range: f64,
}

/// The sum of all parts, tilted.
pub(super) struct Convolved {
    /// Index i is at n - i, n times too large.
    values: Vec<Complex>,
    /// ln of the factor that scaling divided by.
    pub(super) log_total: f64,
    /// Bound on the rounding errors of all points together.
    pub(super) rounding: f64,
}

impl Grid {
    /// Spans all losses of the sum but two tails, finely enough to resolve one round's spread.
    pub(super) fn spanning(parts: &[Repeated], extent: &Extent, tilts: &[f64], tail: f64) -> Self {
        let reach = |sign: f64| {
            let furthest = if sign > 0.0 { extent.most } else { -extent.least };
            tilts
                .iter()
                .map(|&t| (log_mgf_of(parts, sign * t) - libm::log(tail)) / t)
                .fold(furthest, f64::min)
        };
        let (high, low) = (reach(1.0), -reach(-1.0));
        let points = ((512.0 * extent.times.sqrt()) as usize).next_power_of_two().max(1 << 14);
        let spacing = (1.01 * (high - low) / (points - 4) as f64).max(1e-12);
        let top = (high / spacing).ceil() as i64 + 1;
        Self { spacing, points, top, range: high - low }
    }

    fn loss(&self, index: i64) -> f64 {
        index as f64 * self.spacing
    }

    /// The parts on the grid, each with how often it counts.
    pub(super) fn rounded(&self, parts: &[Repeated]) -> Vec<(OnGrid, u32)> {
        parts.iter().map(|part| (on_grid(&part.loss.atoms, self.spacing), part.times)).collect()
    }

    /// The probability that the sum lies beyond the top of the grid, by Chernoff's bound.
    pub(super) fn beyond_top(&self, rounded: &[(OnGrid, u32)], tilts: &[f64]) -> f64 {
        let top_loss = (self.top + 1) as f64 * self.spacing;
        let last = |grid: &[(i64, f64)]| grid.last().map_or(0.0, |&(index, _)| index as f64);
        let furthest: f64 =
            rounded.iter().map(|(grid, times)| f64::from(*times) * last(grid) * self.spacing).sum();
        if furthest < top_loss {
            return 0.0;
        }
        let atoms: Vec<(Vec<_>, f64)> =
            rounded.iter().map(|(grid, times)| (self.losses(grid), f64::from(*times))).collect();
        let bound = |t: f64| {
            let log_mgf: f64 = atoms.iter().map(|(atoms, times)| times * log_mgf(atoms, t)).sum();
            libm::exp(log_mgf - t * top_loss)
        };
        tilts.iter().map(|&t| bound(t)).fold(1.0, f64::min)
    }

    fn losses(&self, grid: &[(i64, f64)]) -> Vec<(f64, f64)> {
        grid.iter().map(|&(index, p)| (self.loss(index), p)).collect()
    }

    /// The greatest tilt with which nothing beyond the grid shows.
    ///
    /// A loss beyond the grid comes back at its lower end, too likely by exp(tilt) of the grid's width. That
    /// has to be negligible as far up as the mean: epsilon lies above it, unless delta is large.
    pub(super) fn most_tilt(
        &self,
        parts: &[Repeated],
        extent: &Extent,
        tilts: &[f64],
        tail: f64,
    ) -> f64 {
        let width = self.points as f64 * self.spacing;
        let mean: f64 = parts
            .iter()
            .map(|part| f64::from(part.times) * tilted_mean(&part.loss.atoms, 0.0))
            .sum();
        let back = width + mean.max(0.0);
        if extent.most <= back {
            return f64::INFINITY;
        }
        let log_beyond = |t: f64| log_mgf_of(parts, t) - t * back;
        let log_beyond =
            tilts.iter().flat_map(|&t| [t, 2.0 * t]).map(log_beyond).fold(0.0, f64::min);
        ((libm::log(tail) - log_beyond) / width).max(0.0)
    }

    /// Adds up all parts, each as often as it counts, with every probability multiplied by exp(tilt loss).
    /// `None` without any part.
    pub(super) fn convolved(&self, rounded: &[(OnGrid, u32)], tilt: f64) -> Option<Convolved> {
        let n = self.points as f64;
        let mut log_total = 0.0;
        let mut product: Option<Vec<Complex>> = None;
        let mut rounding = 0.0;
        for (grid, times) in rounded {
            let mut values = vec![Complex::ZERO; self.points];
            let mut norm = 0.0;
            let losses = self.losses(grid);
            let log_scale = log_mgf(&losses, tilt);
            for (&(index, _), &(loss, p)) in grid.iter().zip(&losses) {
                let p = p * libm::exp(tilt * loss - log_scale);
                values[self.wrap(index)].re += p;
                norm += p * p;
            }
            log_total += f64::from(*times) * log_scale;
            transform(&mut values);
            for value in &mut values {
                *value = value.pow(*times);
            }
            // Rounding: the transform's error in the 2-norm is a small multiple of u log2 n, K times
            // that after the power, and sqrt(n) more when summed up (Higham, "Accuracy and Stability
            // of Numerical Algorithms", section 24.1).
            let k = f64::from(*times);
            rounding += 4.0 * k * (f64::EPSILON / 2.0) * libm::log2(n) * n.sqrt() * norm.sqrt();
            product = Some(match product {
                None => values,
                Some(product) => product.iter().zip(values).map(|(a, b)| a.mul(b)).collect(),
            });
        }
        let mut values = product?;
        transform(&mut values);
        Some(Convolved { values, log_total, rounding })
    }

    /// The sum's losses with the tilt taken out again, the greatest first.
    pub(super) fn atoms(&self, sum: &Convolved, tilt: f64) -> Vec<(f64, f64)> {
        let n = self.points as f64;
        (0..self.points as i64)
            .map(|down| {
                let loss = (self.top - down) as f64 * self.spacing;
                let p = sum.values[self.wrap(down - self.top)].re / n;
                (loss, p.max(0.0) * libm::exp(sum.log_total - tilt * loss))
            })
            .take_while(|atom| atom.1.is_finite())
            .collect()
    }

    /// Place of `index` in a transform.
    fn wrap(&self, index: i64) -> usize {
        index.rem_euclid(self.points as i64) as usize
    }
}

/// Splits every atom between its two neighbours on the grid, keeping its mass under P and
/// under Q. The result dominates: every test between P and Q becomes a little better.
/// Costs at most spacing^2/4 of variance per round and nothing to first order.
pub(crate) fn on_grid(atoms: &[(f64, f64)], spacing: f64) -> Vec<(i64, f64)> {
    let mut grid: Vec<(i64, f64)> = Vec::new();
    let mut put = |index: i64, p: f64| match grid.iter_mut().rev().find(|at| at.0 <= index) {
        Some(at) if at.0 == index => at.1 += p,
        _ => grid.push((index, p)),
    };
    for &(loss, p) in atoms {
        let index = (loss / spacing).floor();
        let above = libm::expm1(-(loss - index * spacing)) / libm::expm1(-spacing);
        let above = above.clamp(0.0, 1.0);
        put(index as i64, p * (1.0 - above));
        put(index as i64 + 1, p * above);
    }
    debug_assert!(
        {
            let total = |masses: &mut dyn Iterator<Item = f64>| masses.sum::<f64>();
            let before = total(&mut atoms.iter().map(|atom| atom.1));
            (total(&mut grid.iter().map(|point| point.1)) - before).abs() <= 1e-9 * before
        },
        "rounding has lost or made mass"
    );
    grid
}
