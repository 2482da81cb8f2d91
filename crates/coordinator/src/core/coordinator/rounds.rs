//! The round clock: when a round opens, when it is over, and what follows from how it went.

use std::sync::Arc;

use antiphon_wire::{EpochDocument, IdentityKey, Round, RoundOutcome, Timestamp, ToShard};

use super::{Coordinator, identities};
use crate::core::blame::{self, Finding};
use crate::core::notice::{Notice, RoundReport, RoundResult, RoundTotals};
use crate::core::open_round::OpenRound;

/// Rounds in a row that may abort over a dispute before a shard is left out for it.
const MOST_DISPUTES: u32 = 3;

impl Coordinator {
    /// Ends the open round, begins an epoch or opens a round, if it is time.
    pub(super) fn step_round(&mut self) -> bool {
        if let Some(open) = self.open.take_if(|open| open.is_over(self.now)) {
            self.end_round(&open);
            return true;
        }
        if self.open.is_some() || self.stopping || self.resuming || self.broken {
            return false;
        }
        self.begin_epoch() || self.expire() || self.open_next()
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
        Timestamp(document.expires_at.0.saturating_sub(document.parameters.interval_ms.into()))
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
            self.state.suspensions.completed(&identities(&ended));
        }
        self.idle_since = self.now;
        self.unsaved = true;
        true
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
        if round > document.last_round || self.now < self.due() {
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
        let open = OpenRound::new(document, round, self.now);
        self.send_all(&open.shards, ToShard::Open { epoch, round });
        self.notice(Notice::RoundOpened { epoch, round, late });
        self.roster.forget_ready(round);
        self.open = Some(open);
    }

    fn end_round(&mut self, open: &OpenRound) {
        self.idle_since = self.now;
        let Some(epoch) = self.state.current().map(|signed| signed.document.epoch) else { return };
        let outcomes = open.outcomes();
        let silent = open.silent();
        let finding = blame::judge(&open.shards, &outcomes, &mut self.lone_accusers);
        let mut totals = RoundTotals::default();
        open.counts().for_each(|counts| totals.add(counts));
        let result = result(&outcomes, &silent, &finding);
        let aborted = matches!(result, RoundResult::Aborted { .. });
        self.notice(Notice::RoundEnded(RoundReport {
            epoch,
            round: open.round,
            result,
            totals,
            latency_ms: open.latency_ms(),
            silent: silent.clone(),
        }));
        if self.stopping {
            return;
        }
        let unexplained = aborted && finding.suspects.is_empty() && silent.is_empty();
        let disputed = finding.disputed || unexplained;
        self.disputes = if disputed { self.disputes + 1 } else { 0 };
        let patient = disputed && self.disputes < MOST_DISPUTES;
        let mut gone: Vec<(IdentityKey, &str)> = silent
            .into_iter()
            .filter(|shard| !open.is_lost(shard))
            .map(|shard| (shard, "did not report the end of a round in time"))
            .collect();
        if !patient {
            let suspects = finding.suspects.iter().filter(|shard| !open.is_lost(shard));
            gone.extend(suspects.map(|shard| (*shard, "others waited for it in vain")));
        }
        gone.sort_by_key(|(shard, _)| *shard);
        gone.dedup_by_key(|(shard, _)| *shard);
        for (shard, reason) in &gone {
            self.suspend(*shard, reason);
            self.leave_out(shard, reason);
        }
        if !gone.is_empty() || (unexplained && !patient) {
            self.disputes = 0;
            self.break_epoch(&format!("round {} did not go through", open.round));
        }
    }

    pub(super) fn round_deadlines(&self) -> impl Iterator<Item = Timestamp> {
        let over = self.open.as_ref().map(|open| open.deadline);
        let current = self.state.current().map(|signed| self.too_late(&signed.document));
        let waits = current.filter(|_| self.open.is_none()).map(|_| [self.due(), self.patience()]);
        over.into_iter().chain(current).chain(waits.into_iter().flatten())
    }
}

fn result(
    outcomes: &[Option<RoundOutcome>],
    silent: &[IdentityKey],
    finding: &Finding,
) -> RoundResult {
    let withheld = |outcome: &Option<_>| matches!(outcome, Some(RoundOutcome::Withheld { .. }));
    let is_delivered = |outcome: &Option<_>| *outcome == Some(RoundOutcome::Delivered);
    let mut missing = finding.named.clone();
    if outcomes.iter().any(withheld) || outcomes.iter().all(Option::is_none) {
        if missing.is_empty() {
            missing = silent.to_vec();
        }
        return RoundResult::Aborted { missing, reason: finding.reason };
    }
    if outcomes.iter().all(is_delivered) {
        return RoundResult::Delivered;
    }
    missing.extend(silent.iter().filter(|shard| !finding.named.contains(shard)));
    RoundResult::Partial { missing }
}
