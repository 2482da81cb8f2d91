//! Reports of rounds that ended without them.

use std::collections::BTreeMap;

use antiphon_wire::{IdentityKey, Round, Timestamp};

/// The reports that are still to come, and when they have to be here.
#[derive(Debug, Default)]
pub(crate) struct Overdue(BTreeMap<(IdentityKey, Round), Timestamp>);

impl Overdue {
    /// Awaits a shard's report until `due`.
    pub(crate) fn expect(&mut self, shard: IdentityKey, round: Round, due: Timestamp) {
        self.0.insert((shard, round), due);
    }

    /// Notes that a shard's report came, which is awaited no longer.
    pub(crate) fn reported(&mut self, shard: IdentityKey, round: Round) {
        self.0.remove(&(shard, round));
    }

    /// Expects nothing of this shard any more.
    pub(crate) fn forgive(&mut self, shard: &IdentityKey) {
        self.0.retain(|(of, _), _| of != shard);
    }

    /// Returns `true` if a report of this shard is awaited.
    pub(crate) fn is_awaited_of(&self, shard: &IdentityKey) -> bool {
        self.0.keys().any(|(of, _)| of == shard)
    }

    /// A shard that is late with a report.
    pub(crate) fn late(&self, now: Timestamp) -> Option<IdentityKey> {
        self.0.iter().find(|(_, due)| now >= **due).map(|((shard, _), _)| *shard)
    }

    /// When reports are late.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = Timestamp> {
        self.0.values().copied()
    }
}
