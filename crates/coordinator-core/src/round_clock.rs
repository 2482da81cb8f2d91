//! When rounds open and when they are over.
//!
//! The machine is told which epochs are published, which shards are ready, how rounds ended at them,
//! and what their clocks show. It opens rounds, and hands over those that are over. It knows nothing of
//! members or of blame.

mod circuits;
mod epochs;
mod hurry;
mod offsets;
mod open_round;
mod pace;
mod readiness;
mod recent;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use antiphon_wire::{
    Announcement, BeatParameters, Epoch, EpochDocument, IdentityKey, OperatorIndex, Parameters,
    Round, RoundCounts, RoundOutcome, SignedDocument, Timestamp,
};

use super::course::{Conduct, Course, before_end, lists};
use super::ended_round::{EndedRound, Weight};
use super::notice::Notice;
use super::rules::Rules;
use circuits::{Carried, Circuits};
use epochs::Ending;
use hurry::Hurry;
use offsets::{Offsets, ahead_ms};
use open_round::OpenRound;
use pace::{Pace, Pacing};
use readiness::Readiness;
use recent::Recent;

pub(crate) use hurry::Cause;

/// Something that the clock does, in the order given.
#[derive(Clone, Debug)]
pub(crate) enum Tick {
    /// The marks are durable before anything that comes after.
    Persist,
    /// A round opens at these shards.
    Open { announcement: Announcement, shards: Vec<IdentityKey> },
    /// A round is over.
    Ended(EndedRound),
    /// All rounds of an epoch that ran to its end with these shards are over.
    Completed(Vec<IdentityKey>),
    /// Those who watch are told.
    Notice(Notice),
}

/// Marks of rounds, and of the epochs that they are of, that outlive the process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    /// The highest round number that was opened or skipped.
    pub(crate) last_round: Round,
    /// When a round was last opened, if ever.
    pub(crate) last_open: Option<Timestamp>,
    /// When rounds were opened before their time that still count, the oldest first, and for whose losses.
    pub(crate) early: Vec<(Timestamp, Cause)>,
    /// The document of the epoch that runs.
    pub(crate) current: Option<Arc<SignedDocument>>,
    /// The document of the epoch after it.
    pub(crate) next: Option<Arc<SignedDocument>>,
    /// The first round of an epoch that was published and given up before it began. Shards that have its document serve
    /// no round from there on under the one before it, and nobody knows which of them have it.
    pub(crate) gap_from: Option<Round>,
    /// For whose losses the circuits in use are cut: the next round, or the one that is open, comes early to make new ones.
    pub(crate) hurried: BTreeSet<Cause>,
}

/// The machine that opens rounds.
#[derive(Debug)]
pub(crate) struct RoundClock {
    rules: Arc<Rules>,
    marks: Marks,
    conduct: Conduct,
    /// The last epoch that was broken. What else goes wrong in it decides nothing any more.
    broken_last: Option<Epoch>,
    open: BTreeMap<Round, OpenRound>,
    ending: Ending,
    pace: Pace,
    recent: Recent,
    /// From when on the next round only waits for its interval and for shards to be ready.
    idle_since: Timestamp,
    /// When the running epoch began.
    began: Timestamp,
    /// Rounds that were opened before their time, of those that clients allow, and for whose losses the next one is to.
    hurry: Hurry,
    /// The last round that did not wait for the interval, until it has been delivered, and for whose losses.
    rescue: Option<(Round, BTreeSet<Cause>)>,
    /// Circuits of rounds that were delivered, over which beats run.
    circuits: Circuits,
    offsets: Offsets,
    readiness: Readiness,
    ticks: Vec<Tick>,
}

impl RoundClock {
    /// A clock that goes on above `marks`. Rounds of a restored epoch wait for its shards.
    pub(crate) fn new(rules: Arc<Rules>, marks: Marks, now: Timestamp) -> Self {
        // A restored epoch waits until its shards are back, so that none is taken for lost.
        let is_restored = marks.current.is_some() || marks.next.is_some();
        Self {
            pace: Pace::new(rules.config.in_flight()),
            recent: Recent::default(),
            hurry: Hurry::resumed(&rules.network.policy, &marks.early, &marks.hurried),
            circuits: Circuits::unseen(beats_end(&rules, &marks)),
            rules,
            marks,
            conduct: if is_restored { Conduct::Resuming } else { Conduct::Going },
            broken_last: None,
            open: BTreeMap::new(),
            ending: Ending::default(),
            idle_since: now,
            began: now,
            rescue: None,
            offsets: Offsets::default(),
            readiness: Readiness::default(),
            ticks: Vec::new(),
        }
    }

    /// Takes what the clock did since the last call, in order.
    pub(crate) fn drain(&mut self) -> Vec<Tick> {
        std::mem::take(&mut self.ticks)
    }

    /// Marks that have to outlive the process.
    pub(crate) const fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Conduct of rounds: they open, or wait for something.
    pub(crate) const fn conduct(&self) -> Conduct {
        self.conduct
    }

    /// Returns `true` if rounds of the running epoch open.
    pub(crate) fn opens_rounds(&self) -> bool {
        self.conduct == Conduct::Going && self.marks.current.is_some()
    }

    /// By how much a registered shard's clock is ahead of this machine's, in milliseconds.
    pub(crate) fn ahead_ms(&self, shard: &IdentityKey) -> i64 {
        self.offsets.ahead_ms(shard)
    }

    /// Where the clock stands.
    pub(crate) fn course(&self) -> Course<'_> {
        let latency_ms = self.pace.latency_ms() / self.pace.allowed() as u64;
        Course {
            conduct: self.conduct,
            current: self.marks.current.as_ref(),
            next: self.marks.next.as_ref(),
            gap_from: self.marks.gap_from,
            last_round: self.marks.last_round,
            due: self.due(),
            apart_ms: self.rules.interval_ms().max(latency_ms),
            began: self.began,
            took_ms: self.recent.took_ms(),
            behind_ms: self.offsets.behind_ms(),
        }
    }

    /// The rounds that are open, the oldest first.
    pub(crate) fn open_rounds(&self) -> impl Iterator<Item = Round> {
        self.open.keys().copied()
    }

    /// Returns `true` if the shard is in an epoch that runs or is to follow, in a round that is open, or on circuits over
    /// which beats run.
    pub(crate) fn needs(&self, shard: &IdentityKey) -> bool {
        let documents = [&self.marks.current, &self.marks.next];
        documents.into_iter().flatten().any(|signed| lists(signed, shard))
            || self.open.values().any(|open| open.has(shard))
            || self.circuits.need(shard)
    }

    /// A shard registered over a link of its own, while its clock showed `theirs`.
    pub(crate) fn registered(
        &mut self,
        now: Timestamp,
        shard: IdentityKey,
        operator: OperatorIndex,
        theirs: Timestamp,
    ) {
        self.offsets.registered(shard, operator, ahead_ms(theirs, now));
        self.judge_clocks();
    }

    /// A registered shard's clock shows `theirs`.
    pub(crate) fn clock_read(&mut self, now: Timestamp, shard: IdentityKey, theirs: Timestamp) {
        self.offsets.read(shard, ahead_ms(theirs, now));
        self.judge_clocks();
    }

    fn judge_clocks(&mut self) {
        let notices = self.offsets.judge(&self.rules);
        self.ticks.extend(notices.into_iter().map(Tick::Notice));
    }

    /// A shard is ready for a round. What it says of past ones is not remembered.
    pub(crate) fn ready(&mut self, shard: IdentityKey, epoch: Epoch, round: Round) {
        if round > self.marks.last_round {
            self.readiness.add(shard, epoch, round);
        }
    }

    /// A shard reports how a round ended.
    pub(crate) fn reported(
        &mut self,
        now: Timestamp,
        shard: IdentityKey,
        (epoch, round): (Epoch, Round),
        (outcome, counts): (RoundOutcome, RoundCounts),
    ) {
        if let Some(open) = self.open.get_mut(&round)
            && open.epoch == epoch
        {
            open.report(shard, outcome, counts, now);
        }
    }

    /// A shard's link is gone.
    pub(crate) fn lose(&mut self, shard: IdentityKey) {
        self.open.values_mut().for_each(|open| open.lose(shard));
        self.offsets.forget(&shard);
        self.readiness.forget(&shard);
    }

    /// Opens no more rounds.
    pub(crate) fn stop(&mut self) {
        self.conduct = Conduct::Stopped;
    }

    /// Ends a round, begins an epoch or opens a round, if it is time. Returns whether it was.
    pub(crate) fn step(&mut self, now: Timestamp) -> bool {
        self.circuits.expire(now);
        let was_full = self.is_full();
        let over = self.open.values().find(|open| open.is_over(now)).map(|open| open.round);
        if let Some(open) = over.and_then(|round| self.open.remove(&round)) {
            // No round could open until now, so the wait for the next counts from here.
            if was_full {
                self.idle_since = now;
            }
            self.end_round(open);
            self.complete_epochs();
            return true;
        }
        debug_assert!(self.conduct != Conduct::Broken || self.marks.current.is_some());
        if self.conduct != Conduct::Going || self.is_full() {
            return false;
        }
        self.begin_epoch(now) || self.expire(now) || self.open_next(now)
    }

    /// Moments at which there may be something to do.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = Timestamp> {
        let over = self.open.values().map(|open| open.deadline);
        let current = self.marks.current.as_ref();
        let current = current.map(|signed| self.too_late(&signed.document));
        let waits = current.filter(|_| !self.is_full()).map(|_| [self.due(), self.patience()]);
        over.chain(current).chain(waits.into_iter().flatten()).chain(self.circuits.deadline())
    }

    /// Returns `true` if as many rounds are open as may be. Those of an epoch that was broken only wait for
    /// their deadlines, and the next epoch does not wait with them, unless one round at a time is wanted.
    fn is_full(&self) -> bool {
        let most = self.rules.config.in_flight();
        let of_broken = if most > 1 { most } else { 0 };
        let running = self.open.values().filter(|open| self.weight(open) == Weight::Counts).count();
        running >= self.pace.allowed() || self.open.len() >= most + of_broken
    }

    /// A round opens. Returns `true` if it is one that makes new circuits in the place of those that were cut.
    fn settle_hurry(&mut self, round: Round) -> bool {
        if self.is_mailbox(round) {
            return false;
        }
        let causes = self.hurry.settle();
        let hurried = !causes.is_empty();
        self.rescue = hurried.then_some((round, causes));
        self.note_hurry();
        hurried
    }

    /// Notes for which losses the circuits in use are cut.
    fn note_hurry(&mut self) {
        let open = self.rescue.iter().flat_map(|(_, causes)| causes);
        self.marks.hurried = open.chain(self.hurry.wanted()).copied().collect();
    }

    /// Bearing of the round's end: none on anything once its epoch was broken.
    fn weight(&self, open: &OpenRound) -> Weight {
        if self.broken_last >= Some(open.epoch) { Weight::Decided } else { Weight::Counts }
    }

    /// The number that the next round to open has at least.
    fn next_round(&self) -> Round {
        self.marks.last_round.next()
    }

    /// The earliest time for the next round.
    fn due(&self) -> Timestamp {
        let due = self.in_its_time();
        let first = self.marks.current.as_ref().map(|signed| signed.document.first_round);
        let next = first.map_or(self.next_round(), |first| self.next_round().max(first));
        // Only a round with dead drops sets circuits up anew.
        let free = self.hurry.free_at().filter(|_| !self.is_mailbox(next));
        free.map_or(due, |free| due.min(free.max(self.idle_since)))
    }

    fn is_mailbox(&self, round: Round) -> bool {
        self.rules.network.policy.services.of(round).has_boxes()
    }

    /// When the next round would open if nothing hurried it.
    fn in_its_time(&self) -> Timestamp {
        let interval = self.rules.interval_ms();
        let due = self.marks.last_open.map(|last| last.plus_ms(interval));
        due.unwrap_or(self.idle_since).max(self.idle_since)
    }

    /// When the next round opens whoever is not ready.
    fn patience(&self) -> Timestamp {
        self.due().plus_ms(self.rules.config.ready_ms.into())
    }

    /// From when on no round of `document` can be finished.
    fn too_late(&self, document: &EpochDocument) -> Timestamp {
        let interval = u64::from(document.parameters.interval_ms);
        let wanted = interval.saturating_add(self.pace.latency_ms());
        before_end(document, wanted, self.offsets.behind_ms())
    }

    fn open_next(&mut self, now: Timestamp) -> bool {
        let Some(signed) = &self.marks.current else { return false };
        let signed = Arc::clone(signed);
        let document = &signed.document;
        let round = self.next_round().max(document.first_round);
        // The last number there is may have been used.
        let is_new = round > self.marks.last_round;
        if !is_new || !self.serves(document, round) || now < self.due() {
            return false;
        }
        let shards = document.shards.iter().map(|shard| shard.identity);
        let late: Vec<_> =
            shards.filter(|id| !self.readiness.is_ready(id, document.epoch, round)).collect();
        if !late.is_empty() && now < self.patience() {
            return false;
        }
        self.open_round(now, document, round, late);
        true
    }

    fn open_round(
        &mut self,
        now: Timestamp,
        document: &EpochDocument,
        round: Round,
        late: Vec<IdentityKey>,
    ) {
        debug_assert!(round > self.marks.last_round, "no number twice");
        debug_assert!((document.first_round..=document.last_round).contains(&round));
        let epoch = document.epoch;
        if now < self.in_its_time() {
            let is_allowed = self.hurry.take(now);
            debug_assert!(is_allowed, "a round opens early only where one is left");
            self.marks.early = self.hurry.lately();
        }
        let hurried = self.settle_hurry(round);
        self.marks.last_round = round;
        self.marks.last_open = Some(now);
        // Durable before any shard hears of it, so that no number is used twice after a crash.
        self.ticks.push(Tick::Persist);
        let expires_at = self.offsets.by_own_clock(document.expires_at);
        let mut open = OpenRound::new(document, &self.rules.network, round, (now, expires_at));
        open.alone = self.open.is_empty();
        // Neither this round nor those beside it measure what one takes alone.
        self.open.values_mut().for_each(|beside| beside.alone = false);
        let first_beat = self.first_beat(now, document, hurried);
        let kind = self.rules.network.policy.services.of(round);
        let announcement = document.parameters.announce(epoch, round, kind, first_beat);
        open.carries = (!announcement.beats.is_classic()).then(|| Carried {
            shards: open.shards().to_vec(),
            begins: announcement.first_beat,
            ends: announcement.ends(document.parameters.layers),
            passage_ms: announcement.beats.passage_ms(document.parameters.layers),
        });
        self.ticks.push(Tick::Open { announcement, shards: open.shards().to_vec() });
        self.ticks.push(Tick::Notice(Notice::RoundOpened { epoch, round, late }));
        self.readiness.forget_up_to(round);
        self.open.insert(round, open);
    }

    /// The first beat of a round that opens `now`: after the time that rounds take, and on the grid of all beats, so
    /// that clients' pace does not change when it takes over. No beats are there to be taken over
    /// from where rounds are hurried, and these come as soon as rounds of late allow.
    fn first_beat(&self, now: Timestamp, document: &EpochDocument, hurried: bool) -> Timestamp {
        let p = &document.parameters;
        let taken = (2 * self.pace.latency_ms()).min(p.longest_round_ms());
        let usual = u64::from(self.rules.config.first_beat_ms);
        let wait = match taken {
            // No beats are there to be taken over from: what comes too early is lost, and nothing else.
            0 if hurried => usual.min(u64::from(p.submit_ms) + 2 * u64::from(p.layer_ms)),
            taken if hurried => taken,
            taken => usual.max(taken),
        };
        let span_ms = p.beats.span_ms();
        on_grid(&p.beats, now.plus_ms(wait.min(span_ms)), now.plus_ms(span_ms))
    }

    fn end_round(&mut self, open: OpenRound) {
        let (weight, alone) = (self.weight(&open), open.alone);
        let mut open = open;
        let carries = open.carries.take();
        let ended = open.into_ended(self.next_round(), weight);
        if weight == Weight::Counts {
            let (delivered, latency_ms) = (ended.is_delivered(), ended.latency_ms);
            self.pace.ended(Pacing { delivered, alone, latency_ms });
            self.recent.ended(latency_ms);
            // Nothing was cut by a round that fails while the beats of one before it go on.
            if let Some((_, causes)) = self.rescue.take_if(|(round, _)| *round == ended.round)
                && !delivered
            {
                causes.into_iter().for_each(|cause| self.hurry.wants(cause));
            }
            self.note_hurry();
        }
        if let Some(carries) = carries.filter(|_| ended.is_delivered()) {
            self.circuits.follow(carries);
        }
        self.ticks.push(Tick::Ended(ended));
    }
}

/// When the beats of rounds that were opened before this process are over at the latest; `None` if there are none.
fn beats_end(rules: &Rules, marks: &Marks) -> Option<Timestamp> {
    let documents = [&marks.current, &marks.next].into_iter().flatten();
    let layers = documents.map(|signed| signed.document.parameters.layers).max();
    let parameters =
        Parameters { layers: layers.unwrap_or(u8::MAX), ..rules.config.parameters(&rules.network) };
    let beats = parameters.beats;
    let first = u64::from(rules.config.first_beat_ms).max(parameters.longest_round_ms());
    let in_all = first.min(beats.span_ms()) + beats.span_ms() + beats.passage_ms(parameters.layers);
    marks.last_open.filter(|_| !beats.is_classic()).map(|opened| opened.plus_ms(in_all))
}

/// The first moment from `earliest` on at which a beat may begin, or the one before it if that is after `latest`, when
/// shards would refuse it. These moments are whole multiples of `beat_ms` since 1970: nobody has to remember the
/// beats that went before, so a coordinator that starts again, or takes over, stays on their grid.
fn on_grid(beats: &BeatParameters, earliest: Timestamp, latest: Timestamp) -> Timestamp {
    let beat_ms = u64::from(beats.beat_ms).max(1);
    let next = earliest.0.div_ceil(beat_ms).saturating_mul(beat_ms);
    Timestamp(if next <= latest.0 { next } else { next.saturating_sub(beat_ms) })
}

#[cfg(test)]
mod tests;
