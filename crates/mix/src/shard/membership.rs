//! The epoch that a shard is part of.

use antiphon_wire::{Epoch, Timestamp};

use crate::shard::Shard;

/// Membership of a shard in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It has keys for this epoch, which is in force or announced.
    Member(Epoch),
    /// This epoch has begun without it.
    LeftOut(Epoch),
    /// It knows of no epoch that is not over.
    Nowhere,
}

impl Shard {
    /// The newest epoch that this shard is part of, unless a newer one has begun without it.
    pub fn membership(&self, now: Timestamp) -> Membership {
        let own = self.epochs.keys().next_back().copied();
        let elsewhere = self.elsewhere.as_ref().filter(|epoch| {
            let document = epoch.document();
            document.starts_at <= now && now < document.expires_at
        });
        let elsewhere = elsewhere.map(|epoch| epoch.epoch()).filter(|epoch| Some(*epoch) > own);
        match (elsewhere, own) {
            (Some(epoch), _) => Membership::LeftOut(epoch),
            (None, Some(epoch)) => Membership::Member(epoch),
            (None, None) => Membership::Nowhere,
        }
    }
}
