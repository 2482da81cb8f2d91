//! The noise that remains when the worst set of operators is malicious.

use std::collections::BTreeMap;

use crate::distribution::{PairDistribution, Sigma};

/// Above this many ways to choose the malicious set, a bound takes the place of the search.
const MAX_CHOICES: u64 = 20_000;

/// At most so many sets of those that leave the least variance are put to the accountant.
const LEAST_VARIANCE: usize = 8;

/// And so many of those that leave the sum that is cut nearest.
const NEAREST_CUT: usize = 4;

/// One operator's noise. Ordered, so that equal operators can be counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OperatorNoise {
    pub(crate) weight: u32,
    pub(crate) shards: u16,
    pub(crate) each: PairDistribution,
}

impl OperatorNoise {
    /// Variance of all the operator's shards together, in 2^-20 pairs squared, before the cut.
    fn variance(&self) -> u128 {
        u128::from(self.each.sigma().units()).pow(2) * u128::from(self.shards)
    }

    /// Greatest distance of the sum of the operator's shards from its mean, in 1/1024 pair.
    fn reach(&self) -> u128 {
        u128::from(self.each.centre()) * u128::from(Sigma::UNITS_PER_PAIR) * u128::from(self.shards)
    }
}

/// The shards that remain honest: a number for each distribution.
pub(crate) type HonestShards = BTreeMap<PairDistribution, u32>;

/// The candidates for the worst case: what remains honest after taking out a set of operators of
/// weight up to `malicious`, for the accountant to take the maximum. Empty if the malicious weight covers
/// everyone.
///
/// Only sets that nobody can be added to matter, since more honest noise never tells more. What is left
/// can hide too little for two reasons: it is narrow, or it is cut near, as where one shard makes up nearly
/// all of it. With few enough choices all are compared by both, and the first few by either are kept.
/// Otherwise one set is returned that leaves no more variance than any allowed set does (operators are
/// taken out by variance per weight until the first that no longer fits, and that one too: the bound of
/// the fractional knapsack), and one whose sum is cut about as near as that of any.
///
/// It is a search, not a proof, for noise of any kind. Noise that is divided by weight with one cut, the
/// only one that documents may have, leaves variance in proportion to the weight that is honest.
pub(crate) fn worst_honest_sets(operators: &[OperatorNoise], malicious: u64) -> Vec<HonestShards> {
    let mut groups: BTreeMap<OperatorNoise, u32> = BTreeMap::new();
    for &operator in operators {
        *groups.entry(operator).or_insert(0) += 1;
    }
    let groups: Vec<(OperatorNoise, u32)> = groups.into_iter().collect();
    let choices = groups.iter().fold(1_u64, |n, group| n.saturating_mul(u64::from(group.1) + 1));
    let taken = if choices > MAX_CHOICES {
        vec![fractional_bound(&groups, malicious), nearest_cut(&groups, malicious)]
    } else {
        let mut sets = Vec::new();
        search(&groups, malicious, 0, &mut vec![0; groups.len()], &mut sets);
        let mut left: Vec<_> =
            sets.into_iter().map(|taken| (Left::of(&groups, &taken), taken)).collect();
        left.sort_by(|a, b| a.0.variance.cmp(&b.0.variance).then_with(|| a.1.cmp(&b.1)));
        let mut worst: Vec<_> = left.iter().take(LEAST_VARIANCE).cloned().collect();
        left.sort_by(|a, b| a.0.cut().total_cmp(&b.0.cut()).then_with(|| a.1.cmp(&b.1)));
        worst.extend(left.into_iter().take(NEAREST_CUT));
        worst.into_iter().map(|(_, taken)| taken).collect()
    };
    let mut candidates: Vec<HonestShards> = Vec::new();
    for taken in taken {
        let honest = honest_shards(&groups, &taken);
        if honest.is_empty() {
            return Vec::new();
        }
        if !candidates.contains(&honest) {
            candidates.push(honest);
        }
    }
    candidates
}

/// Variance and reach that a choice of malicious operators leaves.
#[derive(Clone, Copy, Debug)]
struct Left {
    variance: u128,
    reach: u128,
}

impl Left {
    fn of(groups: &[(OperatorNoise, u32)], taken: &[u32]) -> Self {
        let sum = |of: fn(&OperatorNoise) -> u128| {
            groups
                .iter()
                .zip(taken)
                .map(|(group, taken)| of(&group.0) * u128::from(group.1 - taken))
                .sum()
        };
        Self { variance: sum(OperatorNoise::variance), reach: sum(OperatorNoise::reach) }
    }

    /// The distance of the sum's cut from its mean, in its own sigmas.
    fn cut(self) -> f64 {
        self.reach as f64 / (self.variance as f64).sqrt()
    }
}

/// Collects all maximal choices: the number taken of each group.
fn search(
    groups: &[(OperatorNoise, u32)],
    room: u64,
    at: usize,
    taken: &mut Vec<u32>,
    sets: &mut Vec<Vec<u32>>,
) {
    let Some(&(operator, count)) = groups.get(at) else {
        let another_fits = groups
            .iter()
            .zip(taken.iter())
            .any(|(group, &taken)| taken < group.1 && u64::from(group.0.weight) <= room);
        debug_assert!(taken.iter().zip(groups).all(|(taken, group)| *taken <= group.1));
        if !another_fits {
            sets.push(taken.clone());
        }
        return;
    };
    let weight = u64::from(operator.weight);
    for number in 0..=count {
        if weight * u64::from(number) > room {
            break;
        }
        taken[at] = number;
        search(groups, room - weight * u64::from(number), at + 1, taken, sets);
    }
    taken[at] = 0;
}

/// A set, perhaps too heavy by one operator, that takes at least as much variance as any allowed.
fn fractional_bound(groups: &[(OperatorNoise, u32)], malicious: u64) -> Vec<u32> {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    // Variance per weight, compared crosswise in integers; the index makes the order total.
    order.sort_by(|&a, &b| {
        let (x, y) = (groups[a].0, groups[b].0);
        let of_x = x.variance() * u128::from(y.weight);
        let of_y = y.variance() * u128::from(x.weight);
        of_y.cmp(&of_x).then(a.cmp(&b))
    });
    let mut taken = vec![0; groups.len()];
    let mut room = malicious;
    for at in order {
        let weight = u64::from(groups[at].0.weight);
        for _ in 0..groups[at].1 {
            if room == 0 {
                return taken;
            }
            taken[at] += 1;
            room = room.saturating_sub(weight);
        }
    }
    taken
}

/// An allowed set that leaves a sum cut near: those operators are taken out that bring most reach for their
/// variance, as the set itself values them, until nobody else fits.
fn nearest_cut(groups: &[(OperatorNoise, u32)], malicious: u64) -> Vec<u32> {
    let mut taken = vec![0; groups.len()];
    // Dinkelbach's method for the ratio of reach^2 and variance; it settles in few steps.
    for _ in 0..8 {
        let left = Left::of(groups, &taken);
        let price = left.reach as f64 / (left.variance as f64).max(1.0);
        let gain = |operator: &OperatorNoise| {
            let gain = 2.0 * operator.reach() as f64 - price * operator.variance() as f64;
            gain / f64::from(operator.weight)
        };
        let mut order: Vec<usize> = (0..groups.len()).collect();
        order.sort_by(|&a, &b| gain(&groups[b].0).total_cmp(&gain(&groups[a].0)).then(a.cmp(&b)));
        let mut room = malicious;
        let mut next = vec![0; groups.len()];
        for at in order {
            let (operator, count) = groups[at];
            let fit = (room / u64::from(operator.weight)).min(count.into());
            // No more than a count of 32 bits.
            next[at] = fit as u32;
            room -= fit * u64::from(operator.weight);
        }
        if next == taken {
            break;
        }
        taken = next;
    }
    taken
}

fn honest_shards(groups: &[(OperatorNoise, u32)], taken: &[u32]) -> HonestShards {
    let mut shards = HonestShards::new();
    for (group, taken) in groups.iter().zip(taken) {
        let honest = (group.1 - taken) * u32::from(group.0.shards);
        if honest > 0 {
            *shards.entry(group.0.each).or_insert(0) += honest;
        }
    }
    shards
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::accountant::compose;
    use crate::budget::Budget;
    use crate::composition::Aim;
    use crate::honest_sum::HonestSum;

    fn operator(weight: u32, shards: u16, units: u32) -> OperatorNoise {
        let sigma = Sigma::from_units(units).unwrap();
        OperatorNoise { weight, shards, each: PairDistribution::new(64, sigma).unwrap() }
    }

    fn variance(honest: &HonestShards) -> u128 {
        honest.iter().map(|(d, &n)| u128::from(d.sigma().units()).pow(2) * u128::from(n)).sum()
    }

    fn brute_force(operators: &[OperatorNoise], malicious: u64) -> u128 {
        (0_u32..1 << operators.len())
            .filter_map(|mask| {
                let (mut weight, mut left) = (0, 0);
                for (i, operator) in operators.iter().enumerate() {
                    if mask >> i & 1 == 1 {
                        weight += u64::from(operator.weight);
                    } else {
                        left += operator.variance();
                    }
                }
                (weight <= malicious).then_some(left)
            })
            .min()
            .unwrap()
    }

    fn operators() -> impl Strategy<Value = Vec<OperatorNoise>> {
        let one = (1_u32..8, 1_u16..4, 64_u32..4096).prop_map(|(w, n, s)| operator(w, n, s));
        prop::collection::vec(one, 1..9)
    }

    proptest! {
        #[test]
        fn the_search_finds_the_least_variance(operators in operators(), malicious in 0_u64..40) {
            let sets = worst_honest_sets(&operators, malicious);
            let expected = brute_force(&operators, malicious);
            prop_assert_eq!(sets.first().map_or(0, variance), expected);
        }

        #[test]
        fn the_bound_leaves_no_more(operators in operators(), malicious in 0_u64..40) {
            let groups: Vec<_> = operators.iter().map(|&operator| (operator, 1)).collect();
            let honest = honest_shards(&groups, &fractional_bound(&groups, malicious));
            prop_assert!(variance(&honest) <= brute_force(&operators, malicious));
        }
    }

    #[test]
    fn many_different_operators_are_bounded_quickly() {
        let operators: Vec<_> = (0..200).map(|i| operator(100 + i, 1, 1000 + i)).collect();
        let sets = worst_honest_sets(&operators, 8000);
        assert_eq!(sets.len(), 2);
        assert!(sets.iter().all(|set| set.values().sum::<u32>() < 200));
    }

    /// One heavy operator whose single shard is cut at four sigma, four light ones with as much noise
    /// together, cut far out, and `crowd` more that add next to nothing. If the four are malicious, the
    /// heavy one's cut shows. Many sets leave less variance.
    fn cut_shows(crowd: u32, heavy: (u32, u32)) -> (Vec<OperatorNoise>, HonestShards) {
        let noise = |weight, volume, units| {
            let each = PairDistribution::new(volume, Sigma::from_units(units).unwrap()).unwrap();
            OperatorNoise { weight, shards: 1, each }
        };
        let mut operators = vec![noise(4, heavy.0, heavy.1)];
        operators.extend((0..4).map(|_| noise(1, 3808, 121_856)));
        operators.extend((0..crowd).map(|i| noise(1, 4, 64 + i)));
        let mut honest = HonestShards::new();
        for operator in operators.iter().filter(|operator| operator.each.volume() != 3808) {
            *honest.entry(operator.each).or_insert(0) += 1;
        }
        (operators, honest)
    }

    #[test]
    fn noise_that_is_wide_but_cut_near_is_among_the_worst() {
        let budget = Budget::default();
        let delta = |honest: &HonestShards| {
            let sum = HonestSum::of_counts(honest).unwrap();
            compose(&sum, 1000, 1, Aim::Epsilon(budget.epsilon())).delta(budget.epsilon())
        };
        // Few enough sets to compare all of them, and too many.
        for (crowd, heavy) in [(10, (3840, 245_760)), (40, (3840, 245_760)), (40, (3904, 249_856))]
        {
            let (operators, honest) = cut_shows(crowd, heavy);
            let sets = worst_honest_sets(&operators, 5);
            let by_variance = sets.len() - NEAREST_CUT.min(sets.len() / 2);
            let by_variance: f64 = sets[..by_variance].iter().map(delta).fold(0.0, f64::max);
            let all: f64 = sets.iter().map(delta).fold(0.0, f64::max);
            let allowed = delta(&honest);
            assert!(by_variance < 1e-6 && allowed > 5e-4, "{by_variance:e} {allowed:e}");
            assert!(all >= 0.99 * allowed, "{crowd}: {all:e} for {allowed:e}");
        }
    }

    #[test]
    fn nobody_honest_is_said_so() {
        assert!(worst_honest_sets(&[operator(1, 1, 100), operator(2, 1, 100)], 3).is_empty());
    }
}
