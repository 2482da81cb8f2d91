//! The round clock: when a round opens, when it is over, and what follows from how it went.

use std::collections::BTreeSet;
use std::sync::Arc;

use antiphon_wire::{Epoch, EpochDocument, IdentityKey, Round, RoundOutcome, Timestamp, ToShard};

use super::{Coordinator, identities, lists};
use crate::core::blame::{self, Finding};
use crate::core::losses::leave_no_quorum;
use crate::core::notice::{Notice, RoundReport, RoundResult, RoundTotals};
use crate::core::open_round::OpenRound;
use crate::core::pace::Pacing;
use crate::core::roster::Member;

/// Why a shard is suspended that reports nothing.
const SILENT: &str = "did not report the end of a round in time";

impl Coordinator {
    /// Ends a round, begins an epoch or opens a round, if it is time.
    pub(super) fn step_round(&mut self) -> bool {
        let was_full = self.is_full();
        let over = self.open.values().find(|open| open.is_over(self.now)).map(|open| open.round);
        if let Some(open) = over.and_then(|round| self.open.remove(&round)) {
            if was_full {
                self.idle_since = self.now;
            }
            self.end_round(&open);
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
            self.state.suspensions.completed(&shards);
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

    fn end_round(&mut self, open: &OpenRound) {
        let outcomes = open.outcomes();
        let silent = open.silent();
        let finding = blame::judge(&open.voters, &outcomes);
        let mut totals = RoundTotals::default();
        open.counts().for_each(|counts| totals.add(counts));
        let result = result(open, &outcomes, &silent, &finding);
        let aborted = matches!(result, RoundResult::Aborted { .. });
        let (alone, latency_ms) = (open.alone, open.latency_ms());
        let delivered = result == RoundResult::Delivered;
        if !self.is_decided(open) {
            self.pace.ended(Pacing { delivered, alone, latency_ms });
        }
        self.notice(Notice::RoundEnded(RoundReport {
            epoch: open.epoch,
            round: open.round,
            result,
            totals,
            latency_ms,
            silent: silent.clone(),
        }));
        if !self.stopping {
            self.settle(open, &silent, &finding, aborted);
        }
    }

    /// Draws the consequences of a round.
    fn settle(
        &mut self,
        open: &OpenRound,
        silent: &[IdentityKey],
        finding: &Finding,
        aborted: bool,
    ) {
        let known: BTreeSet<_> = open
            .shards
            .iter()
            .filter(|id| open.is_lost(id) || self.given_up.get(id) >= Some(&open.epoch))
            .copied()
            .collect();
        let is_late = self.now >= open.reports_due;
        let expired = open.has_expired(self.now);
        let mut gone: Vec<(IdentityKey, &str)> = Vec::new();
        for shard in silent.iter().filter(|shard| !known.contains(shard) && !expired) {
            if is_late {
                gone.push((*shard, SILENT));
            } else {
                self.owed.insert((*shard, open.round), open.reports_due);
            }
        }
        let suspects = open.identities(&finding.suspects);
        let suspects = suspects.into_iter().filter(|shard| !known.contains(shard));
        gone.extend(suspects.map(|shard| (shard, "others waited for it in vain")));
        let mut over = false;
        let explained =
            expired || !gone.is_empty() || silent.iter().any(|shard| known.contains(shard));
        let decided = self.is_decided(open);
        if !decided && (explained || (finding.disputes.is_empty() && !aborted)) {
            self.disputes.end();
        } else if !decided && let Some(shards) = self.dispute(open, finding) {
            over = true;
            gone.extend(
                shards.into_iter().map(|shard| (shard, "rounds failed over disputes with it")),
            );
        }
        gone.sort_by_key(|(shard, _)| *shard);
        gone.dedup_by_key(|(shard, _)| *shard);
        if self.is_everybody(&gone) {
            let reason = format!("round {} did not go through, and many are behind it", open.round);
            return self.break_epoch(&reason);
        }
        let current = self.state.current().cloned();
        for (shard, reason) in &gone {
            self.forgive_debts(shard);
            self.suspend(*shard, reason);
            self.leave_out(shard, reason);
            let given_up = self.given_up.entry(*shard).or_insert(open.epoch);
            *given_up = open.epoch.max(*given_up);
            // A newer epoch may run already: it goes on unless the shard is in it.
            if current.as_ref().is_some_and(|signed| lists(signed, shard)) {
                self.give_up(*shard);
                over = true;
            } else if self.state.next().is_some_and(|signed| lists(signed, shard)) {
                self.state.drop_next();
            }
        }
        if over {
            self.break_epoch(&format!("round {} did not go through", open.round));
        }
    }

    /// Whether so many failed that no quorum would be left: nobody is suspended for what everybody
    /// suffers.
    fn is_everybody(&self, gone: &[(IdentityKey, &str)]) -> bool {
        let operators =
            gone.iter().filter_map(|(id, _)| self.roster.member(id)).map(Member::operator);
        leave_no_quorum(&self.network, operators)
    }

    /// Notes a dispute. Returns who is to be left out, if it is time.
    fn dispute(&mut self, open: &OpenRound, finding: &Finding) -> Option<Vec<IdentityKey>> {
        let identity = |position: usize| open.shards.get(position).copied();
        let pairs: BTreeSet<_> = finding
            .disputes
            .iter()
            .filter_map(|&(a, b)| Some((identity(a)?, identity(b)?)))
            .collect();
        let owed = &self.owed;
        let mute = |shard: &IdentityKey| owed.keys().any(|(of, _)| of == shard);
        let rounds = (open.round, self.state.next_round());
        self.disputes.note(rounds, &open.shards, &pairs, mute)
    }

    /// Takes a report of a round that has ended without it.
    pub(super) fn late_report(&mut self, shard: IdentityKey, round: Round) {
        self.owed.remove(&(shard, round));
    }

    /// Expects no reports of past rounds from this shard any more.
    pub(super) fn forgive_debts(&mut self, shard: &IdentityKey) {
        self.owed.retain(|(of, _), _| of != shard);
    }

    /// Gives up shards that have not reported a past round when its last deadline has passed.
    pub(super) fn step_owed(&mut self) -> bool {
        let late = self.owed.iter().find(|(_, due)| self.now >= **due);
        let Some(((shard, _), _)) = late else { return false };
        let shard = *shard;
        self.forgive_debts(&shard);
        if !self.stopping {
            self.drop_shard(shard, SILENT);
        }
        true
    }

    pub(super) fn round_deadlines(&self) -> impl Iterator<Item = Timestamp> {
        let over = self.open.values().map(|open| open.deadline);
        let current = self.state.current().map(|signed| self.too_late(&signed.document));
        let waits = current.filter(|_| !self.is_full()).map(|_| [self.due(), self.patience()]);
        let owed = self.owed.values().copied();
        over.chain(current).chain(waits.into_iter().flatten()).chain(owed)
    }
}

fn result(
    open: &OpenRound,
    outcomes: &[Option<RoundOutcome>],
    silent: &[IdentityKey],
    finding: &Finding,
) -> RoundResult {
    let is_delivered = |outcome: &Option<_>| *outcome == Some(RoundOutcome::Delivered);
    let withheld = outcomes.iter().enumerate().any(|(position, outcome)| {
        matches!(outcome, Some(RoundOutcome::Withheld { .. })) && !finding.liars.contains(&position)
    });
    let mut missing = open.identities(&finding.named);
    if withheld || outcomes.iter().all(Option::is_none) {
        if missing.is_empty() {
            missing = silent.to_vec();
        }
        return RoundResult::Aborted { missing, reason: finding.reason };
    }
    if outcomes.iter().all(is_delivered) {
        return RoundResult::Delivered;
    }
    let others: Vec<_> = silent.iter().filter(|shard| !missing.contains(shard)).copied().collect();
    missing.extend(others);
    RoundResult::Partial { missing }
}
