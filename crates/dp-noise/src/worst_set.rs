//! Which operators' noise remains when the worst set of them is malicious.

use std::collections::{BTreeMap, BTreeSet};

use crate::distribution::PairDistribution;

/// Above this many ways to choose the malicious set, a bound takes the place of the search.
const MAX_CHOICES: u64 = 20_000;

/// At most this many sets, those that leave the least variance, are put to the accountant.
const MAX_CANDIDATES: usize = 8;

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
}

/// The shards that remain honest: how many of each distribution.
pub(crate) type HonestShards = BTreeMap<PairDistribution, u32>;

/// The candidates for the worst case: what remains honest after taking out a set of operators of
/// weight up to `malicious`, least variance first. Empty if the malicious weight covers everyone.
///
/// Only sets that nobody can be added to matter, since more honest noise never tells more. With
/// few enough choices all of them are compared by the variance they leave, which to leading order
/// (the sums being near-Gaussian) orders them by what they tell, and up to eight are kept, for the accountant to take the
/// maximum. Otherwise one set is returned that leaves no more variance than any allowed set
/// does: operators are taken out by variance per weight until the first that no longer fits, and
/// that one too (the bound of the fractional knapsack).
pub(crate) fn worst_honest_sets(operators: &[OperatorNoise], malicious: u64) -> Vec<HonestShards> {
    let mut groups: BTreeMap<OperatorNoise, u32> = BTreeMap::new();
    for &operator in operators {
        *groups.entry(operator).or_insert(0) += 1;
    }
    let groups: Vec<(OperatorNoise, u32)> = groups.into_iter().collect();
    let choices = groups.iter().fold(1_u64, |n, group| n.saturating_mul(u64::from(group.1) + 1));
    if choices > MAX_CHOICES {
        let honest = honest_shards(&groups, &fractional_bound(&groups, malicious));
        return if honest.is_empty() { Vec::new() } else { vec![honest] };
    }

    let mut taken = vec![0; groups.len()];
    let mut sets = BTreeSet::new();
    search(&groups, malicious, 0, &mut taken, &mut sets);
    let mut candidates: Vec<HonestShards> = Vec::new();
    for (_, taken) in sets {
        let honest = honest_shards(&groups, &taken);
        if honest.is_empty() {
            return Vec::new();
        }
        if !candidates.contains(&honest) {
            candidates.push(honest);
        }
        if candidates.len() == MAX_CANDIDATES {
            break;
        }
    }
    candidates
}

/// Collects all maximal choices as (variance left, number taken of each group).
fn search(
    groups: &[(OperatorNoise, u32)],
    room: u64,
    at: usize,
    taken: &mut Vec<u32>,
    sets: &mut BTreeSet<(u128, Vec<u32>)>,
) {
    let Some(&(operator, count)) = groups.get(at) else {
        let another_fits = groups
            .iter()
            .zip(taken.iter())
            .any(|(group, &taken)| taken < group.1 && u64::from(group.0.weight) <= room);
        if !another_fits {
            let left = |(group, taken): (&(OperatorNoise, u32), &u32)| {
                group.0.variance() * u128::from(group.1 - taken)
            };
            sets.insert((groups.iter().zip(taken.iter()).map(left).sum(), taken.clone()));
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
    use crate::distribution::Sigma;

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
            prop_assert!(sets.iter().map(variance).is_sorted());
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
        assert_eq!(sets.len(), 1);
        assert!(sets[0].values().sum::<u32>() < 200);
    }

    #[test]
    fn nobody_honest_is_said_so() {
        assert!(worst_honest_sets(&[operator(1, 1, 100), operator(2, 1, 100)], 3).is_empty());
    }
}
