//! Beats as the simulated clients live them: what became of each client's cells.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon_client_core::{departure_of, due_at};
use antiphon_wire::{Announcement, Round, Timestamp};
use tokio::time::Instant;

use crate::cpu::Mark;
use crate::latency::Latencies;
use crate::population::Population;

/// State of one client in a beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Fate {
    /// Its cells have not left.
    Absent = 0,
    /// They are on their way.
    Sent = 1,
    /// All that came back is as it has to be.
    Intact = 2,
    /// It is not, or not all of it.
    Spoilt = 3,
    /// The client has left its gateway meanwhile.
    Left = 4,
}

impl Fate {
    const ALL: [Self; 5] = [Self::Absent, Self::Sent, Self::Intact, Self::Spoilt, Self::Left];

    fn from_u8(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Absent)
    }
}

/// The beats of one round, as everybody has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    pub(crate) announcement: Announcement,
    /// L.
    pub(crate) layers: u8,
    /// Cells of a client in a beat.
    pub(crate) cells_each: u8,
}

/// One beat of a round.
#[derive(Debug)]
pub(crate) struct BeatBook {
    pub(crate) course: Course,
    pub(crate) beat: u64,
    /// Time after which nothing is expected to come back.
    due: Timestamp,
    /// True if it is one of the measured beats.
    measured: bool,
    fates: Vec<AtomicU8>,
    /// Cells that came back otherwise than they had to, of clients whose fate says so.
    spoilt: Vec<AtomicU8>,
}

/// Counts of measured beats over all clients.
#[derive(Clone, Debug, Default)]
pub(crate) struct BeatTotals {
    /// Beats in which cells left.
    pub(crate) beats: Vec<(Round, u64)>,
    /// Cells that left.
    pub(crate) sent: u64,
    /// Cells of which it can be told whether they came back as they had to.
    pub(crate) cells: u64,
    /// Those of them that did not.
    pub(crate) lost: u64,
    /// Each client's time from when its cells left until they were back.
    pub(crate) latencies: Latencies,
}

/// The beats of all rounds. They are measured from a moment on, and up to another.
#[derive(Debug)]
pub(crate) struct Beats {
    population: Population,
    marks: Sender<Mark>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    measures: bool,
    books: BTreeMap<(Round, u64), Arc<BeatBook>>,
    totals: BeatTotals,
}

impl Beats {
    /// `marks` go to the meter of processor time.
    pub(crate) fn new(population: Population, marks: Sender<Mark>) -> Self {
        Self { population, marks, state: Mutex::default() }
    }

    /// Measures the beats that begin from now on, or does so no longer.
    pub(crate) fn measure(&self, measures: bool) {
        self.lock().measures = measures;
    }

    /// The book of a beat that begins at `now`, begun by the first client that has cells for it.
    pub(crate) fn book(&self, course: Course, beat: u64, now: Timestamp) -> Arc<BeatBook> {
        let Course { announcement, layers, .. } = course;
        let mut state = self.lock();
        if let Some(book) = state.books.get(&(announcement.round, beat)) {
            return Arc::clone(book);
        }
        // Fails only if the meter is gone, which it says itself.
        let _ = self.marks.send(Mark::Beat);
        let clients = self.population.clients() as usize;
        let mut book = BeatBook {
            course,
            beat,
            due: due_at(&announcement, beat, layers),
            measured: state.measures,
            fates: Vec::new(),
            spoilt: Vec::new(),
        };
        book.fates.resize_with(clients, AtomicU8::default);
        book.spoilt.resize_with(clients, AtomicU8::default);
        let book = Arc::new(book);
        state.books.insert((announcement.round, beat), Arc::clone(&book));
        self.conclude(&mut state, now);
        book
    }

    /// Takes the cells that came back to a client at `at`, of which so many were not as they had to be.
    pub(crate) fn answer(
        &self,
        book: &BeatBook,
        client: u32,
        spoilt: u8,
        (left, at): (Instant, Instant),
    ) {
        book.spoilt[client as usize].store(spoilt, Ordering::Relaxed);
        book.set(client, if spoilt == 0 { Fate::Intact } else { Fate::Spoilt });
        if book.measured {
            let micros = at.saturating_duration_since(left).as_micros();
            let micros = u64::try_from(micros).unwrap_or(u64::MAX);
            self.lock().totals.latencies.record_us(micros);
        }
    }

    /// Adds up the beats of which nothing more will come by `now`. Returns how many measured ones are left.
    pub(crate) fn settle(&self, now: Timestamp) -> usize {
        let mut state = self.lock();
        self.conclude(&mut state, now);
        state.books.values().filter(|book| book.measured).count()
    }

    /// The counts of all beats that were measured and are over.
    pub(crate) fn totals(&self) -> BeatTotals {
        self.lock().totals.clone()
    }

    fn conclude(&self, state: &mut State, now: Timestamp) {
        let is_over = |book: &Arc<BeatBook>| {
            let announcement = &book.course.announcement;
            let left = departure_of(announcement, book.beat).at;
            // By then, whoever has cells for it has sent them.
            let all_sent = now >= left.plus_ms(announcement.beats.beat_ms.into());
            now >= book.due || (all_sent && !book.waits())
        };
        let over = state.books.extract_if(.., |_, book| is_over(book));
        for (_, book) in over {
            if book.measured {
                book.add_to(&self.population, &mut state.totals);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BeatBook {
    fn fate(&self, client: u32) -> Fate {
        Fate::from_u8(self.fates[client as usize].load(Ordering::Acquire))
    }

    fn set(&self, client: u32, fate: Fate) {
        self.fates[client as usize].store(fate as u8, Ordering::Release);
    }

    /// The client's cells leave.
    pub(crate) fn sent(&self, client: u32) {
        self.set(client, Fate::Sent);
    }

    /// The client leaves its gateway by its own choice, and what would come back with it.
    pub(crate) fn left(&self, client: u32) {
        self.set(client, Fate::Left);
    }

    /// Returns `true` while a client waits for cells.
    fn waits(&self) -> bool {
        self.fates.iter().any(|fate| fate.load(Ordering::Acquire) == Fate::Sent as u8)
    }

    /// Counts the cells. Of a client that talks it can be told only if its partner's had left, too.
    fn add_to(&self, population: &Population, totals: &mut BeatTotals) {
        let each = u64::from(self.course.cells_each);
        totals.beats.push((self.course.announcement.round, self.beat));
        for client in 0..population.clients() {
            let partner = population.partner(client);
            let met = partner.is_none_or(|partner| self.fate(partner) != Fate::Absent);
            let fate = self.fate(client);
            totals.sent += if fate == Fate::Absent { 0 } else { each };
            let lost = match fate {
                Fate::Absent | Fate::Left => continue,
                _ if !met => continue,
                Fate::Intact => 0,
                Fate::Spoilt => self.spoilt[client as usize].load(Ordering::Relaxed).into(),
                Fate::Sent => each,
            };
            totals.cells += each;
            totals.lost += lost;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use antiphon_wire::{BeatParameters, Epoch};

    use super::*;

    #[test]
    fn cells_are_lost_only_where_both_ends_had_sent_theirs() {
        let (marks, _marked) = mpsc::channel();
        // 0 and 1 talk, as 2 and 3 do, and 4 and 5; 6 and 7 idle.
        let beats = Beats::new(Population::new(8, 0.75, 0.0, 1), marks);
        let parameters = BeatParameters { beats: 9, beat_ms: 1000, layer_ms: 100, cell_bytes: 256 };
        let announcement = Announcement {
            epoch: Epoch(1),
            round: Round(1),
            first_beat: Timestamp(10_000),
            beats: parameters,
        };
        let course = Course { announcement, layers: 4, cells_each: 2 };
        let unmeasured = beats.book(course, 0, Timestamp(9800));
        unmeasured.sent(0);
        beats.measure(true);
        let book = beats.book(course, 1, Timestamp(10_800));
        for client in [0, 1, 2, 4, 5, 6, 7] {
            book.sent(client);
        }
        let left = Instant::now();
        let answer = |client, spoilt| beats.answer(&book, client, spoilt, (left, left));
        // 1 hears nothing; the partner of 2 was not there; 4 leaves; 6 gets one cell of two.
        answer(0, 0);
        answer(2, 2);
        book.left(4);
        answer(5, 0);
        answer(6, 1);
        answer(7, 0);
        assert_eq!(beats.settle(Timestamp(12_000)), 1, "one client still waits");
        // Four beats after it should have come back.
        assert_eq!(beats.settle(Timestamp(11_000 + 800 + 4000)), 0);
        let totals = beats.totals();
        assert_eq!(totals.beats, [(Round(1), 1)]);
        assert_eq!((totals.sent, totals.cells, totals.lost), (2 * 7, 2 * 5, 2 + 1));
        assert_eq!(totals.latencies.len(), 5);
    }

    #[test]
    fn a_beat_is_over_once_all_cells_are_back_and_nobody_has_more_to_send() {
        let (marks, marked) = mpsc::channel();
        let beats = Beats::new(Population::new(2, 1.0, 0.0, 1), marks);
        let parameters = BeatParameters { beats: 9, beat_ms: 1000, layer_ms: 100, cell_bytes: 256 };
        let announcement = Announcement {
            epoch: Epoch(1),
            round: Round(1),
            first_beat: Timestamp(10_000),
            beats: parameters,
        };
        beats.measure(true);
        let course = Course { announcement, layers: 4, cells_each: 2 };
        let book = beats.book(course, 0, Timestamp(9800));
        assert!(Arc::ptr_eq(&book, &beats.book(course, 0, Timestamp(9850))));
        assert_eq!((marked.try_recv(), marked.try_recv().is_err()), (Ok(Mark::Beat), true));
        let now = Instant::now();
        for client in 0..2 {
            book.sent(client);
            beats.answer(&book, client, 0, (now, now));
        }
        assert_eq!(beats.settle(Timestamp(10_899)), 1);
        assert_eq!(beats.settle(Timestamp(10_900)), 0);
        assert_eq!(beats.totals().cells, 4);
    }
}
