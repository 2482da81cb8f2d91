//! The privacy loss of many rounds.
//!
//! Follows Koskela, Jälkö and Honkela (AISTATS 2020) for composing by Fourier transform and
//! Doroshenko, Ghazi, Kamath, Kumar and Manurangsi (PETS 2022, "Connect the dots") for rounding to
//! a grid. All roundings are upwards in what is learnt, never downwards.

use crate::fft::{Complex, transform};
use crate::privacy_loss::{PrivacyLoss, log_mgf};

/// A loss and how often it is suffered.
#[derive(Clone, Debug)]
pub(crate) struct Repeated {
    pub(crate) loss: PrivacyLoss,
    pub(crate) times: u32,
}

/// All of `parts` added up, each as often as it says and at least once; tails of about `tail` are
/// counted as lost outright.
pub(crate) fn composed(mut parts: Vec<Repeated>, tail: f64) -> ComposedLoss {
    if let [Repeated { loss, times: 1 }] = parts.as_slice() {
        return ComposedLoss::once(loss);
    }
    let times: f64 = parts.iter().map(|part| f64::from(part.times)).sum();
    let mut variance = 0.0;
    let (mut log_finite, mut most, mut least) = (0.0, 0.0, 0.0);
    for Repeated { loss, times: k } in &mut parts {
        let k = f64::from(*k);
        loss.clip(0.01 * tail / times);
        let (Some(first), Some(last)) = (loss.atoms.first(), loss.atoms.last()) else {
            return ComposedLoss::nothing_hidden();
        };
        variance += loss.variance() * k;
        log_finite += k * libm::log1p(-loss.infinite.min(1.0));
        most += k * last.0;
        least += k * first.0;
    }
    let infinite = -libm::expm1(log_finite);
    if infinite >= 1.0 {
        return ComposedLoss::nothing_hidden();
    }

    // The grid spans all losses but two tails, finely enough to resolve one round's spread.
    let tilts = tilts(variance.sqrt(), tail);
    let reach = |sign: f64| {
        let log_mgf = |t| {
            let of = |part: &Repeated| f64::from(part.times) * log_mgf(&part.loss.atoms, sign * t);
            parts.iter().map(of).sum::<f64>()
        };
        let furthest = if sign > 0.0 { most } else { -least };
        tilts.iter().map(|&t| (log_mgf(t) - libm::log(tail)) / t).fold(furthest, f64::min)
    };
    let (high, low) = (reach(1.0), -reach(-1.0));
    let points = ((512.0 * times.sqrt()) as usize).next_power_of_two().max(1 << 14);
    let spacing = (1.01 * (high - low) / (points - 4) as f64).max(1e-12);

    let grids: Vec<_> =
        parts.iter().map(|part| (on_grid(&part.loss.atoms, spacing), part.times)).collect();
    let top = (high / spacing).ceil() as i64 + 1;
    let top_loss = (top + 1) as f64 * spacing;
    let last = |grid: &[(i64, f64)]| grid.last().map_or(0.0, |&(index, _)| index as f64);
    let furthest: f64 =
        grids.iter().map(|(grid, times)| f64::from(*times) * last(grid) * spacing).sum();
    let beyond_top = if furthest < top_loss {
        0.0
    } else {
        let atoms: Vec<(Vec<_>, f64)> = grids
            .iter()
            .map(|(grid, times)| {
                (grid.iter().map(|&(i, p)| (i as f64 * spacing, p)).collect(), f64::from(*times))
            })
            .collect();
        let bound = |t: f64| {
            let log_mgf: f64 = atoms.iter().map(|(atoms, times)| times * log_mgf(atoms, t)).sum();
            libm::exp(log_mgf - t * top_loss)
        };
        tilts.iter().map(|&t| bound(t)).fold(1.0, f64::min)
    };

    let n = points as f64;
    let mut product: Option<Vec<Complex>> = None;
    let mut rounding = 0.0;
    for (grid, times) in &grids {
        let mut values = vec![Complex::ZERO; points];
        let mut norm = 0.0;
        for &(index, p) in grid {
            values[wrap(index, points)].re += p;
            norm += p * p;
        }
        transform(&mut values);
        for value in &mut values {
            *value = value.pow(*times);
        }
        // Rounding: the transform's error in the 2-norm is a small multiple of u log2 n, K times
        // that after the power, and sqrt(n) more when summed up (Higham, "Accuracy and Stability
        // of Numerical Algorithms", section 24.1).
        let k = f64::from(*times);
        rounding += 4.0 * k * (f64::EPSILON / 2.0) * libm::log2(n) * n.sqrt() * norm.sqrt();
        match &mut product {
            None => product = Some(values),
            Some(product) => {
                for (so_far, value) in product.iter_mut().zip(values) {
                    *so_far = so_far.mul(value);
                }
            }
        }
    }
    let Some(mut values) = product else { return ComposedLoss::nothing_learnt() };
    transform(&mut values);
    // The second transform leaves index i at n - i, n times too large. Top of the grid first.
    let atoms = (0..points as i64)
        .map(|down| {
            let p = (values[wrap(down - top, points)].re / n).max(0.0);
            ((top - down) as f64 * spacing, p)
        })
        .collect();
    ComposedLoss { atoms, outright: infinite + beyond_top + rounding }
}

/// The loss of seeing two independent counts at once: exactly if they have few values, and else a
/// little overstated, both going on a grid that is fine beside their spread.
pub(crate) fn joined(a: &PrivacyLoss, b: &PrivacyLoss) -> PrivacyLoss {
    let infinite = a.infinite + b.infinite - a.infinite * b.infinite;
    let range = |loss: &PrivacyLoss| match (loss.atoms.first(), loss.atoms.last()) {
        (Some(first), Some(last)) => Some(last.0 - first.0),
        _ => None,
    };
    let (Some(of_a), Some(of_b)) = (range(a), range(b)) else {
        return PrivacyLoss { atoms: Vec::new(), infinite: 1.0 };
    };
    if a.atoms.len() * b.atoms.len() <= MOST_PRODUCTS {
        let sum = |&(x, p): &(f64, f64)| b.atoms.iter().map(move |&(y, q)| (x + y, p * q));
        let atoms = a.atoms.iter().flat_map(sum).collect();
        return PrivacyLoss::gathered(atoms, infinite);
    }
    let spread = (a.variance() + b.variance()).sqrt();
    let spacing = (spread / JOINED_RESOLUTION).max((of_a + of_b) / MOST_JOINED).max(1e-12);
    let (a, b) = (on_grid(&a.atoms, spacing), on_grid(&b.atoms, spacing));
    let (Some(first), Some(last)) = (a.first().zip(b.first()), a.last().zip(b.last())) else {
        return PrivacyLoss { atoms: Vec::new(), infinite: 1.0 };
    };
    let (low, high) = (first.0.0 + first.1.0, last.0.0 + last.1.0);
    let mut sums = vec![0.0; (high - low + 1) as usize];
    for &(i, p) in &a {
        for &(j, q) in &b {
            sums[(i + j - low) as usize] += p * q;
        }
    }
    let mut atoms: Vec<(f64, f64)> =
        (low..).zip(sums).map(|(index, p)| (index as f64 * spacing, p)).collect();
    atoms.retain(|&(_, p)| p > 0.0);
    PrivacyLoss { atoms, infinite }
}

/// As many sums of two losses are listed one by one.
const MOST_PRODUCTS: usize = 1 << 18;
/// Points of the joint grid in a standard deviation of one round's loss.
const JOINED_RESOLUTION: f64 = 128.0;
/// The most points of the joint grid; bounds the work where the spread is small beside the range.
const MOST_JOINED: f64 = 16_384.0;

/// Splits every atom between its two neighbours on the grid, keeping its mass under P and
/// under Q. The result dominates: every test between P and Q becomes a little better.
/// Costs at most spacing^2/4 of variance per round and nothing to first order.
fn on_grid(atoms: &[(f64, f64)], spacing: f64) -> Vec<(i64, f64)> {
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
    grid
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

/// The loss of all rounds together.
pub(crate) struct ComposedLoss {
    /// (loss, probability), the greatest loss first.
    atoms: Vec<(f64, f64)>,
    /// Probability of a loss without bound, and all that was cut off or rounded away.
    outright: f64,
}

impl ComposedLoss {
    pub(crate) fn nothing_hidden() -> Self {
        Self { atoms: Vec::new(), outright: 1.0 }
    }

    fn nothing_learnt() -> Self {
        Self { atoms: vec![(0.0, 1.0)], outright: 0.0 }
    }

    /// A single round, exactly.
    fn once(loss: &PrivacyLoss) -> Self {
        Self { atoms: loss.atoms.iter().rev().copied().collect(), outright: loss.infinite }
    }

    /// The same with every loss raised by `margin`, which can only overstate what is learnt.
    pub(crate) fn raised(mut self, margin: f64) -> Self {
        for atom in &mut self.atoms {
            atom.0 += margin;
        }
        self
    }

    /// The same with `probability` of learning everything added.
    pub(crate) fn failing(mut self, probability: f64) -> Self {
        self.outright += probability;
        self
    }

    /// The least epsilon at `delta`; infinite if there is none.
    pub(crate) fn epsilon(&self, delta: f64) -> f64 {
        let room = delta - self.outright;
        if room <= 0.0 {
            return f64::INFINITY;
        }
        // Going down: `mass` has a loss above, `discounted` is its sum of exp(here - loss).
        let (mut mass, mut discounted, mut here) = (0.0, 0.0, 0.0);
        for &(loss, p) in &self.atoms {
            if mass > 0.0 {
                discounted *= libm::exp(loss - here);
            }
            here = loss;
            if mass - discounted > room {
                // delta(epsilon) = mass - exp(epsilon - loss) discounted crosses just above here.
                return (loss + libm::log((mass - room) / discounted)).max(0.0);
            }
            if loss <= 0.0 {
                return 0.0;
            }
            mass += p;
            discounted += p;
        }
        if mass > room { (here + libm::log((mass - room) / discounted)).max(0.0) } else { 0.0 }
    }

    /// The least delta at `epsilon`, at most one.
    pub(crate) fn delta(&self, epsilon: f64) -> f64 {
        let above = self.atoms.iter().take_while(|atom| atom.0 > epsilon);
        let finite: f64 = above.map(|&(loss, p)| -p * libm::expm1(epsilon - loss)).sum();
        (self.outright + finite).min(1.0)
    }
}
