//! Course of epochs: they are announced, begin, break, go on and end.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_wire::{
    Epoch, EpochDocument, IdentityKey, Round, ShardEntry, SignedDocument, Timestamp,
};

use super::{RoundClock, Tick};
use crate::course::Conduct;
use crate::notice::Notice;

/// Epochs that opened their last round, with their shards, until no round of theirs is open.
#[derive(Debug, Default)]
pub(super) struct Ending(BTreeMap<Epoch, Vec<IdentityKey>>);

impl RoundClock {
    /// An epoch is published, instead of one that was to follow.
    pub(crate) fn announce(&mut self, signed: Arc<SignedDocument>) {
        debug_assert!(self.conduct != Conduct::Stopped, "nothing is planned any more");
        let newest = self.marks.current.as_ref().map(|current| current.document.epoch);
        debug_assert!(newest < Some(signed.document.epoch), "epochs rise");
        self.marks.next = Some(signed);
        self.conduct = Conduct::Going;
    }

    /// The running epoch opens no more rounds, since a shard is lost or for another reason, and what was to follow it is
    /// dropped. Returns whether one runs.
    pub(crate) fn break_epoch(&mut self, reason: &str, lost: Option<&IdentityKey>) -> bool {
        let Some(current) = &self.marks.current else { return false };
        let epoch = current.document.epoch;
        let is_lost = |entry: &&ShardEntry| Some(&entry.identity) == lost;
        let cause = current.document.shards.iter().find(is_lost).map(|entry| entry.operator);
        // Without beats the next round is never far.
        if !current.document.parameters.beats.is_classic() {
            self.hurry.wants(cause);
            self.note_hurry();
        }
        match self.conduct {
            // Broken already; only what was to follow it may be new.
            Conduct::Broken => {}
            Conduct::Going | Conduct::Resuming => {
                self.conduct = Conduct::Broken;
                self.broken_last = Some(epoch);
                let reason = reason.to_owned();
                self.ticks.push(Tick::Notice(Notice::EpochBroken { epoch, reason }));
            }
            Conduct::Stopped => unreachable!("nobody judges a network that stops"),
        }
        self.marks.next = None;
        true
    }

    /// Takes back that `epoch` was broken, if it still runs, and that `next` was to follow it.
    pub(crate) fn mend(&mut self, epoch: Option<Epoch>, next: Option<Arc<SignedDocument>>) {
        let running = self.marks.current.as_ref().map(|signed| signed.document.epoch);
        if epoch.is_none() || running != epoch {
            return;
        }
        if self.conduct == Conduct::Broken {
            self.conduct = Conduct::Going;
            // No circuit was cut.
            self.hurry.settle();
            self.note_hurry();
        }
        self.broken_last = self.broken_last.filter(|broken| Some(*broken) != epoch);
        self.marks.next = self.marks.next.take().or(next);
    }

    /// Waits for the shards of the epochs, which may have gone on while this side was away.
    pub(crate) fn await_shards(&mut self) {
        let has_epoch = self.marks.current.is_some() || self.marks.next.is_some();
        match self.conduct {
            Conduct::Going | Conduct::Resuming if has_epoch => self.conduct = Conduct::Resuming,
            Conduct::Going | Conduct::Resuming => self.conduct = Conduct::Going,
            Conduct::Broken | Conduct::Stopped => {}
        }
    }

    /// Goes on with an epoch whose shards are back, above the round that they served.
    pub(crate) fn resume(&mut self, now: Timestamp, served: Round) {
        debug_assert_eq!(self.conduct, Conduct::Resuming);
        self.conduct = Conduct::Going;
        self.idle_since = now;
        self.raise(now, served);
    }

    /// Gives up the epoch that was to follow. Another has to begin no later than it would have.
    pub(crate) fn drop_next(&mut self) {
        let dropped = self.marks.next.take().map(|signed| signed.document.first_round);
        let gaps = self.marks.gap_from.into_iter().chain(dropped);
        self.marks.gap_from = gaps.min().filter(|_| self.marks.current.is_some());
        // Nobody is waited for if there is nothing to go on with.
        if self.conduct == Conduct::Resuming && self.marks.current.is_none() {
            self.conduct = Conduct::Going;
        }
    }

    /// Uses up the round numbers that shards are past already. Nobody knows when the last round was
    /// opened then: it may have been just now.
    pub(crate) fn raise(&mut self, now: Timestamp, served: Round) {
        if self.marks.last_round < served {
            self.marks.last_round = served;
            self.marks.last_open = Some(now);
        }
    }

    /// Moves on to the announced epoch when its first round is next, or nothing runs until then.
    pub(super) fn begin_epoch(&mut self, now: Timestamp) -> bool {
        let Some(next) = &self.marks.next else { return false };
        let round = self.next_round();
        let goes_on = self.marks.current.as_ref().is_some_and(|signed| {
            let document = &signed.document;
            self.serves(document, round) && now < self.too_late(document)
        });
        // The next epoch begins early if the running one cannot open a round any more.
        if goes_on && round < next.document.first_round {
            return false;
        }
        let next = self.marks.next.take();
        if let Some(ended) = std::mem::replace(&mut self.marks.current, next)
            && round > ended.document.last_round
        {
            let shards = ended.document.shards.iter().map(|shard| shard.identity).collect();
            self.ending.0.insert(ended.document.epoch, shards);
            self.complete_epochs();
        }
        self.marks.gap_from = None;
        self.idle_since = now;
        self.began = now;
        true
    }

    /// Returns `true` if the epoch that runs by `document` can open `round`, or an earlier one.
    pub(super) fn serves(&self, document: &EpochDocument, round: Round) -> bool {
        // A successor may begin with a later number than the next, if that is no round that sets circuits up.
        let is_broken = self.broken_last == Some(document.epoch);
        let is_given_away = self.marks.gap_from.is_some_and(|gap| round >= gap);
        !is_broken && !is_given_away && round <= document.last_round
    }

    /// Notes the epochs of which all rounds are over.
    pub(super) fn complete_epochs(&mut self) {
        let open = &self.open;
        let is_over = |epoch: &Epoch| !open.values().any(|open| open.epoch == *epoch);
        for (_, shards) in self.ending.0.extract_if(.., |epoch, _| is_over(epoch)) {
            self.ticks.push(Tick::Completed(shards));
        }
    }

    /// Gives up an epoch whose document has expired, so that another one is planned.
    pub(super) fn expire(&mut self, now: Timestamp) -> bool {
        let Some(current) = &self.marks.current else { return false };
        if now < self.too_late(&current.document) {
            return false;
        }
        let (epoch, reason) = (current.document.epoch, "it has expired".to_owned());
        self.marks.current = None;
        self.marks.gap_from = None;
        self.ticks.push(Tick::Notice(Notice::EpochBroken { epoch, reason }));
        true
    }
}
