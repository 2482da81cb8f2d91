//! The privacy-loss distribution of one round, and of many.
//!
//! Follows Koskela, Jälkö and Honkela (AISTATS 2020) for composing by Fourier transform and
//! Doroshenko, Ghazi, Kamath, Kumar and Manurangsi (PETS 2022, "Connect the dots") for rounding to
//! a grid. All roundings are upwards in what is learnt, never downwards.

use crate::fft::{Complex, transform};
use crate::honest_sum::HonestSum;

/// By how much the count of pairs moves between the two worlds the adversary tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// By one: one conversation starts or ends.
    One,
    /// By two: two conversation patterns of the same four users.
    Two,
}

/// The law of ln(P/Q) under P, for P the honest sum and Q the same moved by the step. The honest
/// sum is symmetric, so the other direction has the same law.
pub(crate) struct PrivacyLoss {
    /// (loss, probability), sorted by loss.
    atoms: Vec<(f64, f64)>,
    /// The probability of an outcome impossible under Q.
    infinite: f64,
}

impl PrivacyLoss {
    pub(crate) fn of_round(sum: &HonestSum, step: Step) -> Self {
        let step = match step {
            Step::One => 1,
            Step::Two => 2,
        };
        let (exposed, rest) = sum.pmf.split_at(step.min(sum.pmf.len()));
        let mut infinite = sum.lost + exposed.iter().sum::<f64>();
        let mut atoms = Vec::with_capacity(rest.len());
        for (&p, &q) in rest.iter().zip(&sum.pmf) {
            if q > 0.0 {
                atoms.push((libm::log(p / q), p));
            } else {
                infinite += p;
            }
        }
        atoms.retain(|&(_, p)| p > 0.0);
        atoms.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self { atoms, infinite }
    }

    /// The losses of `rounds` such rounds added up; tails of about `tail` are counted as lost
    /// outright.
    pub(crate) fn composed(mut self, rounds: u32, tail: f64) -> ComposedLoss {
        let k = f64::from(rounds);
        self.clip(0.01 * tail / k);
        let spread = (self.variance() * k).sqrt();
        let infinite = -libm::expm1(k * libm::log1p(-self.infinite.min(1.0)));
        let (Some(&(least, _)), Some(&(most, _))) = (self.atoms.first(), self.atoms.last()) else {
            return ComposedLoss::nothing_hidden();
        };
        if infinite >= 1.0 {
            return ComposedLoss::nothing_hidden();
        }

        // The grid spans all losses but two tails, finely enough to resolve one round's spread.
        let tilts = tilts(spread, tail);
        let reach = |sign: f64| {
            let furthest = k * if sign > 0.0 { most } else { -least };
            tilts
                .iter()
                .map(|&t| (k * log_mgf(&self.atoms, sign * t) - libm::log(tail)) / t)
                .fold(furthest, f64::min)
        };
        let (high, low) = (reach(1.0), -reach(-1.0));
        let points = ((512.0 * k.sqrt()) as usize).next_power_of_two().max(1 << 14);
        let spacing = (1.01 * (high - low) / (points - 4) as f64).max(1e-12);

        let grid = self.on_grid(spacing);
        let top = (high / spacing).ceil() as i64 + 1;
        let top_loss = (top + 1) as f64 * spacing;
        let furthest = grid.last().map_or(0.0, |&(index, _)| k * index as f64 * spacing);
        let beyond_top = if furthest < top_loss {
            0.0
        } else {
            let atoms: Vec<_> = grid.iter().map(|&(i, p)| (i as f64 * spacing, p)).collect();
            let bound = |t: f64| libm::exp(k * log_mgf(&atoms, t) - t * top_loss);
            tilts.iter().map(|&t| bound(t)).fold(1.0, f64::min)
        };

        let mut values = vec![Complex::ZERO; points];
        let mut norm = 0.0;
        for &(index, p) in &grid {
            values[wrap(index, points)].re += p;
            norm += p * p;
        }
        transform(&mut values);
        for value in &mut values {
            *value = value.pow(rounds);
        }
        transform(&mut values);
        // The second transform leaves index i at n - i, n times too large. Top of the grid first.
        let masses = (0..points as i64)
            .map(|down| (values[wrap(down - top, points)].re / points as f64).max(0.0))
            .collect();
        // Rounding: the transform's error in the 2-norm is a small multiple of u log2 n, K times
        // that after the power, and sqrt(n) more when summed up (Higham, "Accuracy and Stability
        // of Numerical Algorithms", section 24.1).
        let n = points as f64;
        let rounding = 4.0 * k * (f64::EPSILON / 2.0) * libm::log2(n) * n.sqrt() * norm.sqrt();
        let outright = infinite + beyond_top + rounding;
        ComposedLoss { masses, top_loss: top as f64 * spacing, spacing, outright }
    }

    /// Counts an upper tail of `mass` as infinite loss, and raises a lower one to its upper end.
    fn clip(&mut self, mass: f64) {
        let mut dropped = 0.0;
        while let Some(&(_, p)) = self.atoms.last().filter(|atom| dropped + atom.1 <= mass) {
            dropped += p;
            self.atoms.pop();
        }
        self.infinite += dropped;
        let mut raised = 0.0;
        let below = self.atoms.iter().take_while(|atom| {
            raised += atom.1;
            raised <= mass
        });
        let below = below.count();
        let raised: f64 = self.atoms.drain(..below).map(|atom| atom.1).sum();
        match self.atoms.first_mut() {
            Some(first) => first.1 += raised,
            None => self.infinite += raised,
        }
    }

    fn variance(&self) -> f64 {
        let total: f64 = self.atoms.iter().map(|atom| atom.1).sum();
        let mean = self.atoms.iter().map(|&(loss, p)| loss * p).sum::<f64>() / total;
        self.atoms.iter().map(|&(loss, p)| (loss - mean) * (loss - mean) * p).sum::<f64>() / total
    }

    /// Splits every atom between its two neighbours on the grid, keeping its mass under P and
    /// under Q. The result dominates: every test between P and Q becomes a little better.
    /// Costs at most spacing^2/4 of variance per round and nothing to first order.
    fn on_grid(&self, spacing: f64) -> Vec<(i64, f64)> {
        let mut grid: Vec<(i64, f64)> = Vec::new();
        let mut put = |index: i64, p: f64| match grid.iter_mut().rev().find(|at| at.0 <= index) {
            Some(at) if at.0 == index => at.1 += p,
            _ => grid.push((index, p)),
        };
        for &(loss, p) in &self.atoms {
            let index = (loss / spacing).floor();
            let above = libm::expm1(-(loss - index * spacing)) / libm::expm1(-spacing);
            let above = above.clamp(0.0, 1.0);
            put(index as i64, p * (1.0 - above));
            put(index as i64 + 1, p * above);
        }
        grid
    }
}

/// Where the grid keeps `index` out of `points`.
fn wrap(index: i64, points: usize) -> usize {
    index.rem_euclid(points as i64) as usize
}

/// Exponents for Chernoff's bound around the best one for a Gaussian of this spread.
fn tilts(spread: f64, tail: f64) -> Vec<f64> {
    let best = (-2.0 * libm::log(tail)).sqrt() / spread.max(1e-9);
    [0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.4].iter().map(|x| x * best).collect()
}

/// ln of the sum of p exp(t loss).
fn log_mgf(atoms: &[(f64, f64)], t: f64) -> f64 {
    libm::log(atoms.iter().map(|&(loss, p)| p * libm::exp(t * loss)).sum())
}

/// The loss of all rounds together, on a grid.
pub(crate) struct ComposedLoss {
    /// Probabilities, the greatest loss first.
    masses: Vec<f64>,
    top_loss: f64,
    spacing: f64,
    /// Probability of a loss without bound, and all that was cut off or rounded away.
    outright: f64,
}

impl ComposedLoss {
    fn nothing_hidden() -> Self {
        Self { masses: Vec::new(), top_loss: 0.0, spacing: 1.0, outright: 1.0 }
    }

    /// The same with every loss raised by `margin`, which can only overstate what is learnt.
    pub(crate) fn raised(mut self, margin: f64) -> Self {
        self.top_loss += margin;
        self
    }

    /// The least epsilon at `delta`; infinite if there is none.
    pub(crate) fn epsilon(&self, delta: f64) -> f64 {
        let room = delta - self.outright;
        if room <= 0.0 {
            return f64::INFINITY;
        }
        // Going down: `mass` has a loss above, `discounted` is its sum of exp(here - loss).
        let shrink = libm::exp(-self.spacing);
        let (mut mass, mut discounted, mut loss) = (0.0, 0.0, self.top_loss);
        for &p in &self.masses {
            if mass - discounted > room {
                // delta(epsilon) = mass - exp(epsilon - loss) discounted crosses just above here.
                return (loss + libm::log((mass - room) / discounted)).max(0.0);
            }
            if loss <= 0.0 {
                return 0.0;
            }
            mass += p;
            discounted = (discounted + p) * shrink;
            loss -= self.spacing;
        }
        loss.max(0.0)
    }

    /// The least delta at `epsilon`, at most one.
    pub(crate) fn delta(&self, epsilon: f64) -> f64 {
        let mut delta = self.outright;
        let mut loss = self.top_loss;
        for &p in &self.masses {
            if loss <= epsilon {
                break;
            }
            delta -= p * libm::expm1(epsilon - loss);
            loss -= self.spacing;
        }
        delta.min(1.0)
    }
}
