//! The privacy loss of one round.
//!
//! All roundings are upwards in what is learnt, never downwards.

use crate::composition::on_grid;
use crate::honest_sum::HonestSum;

/// Distance of the count of pairs between the two worlds that the adversary tells apart, where a conversation
/// has one pair; with p pairs, p times as much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// By one: one conversation starts or ends.
    One,
    /// By two: two conversation patterns of the same four users.
    Two,
}

impl Step {
    /// The distance in pairs.
    #[must_use]
    pub const fn pairs(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// The law of ln(P/Q) under P, for a pair of distributions (P, Q) that an adversary tells apart.
#[derive(Clone, Debug)]
pub(crate) struct PrivacyLoss {
    /// (loss, probability), sorted by loss.
    pub(crate) atoms: Vec<(f64, f64)>,
    /// The probability of an outcome impossible under Q.
    pub(crate) infinite: f64,
}

impl PrivacyLoss {
    /// The same on a grid, rounded upwards in what is learnt, if it has more atoms than that takes.
    pub(crate) fn coarsened(self) -> Self {
        const MOST: usize = 1 << 17;
        let (Some(first), Some(last)) = (self.atoms.first(), self.atoms.last()) else {
            return self;
        };
        if self.atoms.len() <= MOST {
            return self;
        }
        let spacing = 2.0 * (last.0 - first.0) / MOST as f64;
        let grid = on_grid(&self.atoms, spacing);
        let atoms = grid.into_iter().map(|(index, p)| (index as f64 * spacing, p)).collect();
        Self { atoms, ..self }
    }

    /// P is the sum and Q the same moved by so many pairs, for a sum that is symmetric: the other
    /// direction has the same law.
    pub(crate) fn of_round(sum: &HonestSum, by: u32) -> Self {
        Self::moved(sum, by, true)
    }

    /// The worse, at each point, of a count that moves up and of one that moves down by `by`.
    ///
    /// An adversary chooses afresh in every round which onions it removes, and with them whether
    /// talking raises the count or lowers it.
    pub(crate) fn either_way(sum: &HonestSum, by: u32) -> Self {
        Self::moved(sum, by, true).or(Self::moved(sum, by, false))
    }

    /// P is the sum and Q the same moved up or down by `by`.
    pub(crate) fn moved(sum: &HonestSum, by: u32, up: bool) -> Self {
        // Moved up, Q cannot give the lowest outcomes; moved down, not the highest.
        let by = (by as usize).min(sum.pmf.len());
        let (low, high) = (&sum.pmf[..sum.pmf.len() - by], &sum.pmf[by..]);
        let (exposed, p_part, q_part) = if up {
            (&sum.pmf[..by], high, low)
        } else {
            (&sum.pmf[sum.pmf.len() - by..], low, high)
        };
        let mut infinite = sum.lost + exposed.iter().sum::<f64>();
        let mut atoms = Vec::with_capacity(p_part.len());
        for (&p, &q) in p_part.iter().zip(q_part) {
            if q > 0.0 {
                atoms.push((libm::log(p / q), p));
            } else {
                infinite += p;
            }
        }
        atoms.retain(|&(_, p)| p > 0.0);
        atoms.sort_by(|a, b| a.0.total_cmp(&b.0));
        let loss = Self { atoms, infinite };
        loss.check();
        loss
    }

    /// Atoms in any order; those whose losses differ by rounding errors alone become one.
    pub(crate) fn gathered(mut atoms: Vec<(f64, f64)>, infinite: f64) -> Self {
        atoms.sort_by(|a, b| b.0.total_cmp(&a.0));
        // From above, so that a group takes its greatest loss.
        atoms.dedup_by(|next, group| {
            let same = group.0 - next.0 < SAME_LOSS;
            if same {
                group.1 += next.1;
            }
            same
        });
        atoms.reverse();
        Self { atoms, infinite }
    }

    /// The loss of a pair that dominates both: at every epsilon, its delta is the larger of the
    /// two.
    ///
    /// delta as a function of e^epsilon falls along straight lines between the losses, and the
    /// slope changes by an outcome's probability under Q. So the larger of two such functions
    /// consists of pieces of both and of one new outcome at each point where they cross. It is the
    /// function of a pair of distributions, and dominating pairs compose, whatever the adversary
    /// chooses from round to round (Zhu, Dong and Wang, AISTATS 2022, "Optimal accounting of
    /// differential privacy via characteristic function", proposition 8 and theorem 10).
    pub(crate) fn or(mut self, mut other: Self) -> Self {
        let mut lines = [Line::start(self.infinite), Line::start(other.infinite)];
        let mut on = usize::from(other.infinite > self.infinite);
        let infinite = self.infinite.max(other.infinite);
        let mut atoms = Vec::with_capacity(self.atoms.len().max(other.atoms.len()));
        let mut above = f64::INFINITY;
        loop {
            let next = match (self.atoms.last(), other.atoms.last()) {
                (None, None) => break,
                (Some(a), None) => a.0,
                (None, Some(b)) => b.0,
                (Some(a), Some(b)) => a.0.max(b.0),
            };
            // From the greatest loss down, on whichever function is larger, until they cross.
            let (here, there) = (lines[on], lines[1 - on]);
            let ratio = libm::exp(next);
            if there.at(ratio) > here.at(ratio) && there.q > here.q {
                let crossing = libm::log((there.p - here.p) / (there.q - here.q));
                let crossing = crossing.clamp(next, above);
                atoms.push((crossing, libm::exp(crossing) * (there.q - here.q)));
                on = 1 - on;
            }
            for (index, loss) in [&mut self, &mut other].into_iter().enumerate() {
                loss.pass(next, &mut lines[index], |p| {
                    if index == on {
                        atoms.push((next, p));
                    }
                });
            }
            above = next;
        }
        atoms.reverse();
        let either = Self { atoms, infinite };
        either.check();
        either
    }

    /// Moves the atoms from `next` up onto `line`, and hands out the probability of each.
    fn pass(&mut self, next: f64, line: &mut Line, mut out: impl FnMut(f64)) {
        let ratio = libm::exp(next);
        while let Some(&(_, p)) = self.atoms.last().filter(|atom| atom.0 >= next) {
            self.atoms.pop();
            line.p += p;
            line.q += p / ratio;
            out(p);
        }
    }

    /// The losses rise, and their probabilities add up to no more than one.
    fn check(&self) {
        debug_assert!(self.atoms.is_sorted_by(|a, b| a.0 <= b.0), "losses are out of order");
        debug_assert!(
            self.infinite + self.atoms.iter().map(|atom| atom.1).sum::<f64>() <= 1.0 + 1e-6,
            "losses are more than certain"
        );
    }

    /// Counts an upper tail of `mass` as infinite loss, and raises a lower one to its upper end.
    pub(crate) fn clip(&mut self, mass: f64) {
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
        self.check();
    }

    pub(crate) fn variance(&self) -> f64 {
        let total: f64 = self.atoms.iter().map(|atom| atom.1).sum();
        let mean = self.atoms.iter().map(|&(loss, p)| loss * p).sum::<f64>() / total;
        self.atoms.iter().map(|&(loss, p)| (loss - mean) * (loss - mean) * p).sum::<f64>() / total
    }
}

/// ln of the sum of p exp(t loss).
pub(crate) fn log_mgf(atoms: &[(f64, f64)], t: f64) -> f64 {
    let most = greatest(atoms, t);
    most + libm::log(atoms.iter().map(|&(loss, p)| p * libm::exp(t * loss - most)).sum())
}

/// The mean loss once every probability is multiplied by exp(t loss): the slope of [`log_mgf`].
pub(crate) fn tilted_mean(atoms: &[(f64, f64)], t: f64) -> f64 {
    let most = greatest(atoms, t);
    let (mut total, mut sum) = (0.0, 0.0);
    for &(loss, p) in atoms {
        let weight = p * libm::exp(t * loss - most);
        total += weight;
        sum += weight * loss;
    }
    sum / total
}

/// The greatest exponent: taken out first, so that nothing overflows.
fn greatest(atoms: &[(f64, f64)], t: f64) -> f64 {
    atoms.iter().map(|atom| t * atom.0).fold(f64::NEG_INFINITY, f64::max)
}

/// Losses nearer than this are taken for one, the greater.
const SAME_LOSS: f64 = 1e-12;

/// delta between two losses, as a function of the ratio e^epsilon: p - ratio q.
#[derive(Clone, Copy)]
struct Line {
    /// The probability of a greater loss under P.
    p: f64,
    /// The same under Q.
    q: f64,
}

impl Line {
    fn start(infinite: f64) -> Self {
        Self { p: infinite, q: 0.0 }
    }

    fn at(self, ratio: f64) -> f64 {
        self.p - ratio * self.q
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(loss: &PrivacyLoss, epsilon: f64) -> f64 {
        let finite = loss.atoms.iter().filter(|atom| atom.0 > epsilon);
        loss.infinite + finite.map(|&(l, p)| -p * libm::expm1(epsilon - l)).sum::<f64>()
    }

    #[test]
    fn the_worse_of_two_is_the_larger_delta_everywhere() {
        let poisson: Vec<f64> = (0..40)
            .scan(libm::exp(-6.0), |p, x| {
                let now = *p;
                *p *= 6.0 / f64::from(x + 1);
                Some(now)
            })
            .collect();
        let sum = HonestSum { pmf: poisson, lost: 1e-18 };
        for by in [1, 2] {
            let (up, down) =
                (PrivacyLoss::moved(&sum, by, true), PrivacyLoss::moved(&sum, by, false));
            let worse = PrivacyLoss::either_way(&sum, by);
            assert!(worse.atoms.is_sorted_by(|a, b| a.0 <= b.0));
            let mut changes = 0;
            let mut first = None;
            for step in -400..400 {
                let epsilon = f64::from(step) / 200.0;
                let (a, b) = (delta(&up, epsilon), delta(&down, epsilon));
                let both = delta(&worse, epsilon);
                assert!((both - a.max(b)).abs() < 1e-14, "{epsilon}: {both} for {a}, {b}");
                if (a - b).abs() > 1e-9 && first != Some(a > b) {
                    first = Some(a > b);
                    changes += 1;
                }
            }
            assert!(changes > 1, "the two do cross");
        }
    }

    #[test]
    fn a_symmetric_sum_is_its_own_worse_of_two() {
        let pmf = vec![0.0625, 0.25, 0.375, 0.25, 0.0625];
        let sum = HonestSum { pmf, lost: 0.0 };
        let one = PrivacyLoss::of_round(&sum, 1);
        let both = PrivacyLoss::either_way(&sum, 1);
        assert_eq!((one.atoms, one.infinite), (both.atoms, both.infinite));
    }
}
