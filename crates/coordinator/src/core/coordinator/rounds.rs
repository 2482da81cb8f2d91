//! The round clock: when a round opens, when it is over, and what follows from how it went.

use std::sync::Arc;

use antiphon_wire::{Epoch, EpochDocument, IdentityKey, Round, Timestamp, ToShard};

use super::{Coordinator, identities};
use crate::core::ended_round::Weight;
use crate::core::faults::Judgement;
use crate::core::notice::Notice;
use crate::core::open_round::OpenRound;
use crate::core::pace::Pacing;
use crate::core::roster::Member;

impl Coordinator {
    /// Ends a round, begins an epoch or opens a round, if it is time.
    pub(super) fn step_round(&mut self) -> bool {
        let was_full = self.is_full();
        let over = self.open.values().find(|open| open.is_over(self.now)).map(|open| open.round);
        if let Some(open) = over.and_then(|round| self.open.remove(&round)) {
            if was_full {
                self.idle_since = self.now;
            }
            self.end_round(open);
            self.complete_epochs();
            return true;
        }
        if self.is_full() || self.stopping || self.resuming || self.broken {
            return false;
        }
        self.begin_epoch() || self.expire() || self.open_next()
    }

    /// Whether as many rounds are open as may be. Those of an epoch that was broken only wait for
    /// their deadlines, and the next epoch does not wait with them, unless one round at a time is
    /// wanted.
    fn is_full(&self) -> bool {
        let most = self.config.in_flight();
        let of_broken = if most > 1 { most } else { 0 };
        let running = self.open.values().filter(|open| !self.is_decided(open)).count();
        running >= self.pace.allowed() || self.open.len() >= most + of_broken
    }

    /// Whether the round's epoch was broken.
    fn is_decided(&self, open: &OpenRound) -> bool {
        self.broken_last >= Some(open.epoch)
    }

    /// The earliest time for the next round.
    pub(super) fn due(&self) -> Timestamp {
        let interval = u64::from(self.config.interval_in(&self.network));
        let due = self.state.last_open().map(|last| last.plus_ms(interval));
        due.unwrap_or(self.idle_since).max(self.idle_since)
    }

    /// When the next round opens whoever is not ready.
    fn patience(&self) -> Timestamp {
        self.due().plus_ms(self.config.ready_ms.into())
    }

    /// From when on no round of `document` can be finished.
    fn too_late(&self, document: &EpochDocument) -> Timestamp {
        let interval = u64::from(document.parameters.interval_ms);
        let wanted = interval.saturating_add(self.pace.latency_ms());
        let before = wanted.min(document.expires_at.ms_since(document.starts_at) / 2);
        self.by_own_clock(Timestamp(document.expires_at.0.saturating_sub(before)))
    }

    /// Moves on to the announced epoch when its first round is next, or nothing runs until then.
    fn begin_epoch(&mut self) -> bool {
        let Some(next) = self.state.next() else { return false };
        let round = self.state.next_round();
        let goes_on = self.state.current().is_some_and(|signed| {
            let document = &signed.document;
            round <= document.last_round && self.now < self.too_late(document)
        });
        if goes_on && round < next.document.first_round {
            return false;
        }
        if let Some(ended) = self.state.begin_next()
            && round > ended.document.last_round
        {
            self.ending.insert(ended.document.epoch, identities(&ended));
            self.complete_epochs();
        }
        self.idle_since = self.now;
        self.epoch_began = self.now;
        self.unsaved = true;
        true
    }

    /// Notes the epochs of which all rounds are over.
    fn complete_epochs(&mut self) {
        let open = &self.open;
        let is_over = |epoch: &Epoch| !open.values().any(|open| open.epoch == *epoch);
        for (_, shards) in self.ending.extract_if(.., |epoch, _| is_over(epoch)) {
            self.faults.completed(&shards);
            self.unsaved = true;
        }
    }

    /// Gives up an epoch whose document has expired, so that another one is planned.
    fn expire(&mut self) -> bool {
        let Some(document) = self.state.current().map(|signed| &signed.document) else {
            return false;
        };
        if self.now < self.too_late(document) {
            return false;
        }
        let epoch = document.epoch;
        self.state.drop_current();
        self.unsaved = true;
        let reason = "it has expired".to_owned();
        self.notice(Notice::EpochBroken { epoch, reason });
        true
    }

    fn open_next(&mut self) -> bool {
        let waits = self.attempt.as_ref().is_some_and(|attempt| attempt.urgent);
        let Some(signed) = self.state.current().filter(|_| !waits) else { return false };
        let signed = Arc::clone(signed);
        let document = &signed.document;
        let round = self.state.next_round().max(document.first_round);
        // The last number there is may have been used.
        let is_new = round > self.state.last_round();
        if !is_new || round > document.last_round || self.now < self.due() {
            return false;
        }
        let late: Vec<_> = identities(&signed)
            .into_iter()
            .filter(|id| !self.roster.is_ready(id, document.epoch, round))
            .collect();
        if !late.is_empty() && self.now < self.patience() {
            return false;
        }
        self.open_round_of(document, round, late);
        true
    }

    fn open_round_of(&mut self, document: &EpochDocument, round: Round, late: Vec<IdentityKey>) {
        let epoch = document.epoch;
        self.state.take_round(round, self.now);
        self.persist();
        let mut open = OpenRound::new(document, &self.network, round, self.now);
        open.expires_at = self.by_own_clock(document.expires_at);
        open.alone = self.open.is_empty();
        self.open.values_mut().for_each(|beside| beside.alone = false);
        self.send_all(&open.shards, ToShard::Open { epoch, round });
        self.notice(Notice::RoundOpened { epoch, round, late });
        self.roster.forget_ready(round);
        self.open.insert(round, open);
    }

    fn end_round(&mut self, open: OpenRound) {
        let weight = if self.is_decided(&open) { Weight::Decided } else { Weight::Counts };
        let (alone, next_round) = (open.alone, self.state.next_round());
        let ended = open.into_ended(next_round, weight);
        if weight == Weight::Counts {
            let (delivered, latency_ms) = (ended.is_delivered(), ended.latency_ms);
            self.pace.ended(Pacing { delivered, alone, latency_ms });
        }
        let judgement = Judgement::of(&ended);
        self.notice(Notice::RoundEnded(judgement.report.clone()));
        if !self.stopping {
            let (now, lineup) = (self.now, self.lineup());
            let operator_of = |shard: &IdentityKey| self.roster.member(shard).map(Member::operator);
            self.faults.round_ended(now, &ended, &judgement, &lineup, operator_of);
            self.follow_faults();
        }
    }

    pub(super) fn round_deadlines(&self) -> impl Iterator<Item = Timestamp> {
        let over = self.open.values().map(|open| open.deadline);
        let current = self.state.current().map(|signed| self.too_late(&signed.document));
        let waits = current.filter(|_| !self.is_full()).map(|_| [self.due(), self.patience()]);
        let late = self.faults.next_deadline();
        over.chain(current).chain(waits.into_iter().flatten()).chain(late)
    }
}
