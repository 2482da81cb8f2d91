//! The privacy loss of many rounds.
//!
//! Follows Koskela, Jälkö and Honkela (AISTATS 2020) for composing by Fourier transform and
//! Doroshenko, Ghazi, Kamath, Kumar and Manurangsi (PETS 2022, "Connect the dots") for rounding to
//! a grid. All roundings are upwards in what is learnt, never downwards.
//!
//! A transform's rounding errors are absolute, and a delta of 1e-12 would drown in those of a
//! thousand rounds. So the losses are tilted first: each probability is multiplied by exp(t loss)
//! and scaled back to a total of one, which puts the bulk where delta is decided, and afterwards
//! divided by the same. What the errors add is then small beside delta, whatever delta is.

mod grid;

use self::grid::Grid;
pub(crate) use self::grid::on_grid;
use crate::privacy_loss::{PrivacyLoss, log_mgf, tilted_mean};

/// The question that a composition answers: it is accurate there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Aim {
    /// The epsilon at this delta.
    Delta(f64),
    /// The delta at this epsilon.
    Epsilon(f64),
}

impl Aim {
    /// A probability that may be given away beside what is asked for.
    pub(crate) fn tail(self) -> f64 {
        match self {
            Self::Delta(delta) => (1e-5 * delta).clamp(1e-30, 1e-3),
            Self::Epsilon(_) => 1e-20,
        }
    }

    /// The same for losses that are raised by `margin` afterwards.
    fn before(self, margin: f64) -> Self {
        match self {
            Self::Delta(delta) => Self::Delta(delta),
            Self::Epsilon(epsilon) => Self::Epsilon(epsilon - margin),
        }
    }
}

/// A loss, and how many times it is suffered.
#[derive(Clone, Debug)]
pub(crate) struct Repeated {
    pub(crate) loss: PrivacyLoss,
    pub(crate) times: u32,
}

/// All of `parts` added up, each as often as it says and at least once, and raised by `margin`,
/// which can only overstate what is learnt. Tails that are small beside the aim are counted as lost
/// outright.
pub(crate) fn composed(parts: Vec<Repeated>, margin: f64, aim: Aim) -> ComposedLoss {
    added_up(parts, aim.before(margin)).raised(margin)
}

fn added_up(mut parts: Vec<Repeated>, aim: Aim) -> ComposedLoss {
    let tail = aim.tail();
    if let [Repeated { loss, times: 1 }] = parts.as_slice() {
        return ComposedLoss::once(loss);
    }
    let Some(extent) = Extent::of_clipped(&mut parts, tail) else {
        return ComposedLoss::nothing_hidden();
    };
    let tilts = tilts(extent.variance.sqrt(), tail);
    let grid = Grid::spanning(&parts, &extent, &tilts, tail);
    let rounded = grid.rounded(&parts);
    let beyond_top = grid.beyond_top(&rounded, &tilts);
    let most_tilt = grid.most_tilt(&parts, &extent, &tilts, tail);
    let tilt = tilt(&parts, grid.range, aim).min(most_tilt);
    let Some(sum) = grid.convolved(&rounded, tilt) else { return ComposedLoss::nothing_learnt() };
    let rounding = Rounding { log_at_zero: libm::log(sum.rounding) + sum.log_total, tilt };
    let outright = extent.infinite + beyond_top;
    ComposedLoss { atoms: grid.atoms(&sum, tilt), outright, rounding, most: extent.most }
}

/// Bounds and spread of all parts together.
struct Extent {
    times: f64,
    variance: f64,
    /// Probability that any of them is infinite.
    infinite: f64,
    most: f64,
    least: f64,
}

impl Extent {
    /// Cuts off tails that are small beside `tail`, counting them as infinite, and measures what is left;
    /// `None` if it is certain to be infinite.
    fn of_clipped(parts: &mut [Repeated], tail: f64) -> Option<Self> {
        let times: f64 = parts.iter().map(|part| f64::from(part.times)).sum();
        let mut variance = 0.0;
        let (mut log_finite, mut most, mut least) = (0.0, 0.0, 0.0);
        for Repeated { loss, times: k } in parts {
            let k = f64::from(*k);
            loss.clip(0.01 * tail / times);
            let (first, last) = (loss.atoms.first()?, loss.atoms.last()?);
            variance += loss.variance() * k;
            log_finite += k * libm::log1p(-loss.infinite.min(1.0));
            most += k * last.0;
            least += k * first.0;
        }
        debug_assert!(least <= most, "losses from {least} to {most}");
        let infinite = -libm::expm1(log_finite);
        (infinite < 1.0).then_some(Self { times, variance, infinite, most, least })
    }
}

/// ln of the sum of p exp(t loss) over the sum of all parts: factors of independent parts.
fn log_mgf_of(parts: &[Repeated], t: f64) -> f64 {
    parts.iter().map(|part| f64::from(part.times) * log_mgf(&part.loss.atoms, t)).sum()
}

/// The exponent that puts the bulk of the sum where the aim is: for an epsilon, there; for a delta,
/// where Chernoff's bound has that probability.
fn tilt(parts: &[Repeated], range: f64, aim: Aim) -> f64 {
    let enough = |t: f64| {
        let (mut log_all, mut mean) = (0.0, 0.0);
        for Repeated { loss, times } in parts {
            log_all += f64::from(*times) * log_mgf(&loss.atoms, t);
            mean += f64::from(*times) * tilted_mean(&loss.atoms, t);
        }
        match aim {
            Aim::Delta(delta) => log_all - t * mean <= libm::log(delta),
            Aim::Epsilon(epsilon) => mean >= epsilon,
        }
    };
    // Up to here neither the probabilities nor the errors between two points of the grid grow out
    // of bounds. It is reached where the greatest loss alone is likelier than delta.
    let mut high = MOST_TILT / range.max(1e-9);
    let mut low = 0.0;
    for _ in 0..20 {
        let middle = 0.5 * (low + high);
        if enough(middle) { high = middle } else { low = middle }
    }
    high
}

/// The greatest exponent by which two probabilities are tilted against each other.
const MOST_TILT: f64 = 600.0;

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

/// Exponents for Chernoff's bound: around the best one for a Gaussian of this spread, and below it for
/// losses with long tails, as near cuts have.
fn tilts(spread: f64, tail: f64) -> Vec<f64> {
    let best = (-2.0 * libm::log(tail)).sqrt() / spread.max(1e-9);
    const SHARES: [f64; 16] =
        [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.4];
    SHARES.iter().map(|x| x * best).collect()
}

/// The loss of all rounds together.
pub(crate) struct ComposedLoss {
    /// (loss, probability), the greatest loss first.
    atoms: Vec<(f64, f64)>,
    /// Probability of a loss without bound, and all that was cut off.
    outright: f64,
    rounding: Rounding,
    /// No loss but an unbounded one is greater.
    most: f64,
}

/// Bound on what rounding errors of the transform may add to delta: less, the greater epsilon is.
#[derive(Clone, Copy, Debug)]
struct Rounding {
    /// ln of it at epsilon 0; minus infinity without any.
    log_at_zero: f64,
    tilt: f64,
}

impl Rounding {
    const NONE: Self = Self { log_at_zero: f64::NEG_INFINITY, tilt: 0.0 };

    fn at(self, epsilon: f64) -> f64 {
        libm::exp(self.log_at_zero - self.tilt * epsilon)
    }
}

impl ComposedLoss {
    pub(crate) fn nothing_hidden() -> Self {
        Self { atoms: Vec::new(), outright: 1.0, rounding: Rounding::NONE, most: f64::INFINITY }
    }

    fn nothing_learnt() -> Self {
        Self { atoms: vec![(0.0, 1.0)], outright: 0.0, rounding: Rounding::NONE, most: 0.0 }
    }

    /// A single round, exactly.
    fn once(loss: &PrivacyLoss) -> Self {
        let atoms = loss.atoms.iter().rev().copied().collect();
        let most = loss.atoms.last().map_or(0.0, |last| last.0);
        Self { atoms, outright: loss.infinite, rounding: Rounding::NONE, most }
    }

    fn raised(mut self, margin: f64) -> Self {
        for atom in &mut self.atoms {
            atom.0 += margin;
        }
        self.most += margin;
        self.rounding.log_at_zero += self.rounding.tilt * margin;
        self
    }

    /// The same with `probability` of learning everything added.
    pub(crate) fn failing(mut self, probability: f64) -> Self {
        self.outright += probability;
        self
    }

    /// The least epsilon at `delta`; infinite if there is none.
    pub(crate) fn epsilon(&self, delta: f64) -> f64 {
        if delta <= self.outright {
            return f64::INFINITY;
        }
        self.crossing(delta).min(self.most.max(0.0))
    }

    fn crossing(&self, delta: f64) -> f64 {
        let room = |epsilon: f64| delta - self.outright - self.rounding.at(epsilon.max(0.0));
        // Going down: `mass` has a loss above, `discounted` is its sum of exp(here - loss).
        let (mut mass, mut discounted, mut here) = (0.0, 0.0, 0.0);
        for &(loss, p) in &self.atoms {
            if mass > 0.0 {
                discounted *= libm::exp(loss - here);
            }
            here = loss;
            let room = room(loss);
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
        // The rest of the atoms lies below zero or shows nothing.
        let room = room(0.0);
        if mass > room { (here + libm::log((mass - room) / discounted)).max(0.0) } else { 0.0 }
    }

    /// The least delta at `epsilon`, at most one.
    pub(crate) fn delta(&self, epsilon: f64) -> f64 {
        let above = self.atoms.iter().take_while(|atom| atom.0 > epsilon);
        let finite: f64 = above.map(|&(loss, p)| -p * libm::expm1(epsilon - loss)).sum();
        (self.outright + finite + self.rounding.at(epsilon)).min(1.0)
    }
}
