//! Rounds that failed over one shard's word against another's.
//!
//! A shard that lies looks like the one that it lies about, so nobody is left out for a dispute or
//! two. Rounds that were open together when one of them failed count as one. After some in a row, the shard common to all of them is. If rounds fail all the same while a
//! shard sits out, that shard has an alibi and others come first; so one shard that spoils rounds for
//! ever others pushes out each of them once at most, and is found then. If it sticks to one victim,
//! nothing tells the two apart: one word against another costs both the same.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{IdentityKey, Round};

/// Disputes in a row before a shard is left out for them.
const MOST_DISPUTES: u32 = 3;

/// Depth of a shard's disputes: rounds, then the shards that it was at odds with in each, summed.
type Involvement = (u32, u32);

/// All disputes so far. Kept in memory only: they cost no more than a few rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disputes {
    in_a_row: u32,
    /// The first round that was not open yet when the last of them was noted.
    fresh: Round,
    /// Of the disputes in a row.
    recent: BTreeMap<IdentityKey, Involvement>,
    /// Of all disputes that were settled.
    ever: BTreeMap<IdentityKey, u32>,
    /// The shards that were left out for disputes, and how often rounds failed without them.
    alibis: BTreeMap<IdentityKey, u32>,
}

impl Disputes {
    /// Notes a round that failed over no dispute.
    pub(crate) fn end(&mut self) {
        self.in_a_row = 0;
        self.recent.clear();
    }

    /// Notes a dispute in `round`, while `next` is the next to open. It was a round of `present`, and
    /// the dispute is between `pairs` of shards; a pair of one shard with
    /// itself is a shard that is at odds with all. Returns who is to be left out, if it is time:
    /// nobody, if nobody was named at all. Shards that are `mute` come first among those involved.
    pub(crate) fn note(
        &mut self,
        (round, next): (Round, Round),
        present: &[IdentityKey],
        pairs: &BTreeSet<(IdentityKey, IdentityKey)>,
        mute: impl Fn(&IdentityKey) -> bool,
    ) -> Option<Vec<IdentityKey>> {
        let mut involved: BTreeMap<IdentityKey, BTreeSet<IdentityKey>> = BTreeMap::new();
        for &(a, b) in pairs {
            involved.entry(a).or_default().insert(b);
            involved.entry(b).or_default().insert(a);
        }
        for (shard, at_odds) in involved {
            let (rounds, others) = self.recent.entry(shard).or_default();
            *rounds += 1;
            // At most as many as shards in an epoch.
            *others += at_odds.len() as u32;
        }
        // What spoilt one round spoils those beside it.
        if round < self.fresh {
            return None;
        }
        self.fresh = next;
        self.in_a_row += 1;
        (self.in_a_row >= MOST_DISPUTES).then(|| self.settle(present, mute))
    }

    fn settle(
        &mut self,
        present: &[IdentityKey],
        mute: impl Fn(&IdentityKey) -> bool,
    ) -> Vec<IdentityKey> {
        let recent = std::mem::take(&mut self.recent);
        self.in_a_row = 0;
        if recent.is_empty() {
            return Vec::new();
        }
        for (shard, (rounds, _)) in &recent {
            *self.ever.entry(*shard).or_default() += rounds;
        }
        for (shard, alibis) in &mut self.alibis {
            *alibis += u32::from(!present.contains(shard));
        }
        let rank = |shard: &IdentityKey| {
            let (rounds, others) = recent.get(shard).copied().unwrap_or_default();
            let innocence = self.alibis.get(shard).copied().unwrap_or_default();
            let ever = self.ever.get(shard).copied().unwrap_or_default();
            let least_innocent = std::cmp::Reverse(innocence);
            (least_innocent, rounds > 0 && mute(shard), rounds, others, ever)
        };
        let Some(first) = present.iter().map(rank).max() else { return Vec::new() };
        let mut worst: Vec<_> =
            present.iter().filter(|shard| rank(shard) == first).copied().collect();
        worst.sort();
        // Two shards that are at odds with nobody else: both, so that the lie costs the liar as much.
        // In any other case one after the other.
        let is_duel = recent.len() == 2 && worst.iter().all(|shard| recent.contains_key(shard));
        if !is_duel {
            worst.truncate(1);
        }
        for shard in &worst {
            self.alibis.entry(*shard).or_default();
        }
        worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIAR: IdentityKey = shard(9);

    const fn shard(number: u8) -> IdentityKey {
        IdentityKey([number; 32])
    }

    fn present(out: &[IdentityKey]) -> Vec<IdentityKey> {
        (0..10).map(shard).filter(|shard| !out.contains(shard)).collect()
    }

    fn pair(a: IdentityKey, b: IdentityKey) -> BTreeSet<(IdentityKey, IdentityKey)> {
        BTreeSet::from([(a, b)])
    }

    /// Disputes between `pairs` in turn, until somebody is left out.
    fn settle(
        disputes: &mut Disputes,
        out: &[IdentityKey],
        pairs: &[(IdentityKey, IdentityKey)],
    ) -> Vec<IdentityKey> {
        let present = present(out);
        for &(a, b) in pairs.iter().cycle() {
            let round = disputes.fresh;
            if let Some(out) =
                disputes.note((round, round.next()), &present, &pair(a, b), |_| false)
            {
                return out;
            }
        }
        Vec::new()
    }

    #[test]
    fn whoever_is_in_all_disputes_is_left_out() {
        let pairs = [(LIAR, shard(0)), (shard(3), LIAR), (LIAR, shard(2))];
        assert_eq!(settle(&mut Disputes::default(), &[], &pairs), [LIAR]);
    }

    #[test]
    fn a_liar_that_sticks_to_one_victim_goes_with_it_and_then_alone() {
        let mut disputes = Disputes::default();
        assert_eq!(settle(&mut disputes, &[], &[(LIAR, shard(0))]), [shard(0), LIAR]);
        for victim in 1..9 {
            assert_eq!(settle(&mut disputes, &[], &[(LIAR, shard(victim))]), [LIAR]);
        }
    }

    #[test]
    fn a_culprit_that_nobody_names_pushes_out_nobody_twice() {
        let mut disputes = Disputes::default();
        let mut left_out: Vec<IdentityKey> = Vec::new();
        while left_out.last() != Some(&LIAR) {
            // Whoever was left out last is missing; the others are back.
            let out: Vec<_> = left_out.last().into_iter().copied().collect();
            let mut victims = present(&out).into_iter().filter(|shard| *shard != LIAR);
            let (a, b) = (victims.next().unwrap(), victims.next().unwrap());
            let c = victims.next().unwrap();
            let next = settle(&mut disputes, &out, &[(a, b), (a, c)]);
            assert_eq!(next.len(), 1);
            assert!(!left_out.contains(&next[0]), "{next:?} again");
            left_out.extend(next);
        }
        // From now on it is the first that is asked to go.
        assert_eq!(settle(&mut disputes, &[], &[(shard(1), shard(2))]), [LIAR]);
    }

    #[test]
    fn a_round_in_between_starts_afresh_and_nobody_named_is_nobody_left_out() {
        let mut disputes = Disputes::default();
        let note = |disputes: &mut Disputes, pairs: &BTreeSet<_>| {
            let round = disputes.fresh;
            disputes.note((round, round.next()), &present(&[]), pairs, |_| true)
        };
        for _ in 0..20 {
            assert_eq!(note(&mut disputes, &pair(LIAR, shard(1))), None);
            assert_eq!(note(&mut disputes, &pair(LIAR, shard(1))), None);
            disputes.end();
        }
        let mut nobody = || note(&mut disputes, &BTreeSet::new());
        assert_eq!([nobody(), nobody(), nobody()], [None, None, Some(vec![])]);
    }

    #[test]
    fn of_two_at_odds_the_one_that_reports_nothing_goes() {
        let mut disputes = Disputes::default();
        let mut dispute = |round: u64| {
            let rounds = (Round(round), Round(round + 1));
            disputes.note(rounds, &present(&[]), &pair(shard(1), shard(2)), |s| *s == shard(1))
        };
        assert_eq!([dispute(1), dispute(2), dispute(3)], [None, None, Some(vec![shard(1)])]);
    }

    #[test]
    fn rounds_that_were_open_together_are_one_dispute() {
        let mut disputes = Disputes::default();
        let mut dispute = |round: u64, next: u64| {
            let rounds = (Round(round), Round(next));
            disputes.note(rounds, &present(&[]), &pair(LIAR, shard(round as u8 % 3)), |_| false)
        };
        assert!((1..5).all(|round| dispute(round, 5).is_none()));
        assert!((5..9).all(|round| dispute(round, 9).is_none()));
        assert_eq!(dispute(9, 13), Some(vec![LIAR]));
    }
}
