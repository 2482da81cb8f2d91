//! Shards that missed a deadline sit out epochs: one the first time, then 2, 4, ... until an epoch
//! goes by in which they miss none.

use std::collections::BTreeMap;

use antiphon_wire::IdentityKey;
use serde::{Deserialize, Serialize};

use crate::hex_serde;

/// The longest that a shard sits out, in epochs.
const LONGEST: u32 = 64;

/// Record of one shard's failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// Epochs that it still sits out.
    left: u32,
    /// Epochs that it sits out if it fails again.
    next: u32,
    /// True if it failed since its last epoch began.
    failed: bool,
    /// True if it sits out since it was named for garbling cells.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    garbles: bool,
}

/// The records of all shards that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Suspensions(
    #[serde(with = "hex_serde::identity_map")] BTreeMap<IdentityKey, Record>,
);

impl Suspensions {
    /// Notes a failure. Returns the number of epochs that the shard sits out.
    pub(crate) fn fail(&mut self, identity: IdentityKey) -> u32 {
        let record = self.0.entry(identity).or_default();
        if record.left == 0 {
            record.left = record.next.max(1);
            record.next = record.left.saturating_mul(2).min(LONGEST);
        }
        record.failed = true;
        record.left
    }

    /// Notes that a shard was named for garbling cells, which is proven: it sits out as long as anybody does. Returns
    /// the number of epochs.
    pub(crate) fn exclude(&mut self, identity: IdentityKey) -> u32 {
        let excluded = Record { left: LONGEST, next: LONGEST, failed: true, garbles: true };
        self.0.insert(identity, excluded);
        LONGEST
    }

    /// Returns `true` if the shard sits out since it was named for garbling cells.
    pub(crate) fn garbles(&self, identity: &IdentityKey) -> bool {
        self.0.get(identity).is_some_and(|record| record.garbles && record.left > 0)
    }

    /// Returns `true` if the shard sits out the next epoch, unless a quorum needs it.
    pub(crate) fn is_suspended(&self, identity: &IdentityKey) -> bool {
        self.epochs_left(identity) > 0
    }

    /// Number of epochs that the shard still sits out.
    pub(crate) fn epochs_left(&self, identity: &IdentityKey) -> u32 {
        self.0.get(identity).map_or(0, |record| record.left)
    }

    /// Record of a shard, if there is one.
    pub(crate) fn record(&self, identity: &IdentityKey) -> Option<Record> {
        self.0.get(identity).copied()
    }

    /// Takes back what was noted since.
    pub(crate) fn restore(&mut self, identity: IdentityKey, record: Option<Record>) {
        match record {
            Some(record) => self.0.insert(identity, record),
            None => self.0.remove(&identity),
        };
    }

    /// Notes that an epoch with these shards is published: for all others, one less to sit out.
    pub(crate) fn published(&mut self, shards: &[IdentityKey]) {
        for (identity, record) in &mut self.0 {
            record.left = if shards.contains(identity) { 0 } else { record.left.saturating_sub(1) };
            record.failed = false;
        }
    }

    /// Notes that an epoch with these shards ran to its end. Those that did not fail since it was
    /// published start afresh.
    pub(crate) fn completed(&mut self, shards: &[IdentityKey]) {
        self.0.retain(|identity, record| record.failed || !shards.contains(identity));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARD: IdentityKey = IdentityKey([1; 32]);
    const OTHER: IdentityKey = IdentityKey([2; 32]);

    /// Epochs published without the shard until it may come back.
    fn sit_out(suspensions: &mut Suspensions) -> u32 {
        let mut epochs = 0;
        while suspensions.is_suspended(&SHARD) {
            suspensions.published(&[OTHER]);
            epochs += 1;
        }
        epochs
    }

    #[test]
    fn the_time_out_doubles_with_every_failure_and_is_bounded() {
        let mut suspensions = Suspensions::default();
        let mut seen = Vec::new();
        for _ in 0..9 {
            suspensions.fail(SHARD);
            seen.push(sit_out(&mut suspensions));
            suspensions.published(&[SHARD, OTHER]);
        }
        assert_eq!(seen, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
    }

    #[test]
    fn a_clean_epoch_wipes_the_record() {
        let mut suspensions = Suspensions::default();
        for _ in 0..3 {
            suspensions.fail(SHARD);
            sit_out(&mut suspensions);
            suspensions.published(&[SHARD, OTHER]);
        }
        suspensions.completed(&[SHARD, OTHER]);
        assert_eq!(suspensions.fail(SHARD), 1);
    }

    #[test]
    fn an_epoch_with_a_failure_is_not_clean() {
        let mut suspensions = Suspensions::default();
        suspensions.fail(SHARD);
        suspensions.published(&[OTHER]);
        suspensions.published(&[SHARD, OTHER]);
        suspensions.fail(SHARD);
        suspensions.completed(&[SHARD, OTHER]);
        assert_eq!(suspensions.epochs_left(&SHARD), 2);
    }

    #[test]
    fn who_garbles_sits_out_longest_and_is_known_for_it_until_it_is_back() {
        let mut suspensions = Suspensions::default();
        suspensions.fail(SHARD);
        assert!(!suspensions.garbles(&SHARD));
        assert_eq!(suspensions.exclude(SHARD), LONGEST);
        assert!(suspensions.garbles(&SHARD));
        assert_eq!(suspensions.fail(SHARD), LONGEST, "another failure changes nothing");
        assert_eq!(sit_out(&mut suspensions), LONGEST);
        assert!(!suspensions.garbles(&SHARD));
    }

    #[test]
    fn several_failures_in_one_go_count_once() {
        let mut suspensions = Suspensions::default();
        assert_eq!(suspensions.fail(SHARD), 1);
        assert_eq!(suspensions.fail(SHARD), 1);
    }
}
