//! Numbers that a coordinator takes over from shards: its own state may be lost or old.

use std::collections::BTreeMap;

use antiphon_wire::{NetworkFile, OperatorIndex};

/// The highest number that is vouched for by operators of more than f of the weight: at least one
/// honest shard has come so far, whatever the others claim.
///
/// With a `slack`, a number that only a few claim counts too, if it lies no more than this above:
/// shards do not all see the last epoch or round before a coordinator goes, and passing over a few
/// numbers costs nothing.
pub(crate) fn highest(
    network: &NetworkFile,
    marks: impl IntoIterator<Item = (OperatorIndex, u64)>,
    slack: u64,
) -> u64 {
    let mut highest: BTreeMap<OperatorIndex, u64> = BTreeMap::new();
    for (operator, mark) in marks {
        let kept = highest.entry(operator).or_default();
        *kept = mark.max(*kept);
    }
    let mut falling: Vec<_> =
        highest.into_iter().map(|(operator, mark)| (mark, operator)).collect();
    falling.sort_unstable_by(|a, b| b.cmp(a));
    let malicious = u128::from(network.policy.malicious_ppm) * u128::from(network.total_weight());
    let mut weight = 0;
    let common = falling.iter().find(|(_, operator)| {
        weight += network.operator(*operator).map_or(0, |known| u128::from(known.weight));
        1_000_000 * weight > malicious
    });
    let common = common.map_or(0, |(mark, _)| *mark);
    // Marks fall, so this is the highest that lies near enough.
    let near = falling.iter().find(|(mark, _)| mark.saturating_sub(common) <= slack);
    near.map_or(0, |(mark, _)| *mark).max(common)
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{IdentityKey, Operator, Policy};
    use ed25519_dalek::SigningKey;

    use super::*;

    /// Five operators of weight 1, of which one may be malicious.
    fn network() -> NetworkFile {
        let operators = (0..5u8).map(|i| Operator {
            name: format!("operator {i}"),
            key: IdentityKey::of(&SigningKey::from_bytes(&[i; 32])),
            weight: 1,
        });
        NetworkFile::new(operators.collect(), Policy::default()).unwrap()
    }

    fn of(marks: &[u64], slack: u64) -> u64 {
        let marks = marks.iter().enumerate().map(|(i, mark)| (OperatorIndex(i as u16), *mark));
        highest(&network(), marks, slack)
    }

    #[test]
    fn one_liar_of_five_pushes_no_number_up() {
        assert_eq!(of(&[7, 7, 6, 7, u64::MAX], 0), 7);
        assert_eq!(of(&[7, 7, 6, 7, u64::MAX], 16), 7);
        assert_eq!(of(&[u64::MAX], u64::MAX - 1), 0);
        // Within the slack, it may.
        assert_eq!(of(&[7, 7, 6, 7, 20], 16), 20);
    }

    #[test]
    fn the_highest_number_of_two_honest_operators_counts() {
        assert_eq!(of(&[0, 0, 9, 8, 0], 0), 8);
        assert_eq!(of(&[0, 0, 9, 8, 0], 1), 9);
        assert_eq!(of(&[], 4), 0);
    }

    #[test]
    fn an_operator_with_many_shards_vouches_once() {
        let marks = [(0, 50), (0, 50), (0, 50), (1, 3), (2, 3)];
        let marks = marks.map(|(operator, mark)| (OperatorIndex(operator), mark));
        assert_eq!(highest(&network(), marks, 0), 3);
    }
}
