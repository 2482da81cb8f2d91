//! The epochs whose documents a client holds: the one in use and those that follow it.

use std::collections::VecDeque;
use std::sync::Arc;

use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{Epoch, IdentityKey, Timestamp};

/// Documents held at most. An epoch may be handed over before its first round opens, while the one
/// before it is still in use: that makes three.
const MOST_HELD: usize = 4;

/// Verified epochs by rising number and first round, of which those are dropped whose rounds have all been taken
/// over.
#[derive(Clone, Debug, Default)]
pub struct Epochs {
    held: VecDeque<Arc<VerifiedEpoch>>,
}

impl Epochs {
    /// The one in use, the oldest that is held.
    pub(crate) fn current(&self) -> Option<&Arc<VerifiedEpoch>> {
        self.held.front()
    }

    /// The one with the highest number.
    pub fn newest(&self) -> Option<&Arc<VerifiedEpoch>> {
        self.held.back()
    }

    /// The one of this number, if it is held.
    pub fn of_epoch(&self, epoch: Epoch) -> Option<&Arc<VerifiedEpoch>> {
        self.held.iter().find(|held| held.epoch() == epoch)
    }

    /// The first one after `epoch`.
    pub(crate) fn after(&self, epoch: Epoch) -> Option<&Arc<VerifiedEpoch>> {
        self.held.iter().find(|held| held.epoch() > epoch)
    }

    /// The one whose rounds open at `now`, or will open first: a [`GatewayPolicy`](crate::GatewayPolicy) draws from it.
    pub fn at(&self, now: Timestamp) -> Option<&Arc<VerifiedEpoch>> {
        let lasts = |held: &&Arc<VerifiedEpoch>| now < held.document().expires_at;
        let begun = |held: &&Arc<VerifiedEpoch>| now >= held.document().starts_at && lasts(held);
        let first = || self.held.iter().find(lasts);
        self.held.iter().rfind(begun).or_else(first).or_else(|| self.newest())
    }

    /// The one to whose gateway a client that uses `present` turns next: the one [at](Self::at) `now`, or one after it
    /// that `present` does not serve.
    pub fn to_turn_to(&self, now: Timestamp, present: &IdentityKey) -> Option<&Arc<VerifiedEpoch>> {
        self.left_by(now, present).or_else(|| self.at(now))
    }

    /// The one for whose gateway a client that uses `present` has to plan its next turn: the first from the one
    /// [at](Self::at) `now` on that `present` does not serve, or else the newest, for which another gateway is drawn.
    pub fn to_plan_for(
        &self,
        now: Timestamp,
        present: Option<&IdentityKey>,
    ) -> Option<&Arc<VerifiedEpoch>> {
        present.and_then(|present| self.left_by(now, present)).or_else(|| self.newest())
    }

    /// The first from the one at `now` on that `gateway` does not serve.
    fn left_by(&self, now: Timestamp, gateway: &IdentityKey) -> Option<&Arc<VerifiedEpoch>> {
        let at = self.at(now)?.epoch();
        let mut following = self.held.iter().filter(|held| held.epoch() >= at);
        following.find(|held| held.index_of(gateway).is_none())
    }

    /// Adds a newer one, in the place of those whose first round is not before its own.
    pub fn add(&mut self, epoch: Arc<VerifiedEpoch>) {
        let first = epoch.document().first_round;
        self.held.retain(|held| held.document().first_round < first);
        if self.held.len() == MOST_HELD {
            self.held.pop_front();
        }
        self.held.push_back(epoch);
        debug_assert!(
            self.held.iter().is_sorted_by_key(|held| (held.epoch(), held.document().first_round)),
            "documents are out of order"
        );
    }

    /// Takes note that a round of `epoch` is served, and drops older ones: they have had their time.
    pub(crate) fn enter(&mut self, epoch: Epoch) {
        self.held.retain(|held| held.epoch() >= epoch);
    }
}
