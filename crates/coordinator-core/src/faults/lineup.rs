//! The shards of the epochs that count.

use std::collections::BTreeSet;

use antiphon_wire::{Epoch, IdentityKey, SignedDocument};

/// The shards of the epoch that runs and of the one that is to follow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lineup {
    running: Option<(Epoch, BTreeSet<IdentityKey>)>,
    next: BTreeSet<IdentityKey>,
}

impl Lineup {
    /// The shards that the two documents list.
    pub(crate) fn new(current: Option<&SignedDocument>, next: Option<&SignedDocument>) -> Self {
        Self {
            running: current.map(|signed| (signed.document.epoch, listed(signed))),
            next: next.map(listed).unwrap_or_default(),
        }
    }

    /// The number of the epoch that runs.
    pub(crate) fn running_epoch(&self) -> Option<Epoch> {
        self.running.as_ref().map(|(epoch, _)| *epoch)
    }

    /// Returns `true` if the shard is in the epoch that runs.
    pub(crate) fn runs_with(&self, shard: &IdentityKey) -> bool {
        self.running.as_ref().is_some_and(|(_, shards)| shards.contains(shard))
    }

    /// Returns `true` if the shard is in the epoch that is to follow.
    pub(crate) fn follows_with(&self, shard: &IdentityKey) -> bool {
        self.next.contains(shard)
    }
}

fn listed(signed: &SignedDocument) -> BTreeSet<IdentityKey> {
    signed.document.shards.iter().map(|shard| shard.identity).collect()
}

#[cfg(test)]
impl Lineup {
    /// An epoch that runs with some shards, and one to follow with others.
    pub(crate) fn of(epoch: Epoch, running: &[IdentityKey], next: &[IdentityKey]) -> Self {
        Self {
            running: Some((epoch, running.iter().copied().collect())),
            next: next.iter().copied().collect(),
        }
    }
}
