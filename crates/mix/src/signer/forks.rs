//! A search for forks: whether an honest operator's shards can be brought to sign two documents for one epoch,
//! each with more than half of a list, by whoever chooses documents, signers, and when shards get a list.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{Digest, Epoch, OperatorIndex, OperatorList, Round};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use super::SignerState;

const SHARDS: u64 = 5;
const STEPS: usize = 80;
const NETWORKS: u64 = 20_000;

/// A rule that is left out.
#[derive(Clone, Copy, PartialEq)]
enum Broken {
    Nothing,
    /// Shards sign with any list that held once.
    Memory,
    /// Shards take lists that begin with epochs for which they have signed.
    Beginning,
    /// The operator hands the new list out before more than half of the old one's shards know its end.
    Ending,
}

/// An epoch, the number of the operator's list in it, and one of two documents that are alike otherwise.
type Document = (u64, u32, u64);

struct Operator {
    broken: Broken,
    /// Each list's first epoch and shards, from number 1 on. Those with even numbers are empty: they end the
    /// list before them.
    lists: Vec<(u64, BTreeSet<u64>)>,
    /// The shards that have a list.
    shards: BTreeMap<u64, SignerState>,
    signers: BTreeMap<Document, BTreeSet<u64>>,
    rng: ChaCha20Rng,
}

impl Operator {
    fn new(seed: u64, broken: Broken) -> Self {
        let rng = ChaCha20Rng::seed_from_u64(seed);
        let (lists, shards, signers) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut operator = Self { broken, lists, shards, signers, rng };
        operator.sign_list();
        operator
    }

    fn below(&mut self, n: u64) -> u64 {
        self.rng.next_u64() % n
    }

    /// The next list: an end, which begins no earlier than the list that it ends, or any shards after an end.
    fn sign_list(&mut self) {
        let begins = self.lists.last().map_or(1, |(begins, _)| *begins);
        if self.lists.len() % 2 == 1 {
            let begins = begins + self.below(3);
            self.lists.push((begins, BTreeSet::new()));
        } else if self.end_is_known() || self.broken == Broken::Ending {
            let shards = (0..SHARDS).filter(|_| self.rng.next_u64().is_multiple_of(2)).collect();
            self.lists.push((begins, shards));
        }
    }

    /// Whether more than half of the shards on the list that the newest one ends have that.
    fn end_is_known(&self) -> bool {
        let newest = self.lists.len() as u32;
        let Some(at) = self.lists.len().checked_sub(2) else { return true };
        let (_, ended) = &self.lists[at];
        let know = ended.iter().filter_map(|shard| self.shards.get(shard));
        2 * know.filter(|state| state.list.number >= newest).count() > ended.len()
    }

    /// Gives a shard the newest list. One that has none yet is started with it.
    fn give_list(&mut self) {
        let (shard, number) = (self.below(SHARDS), self.lists.len() as u32);
        let (first, listed) = &self.lists[self.lists.len() - 1];
        let list = OperatorList {
            network: Digest::default(),
            operator: OperatorIndex(0),
            number,
            first_epoch: Epoch(*first),
            last_epoch: Epoch(u64::MAX),
            shards: Vec::new(),
        };
        let Some(state) = self.shards.get_mut(&shard) else {
            if listed.contains(&shard) {
                self.shards.insert(shard, SignerState::default().take(&list).unwrap());
            }
            return;
        };
        // It may know of an epoch without it, whether or not there is one.
        let mut asked = state.passed(Epoch(self.rng.next_u64() % 8));
        if self.broken == Broken::Beginning {
            asked.signed_epoch = Epoch(0);
        }
        if let Ok(SignerState { list, signed_epoch, .. }) = asked.take(&list) {
            state.list = list;
            state.signed_epoch = state.signed_epoch.max(signed_epoch);
        }
    }

    /// Shows a shard a document with any list that holds for its epoch.
    fn propose(&mut self) {
        let (shard, epoch) = (self.below(SHARDS), 1 + self.below(8));
        let number = 1 + self.below(self.lists.len() as u64) as u32;
        let document = (epoch, number, self.below(2));
        let (first, listed) = &self.lists[number as usize - 1];
        if epoch < *first || !listed.contains(&shard) {
            return;
        }
        let Some(state) = self.shards.get_mut(&shard) else { return };
        let epoch = Epoch(epoch);
        let holds = self.broken == Broken::Memory || state.may_sign_with(number, epoch).is_ok();
        if holds && state.may_sign(epoch, Round(1)).is_ok() {
            state.signed_epoch = epoch;
            self.signers.entry(document).or_default().insert(shard);
        }
    }

    /// Whether two documents for one epoch have the signatures of more than half of their lists.
    fn is_forked(&self) -> bool {
        let complete = |(document, signers): &(&Document, &BTreeSet<u64>)| {
            2 * signers.len() > self.lists[document.1 as usize - 1].1.len()
        };
        let mut epochs = BTreeSet::new();
        self.signers.iter().filter(complete).any(|((epoch, ..), _)| !epochs.insert(*epoch))
    }

    fn run(&mut self) -> bool {
        for _ in 0..STEPS {
            match self.below(8) {
                0 => self.sign_list(),
                1..=3 => self.give_list(),
                _ => self.propose(),
            }
        }
        self.is_forked()
    }
}

fn forks(broken: Broken) -> usize {
    (0..NETWORKS).filter(|seed| Operator::new(*seed, broken).run()).count()
}

#[test]
fn an_honest_operators_shards_sign_one_document_an_epoch_however_lists_change() {
    assert_eq!(forks(Broken::Nothing), 0);
}

#[test]
fn each_rule_about_lists_is_needed() {
    for broken in [Broken::Memory, Broken::Beginning, Broken::Ending] {
        assert!(forks(broken) > 0);
    }
}
