//! One simulated client's cells: made ahead, sent when every client's leave, checked when they are back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use antiphon_client_core::{departure_after, departure_of};
use antiphon_onion::{BeatContext, CellBytes, CircuitKeys};
use antiphon_process::clock::SystemClock;
use antiphon_wire::{Announcement, Blob, Encode as _, Epoch, FromClient, Round, Timestamp};
use bytes::Bytes;
use tokio::time::Instant;

use super::Shared;
use crate::beats::{BeatBook, Course};

/// Rounds whose circuits a client holds at most: of older ones the beats are over.
const MOST_ROUNDS: usize = 4;

/// The circuits of a round that the client has a part in.
struct Circuits {
    epoch: Epoch,
    round: Round,
    layers: u8,
    keys: CircuitKeys,
}

/// Cells that are made, and leave at a moment of their own.
struct Made {
    at: Instant,
    frame: Bytes,
    book: Arc<BeatBook>,
}

/// The cells of one client over one link.
pub(super) struct Cells<'a> {
    shared: &'a Shared,
    client: u32,
    /// How far the gateway's clock is ahead.
    ahead_ms: i64,
    /// By rising round.
    circuits: VecDeque<Circuits>,
    /// Rounds whose beats run, as the gateway says, by rising round.
    announced: VecDeque<Announcement>,
    /// The last moment at which cells leave that are made, by the gateway's clock.
    left: Timestamp,
    made: Option<Made>,
    under_way: VecDeque<(Arc<BeatBook>, Instant)>,
}

impl<'a> Cells<'a> {
    pub(super) fn new(shared: &'a Shared, client: u32) -> Self {
        Self {
            shared,
            client,
            ahead_ms: 0,
            circuits: VecDeque::new(),
            announced: VecDeque::new(),
            left: Timestamp(0),
            made: None,
            under_way: VecDeque::new(),
        }
    }

    /// The gateway's clock shows `theirs`.
    pub(super) fn heed_clock(&mut self, theirs: Timestamp) {
        let own = SystemClock::now();
        self.ahead_ms = theirs.ms_since(own) as i64 - own.ms_since(theirs) as i64;
    }

    /// The client hands in a round's onions, which leave circuits with these keys.
    pub(super) fn set_up(&mut self, (epoch, round): (Epoch, Round), layers: u8, keys: CircuitKeys) {
        if self.circuits.len() == MOST_ROUNDS {
            self.circuits.pop_front();
        }
        self.circuits.push_back(Circuits { epoch, round, layers, keys });
    }

    /// A round does not have the client's onions, so that there are no circuits.
    pub(super) fn give_up(&mut self, epoch: Epoch, round: Round) {
        self.circuits.retain(|circuits| (circuits.epoch, circuits.round) != (epoch, round));
    }

    /// A round's beats run.
    pub(super) fn announced(&mut self, announcement: Announcement) {
        if self.announced.back().is_some_and(|last| last.round >= announcement.round) {
            return;
        }
        if self.announced.len() == MOST_ROUNDS {
            self.announced.pop_front();
        }
        self.announced.push_back(announcement);
    }

    fn theirs(&self) -> Timestamp {
        Timestamp(SystemClock::now().0.saturating_add_signed(self.ahead_ms))
    }

    /// The next beat for which cells are to be made: of the oldest round whose next one begins before the first of
    /// every newer round. Nothing where the client has no circuits of that round, and behind its last beat.
    fn next(&self) -> Option<(Announcement, u64, &Circuits)> {
        let after = self.left.max(Timestamp(self.theirs().0.saturating_sub(1)));
        let each = self.announced.iter().enumerate();
        let (announced, beat) = each
            .map(|(at, announced)| (at, announced, departure_after(announced, after).beat))
            .find(|(at, announced, beat)| {
                let mut newer = self.announced.range(at + 1..);
                newer.all(|newer| announced.begins(*beat) < newer.first_beat)
            })
            .map(|(_, announced, beat)| (announced, beat))?;
        let of_it = |circuits: &&Circuits| {
            (circuits.epoch, circuits.round) == (announced.epoch, announced.round)
        };
        let circuits = self.circuits.iter().find(of_it)?;
        (beat < announced.beats.beats.into()).then_some((*announced, beat, circuits))
    }

    /// When there is something to do: to make cells, or to send them.
    pub(super) fn next_at(&self) -> Option<Instant> {
        if let Some(made) = &self.made {
            return Some(made.at);
        }
        let (announced, beat, _) = self.next()?;
        let leaves = departure_of(&announced, beat).at;
        // Clients of one machine do not all compute in the moment before their cells leave.
        let share = f64::from(self.client + 1) / f64::from(self.shared.population.clients());
        let ahead_ms = (f64::from(announced.beats.beat_ms) * share / 2.0) as u64;
        Some(self.instant(Timestamp(leaves.0.saturating_sub(ahead_ms))))
    }

    /// A moment of the gateway's clock.
    fn instant(&self, theirs: Timestamp) -> Instant {
        Instant::now() + Duration::from_millis(theirs.ms_since(self.theirs()))
    }

    /// Makes the cells that are to be made, or returns the message with those that are to leave.
    pub(super) fn step(&mut self) -> Option<Bytes> {
        if let Some(Made { at, frame, book }) = self.made.take() {
            book.sent(self.client);
            self.under_way.push_back((book, at));
            return Some(frame);
        }
        self.made = self.make();
        None
    }

    fn make(&mut self) -> Option<Made> {
        let (announcement, beat, circuits) = self.next()?;
        let cell = CellBytes::new(announcement.beats.cell_bytes).ok()?;
        let (epoch, round) = (announcement.epoch, announcement.round);
        let context = BeatContext { epoch, round, beat, cell };
        let cells_each = circuits.keys.len() as u8;
        let mut cells = vec![0; circuits.keys.len() * cell.bytes()];
        for (circuit, cell) in (0..).zip(cells.chunks_exact_mut(cell.bytes())) {
            self.shared.population.cell(self.client, (round, beat, circuit), cell);
        }
        circuits.keys.wrap(context, &mut cells);
        let course = Course { announcement, layers: circuits.layers, cells_each };
        let book = self.shared.beats.book(course, beat, self.theirs());
        let leaves = departure_of(&announcement, beat).at;
        let at = self.instant(leaves);
        self.left = leaves;
        let frame = FromClient::Cells { epoch, round, beat, cells: Blob(cells) }.to_bytes().into();
        Some(Made { at, frame, book })
    }

    /// Takes the cells that came back.
    pub(super) fn back(&mut self, of: (Epoch, Round, u64), mut cells: Vec<u8>) {
        let now = Instant::now();
        let is_it = |(book, _): &(Arc<BeatBook>, Instant)| {
            let Announcement { epoch, round, .. } = book.course.announcement;
            (epoch, round, book.beat) == of
        };
        // Cells that come twice change nothing.
        let Some(at) = self.under_way.iter().position(is_it) else { return };
        let Some((book, left)) = self.under_way.remove(at) else { return };
        let spoilt = self.spoilt(&book, &mut cells).unwrap_or(book.course.cells_each);
        self.shared.beats.answer(&book, self.client, spoilt, (left, now));
    }

    /// Number of cells that are not byte for byte what has to come back; nothing without keys to tell.
    fn spoilt(&self, book: &BeatBook, cells: &mut [u8]) -> Option<u8> {
        let Announcement { epoch, round, beats, .. } = book.course.announcement;
        let circuits = self.circuits.iter().find(|it| (it.epoch, it.round) == (epoch, round))?;
        let cell = CellBytes::new(beats.cell_bytes).ok()?;
        if cells.len() != circuits.keys.len() * cell.bytes() {
            return None;
        }
        circuits.keys.unwrap(BeatContext { epoch, round, beat: book.beat, cell }, cells);
        let population = &self.shared.population;
        let mut expected = vec![0; cell.bytes()];
        let mut spoilt = 0;
        for (circuit, came) in (0..).zip(cells.chunks_exact(cell.bytes())) {
            // A talking client's first pair meets its partner's; all others meet each other.
            let partner = population.partner(self.client).filter(|_| circuit < 2);
            let (from, on) = partner.map_or((self.client, circuit ^ 1), |it| (it, circuit));
            population.cell(from, (round, book.beat, on), &mut expected);
            spoilt += u8::from(came != expected);
        }
        Some(spoilt)
    }

    /// The client hands in over another link from here on.
    pub(super) fn begin_anew(&mut self) {
        self.withdraw();
        *self = Self::new(self.shared, self.client);
    }

    /// The client leaves its gateway by its own choice, and the cells that are under way are not lost.
    pub(super) fn withdraw(&self) {
        self.under_way.iter().for_each(|(book, _)| book.left(self.client));
    }
}
