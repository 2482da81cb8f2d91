//! The beats of a client's rounds: which one's run, and what leaves in each.
//!
//! One message of cells leaves in each beat, at the moment that the schedule fixes, for the one round of which
//! public evidence says that its beats run. Nothing here looks at what came back to decide on what leaves, when
//! or for which round.

mod circuits;
mod evidence;
mod gateway_clock;
mod timetable;

use std::collections::VecDeque;
use std::sync::Arc;

use antiphon_onion::{CellBytes, ErasingRng};
use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{
    Announcement, Decode, DecodeError, Encode, Epoch, MOST_ROUNDS_LEFT, Reader, Round, Ticket,
    Timestamp,
};

use crate::round::Conversations;
use crate::{CircuitMark, Event, Output};
pub(crate) use circuits::{Carries, Circuits};
use circuits::{Secrets, Tally};
pub use evidence::EvidenceError;
pub(crate) use evidence::check as check_evidence;
use gateway_clock::GatewayClock;
use timetable::made_at;
pub use timetable::{Departure, departure_after, departure_of, due_at};

/// Rounds held at most: those whose beats run or ran last, and those of which it is not known yet whether theirs
/// will.
const MOST_HELD: usize = 20 + MOST_ROUNDS_LEFT;

/// A round that may have beats.
struct Held {
    epoch: Arc<VerifiedEpoch>,
    round: Round,
    /// Place of its beats in time, once there is evidence that they run.
    announced: Option<Announcement>,
    /// None if this client has no part in the round.
    circuits: Option<Circuits>,
    /// Cells of all its beats were left to the gateway, and none are made: `Some(true)` once what came back is fetched.
    left: Option<bool>,
}

/// The rounds whose beats run, ran last or may run next.
#[derive(Default)]
pub(crate) struct Beats {
    /// By rising round.
    held: VecDeque<Held>,
    /// Circuits of before a restart, until there is evidence that their round's beats run.
    kept: Vec<CircuitMark>,
    /// Their secrets, as far as they were kept as well.
    secrets: Vec<((Epoch, Round), Secrets)>,
    /// The last moment at which cells left. None leave at it or before it again, by whatever clock.
    left: Timestamp,
    /// Round for which they left.
    spoke: Option<(Epoch, Round)>,
    /// Time as it was last heard of.
    heard: Timestamp,
    /// Clock by which all of these moments are.
    clock: GatewayClock,
}

impl Beats {
    /// The beats of a client that starts again.
    pub(crate) fn resumed(marks: [CircuitMark; 2]) -> Self {
        let kept = marks.into_iter().filter(|mark| !mark.is_none()).collect();
        Self { kept, ..Self::default() }
    }

    /// Marks of the circuits whose beats run, and of those of the newest round. Where these are the same, those that
    /// had cells last come first: a successor takes over with the beat after.
    pub(crate) fn marks(&self) -> [CircuitMark; 2] {
        let mark = |held: &Held| held.circuits.as_ref().map(Circuits::mark);
        let had_cells = |held: &&Held| Some((held.epoch.epoch(), held.round)) == self.spoke;
        let spoke = self.held.iter().find(had_cells).and_then(mark);
        let runs = self.next().and_then(|(at, ..)| mark(&self.held[at]));
        let newest = self.held.iter().rev().find_map(mark);
        let mut all = self.kept.iter().copied().chain(spoke).chain(runs).chain(newest);
        let last = all.next_back();
        let before = all.rfind(|mark| Some(*mark) != last);
        [before.unwrap_or_default(), last.unwrap_or_default()]
    }

    /// Takes note of the circuits of a round that is newer than all before.
    pub(crate) fn set_up(
        &mut self,
        epoch: Arc<VerifiedEpoch>,
        round: Round,
        circuits: Circuits,
        conversations: &mut Conversations,
    ) {
        let circuits = Some(circuits);
        let held = Held { epoch, round, announced: None, circuits, left: None };
        self.insert(held, conversations);
    }

    /// Takes note of the circuits of a round that is newer than all before, and that was left to the gateway with cells
    /// for all of its beats.
    pub(crate) fn leave(
        &mut self,
        epoch: Arc<VerifiedEpoch>,
        round: Round,
        circuits: Circuits,
        conversations: &mut Conversations,
    ) {
        let circuits = Some(circuits);
        let held = Held { epoch, round, announced: None, circuits, left: Some(false) };
        self.insert(held, conversations);
    }

    /// The moment at which beats of a round begin that was left, and is `first` or a later one, by this client's clock.
    pub(crate) fn asleep_from(&self, first: Round) -> Option<Timestamp> {
        let left = self.held.iter().filter(|held| held.left.is_some() && held.round >= first);
        let begins = left.filter_map(|held| held.announced).map(|announced| announced.first_beat);
        begins.min().map(|begins| self.clock.own(begins))
    }

    fn insert(&mut self, held: Held, conversations: &mut Conversations) {
        if self.held.len() == MOST_HELD
            && let Some(circuits) = self.held.pop_front().and_then(|oldest| oldest.circuits)
        {
            circuits.abandon(conversations);
        }
        let at = self.held.partition_point(|other| other.round < held.round);
        self.held.insert(at, held);
        debug_assert!(self.held.iter().is_sorted_by_key(|held| held.round));
    }

    /// The epoch of a round that is held, if it is this one.
    pub(crate) fn epoch_of(&self, epoch: Epoch, round: Round) -> Option<&Arc<VerifiedEpoch>> {
        self.find(epoch, round).map(|at| &self.held[at].epoch)
    }

    fn find(&self, epoch: Epoch, round: Round) -> Option<usize> {
        self.held.iter().position(|held| held.round == round && held.epoch.epoch() == epoch)
    }

    /// Returns `true` if evidence for this round would change nothing.
    pub(crate) fn is_settled(&self, announced: &Announcement) -> bool {
        let newest = self.held.iter().rfind(|held| held.announced.is_some());
        let is_known = newest.is_some_and(|newest| newest.round >= announced.round);
        let known = self.find(announced.epoch, announced.round);
        is_known && known.is_none_or(|at| self.held[at].announced.is_some())
    }

    /// Takes note that an announced round's beats run, as evidence that was checked says.
    pub(crate) fn announce(
        &mut self,
        epoch: Arc<VerifiedEpoch>,
        announced: Announcement,
        conversations: &mut Conversations,
    ) {
        let round = announced.round;
        match self.find(announced.epoch, round) {
            Some(at) => {
                self.held[at].announced.get_or_insert(announced);
            }
            None => {
                let circuits = self.take_kept(&epoch, round);
                let announced = Some(announced);
                let held = Held { epoch, round, announced, circuits, left: None };
                self.insert(held, conversations);
            }
        }
    }

    /// The circuits of a round of before a restart, if this client has a part in them.
    fn take_kept(&mut self, epoch: &VerifiedEpoch, round: Round) -> Option<Circuits> {
        let is_it = |mark: &CircuitMark| (mark.epoch, mark.round) == (epoch.epoch(), round);
        let at = self.kept.iter().position(is_it)?;
        let is_of_it = |(of, _): &mut ((Epoch, Round), Secrets)| *of == (epoch.epoch(), round);
        let secrets = self.secrets.extract_if(.., is_of_it).map(|(_, secrets)| secrets).next();
        let count = 2 * usize::from(epoch.parameters().pairs_per_client);
        let cell = CellBytes::new(epoch.parameters().beats.cell_bytes).ok()?;
        Some(Circuits::resumed(&self.kept.remove(at), secrets, cell, count))
    }

    /// Appends the secrets of the circuits that are [marked](Self::marks).
    pub(crate) fn encode_to(&self, out: &mut Vec<u8>) {
        let marks = self.marks();
        let is_marked = |of: (Epoch, Round)| marks.iter().any(|m| (m.epoch, m.round) == of);
        let kept = self.secrets.iter().map(|(of, secrets)| (*of, secrets));
        let held = self.held.iter().filter_map(|held| held.circuits.as_ref()?.secrets());
        let all: Vec<_> = kept.chain(held).filter(|(of, _)| is_marked(*of)).collect();
        // At most two rounds' are marked.
        out.push(all.len() as u8);
        for ((epoch, round), secrets) in all {
            epoch.encode(out);
            round.encode(out);
            secrets.encode(out);
        }
    }

    /// Takes up the secrets of circuits of before a restart.
    ///
    /// # Errors
    /// If it is nothing that was written.
    pub(crate) fn decode_from(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        let mut secrets = Vec::new();
        for _ in 0..u8::decode(input)? {
            let of = (Decode::decode(input)?, Decode::decode(input)?);
            secrets.push((of, Decode::decode(input)?));
        }
        self.secrets = secrets;
        Ok(())
    }

    /// The moment after which cells may leave. Moments that are over are left out: cells that left at another one
    /// would show that something was held up.
    fn after(&self) -> Timestamp {
        self.left.max(Timestamp(self.heard.0.saturating_sub(1)))
    }

    /// The next departure of cells, and the position of the round that they are for: the oldest whose next beat
    /// begins before the first of every newer one.
    fn next(&self) -> Option<(usize, Announcement, Departure)> {
        let announced = |held: &Held| held.announced;
        let live = self.held.iter().enumerate().filter(|(_, held)| held.left.is_none());
        live.into_iter().find_map(|(at, held)| {
            let (announced_here, circuits) = (held.announced?, held.circuits.as_ref()?);
            let departure = departure_after(&announced_here, self.after());
            let first = departure_of(&announced_here, circuits.unused_from());
            let departure = if departure.beat < first.beat { first } else { departure };
            let begins = announced_here.begins(departure.beat);
            let newer = self.held.range(at + 1..).filter_map(announced);
            let runs = newer.map(|newer| newer.first_beat).all(|first| begins < first);
            runs.then_some((at, announced_here, departure))
        })
    }

    /// Takes note that it was `theirs` by the gateway's clock when its message came at `now`.
    pub(crate) fn heed_clock(&mut self, now: Timestamp, theirs: Timestamp) {
        self.clock.heed(now, theirs);
    }

    /// Time by this client's clock at which cells have to be made or are overdue.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let made = self.next().map(|(_, announced, next)| made_at(&announced.beats, next.at));
        let circuits = self.held.iter().filter_map(|held| held.circuits.as_ref());
        let due = circuits.filter_map(Circuits::next_due).min();
        made.into_iter().chain(due).min().map(|due| self.clock.own(due))
    }

    /// Makes the cells that are to be made by `now`: at most one message of them. Whatever was missed is not made
    /// up for. What is [marked](Self::marks) has to be on disk first.
    pub(crate) fn make(
        &mut self,
        now: Timestamp,
        conversations: &mut Conversations,
        rng: impl FnOnce() -> ErasingRng,
    ) -> Option<Output> {
        let now = self.clock.theirs(now);
        self.heard = now;
        let (at, announced, Departure { beat, at: leaves }) = self.next()?;
        if now < made_at(&announced.beats, leaves) {
            return None;
        }
        self.left = leaves;
        let held = &mut self.held[at];
        let circuits = held.circuits.as_mut()?;
        let mut rng = rng();
        let cells = match beat < announced.beats.beats.into() {
            true => {
                let due = due_at(&announced, beat, held.epoch.geometry().layers());
                circuits.make(beat, due, conversations, &mut rng)
            }
            // Without evidence of a newer round, as many as before that carry nothing.
            false => circuits.random(&mut rng),
        };
        circuits.reserve(beat);
        let (epoch, round) = (announced.epoch, announced.round);
        self.spoke = Some((epoch, round));
        let at = self.clock.own(leaves);
        Some(Output::Cells { at, epoch, round, beat, cells })
    }

    /// Takes the cells that came back in a beat at `now`. Tells of its end, unless nothing is expected of it.
    pub(crate) fn collect(
        &mut self,
        now: Timestamp,
        (epoch, round, beat): (Epoch, Round, u64),
        cells: Vec<u8>,
        conversations: &mut Conversations,
        events: &mut Vec<Event>,
    ) {
        let Some(at) = self.find(epoch, round) else { return };
        let now = self.clock.theirs(now);
        let held = &mut self.held[at];
        let (Some(announced), Some(circuits)) = (held.announced, &mut held.circuits) else {
            return;
        };
        if let Some(tally) = circuits.collect(beat, cells, conversations, events) {
            let after_ms = now.ms_since(departure_of(&announced, beat).at);
            events.push(ended(round, beat, tally, Some(after_ms)));
        }
    }

    /// Takes the cells that came back in the first beats of a round that was left. What it had more of is still to come
    /// if the round's beats run, and lost otherwise.
    pub(crate) fn fetch(
        &mut self,
        (epoch, round): (Epoch, Round),
        cells: &[u8],
        conversations: &mut Conversations,
        events: &mut Vec<Event>,
    ) {
        let Some(at) = self.find(epoch, round) else { return };
        let Held { circuits: Some(circuits), left: Some(fetched), .. } = &mut self.held[at] else {
            return;
        };
        *fetched = true;
        let before = events.len();
        for (beat, cells) in (0..).zip(cells.chunks(circuits.beat_bytes())) {
            if let Some(tally) = circuits.collect(beat, cells.to_vec(), conversations, events) {
                events.push(ended(round, beat, tally, None));
            }
        }
        let beats = events[before..].iter().filter(|it| matches!(it, Event::BeatEnded { .. }));
        let beats = beats.count() as u64;
        events.push(Event::Fetched { round, beats });
    }

    /// Takes note of what did not come back in time, and lets rounds go whose beats are over.
    pub(crate) fn settle_overdue(
        &mut self,
        now: Timestamp,
        conversations: &mut Conversations,
        events: &mut Vec<Event>,
    ) {
        let now = self.clock.theirs(now);
        self.heard = now;
        let after = self.after();
        for held in &mut self.held {
            let round = held.round;
            let Some(circuits) = &mut held.circuits else { continue };
            let lost = circuits.settle_overdue(now, conversations);
            // Of those that were left, nobody knows how many the round had.
            let lost = if held.left.is_some() { Vec::new() } else { lost };
            events.extend(lost.into_iter().map(|(beat, tally)| ended(round, beat, tally, None)));
            let over = held.announced.is_some_and(|announced| {
                departure_after(&announced, after).beat >= announced.beats.beats.into()
            });
            if over && !circuits.has_beats_under_way() {
                circuits.erase_keys();
            }
        }
        self.let_go(conversations);
    }

    /// Drops the rounds that a newer one has taken over from, once nothing of theirs is under way.
    fn let_go(&mut self, conversations: &mut Conversations) {
        let taken_over = self.held.iter().filter_map(|held| {
            let first = departure_after(&held.announced?, Timestamp(0));
            (first.at <= self.after()).then_some(held.round)
        });
        let Some(runs) = taken_over.max() else { return };
        self.kept.retain(|kept| kept.round >= runs);
        self.secrets.retain(|((_, round), _)| *round >= runs);
        // What was fetched of a round that is over was all.
        for held in self.held.iter_mut().filter(|held| held.round < runs) {
            if let Some(circuits) = held.circuits.take_if(|_| held.left == Some(true)) {
                circuits.abandon(conversations);
            }
        }
        let is_under_way =
            |held: &Held| held.circuits.as_ref().is_some_and(Circuits::has_beats_under_way);
        self.held.retain(|held| held.round >= runs || is_under_way(held));
    }

    /// Gives up all circuits: nobody else has them.
    pub(crate) fn forget(&mut self, conversations: &mut Conversations) {
        self.kept.clear();
        self.secrets.clear();
        for held in &mut self.held {
            if let Some(circuits) = held.circuits.take() {
                circuits.abandon(conversations);
            }
        }
    }

    /// The rounds of which this client has circuits, and their tickets, by rising round.
    pub(crate) fn tickets(&self) -> impl Iterator<Item = (Epoch, Round, Ticket)> {
        let held = self.held.iter().filter_map(|held| held.circuits.as_ref().map(Circuits::mark));
        let all = self.kept.iter().copied().chain(held);
        all.map(|mark| (mark.epoch, mark.round, mark.ticket))
    }

    /// The oldest round whose cells are or may be under way.
    pub(crate) fn oldest(&self) -> Option<Round> {
        self.tickets().map(|(_, round, _)| round).next()
    }
}

fn ended(round: Round, beat: u64, tally: Tally, after_ms: Option<u64>) -> Event {
    let Tally { arrived, spoilt } = tally;
    Event::BeatEnded { round, beat, arrived, spoilt, after_ms }
}
