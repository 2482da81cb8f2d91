//! The epoch that a shard is part of, and its way out of epochs.

use antiphon_wire::{Blob, Epoch, OperatorList, Timestamp, ToCoordinator};

use crate::epoch_keys::EpochKeys;
use crate::shard::Shard;

/// Membership of a shard in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It has keys for this epoch, which is in force.
    Member(Epoch),
    /// It has keys for this epoch, which is announced and has not begun.
    Announced(Epoch),
    /// This epoch has begun without it.
    LeftOut(Epoch),
    /// It knows of no epoch that is not over.
    Nowhere,
}

/// How far a shard is with leaving.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Departure {
    /// It stays.
    #[default]
    Staying,
    /// It wants to be in no epoch that is still to come, and serves as long as it is in one.
    Leaving,
    /// It is leaving, and the coordinator says that no epoch could come about without it, for this reason.
    Needed(String),
    /// It is leaving, and nothing more is wanted of it.
    Released,
}

impl Departure {
    /// Returns `true` if waiting changes nothing any more for a process that is to stop.
    pub const fn may_stop(&self) -> bool {
        matches!(self, Self::Needed(_) | Self::Released)
    }
}

/// Time after the start of an epoch without it for which a shard keeps the links of clients that turn to others, in
/// milliseconds.
const LINGER_MS: u64 = 5000;

/// The longest reason of the coordinator that is passed on, in characters.
const LONGEST_REASON: usize = 400;

impl Shard {
    /// How far the shard is with leaving.
    pub const fn departure(&self) -> &Departure {
        &self.departure
    }

    /// The operator's list that it registers with.
    pub fn list(&self) -> &OperatorList {
        self.lists.in_use().claimed()
    }

    /// Returns `true` if the newest list of the operator has this shard.
    pub const fn is_on_list(&self) -> bool {
        self.is_on_list
    }

    /// Asks to be in no epoch that is still to come.
    pub(super) fn leave(&mut self) {
        if matches!(self.departure, Departure::Staying | Departure::Needed(_)) {
            self.departure = Departure::Leaving;
            self.say(ToCoordinator::Leaving);
        }
    }

    /// Takes part in epochs again.
    pub(super) fn stay(&mut self) {
        if self.departure != Departure::Staying && self.is_on_list {
            self.departure = Departure::Staying;
            self.say(ToCoordinator::Staying);
        }
    }

    /// Time until which a shard that was let go keeps its clients' links: the first round of the epoch without it opens
    /// some time after it was let go, and until then clients have no other gateway to hand in at.
    pub fn lingers_until(&self) -> Option<Timestamp> {
        let released = self.departure == Departure::Released;
        let epoch = self.elsewhere.as_ref().filter(|_| released);
        epoch.map(|epoch| epoch.document().starts_at.plus_ms(LINGER_MS))
    }

    /// The coordinator answers a shard that is leaving, again if it was needed and is not any more. What it says to
    /// one that stays comes too late.
    pub(super) fn depart(&mut self, answer: Departure) {
        if matches!(self.departure, Departure::Leaving | Departure::Needed(_)) {
            self.departure = answer;
        }
    }

    /// The coordinator's reason why it needs a shard.
    pub(super) fn needed(reason: &Blob) -> Departure {
        let text = String::from_utf8_lossy(&reason.0);
        Departure::Needed(text.chars().filter(|c| !c.is_control()).take(LONGEST_REASON).collect())
    }

    /// The newest epoch in force that this shard is part of, or the next that it is to be part of, unless a
    /// newer one than that has begun without it.
    pub fn membership(&self, now: Timestamp) -> Membership {
        let elsewhere = self.elsewhere.as_ref().filter(|epoch| {
            let document = epoch.document();
            document.starts_at <= now && now < document.expires_at
        });
        let elsewhere = elsewhere.map(|epoch| epoch.epoch());
        // What began before an epoch that began without this shard is over.
        let own = self.epochs.iter().rev().filter(|(epoch, _)| Some(**epoch) > elsewhere);
        let begun = |keys: &EpochKeys| keys.context.epoch.document().starts_at <= now;
        let in_force = own.clone().find(|(_, keys)| begun(keys)).map(|(epoch, _)| *epoch);
        let announced = own.map(|(epoch, _)| *epoch).next();
        match (in_force, announced, elsewhere) {
            (Some(epoch), ..) => Membership::Member(epoch),
            (None, Some(epoch), _) => Membership::Announced(epoch),
            (None, None, Some(epoch)) => Membership::LeftOut(epoch),
            (None, None, None) => Membership::Nowhere,
        }
    }
}
