//! The shards that are linked, and what they say: whom they follow, and how far they have come.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_wire::{
    Epoch, IdentityKey, OperatorIndex, Registration, Round, Standing, Term, Timestamp,
};

use super::word::{Ear, Word};
use crate::planner::quorum::{self, Selection};
use crate::planner::{Presence, RegistrationError, Roster, SLACK, vouched};
use crate::rules::Rules;

/// By how much a term that few shards claim may lie above that of the others, and still count: shards do not
/// all hear every campaign.
const TERM_SLACK: u64 = 16;

#[derive(Debug)]
pub(super) struct Electorate {
    rules: Arc<Rules>,
    roster: Roster,
    words: BTreeMap<IdentityKey, Word>,
}

impl Electorate {
    pub(super) fn new(rules: Arc<Rules>) -> Self {
        Self { rules, roster: Roster::default(), words: BTreeMap::new() }
    }

    pub(super) fn connect(&mut self, shard: IdentityKey) {
        self.roster.connect(shard);
    }

    pub(super) fn disconnect(&mut self, shard: &IdentityKey) {
        self.roster.disconnect(shard);
        self.words.remove(shard);
    }

    /// Takes a registration, unless the shard is none of the network.
    pub(super) fn register(
        &mut self,
        now: Timestamp,
        shard: IdentityKey,
        registration: Registration,
        standing: Standing,
    ) -> Result<(), RegistrationError> {
        let (network, when) = (&self.rules.network, (self.next_epoch(), now));
        let word = Word::new(registration.clone(), standing.clone());
        self.roster.register(shard, (registration, standing), network, when)?;
        // There is no link if there are too many.
        if self.roster.member(&shard).is_some() {
            let before = self.words.remove(&shard);
            let word = match before {
                Some(Word { term, ear, opened, leaves, .. }) => {
                    Word { term, ear, opened, leaves, ..word }
                }
                None => word,
            };
            self.words.insert(shard, word);
        }
        Ok(())
    }

    /// Notes how far a shard has come, and the highest term that it granted.
    pub(super) fn stands(&mut self, shard: &IdentityKey, term: Term, standing: Standing) {
        if let Some(word) = self.words.get_mut(shard) {
            word.standing = standing;
            word.term = term;
        }
    }

    pub(super) fn hears(&mut self, shard: &IdentityKey, ear: Ear) {
        if let Some(word) = self.words.get_mut(shard) {
            word.ear = ear;
        }
    }

    pub(super) fn opened(&mut self, shard: &IdentityKey, opened: Option<Timestamp>) {
        if let Some(word) = self.words.get_mut(shard) {
            word.opened = opened;
        }
    }

    pub(super) fn leaves(&mut self, shard: &IdentityKey, leaves: bool) {
        if let Some(word) = self.words.get_mut(shard) {
            word.leaves = leaves;
        }
    }

    pub(super) fn word(&self, shard: &IdentityKey) -> Option<&Word> {
        self.words.get(shard)
    }

    pub(super) fn words(&self) -> impl Iterator<Item = (&IdentityKey, &Word)> {
        self.words.iter()
    }

    /// Number of shards that are registered.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// Returns `true` if those shards could form an epoch. Two such sets have an honest shard in common.
    pub(super) fn is_quorum(&self, counts: impl Fn(&IdentityKey, &Word) -> bool) -> bool {
        self.select(counts).is_quorum
    }

    /// The operators that those shards stand for.
    pub(super) fn presence(&self, counts: impl Fn(&IdentityKey, &Word) -> bool) -> Presence {
        self.select(counts).presence
    }

    fn select(&self, counts: impl Fn(&IdentityKey, &Word) -> bool) -> Selection {
        let counted = self.words.iter().filter(|(shard, word)| counts(shard, word));
        let counted = counted.map(|(shard, _)| *shard).collect();
        let Rules { config, network } = &*self.rules;
        quorum::select(&self.roster, network, self.next_epoch(), config.least_shards, &counted)
    }

    /// The highest term that shards speak of, as far as they can be believed: a single liar must not use up
    /// all terms that there are.
    pub(super) fn term(&self) -> Term {
        Term(self.highest(|_| true, |word| word.term.0, TERM_SLACK))
    }

    /// The highest epoch and round that these shards signed and served, as far as they can be believed.
    pub(super) fn numbers(&self, counts: impl Fn(&IdentityKey) -> bool) -> (Epoch, Round) {
        let (epochs, rounds) = SLACK;
        let epoch = self.highest(&counts, |word| word.standing.signed_epoch.0, epochs);
        let round = self.highest(&counts, |word| word.standing.served_round.0, rounds);
        (Epoch(epoch), Round(round))
    }

    fn next_epoch(&self) -> Epoch {
        let signed = self.highest(|_| true, |word| word.standing.signed_epoch.0, SLACK.0);
        Epoch(signed.saturating_add(1))
    }

    fn highest(
        &self,
        counts: impl Fn(&IdentityKey) -> bool,
        mark: impl Fn(&Word) -> u64,
        slack: u64,
    ) -> u64 {
        let counted = self.words.iter().filter(|(shard, _)| counts(shard));
        let marks: Vec<(OperatorIndex, u64)> = counted
            .map(|(_, word)| (word.registration.list.claimed().operator, mark(word)))
            .collect();
        vouched::highest(&self.rules.network, marks, slack)
    }
}
