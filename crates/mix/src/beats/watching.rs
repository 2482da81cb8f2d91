//! A shard's watch over the cells of a round, until nobody can be asked about them any more.

use antiphon_canaries::{Canary, CanaryMessage, Facts, HEARING_MS, Leg, Watch};
use antiphon_onion::CellBytes;
use antiphon_wire::{Announcement, Direction, Layer, ShardIndex, Timestamp};
use ed25519_dalek::SigningKey;

use crate::beats::Place;
use crate::beats::passage::Passage;
use crate::beats::stop::{Schedule, Stop};
use crate::buffers::BufferPool;
use crate::work::Prints;

/// Time after which a round's tables have expired at all shards, whose clocks differ, in milliseconds.
const SPARE_MS: u64 = 2000;

/// Beats whose prints are kept after they are over, so that others may still ask for them.
const BEATS_KEPT: u64 = 2;

/// The watch over one round. It outlives the round's tables.
#[derive(Debug)]
pub(crate) struct Watching {
    watch: Watch,
    identity: SigningKey,
    me: ShardIndex,
    cell: CellBytes,
    /// The places of canaries that were set up cleanly among all that the shard made.
    clean: Vec<usize>,
    /// Canaries that it made.
    made: usize,
    /// When canaries are opened, whoever has said that its tables are erased.
    opens: Timestamp,
    has_opened: bool,
    /// What all others are to be told.
    said: Vec<CanaryMessage>,
}

impl Watching {
    /// The watch over the beats of a round. `None` if its shards make no canaries.
    pub(crate) fn new(
        announcement: &Announcement,
        place: &Place,
        canaries: Vec<Option<Canary>>,
    ) -> Option<Self> {
        let made = canaries.len();
        let clean = |(number, canary): (usize, &Option<Canary>)| canary.as_ref().map(|_| number);
        let facts = Facts::of(announcement, place.layers, place.identities.len())?;
        (made > 0).then(|| Self {
            clean: canaries.iter().enumerate().filter_map(clean).collect(),
            watch: Watch::new(
                facts,
                place.me,
                place.identities.to_vec(),
                canaries.into_iter().flatten().collect(),
            ),
            identity: place.identity.clone(),
            me: place.me,
            cell: facts.cell,
            made,
            opens: announcement.ends(place.layers).plus_ms(SPARE_MS),
            has_opened: false,
            said: Vec::new(),
        })
    }

    /// Puts the canaries' cells in their places at the gateway, where a beat has begun. `first` is the sender in whose
    /// place the first canary's cells are.
    pub(crate) fn begin(&self, beat: u64, passage: &mut Passage, first: usize, pool: &BufferPool) {
        let Some(inbound) = passage.open(Stop::GATEWAY) else { return };
        let cells = self.watch.cells(beat);
        for (number, cells) in self.clean.iter().zip(cells.chunks_exact(self.each())) {
            inbound.take_whole(first + number, cells, pool);
        }
    }

    /// Bytes of a canary's two cells.
    fn each(&self) -> usize {
        2 * self.cell.bytes()
    }

    /// Cells with these prints have been moved at a stop.
    pub(crate) fn moved(&mut self, beat: u64, schedule: &Schedule, stop: Stop, prints: Prints) {
        let me = self.me;
        let leg = |(layer, direction): (Layer, Direction), sender, receiver| Leg {
            layer,
            direction,
            sender,
            receiver,
        };
        if let Some(comes) = schedule.comes_as(stop) {
            for (from, prints) in prints.came {
                self.watch.received(beat, leg(comes, from, me), prints);
            }
        }
        if let Some(goes) = schedule.leaves_as(stop) {
            for (to, prints) in prints.goes {
                self.watch.sent(beat, leg(goes, me, to), prints);
            }
        }
    }

    /// All cells of a beat are home, in the order of the gateway's slots, of which the canaries' are the last.
    pub(crate) fn home(&mut self, beat: u64, cells: &[u8]) {
        let each = self.each();
        let Some(first) = cells.len().checked_sub(self.made * each) else { return };
        let theirs: Vec<_> = cells[first..].chunks_exact(each).collect();
        let came: Vec<_> = self.clean.iter().map(|number| theirs[*number]).collect();
        let asks = self.watch.home(beat, &came.concat(), &self.identity);
        self.said.extend(asks);
    }

    /// Beats before this one are over.
    pub(crate) fn over_before(&mut self, beat: u64) {
        self.watch.forget_before(beat.saturating_sub(BEATS_KEPT));
    }

    /// The round's tables are erased here.
    pub(crate) fn erased(&mut self) {
        let said = self.watch.erased(&self.identity);
        self.said.extend(said);
    }

    /// Another shard says something.
    pub(crate) fn hear(&mut self, message: &CanaryMessage) {
        let said = self.watch.hear(message);
        self.said.extend(said);
    }

    /// Opens canaries when the tables have expired everywhere.
    pub(crate) fn on_time(&mut self, now: Timestamp) {
        if now >= self.opens && !self.has_opened {
            self.has_opened = true;
            let said = self.watch.expired(&self.identity);
            self.said.extend(said);
        }
    }

    /// Takes what all others are to be told.
    pub(crate) fn say(&mut self) -> Vec<CanaryMessage> {
        std::mem::take(&mut self.said)
    }

    /// Returns `true` once the round is judged, and nobody asks any more.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.closes()
    }

    fn closes(&self) -> Timestamp {
        self.opens.plus_ms(HEARING_MS)
    }

    pub(crate) fn next_deadline(&self) -> Timestamp {
        if self.has_opened { self.closes() } else { self.opens }
    }
}
