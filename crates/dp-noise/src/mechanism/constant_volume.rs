//! The product's noise: a fixed volume, of which a secret number is paired.

use std::collections::BTreeMap;

use crate::distribution::PairDistribution;
use crate::honest_sum::{HonestSum, wide_enough};
use crate::privacy_loss::PrivacyLoss;

/// The most noise deposits a round whose unnoticed loss is accounted for; the ways to spread them
/// over the shards grow quickly.
pub const MAX_LOST_NOISE: u32 = 12;

/// The ways to spread lost deposits that are all tried where any number may be lost.
const MOST_WAYS: u64 = 100;

/// The parts of the shards that still count where more are lost than are spread in every way.
const PARTS: [(u32, u32); 4] = [(9, 10), (3, 4), (1, 2), (1, 4)];

/// The loss of a round, with up to `lost` noise deposits missing from whichever honest shards the
/// adversary likes; `None` without any shard.
pub(super) fn loss(shards: &[PairDistribution], by: u32, lost: u32) -> Option<PrivacyLoss> {
    up_to_each(&counted(shards), by, lost).pop()
}

/// The loss of a round with up to so many deposits missing, for ever more of them.
///
/// Up to a number r every way to spread them over the shards is tried. Beyond, only some of the
/// shards count, and the adversary is told what the others drew, which can only help it: of k lost
/// deposits the c shards out of h that lost least have lost at most c k / h together, and
/// that is no more than r if c is small enough.
pub(super) fn losses(shards: &[PairDistribution], by: u32) -> Vec<(u32, PrivacyLoss)> {
    let counts = counted(shards);
    let exact = spreadable(&counts);
    let mut levels: Vec<(u32, PrivacyLoss)> = (0..).zip(up_to_each(&counts, by, exact)).collect();
    for (part, of) in PARTS {
        let kept: BTreeMap<PairDistribution, u32> =
            counts.iter().map(|(&shard, &count)| (shard, count * part / of)).collect();
        let kept: BTreeMap<_, _> = kept.into_iter().filter(|kept| kept.1 > 0).collect();
        // Of k lost, fewer than exact + 1 from those that are kept.
        let most = ((exact + 1) * of).div_ceil(part) - 1;
        if let Some(loss) = up_to_each(&kept, by, exact).pop() {
            levels.push((most, loss));
        }
    }
    levels
}

fn counted(shards: &[PairDistribution]) -> BTreeMap<PairDistribution, u32> {
    let mut counts: BTreeMap<PairDistribution, u32> = BTreeMap::new();
    for &shard in shards {
        *counts.entry(shard).or_insert(0) += 1;
    }
    counts
}

/// The most lost deposits that can be spread in [`MOST_WAYS`] at most.
fn spreadable(counts: &BTreeMap<PairDistribution, u32>) -> u32 {
    let most = 4 * MAX_LOST_NOISE;
    let mut ways = vec![0_u64; most as usize + 1];
    ways[0] = 1;
    for &count in counts.values() {
        // Partitions into at most `count` parts are those into parts of at most `count`.
        for part in 1..=count.min(most) as usize {
            for lost in part..ways.len() {
                ways[lost] = ways[lost].saturating_add(ways[lost - part]);
            }
        }
    }
    let mut total = 0_u64;
    let within = ways.iter().take_while(|&&ways| {
        total = total.saturating_add(ways);
        total <= MOST_WAYS
    });
    (within.count() as u32).saturating_sub(1)
}

/// The loss with at most 0, 1, 2, ... `lost` deposits missing; empty without any shard.
fn up_to_each(counts: &BTreeMap<PairDistribution, u32>, by: u32, lost: u32) -> Vec<PrivacyLoss> {
    let groups: Vec<Group> = wide_enough(counts)
        .into_iter()
        .map(|(shard, count)| Group::of(shard, count, lost))
        .collect();
    let mut exactly: Vec<Option<PrivacyLoss>> = vec![None; lost as usize + 1];
    let mut add = |left: u32, sum: &HonestSum| {
        let loss = PrivacyLoss::either_way(sum, by);
        let worst = &mut exactly[(lost - left) as usize];
        *worst = Some(match worst.take() {
            None => loss,
            Some(so_far) => so_far.or(loss),
        });
    };
    spread(&groups, lost, None, &mut add);
    // A view with fewer missing is possible too, so each level takes in those before it.
    let mut up_to = Vec::new();
    let mut worst: Option<PrivacyLoss> = None;
    // With a small volume there may be nothing to lose any more.
    for exactly in exactly {
        worst = match (worst, exactly) {
            (Some(worst), Some(loss)) => Some(worst.or(loss)),
            (worst, loss) => worst.or(loss),
        };
        up_to.extend(worst.clone());
    }
    up_to
}

/// Shards of one distribution.
struct Group {
    /// Sums of one shard with 0, 1, 2, ... of its deposits missing.
    thinned: Vec<HonestSum>,
    /// The sum of 0, 1, 2, ... whole ones of the last few shards: index i is `count - i` of them.
    whole: Vec<Option<HonestSum>>,
    count: u32,
}

impl Group {
    fn of(shard: PairDistribution, count: u32, lost: u32) -> Self {
        let mut thinned = vec![HonestSum { pmf: shard.pmf(), lost: 0.0 }];
        for left in (0..shard.volume()).rev().take(lost as usize) {
            let before = &thinned[thinned.len() - 1];
            thinned.push(HonestSum { pmf: thin(&before.pmf, left + 1), lost: 0.0 });
        }
        let whole = (0..=lost.min(count))
            .map(|touched| {
                let left = count - touched;
                (left > 0).then(|| thinned[0].clone().trimmed().repeated(left))
            })
            .collect();
        let thinned = thinned.into_iter().map(HonestSum::trimmed).collect();
        Self { thinned, whole, count }
    }
}

/// The number of pairs left when one of `deposits` is taken away: it was half of one of x pairs
/// with probability 2x / deposits, whichever it was, because which deposits are paired is uniform.
fn thin(pmf: &[f64], deposits: u32) -> Vec<f64> {
    let hit = |x: usize| (2.0 * x as f64 / f64::from(deposits)).min(1.0);
    (0..pmf.len())
        .map(|x| {
            let from_above = pmf.get(x + 1).map_or(0.0, |p| p * hit(x + 1));
            pmf[x] * (1.0 - hit(x)) + from_above
        })
        .collect()
}

/// Calls `add` for every way to take up to `lost` deposits, with how many fewer they are and the
/// honest sum.
fn spread(
    groups: &[Group],
    lost: u32,
    sum: Option<&HonestSum>,
    add: &mut impl FnMut(u32, &HonestSum),
) {
    let Some((group, rest)) = groups.split_first() else {
        if let Some(sum) = sum {
            add(lost, sum);
        }
        return;
    };
    within_group(group, rest, lost, lost, 0, sum, add);
}

/// Takes parts of at most `part` deposits, never rising, from one shard of the group after another.
fn within_group(
    group: &Group,
    rest: &[Group],
    lost: u32,
    part: u32,
    touched: u32,
    sum: Option<&HonestSum>,
    add: &mut impl FnMut(u32, &HonestSum),
) {
    let join = |other: Option<&HonestSum>| match (sum, other) {
        (Some(a), Some(b)) => Some(a.plus(b)),
        (a, b) => a.or(b).cloned(),
    };
    let untouched = group.whole.get(touched as usize).and_then(Option::as_ref);
    spread(rest, lost, join(untouched).as_ref(), add);
    if touched < group.count {
        for take in 1..=part.min(lost) {
            let Some(thinned) = group.thinned.get(take as usize) else { break };
            let sum = join(Some(thinned));
            within_group(group, rest, lost - take, take, touched + 1, sum.as_ref(), add);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::Sigma;

    fn dist(volume: u32, units: u32) -> PairDistribution {
        PairDistribution::new(volume, Sigma::from_units(units).unwrap()).unwrap()
    }

    /// By brute force: all ways to remove `lost` of `volume` deposits, of which x pairs are known.
    fn removed(pmf: &[f64], volume: usize, lost: u32) -> Vec<f64> {
        let mut result = vec![0.0; pmf.len()];
        for (x, &p) in pmf.iter().enumerate() {
            let subsets: Vec<u32> =
                (0_u32..1 << volume).filter(|mask| mask.count_ones() == lost).collect();
            for mask in &subsets {
                let intact = (0..x).filter(|pair| (mask >> (2 * pair)) & 3 == 0).count();
                result[intact] += p / subsets.len() as f64;
            }
        }
        result
    }

    #[test]
    fn thinning_one_by_one_is_removing_any_subset() {
        let pmf = dist(12, 2000).pmf();
        let mut thinned = pmf.clone();
        for (lost, left) in (1..=4).zip((0..=12).rev()) {
            thinned = thin(&thinned, left);
            for (a, b) in thinned.iter().zip(&removed(&pmf, 12, lost)) {
                assert!((a - b).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn every_way_to_spread_the_loss_is_tried_once() {
        let counts = [dist(12, 614), dist(16, 700)];
        let groups: Vec<Group> = counts.iter().map(|&d| Group::of(d, 2, 3)).collect();
        let mut ways = 0;
        spread(&groups, 3, None, &mut |_, _| ways += 1);
        // Up to three, on two pairs of equal shards. In one pair: 1, 1, 2 and 2 ways to take 0, 1,
        // 2 and 3; in both: 1, 2, 5 and 8.
        assert_eq!(ways, 1 + 2 + 5 + 8);
    }
}
