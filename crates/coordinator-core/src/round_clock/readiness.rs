//! Readiness of shards for rounds to come.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{Epoch, IdentityKey, Round};

/// Rounds for which a shard may say ahead that it is ready; more are not remembered.
const MOST_READY: usize = 256;

/// Rounds for which each shard said that it is ready.
#[derive(Debug, Default)]
pub(super) struct Readiness(BTreeMap<IdentityKey, BTreeSet<(Epoch, Round)>>);

impl Readiness {
    /// A shard is ready for a round.
    pub(super) fn add(&mut self, shard: IdentityKey, epoch: Epoch, round: Round) {
        let rounds = self.0.entry(shard).or_default();
        if rounds.len() < MOST_READY {
            rounds.insert((epoch, round));
        }
    }

    /// Returns `true` if the shard said that it is ready for the round.
    pub(super) fn is_ready(&self, shard: &IdentityKey, epoch: Epoch, round: Round) -> bool {
        self.0.get(shard).is_some_and(|rounds| rounds.contains(&(epoch, round)))
    }

    /// Forgets what was said of rounds up to `round`.
    pub(super) fn forget_up_to(&mut self, round: Round) {
        for rounds in self.0.values_mut() {
            rounds.retain(|(_, ready)| *ready > round);
        }
    }

    /// Forgets all that a shard said.
    pub(super) fn forget(&mut self, shard: &IdentityKey) {
        self.0.remove(shard);
    }
}
