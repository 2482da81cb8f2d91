//! The division of a variance among operators and their shards.

use crate::allocation::{NoiseAllocation, OperatorShare};
use crate::distribution::{MAX_VOLUME, PairDistribution, Sigma};
use crate::solve::Cut;

/// Divides `variance` pairs squared per unit of weight; `None` beyond [`MAX_VOLUME`].
///
/// A shard's volume is the least multiple of four whose cut lies at the chosen number of its sigmas or
/// beyond, and its width is then raised to what that volume allows.
pub(crate) fn divide(variance: f64, cut: Cut, shares: &[OperatorShare]) -> Option<NoiseAllocation> {
    let each = |share: &OperatorShare| {
        let sigma = (variance * f64::from(share.weight) / f64::from(share.shards)).sqrt();
        // V/4 = cut/4 sigma, so V = cut sigma, and sigma = V / cut. A flat distribution is given
        // the volume of which it has that width, about V / sqrt(48).
        let in_volume = match cut.quarters() {
            0 => 48.0_f64.sqrt(),
            quarters => f64::from(quarters),
        };
        let quarter = (in_volume * sigma / 4.0).ceil().max(1.0);
        if quarter > f64::from(MAX_VOLUME / 4) {
            return None;
        }
        let volume = 4 * quarter as u32;
        PairDistribution::new(volume, cut.width(volume)?).ok()
    };
    let per_operator = shares.iter().map(each).collect::<Option<_>>()?;
    Some(NoiseAllocation { per_operator })
}

/// The first operator whose noise is not what [`divide`] gives it beside the others', for any variance
/// and any cut from four sigma on; `None` if the allocation is one that the solver could have chosen.
///
/// Only such allocations are compared with a budget. An operator then adds noise in proportion to its
/// weight, so that no allowed set of malicious operators takes away more than its share, whichever it
/// is, and no few shards hold what is to hide everybody. In integers, so that all verifiers agree.
pub(crate) fn not_divided(allocation: &NoiseAllocation, shares: &[OperatorShare]) -> Option<usize> {
    let failures = Cut::FOUR_SIGMA.and_beyond().map(|cut| first_outside(allocation, shares, cut));
    // The cut that most operators agree with says best whose noise is odd.
    failures.min_by_key(|at| at.map_or(0, |at| shares.len() - at)).flatten()
}

/// The first operator whose noise does not go with this cut and the operators before it.
fn first_outside(
    allocation: &NoiseAllocation,
    shares: &[OperatorShare],
    cut: Cut,
) -> Option<usize> {
    // A volume of 4q stands for a variance per weight above (q - 1)^2 n / w and up to q^2 n / w, in the
    // same unit for all. Kept as fractions: the greatest lower and the least upper end so far.
    let (mut low, mut high): (Fraction, Option<Fraction>) = ((0, 1), None);
    for (at, (each, share)) in allocation.per_operator.iter().zip(shares).enumerate() {
        let quarter = u128::from(each.volume() / 4);
        let (shards, weight) = (u128::from(share.shards), u128::from(share.weight));
        let lower = ((quarter - 1).pow(2) * shards, weight);
        let upper = (quarter.pow(2) * shards, weight);
        if is_less(low, lower) {
            low = lower;
        }
        if high.is_none_or(|high| is_less(upper, high)) {
            high = Some(upper);
        }
        let together = high.is_none_or(|high| !is_less(high, low));
        if !together || cut.width(each.volume()) != Some(each.sigma()) {
            return Some(at);
        }
    }
    None
}

type Fraction = (u128, u128);

/// Volumes, shards and weights have at most 13, 16 and 32 bits: nothing overflows.
fn is_less(a: Fraction, b: Fraction) -> bool {
    a.0 * b.1 < b.0 * a.1
}

impl Cut {
    /// The width for a volume that ends at this cut.
    pub(crate) fn width(self, volume: u32) -> Option<Sigma> {
        let in_units = u64::from(volume) * u64::from(Sigma::UNITS_PER_PAIR);
        // Twice the volume is as good as flat.
        let units = in_units.checked_div(self.quarters().into()).unwrap_or(2 * in_units);
        Sigma::from_units(u32::try_from(units.min(Sigma::MAX.units().into())).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares() -> impl Strategy<Value = Vec<OperatorShare>> {
        let one = (1_u32..2000, 1_u16..20);
        let one = one.prop_map(|(weight, shards)| OperatorShare { weight, shards });
        prop::collection::vec(one, 1..40)
    }

    proptest! {
        #[test]
        fn whatever_is_divided_is_recognised_and_nothing_beside_it(
            shares in shares(),
            variance in 0.01_f64..1e4,
            quarters in 16_u32..=32,
            at in any::<prop::sample::Index>(),
        ) {
            let cut = Cut::from_quarters(quarters).unwrap();
            let Some(allocation) = divide(variance, cut, &shares) else { return Ok(()) };
            prop_assert_eq!(not_divided(&allocation, &shares), None);
            // Half as much again for one of several, at the same cut, or a width of its own.
            let at = at.index(shares.len());
            let one = allocation.per_operator[at];
            if shares.len() > 1 && one.volume() > 64 && one.volume() < MAX_VOLUME / 2 {
                let mut more = allocation.clone();
                let volume = (one.volume() * 3 / 2).next_multiple_of(4);
                let sigma = cut.width(volume).unwrap();
                more.per_operator[at] = PairDistribution::new(volume, sigma).unwrap();
                prop_assert!(not_divided(&more, &shares).is_some());
                let mut narrower = allocation;
                let sigma = Sigma::from_units(one.sigma().units() * 9 / 10).unwrap();
                narrower.per_operator[at] = PairDistribution::new(one.volume(), sigma).unwrap();
                prop_assert!(not_divided(&narrower, &shares).is_some());
            }
        }
    }
}
