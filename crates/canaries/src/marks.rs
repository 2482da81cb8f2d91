//! Who is named: a shard whose marks no others can explain.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use antiphon_wire::{IdentityKey, OperatorIndex};

/// Marks that are remembered; the oldest go first.
const MOST_MARKS: usize = 4096;
/// Steps of one search. Whoever would take more is not named.
const MOST_STEPS: u32 = 20_000;

/// A shard of a mark, with its operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Identity of the shard.
    pub shard: IdentityKey,
    /// Its operator, in the network file.
    pub operator: OperatorIndex,
}

/// Sets of shards, in each of which at least one broke a rule, over the last epochs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks(VecDeque<BTreeSet<Member>>);

impl Marks {
    /// Adds a mark. One without members is none.
    pub fn add(&mut self, members: BTreeSet<Member>) {
        if members.is_empty() {
            return;
        }
        if self.0.len() == MOST_MARKS {
            self.0.pop_front();
        }
        self.0.push_back(members);
    }

    /// Forgets the marks of a shard that has been left out for them.
    pub fn settle(&mut self, shard: &IdentityKey) {
        self.0.retain(|mark| mark.iter().all(|member| member.shard != *shard));
    }

    /// The marks that are remembered, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &BTreeSet<Member>> {
        self.0.iter()
    }

    /// Number of marks that are remembered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns `true` if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The shards that are named: those in marks that no other operators of at most `most` weight explain together.
    /// `weight` gives that of an operator. If the malicious ones have no more than that, no honest shard is named: each
    /// of its marks has a malicious member, of another operator.
    pub fn named(&self, weight: impl Fn(OperatorIndex) -> u64, most: u64) -> BTreeSet<Member> {
        let everybody: BTreeSet<Member> = self.0.iter().flatten().copied().collect();
        let is_named = |suspect: &Member| {
            let others = |mark: &BTreeSet<Member>| -> BTreeMap<OperatorIndex, u64> {
                let operators = mark.iter().map(|member| member.operator);
                let operators = operators.filter(|operator| *operator != suspect.operator);
                operators.map(|operator| (operator, weight(operator))).collect()
            };
            // An honest suspect's operator is honest with all of its shards, and explains nothing.
            let marks = self.0.iter().filter(|mark| mark.contains(suspect));
            let marks: BTreeSet<_> = marks.map(others).collect();
            let marks: Vec<_> = marks.into_iter().collect();
            let mut steps = MOST_STEPS;
            !explains(&marks, most, &mut steps)
        };
        everybody.into_iter().filter(is_named).collect()
    }
}

/// Returns `true` if operators of at most `most` weight have a member in each of `marks`, or if that takes more than
/// `steps` to refute. Tries each member of the mark with the fewest.
fn explains(marks: &[BTreeMap<OperatorIndex, u64>], most: u64, steps: &mut u32) -> bool {
    let Some(next) = marks.iter().min_by_key(|mark| mark.len()) else { return true };
    if at_least(marks) > most {
        return false;
    }
    *steps = steps.saturating_sub(1);
    if *steps == 0 {
        return true;
    }
    next.iter().any(|(operator, weight)| {
        let Some(left) = most.checked_sub(*weight) else { return false };
        let unexplained = marks.iter().filter(|mark| !mark.contains_key(operator));
        let unexplained: Vec<_> = unexplained.cloned().collect();
        explains(&unexplained, left, steps)
    })
}

/// A weight that takes a member of each mark at the least: marks that share nobody need one each.
fn at_least(marks: &[BTreeMap<OperatorIndex, u64>]) -> u64 {
    let mut taken = BTreeSet::new();
    let mut sum = 0u64;
    for mark in marks {
        if mark.keys().all(|operator| !taken.contains(operator)) {
            taken.extend(mark.keys().copied());
            sum = sum.saturating_add(mark.values().min().copied().unwrap_or(u64::MAX));
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn member(number: u8) -> Member {
        Member { shard: IdentityKey([number; 32]), operator: OperatorIndex(number.into()) }
    }

    fn marks(sets: &[&[u8]]) -> Marks {
        let mut marks = Marks::default();
        sets.iter().for_each(|set| marks.add(set.iter().map(|number| member(*number)).collect()));
        marks
    }

    fn named(sets: &[&[u8]], most: u64) -> Vec<u8> {
        marks(sets).named(|_| 1, most).iter().map(|member| member.shard.0[0]).collect()
    }

    #[test]
    fn who_is_in_all_marks_is_named_once_nobody_else_is() {
        assert_eq!(named(&[&[1, 2, 3]], 1), [0; 0]);
        assert_eq!(named(&[&[1, 2, 3], &[1, 3, 4]], 1), [0; 0]);
        assert_eq!(named(&[&[1, 2, 3], &[1, 3, 4], &[1, 2, 4]], 1), [1]);
        assert_eq!(named(&[&[1, 2, 3], &[1, 3, 4], &[1, 2, 4]], 2), [0; 0]);
    }

    #[test]
    fn who_stands_alone_is_named_at_once_and_its_own_operator_is_no_excuse() {
        assert_eq!(named(&[&[7]], 3), [7]);
        let other = Member { shard: IdentityKey([9; 32]), operator: OperatorIndex(1) };
        let mut marks = Marks::default();
        marks.add([member(1), other].into());
        assert_eq!(marks.named(|_| 1, 5), [member(1), other].into());
    }

    #[test]
    fn an_operator_that_is_too_heavy_to_be_malicious_excuses_nobody() {
        let weight = |operator: OperatorIndex| if operator.0 == 2 { 5 } else { 1 };
        let found = marks(&[&[1, 2]]).named(weight, 2);
        assert_eq!(found, [member(1)].into());
    }

    #[test]
    fn the_oldest_marks_go_first_and_settled_ones_at_once() {
        let mut marks = Marks::default();
        (0..MOST_MARKS).for_each(|_| marks.add([member(1)].into()));
        marks.add([member(2)].into());
        assert_eq!(marks.len(), MOST_MARKS);
        marks.settle(&member(1).shard);
        assert_eq!(marks.len(), 1);
    }

    proptest! {
        #[test]
        fn whoever_lies_no_honest_shard_is_named(
            sets in prop::collection::vec(prop::collection::btree_set(0u8..10, 1..4), 0..40),
            liars in prop::collection::btree_set(0u8..10, 0..3),
        ) {
            // Each mark has a malicious member: those without are none.
            let sets = sets.iter().filter(|set| !set.is_disjoint(&liars));
            let sets: Vec<Vec<u8>> = sets.map(|set| set.iter().copied().collect()).collect();
            let sets: Vec<&[u8]> = sets.iter().map(Vec::as_slice).collect();
            let found = named(&sets, liars.len() as u64);
            prop_assert!(found.iter().all(|number| liars.contains(number)), "{found:?}");
        }
    }
}
