//! One beat on its way through a shard.

use std::ops::Range;
use std::time::Duration;

use antiphon_wire::{ShardIndex, Timestamp};

use crate::beats::Place;
use crate::beats::inbound::Inbound;
use crate::beats::lateness::Lateness;
use crate::beats::stop::{Kind, Schedule, Stop};
use crate::buffers::{Buffer, BufferPool};
use crate::circuits::Tables;

/// One beat: each of its stops takes cells in, has them moved once, and is done.
#[derive(Debug)]
pub(crate) struct Passage {
    beat: u64,
    stops: Vec<AtStop>,
    /// Bytes that were filled in.
    filled_bytes: usize,
    /// Batches of other shards that did not come in time.
    pub(crate) late: u32,
    /// Times that the cipher went over a cell.
    pub(crate) ciphered: u64,
    /// Computing time of moving cells.
    pub(crate) cpu: Duration,
}

/// How far a beat is at one stop.
#[derive(Debug)]
enum AtStop {
    /// Cells come in.
    Open(Inbound),
    /// They are being moved.
    Closed,
    /// They have gone on. There is no way back from here: a beat is processed once.
    Done,
}

/// Cells of a stop that has closed.
pub(crate) struct ClosedStop {
    pub(crate) stop: Stop,
    pub(crate) cells: Buffer,
    /// Places of those that did not come.
    pub(crate) missing: Vec<Range<usize>>,
}

impl Passage {
    /// A beat of which nothing has come. `clients` are the first slots of the gateway's clients, and one more at the
    /// end of each kind.
    pub(crate) fn new(beat: u64, schedule: &Schedule, tables: &Tables, clients: &[u32]) -> Self {
        let cell = usize::from(schedule.announcement().beats.cell_bytes);
        let stops = schedule.stops().map(|stop| {
            let starts = match schedule.kind(stop) {
                Kind::There(layer) if layer.0 == 0 => clients,
                Kind::There(layer) => tables.below_last(layer).starts(),
                Kind::Exchange => tables.last().starts(),
                Kind::Back(layer) => tables.below_last(layer).receivers(),
            };
            AtStop::Open(Inbound::new(starts, cell))
        });
        let (late, ciphered, cpu) = (0, 0, Duration::ZERO);
        Self { beat, stops: stops.collect(), filled_bytes: 0, late, ciphered, cpu }
    }

    /// Cells of this size that did not come in time.
    pub(crate) fn filled(&self, cell_bytes: usize) -> u64 {
        (self.filled_bytes / cell_bytes) as u64
    }

    /// The cells that come in at `stop`; `None` once it has closed.
    pub(crate) fn open(&mut self, stop: Stop) -> Option<&mut Inbound> {
        match self.stops.get_mut(stop.position())? {
            AtStop::Open(inbound) => Some(inbound),
            AtStop::Closed | AtStop::Done => None,
        }
    }

    /// Closes the stops that are due, or whose cells are all in. Gateways wait for their time: how soon clients are
    /// all there would show.
    pub(crate) fn close_due(
        &mut self,
        now: Timestamp,
        schedule: &Schedule,
        place: &Place,
        lateness: &mut Lateness,
        pool: &BufferPool,
    ) -> Vec<ClosedStop> {
        let beat = self.beat;
        let mut closed = Vec::new();
        for stop in schedule.stops() {
            let Some(inbound) = self.open(stop) else { continue };
            let is_due = now >= schedule.closes(beat, stop);
            let waits = |shard: ShardIndex| lateness.awaits(place.identity(shard));
            if !is_due && (stop == Stop::GATEWAY || inbound.missing().any(waits)) {
                continue;
            }
            if is_due && stop != Stop::GATEWAY {
                let round = schedule.announcement().round;
                // A shard waits for itself, however slow it is.
                for shard in inbound.missing().filter(|shard| *shard != place.me) {
                    lateness.missed(*place.identity(shard), round, beat);
                }
            }
            let at = &mut self.stops[stop.position()];
            if let AtStop::Open(inbound) = std::mem::replace(at, AtStop::Closed) {
                let (cells, missing) = inbound.close(pool);
                self.filled_bytes += missing.iter().map(Range::len).sum::<usize>();
                // At the gateway they are clients'.
                if stop != Stop::GATEWAY {
                    self.late += missing.len() as u32;
                }
                closed.push(ClosedStop { stop, cells, missing });
            }
        }
        closed
    }

    /// Cells have gone on from `stop`.
    pub(crate) fn done(&mut self, stop: Stop) {
        let place = &mut self.stops[stop.position()];
        debug_assert!(matches!(place, AtStop::Closed), "each stop is worked at once: {place:?}");
        *place = AtStop::Done;
    }

    /// Returns `true` once cells have gone on from all stops.
    pub(crate) fn is_over(&self) -> bool {
        self.stops.iter().all(|stop| matches!(stop, AtStop::Done))
    }

    /// When the next stop closes by itself.
    pub(crate) fn next_deadline(&self, schedule: &Schedule) -> Option<Timestamp> {
        let open =
            schedule.stops().zip(&self.stops).filter(|(_, at)| matches!(at, AtStop::Open(_)));
        open.map(|(stop, _)| schedule.closes(self.beat, stop)).min()
    }
}
