//! The beats of one round at one shard.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use antiphon_canaries::Canary;
use antiphon_onion::{BeatContext, CellBytes, ErasingRng};
use antiphon_wire::{
    Announcement, Blob, CellBatch, Digest, IdentityKey, Layer, ShardIndex, Timestamp, ToClient,
};
use bytes::Bytes;

use crate::beats::Place;
use crate::beats::lateness::Lateness;
use crate::beats::passage::{ClosedStop, Passage};
use crate::beats::sleepers::Sleepers;
use crate::beats::stop::{Kind, Schedule, Stop};
use crate::beats::watching::Watching;
use crate::buffers::BufferPool;
use crate::circuits::Tables;
use crate::io::{ClientId, Notice, Output};
use crate::work::{CellJob, Job, MovedCells, Task, Work};

/// The beats of one round: its tables, and the beats that are under way.
#[derive(Debug)]
pub(crate) struct RoundBeats {
    schedule: Schedule,
    place: Place,
    tables: Tables,
    /// The first slot of each client at the gateway, then that of its noise, of each canary, and the end.
    gateway_slots: Vec<u32>,
    clients: Attached,
    /// Places of the clients that sleep in this round, and their tickets.
    asleep: BTreeMap<usize, Digest>,
    /// The first beat that has not got what they left.
    fed: u64,
    /// The watch over the cells, if the round's shards make canaries.
    watching: Option<Watching>,
    cell: CellBytes,
    /// Beats under way, each through once it is not here any more.
    passages: BTreeMap<u64, Passage>,
    /// The first beat that has not begun. None before it begins again.
    next: u64,
    /// The first beat that the round does not have, or its successor has.
    end: u64,
    pool: BufferPool,
    /// Fills what is missing.
    rng: ErasingRng,
}

/// All that a round leaves behind at a shard but its evidence.
pub(crate) struct Left {
    pub(crate) tables: Tables,
    pub(crate) clients: Vec<(ClientId, Digest)>,
    pub(crate) canaries: Vec<Option<Canary>>,
}

/// The clients of a gateway, by the order of their onions, and the links that they are at.
#[derive(Debug)]
struct Attached {
    links: Vec<Option<ClientId>>,
    by_link: BTreeMap<ClientId, usize>,
    by_ticket: BTreeMap<Digest, usize>,
}

impl RoundBeats {
    /// The beats of a round that left all this behind. `None` if its epoch has none.
    pub(crate) fn new(
        announcement: Announcement,
        left: Left,
        sleepers: &Sleepers,
        place: Place,
        pool: BufferPool,
        rng: ErasingRng,
    ) -> Option<Self> {
        let cell = CellBytes::new(announcement.beats.cell_bytes).ok()?;
        let Left { tables, clients, canaries } = left;
        let onions = tables.below_last(Layer(0)).starts().last().copied().unwrap_or(0);
        let clients_end = (0..=clients.len() as u32).map(|client| client * place.cells_per_client);
        let canaries_left = (0..=canaries.len() as u32).rev();
        let asleep: BTreeMap<usize, Digest> = clients
            .iter()
            .map(|(_, ticket)| *ticket)
            .enumerate()
            .filter(|(_, ticket)| sleepers.is_left(announcement.round, ticket))
            .collect();
        let gateway_slots =
            clients_end.chain(canaries_left.map(|left| onions.saturating_sub(2 * left))).collect();
        Some(Self {
            watching: Watching::new(&announcement, &place, canaries),
            schedule: Schedule::new(announcement, tables.layers()),
            place,
            tables,
            gateway_slots,
            clients: Attached::new(&clients, |position| match asleep.get(&position) {
                Some(ticket) => sleepers.link(announcement.round, ticket),
                None => Some(clients[position].0),
            }),
            asleep,
            fed: 0,
            cell,
            passages: BTreeMap::new(),
            next: 0,
            end: announcement.beats.beats.into(),
            pool,
            rng,
        })
    }

    pub(crate) fn announcement(&self) -> &Announcement {
        self.schedule.announcement()
    }

    /// Memory of the round's tables.
    pub(crate) fn table_bytes(&self) -> usize {
        self.tables.bytes()
    }

    /// The beats from when `successor` takes over are its own.
    pub(crate) fn end_before(&mut self, successor: &Announcement) {
        self.end = self.end.min(self.announcement().beats_before(successor));
        self.passages.retain(|beat, _| *beat < self.end);
    }

    /// The beat, if it is under way or can begin: none that is over, and none more than one interval ahead.
    fn passage(&mut self, now: Timestamp, beat: u64) -> Option<&mut Passage> {
        self.begin_beats(now);
        self.passages.get_mut(&beat)
    }

    /// Begins the beats up to the one that is an interval ahead. Those that are over were missed, and stay so.
    fn begin_beats(&mut self, now: Timestamp) {
        let ahead = now.plus_ms(self.announcement().beats.beat_ms.into());
        while self.next < self.end && self.announcement().begins(self.next) <= ahead {
            let beat = self.next;
            self.next += 1;
            if !self.schedule.is_over(beat, now) {
                let mut passage =
                    Passage::new(beat, &self.schedule, &self.tables, &self.gateway_slots);
                if let Some(watching) = &self.watching {
                    // Behind the clients and the noise.
                    watching.begin(beat, &mut passage, self.clients.links.len() + 1, &self.pool);
                }
                self.passages.insert(beat, passage);
            }
        }
        // Those that should be over wait for their last work. They are given up if processors do not keep up.
        let most = self.announcement().beats.in_flight(self.tables.layers()) + 1;
        while self.passages.len() as u64 > most {
            self.passages.pop_first();
        }
    }

    fn sender(&self, from: &IdentityKey) -> Option<ShardIndex> {
        let position = self.place.identities.iter().position(|identity| identity == from)?;
        let sender = ShardIndex(position as u16);
        (sender != self.place.me).then_some(sender)
    }

    pub(crate) fn on_batch(
        &mut self,
        now: Timestamp,
        from: &IdentityKey,
        batch: &CellBatch,
        lateness: &mut Lateness,
    ) {
        let bytes = batch.count as usize * self.cell.bytes();
        let (Some(sender), Some(stop)) = (self.sender(from), self.schedule.stop_of(batch)) else {
            return;
        };
        if now < self.schedule.closes(batch.beat, stop) && batch.beat < self.end {
            self.begin_beats(now);
            let has_begun = batch.beat < self.next;
            let passage = self.passages.get_mut(&batch.beat);
            match passage.and_then(|passage| passage.open(stop)) {
                Some(inbound) => inbound.begin(sender.position(), bytes),
                // The stop did not wait for it, and yet it is in time. Where nobody was waited for, the whole beat is over
                // by then.
                None if has_begun => lateness.in_time(from),
                None => {}
            }
        }
    }

    pub(crate) fn on_cells(
        &mut self,
        now: Timestamp,
        from: &IdentityKey,
        batch: &CellBatch,
        bytes: &[u8],
        lateness: &mut Lateness,
    ) {
        let (Some(sender), Some(stop)) = (self.sender(from), self.schedule.stop_of(batch)) else {
            return;
        };
        let pool = self.pool.clone();
        let in_time = now < self.schedule.closes(batch.beat, stop);
        let inbound = self.passage(now, batch.beat).and_then(|passage| passage.open(stop));
        if inbound.is_some_and(|inbound| inbound.take(sender.position(), bytes, &pool)) && in_time {
            lateness.in_time(from);
        }
    }

    pub(crate) fn on_client(&mut self, now: Timestamp, client: ClientId, beat: u64, cells: &[u8]) {
        let Some(&position) = self.clients.by_link.get(&client) else { return };
        // A beat that has cells that were left gets no others, also of one that is awake again.
        if self.asleep.contains_key(&position) {
            return;
        }
        let pool = self.pool.clone();
        let inbound = self.passage(now, beat).and_then(|passage| passage.open(Stop::GATEWAY));
        if let Some(inbound) = inbound {
            inbound.take_whole(position, cells, &pool);
        }
    }

    pub(crate) fn resume(&mut self, client: ClientId, ticket: &Digest) -> bool {
        self.clients.resume(client, ticket)
    }

    pub(crate) fn client_left(&mut self, client: ClientId) {
        self.clients.leave(client);
    }

    pub(crate) fn on_time(
        &mut self,
        now: Timestamp,
        lateness: &mut Lateness,
        sleepers: &mut Sleepers,
        out: &mut VecDeque<Output>,
    ) {
        self.begin_beats(now);
        self.feed(sleepers);
        let mut due = Vec::new();
        for (beat, passage) in &mut self.passages {
            let closed = passage.close_due(now, &self.schedule, &self.place, lateness, &self.pool);
            due.extend(closed.into_iter().map(|closed| (*beat, closed)));
        }
        for (beat, closed) in due {
            let job = self.job(beat, closed);
            out.push_back(Output::Work(Work(Job::Cells(Box::new(job)))));
        }
    }

    /// Puts what sleeping clients left into the beats that have begun.
    fn feed(&mut self, sleepers: &mut Sleepers) {
        let round = self.announcement().round;
        for beat in std::mem::replace(&mut self.fed, self.next)..self.next {
            let passage = self.passages.get_mut(&beat);
            let Some(inbound) = passage.and_then(|passage| passage.open(Stop::GATEWAY)) else {
                continue;
            };
            for (&position, ticket) in &self.asleep {
                if let Some(cells) = sleepers.take(round, ticket, beat) {
                    inbound.take_whole(position, &cells, &self.pool);
                }
            }
        }
    }

    fn job(&mut self, beat: u64, closed: ClosedStop) -> CellJob {
        let ClosedStop { stop, cells, missing } = closed;
        let Announcement { epoch, round, .. } = *self.announcement();
        let task = match self.schedule.kind(stop) {
            Kind::There(layer) => Task::There(layer, Arc::clone(self.tables.below_last(layer))),
            Kind::Exchange => {
                Task::Exchange(Layer(self.tables.layers()), Arc::clone(self.tables.last()))
            }
            Kind::Back(layer) => Task::Back(layer, Arc::clone(self.tables.below_last(layer))),
        };
        let context = BeatContext { epoch, round, beat, cell: self.cell };
        let is_watched = self.watching.is_some();
        let (rng, pool) = (self.rng.fork(), self.pool.clone());
        CellJob { context, stop, task, cells, missing, is_watched, rng, pool }
    }

    pub(crate) fn on_moved(
        &mut self,
        moved: MovedCells,
        took: Duration,
        sleepers: &mut Sleepers,
        out: &mut VecDeque<Output>,
    ) {
        let MovedCells { context: BeatContext { beat, .. }, stop, batches, prints, ciphered } =
            moved;
        // Its successor may have taken over meanwhile.
        let Some(passage) = self.passages.get_mut(&beat) else { return };
        passage.done(stop);
        passage.ciphered += ciphered;
        passage.cpu += took;
        if let (Some(watching), Some(prints)) = (&mut self.watching, prints) {
            watching.moved(beat, &self.schedule, stop, prints);
        }
        match self.schedule.after(stop) {
            Some(next) => self.send(beat, stop, next, batches, out),
            None => self.bring_home(beat, &batches, sleepers, out),
        }
        let (round, cell) = (self.announcement().round, self.cell.bytes());
        for (beat, passage) in self.passages.extract_if(.., |_, passage| passage.is_over()) {
            let Passage { late, ciphered, cpu, .. } = passage;
            let filled = passage.filled(cell);
            let ended = Notice::BeatEnded { round, beat, filled, late, ciphered, cpu };
            out.push_back(Output::Notice(ended));
        }
        let under_way = self.passages.keys().next().copied().unwrap_or(self.next);
        if let Some(watching) = &mut self.watching {
            watching.over_before(under_way);
        }
    }

    /// Sends cells on, and takes in what of it is for this shard itself.
    fn send(
        &mut self,
        beat: u64,
        stop: Stop,
        next: Stop,
        batches: Vec<(ShardIndex, Bytes)>,
        out: &mut VecDeque<Output>,
    ) {
        let Some((layer, direction)) = self.schedule.leaves_as(stop) else { return };
        let Announcement { epoch, round, .. } = *self.announcement();
        let item_bytes = self.cell.bytes();
        for (to, bytes) in batches {
            if to == self.place.me {
                let inbound = self.passages.get_mut(&beat).and_then(|passage| passage.open(next));
                if let Some(inbound) = inbound {
                    inbound.take_whole(to.position(), &bytes, &self.pool);
                }
                continue;
            }
            let count = (bytes.len() / item_bytes) as u32;
            let batch = CellBatch { epoch, round, beat, layer, direction, count };
            let to = self.place.identities[to.position()];
            out.push_back(Output::Cells { to, batch, bytes, item_bytes });
        }
    }

    /// Gives clients the cells that came back, and keeps them for those that sleep.
    fn bring_home(
        &mut self,
        beat: u64,
        batches: &[(ShardIndex, Bytes)],
        sleepers: &mut Sleepers,
        out: &mut VecDeque<Output>,
    ) {
        let Announcement { epoch, round, .. } = *self.announcement();
        let each = self.place.cells_per_client as usize * self.cell.bytes();
        if let (Some(watching), Some((_, bytes))) = (&mut self.watching, batches.last()) {
            watching.home(beat, bytes);
        }
        // Clients' slots come first; what follows came back to this shard's own noise and canaries.
        let cells = batches.iter().flat_map(|(_, bytes)| bytes.chunks_exact(each));
        for ((position, link), cells) in self.clients.links.iter().enumerate().zip(cells) {
            if let Some(ticket) = self.asleep.get(&position) {
                sleepers.keep(round, ticket, beat, cells);
            }
            let Some(to) = *link else { continue };
            let message = ToClient::Cells { epoch, round, beat, cells: Blob(cells.to_vec()) };
            out.push_back(Output::Client { to, message: Arc::new(message) });
        }
    }

    /// The watch over the cells, if there is one.
    pub(crate) fn watching(&mut self) -> Option<&mut Watching> {
        self.watching.as_mut()
    }

    /// Erases the tables. Returns what is still to be said about the cells.
    pub(crate) fn erase(self) -> Option<Watching> {
        let Self { watching, tables, .. } = self;
        drop(tables);
        let mut watching = watching?;
        watching.erased();
        Some(watching)
    }

    /// Returns `true` once the tables are of no more use: all beats have passed, or the time for them has.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        let expired = now >= self.announcement().ends(self.tables.layers());
        expired || (self.next >= self.end && self.passages.is_empty())
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let passing = self.passages.values();
        let stops = passing.filter_map(|passage| passage.next_deadline(&self.schedule));
        let begins = (self.next < self.end).then(|| {
            let interval = self.announcement().beats.beat_ms;
            Timestamp(self.announcement().begins(self.next).0.saturating_sub(interval.into()))
        });
        let ends = self.announcement().ends(self.tables.layers());
        stops.chain(begins).chain([ends]).min()
    }
}

impl Attached {
    /// Clients with their tickets, each at the `link` of its position, if it is at any.
    fn new(clients: &[(ClientId, Digest)], link: impl Fn(usize) -> Option<ClientId>) -> Self {
        let mut attached = Self {
            links: vec![None; clients.len()],
            by_link: BTreeMap::new(),
            by_ticket: clients.iter().map(|(_, ticket)| *ticket).zip(0..).collect(),
        };
        for position in 0..clients.len() {
            if let Some(client) = link(position) {
                attached.attach(position, client);
            }
        }
        attached
    }

    /// A client is at one link: the last one over which its ticket came.
    fn attach(&mut self, position: usize, client: ClientId) {
        self.leave(client);
        if let Some(before) = self.links[position].replace(client) {
            self.by_link.remove(&before);
        }
        self.by_link.insert(client, position);
    }

    fn resume(&mut self, client: ClientId, ticket: &Digest) -> bool {
        let Some(&position) = self.by_ticket.get(ticket) else { return false };
        self.attach(position, client);
        true
    }

    fn leave(&mut self, client: ClientId) {
        if let Some(position) = self.by_link.remove(&client) {
            self.links[position] = None;
        }
    }
}
