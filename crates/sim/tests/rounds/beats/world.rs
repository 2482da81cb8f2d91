//! Shards with beats, and clients that do no more than build onions and wrap cells, on a virtual clock.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};

use antiphon_fixture::{Scripted, Setup};
use antiphon_mix::{BatchKey, ClientId, Input, Notice, Output};
use antiphon_onion::{BeatContext, CellBytes, CircuitKeys, Keep};
use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{
    Announcement, Blob, CellBatch, Digest, Direction, Epoch, FromClient, IdentityKey, Layer,
    PROTOCOL_VERSION, PeerMessage, Round, RoundOutcome, SealAct, SealStatement, Signed, Ticket,
    Timestamp, ToClient, ToCoordinator, ToShard,
};
use bytes::Bytes;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

pub(crate) const SHARDS: usize = 3;
pub(crate) const CLIENTS: usize = 4;
pub(crate) const BEATS: u16 = 9;
pub(crate) const CELL: usize = 64;
pub(crate) const LAYER_MS: u64 = 100;
const BEAT_MS: u32 = 400;
const LINK_MS: u64 = 5;
const EPOCH: Epoch = Epoch(1);

/// What client `client` says on one of its circuits in a beat.
pub(crate) fn content(client: usize, circuit: usize, round: u64, beat: u64) -> Vec<u8> {
    let name = format!("{client} {circuit} {round} {beat}");
    let hash = Digest::of(name.as_bytes());
    hash.0.repeat(CELL / 32)
}

/// Picks batches by what they are of and who sends them.
pub(crate) type Spoil = fn(&CellBatch, usize) -> bool;

/// Does to batches that a predicate picks what an adversary may.
enum Adversary {
    Nothing,
    Drops(Spoil),
    Repeats(Spoil),
    Flips(Spoil),
    /// Sends what was sent at the same place in the beat before, beside the batch itself.
    Replays(Spoil),
}

enum Event {
    Input(usize, Input),
    ToClient(u64, ToClient),
    /// A client's cells of a beat are due.
    Speaks {
        client: usize,
        round: u64,
        beat: u64,
    },
}

/// A client: its circuits, and what came back.
#[derive(Default)]
pub(crate) struct BareClient {
    /// Sends no cells.
    pub(crate) is_silent: bool,
    /// Hands in its first onion twice, in place of the second one.
    pub(crate) copies_its_onion: bool,
    /// Leaves its rounds to the gateway, with cells for all beats, and sends none itself.
    pub(crate) sleeps: bool,
    /// Messages that were refused.
    pub(crate) refused: usize,
    /// What it was shown of whose beats run.
    pub(crate) evidence: Vec<(Announcement, Vec<Signed<SealStatement>>)>,
    circuits: BTreeMap<u64, CircuitKeys>,
    back: BTreeMap<(u64, u64), Vec<Vec<u8>>>,
    link: u64,
}

impl BareClient {
    /// The cells that came back in a beat, unwrapped, one a circuit.
    pub(crate) fn back(&self, round: u64, beat: u64) -> Option<&Vec<Vec<u8>>> {
        self.back.get(&(round, beat))
    }
}

pub(crate) struct World {
    shards: Scripted,
    epoch: VerifiedEpoch,
    pub(crate) clients: Vec<BareClient>,
    queue: BTreeMap<(Timestamp, u64), Event>,
    sequence: u64,
    rng: ChaCha20Rng,
    adversary: Adversary,
    announced: BTreeMap<u64, Announcement>,
    sent: Vec<(Timestamp, usize, IdentityKey, CellBatch)>,
    /// All cells that shards sent each other, and the last batch at each place of a beat.
    cells: Vec<Bytes>,
    before: BTreeMap<(usize, IdentityKey, Layer, bool), Bytes>,
    home: BTreeMap<(u64, u64), Timestamp>,
    ended: Vec<(Round, RoundOutcome)>,
    /// Links that gateways gave up.
    pub(crate) dropped: Vec<ClientId>,
    strangers: u64,
    shown: usize,
    /// A shard to which others' statements on keys come no sooner than this.
    held_up: Option<(usize, Timestamp)>,
    /// What shards told of beats that ended: cells that were filled in, and batches that were late.
    pub(crate) told: Vec<(u64, u32)>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_beats(BEATS)
    }

    /// A world whose rounds have so many beats.
    pub(crate) fn with_beats(beats: u16) -> Self {
        let mut setup = Setup::small(SHARDS, 0).with_little_noise();
        setup.coordinator.interval_ms = 1500;
        setup.coordinator.beats = beats;
        setup.coordinator.beat_ms = BEAT_MS;
        setup.coordinator.beat_layer_ms = LAYER_MS as u32;
        setup.coordinator.cell_bytes = CELL as u16;
        let mut shards = Scripted::new(setup);
        let signed = shards.signed(1, (1, 4));
        let epoch = VerifiedEpoch::verify(signed.clone(), &shards.file).unwrap();
        let mut world = Self {
            shards,
            epoch,
            clients: (0..CLIENTS).map(|_| BareClient::default()).collect(),
            queue: BTreeMap::new(),
            sequence: 0,
            rng: ChaCha20Rng::seed_from_u64(7),
            adversary: Adversary::Nothing,
            announced: BTreeMap::new(),
            sent: Vec::new(),
            cells: Vec::new(),
            before: BTreeMap::new(),
            home: BTreeMap::new(),
            ended: Vec::new(),
            dropped: Vec::new(),
            strangers: 1000,
            shown: 0,
            held_up: None,
            told: Vec::new(),
        };
        for shard in 0..SHARDS {
            let document = signed.clone();
            world.tell(shard, ToShard::Publish { document });
        }
        for client in 0..CLIENTS {
            world.clients[client].link = client as u64;
            world.link(client);
        }
        world
    }

    fn gateway(client: usize) -> usize {
        client % SHARDS
    }

    fn link(&mut self, client: usize) {
        let from = ClientId(self.clients[client].link);
        self.put(Self::gateway(client), Input::ClientJoined(from));
        let message = FromClient::Hello { version: PROTOCOL_VERSION };
        self.put(Self::gateway(client), Input::Client { from, message });
    }

    /// A client comes over another link, and shows the ticket of a round.
    pub(crate) fn relink(&mut self, client: usize, round: u64) {
        let before = ClientId(self.clients[client].link);
        self.put(Self::gateway(client), Input::ClientLeft(before));
        self.clients[client].link += CLIENTS as u64;
        self.link(client);
        let from = ClientId(self.clients[client].link);
        let ticket = ticket(client, round);
        let message = FromClient::Resume { epoch: EPOCH, round: Round(round), ticket };
        self.put(Self::gateway(client), Input::Client { from, message });
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.shards.now
    }

    pub(crate) fn layers(&self) -> u8 {
        self.epoch.geometry().layers()
    }

    /// Milliseconds of a beat by its schedule.
    pub(crate) fn passage_ms(&self) -> u64 {
        2 * u64::from(self.layers()) * LAYER_MS
    }

    pub(crate) fn drop_cells(&mut self, which: Spoil) {
        self.adversary = Adversary::Drops(which);
    }

    pub(crate) fn repeat_cells(&mut self, which: Spoil) {
        self.adversary = Adversary::Repeats(which);
    }

    pub(crate) fn flip_first_cell(&mut self, which: Spoil) {
        self.adversary = Adversary::Flips(which);
    }

    /// Statements on keys of a round that is opened now come to a shard just after its time for them.
    pub(crate) fn hold_up_statements(&mut self, shard: usize) {
        let p = self.epoch.parameters();
        let layers = u32::from(self.epoch.geometry().seal_layer().0);
        let keys_ms = p.submit_ms + layers * p.layer_ms + 3 * p.verify_ms;
        self.held_up = Some((shard, self.now().plus_ms(u64::from(keys_ms) + 2 * LINK_MS)));
    }

    pub(crate) fn is_busy(&self, shard: usize) -> bool {
        self.shards.is_busy(shard)
    }

    pub(crate) fn replay_cells(&mut self, which: Spoil) {
        self.adversary = Adversary::Replays(which);
    }

    /// How many cells shards sent each other, and how many different ones.
    pub(crate) fn cells_seen(&self) -> (usize, usize) {
        (self.cells.len(), self.cells.iter().collect::<BTreeSet<_>>().len())
    }

    /// The announcement that a round opened now would have: on the grid of the first one.
    pub(crate) fn announcement(&self, round: u64) -> Announcement {
        let earliest = self.now().plus_ms(1500);
        let first_beat = match self.announced.values().next() {
            None => earliest,
            Some(first) => {
                let beats = earliest.ms_since(first.first_beat).div_ceil(BEAT_MS.into());
                first.begins(beats)
            }
        };
        self.epoch.announce(Round(round), first_beat)
    }

    pub(crate) fn announced(&self, round: u64) -> Announcement {
        self.announced[&round]
    }

    pub(crate) fn first_beat(&self, round: u64) -> Timestamp {
        self.announced[&round].first_beat
    }

    pub(crate) fn open_round(&mut self, round: u64) {
        self.open_round_as(round, |_, _| {});
    }

    /// Opens a round with what `otherwise` makes of its announcement for each shard.
    pub(crate) fn open_round_as(
        &mut self,
        round: u64,
        otherwise: impl Fn(usize, &mut Announcement),
    ) {
        let announcement = self.announcement(round);
        self.announced.insert(round, announcement);
        let messages: Vec<_> = (0..CLIENTS).map(|client| self.onions(client, round)).collect();
        for (client, message) in messages.iter().enumerate() {
            if self.clients[client].sleeps {
                self.leave(client, message, announcement.beats.beats.into());
            }
        }
        for shard in 0..SHARDS {
            let mut announcement = announcement;
            otherwise(shard, &mut announcement);
            self.tell(shard, ToShard::Open { announcement });
        }
        for (client, message) in messages.into_iter().enumerate() {
            if !self.clients[client].sleeps {
                let from = ClientId(self.clients[client].link);
                let input = Input::Client { from, message };
                self.after(LINK_MS, Event::Input(Self::gateway(client), input));
            }
        }
    }

    /// Leaves a round with the cells of `beats` beats.
    pub(crate) fn leave(&mut self, client: usize, submit: &FromClient, beats: u64) {
        let FromClient::Submit { epoch, round, ticket, onions } = submit.clone() else {
            unreachable!("onions are handed in")
        };
        let cells = (0..beats).flat_map(|beat| self.wrapped(client, round.0, beat));
        let cells = Blob(cells.collect());
        let message = FromClient::Leave { epoch, round, ticket, onions, cells };
        let from = ClientId(self.clients[client].link);
        self.put(Self::gateway(client), Input::Client { from, message });
    }

    /// A client's link goes, and there is none in its place.
    pub(crate) fn unlink(&mut self, client: usize) {
        let before = ClientId(self.clients[client].link);
        self.put(Self::gateway(client), Input::ClientLeft(before));
        self.clients[client].link += 100 * CLIENTS as u64;
    }

    /// Hands in two onions: the first for a dead drop in common with a partner, the second for one of its own.
    pub(crate) fn onions(&mut self, client: usize, round: u64) -> FromClient {
        let geometry = self.epoch.geometry();
        let keys = self.epoch.round_keys(Round(round)).unwrap().unwrap();
        let mut deposits = vec![0; 2 * geometry.deposit_bytes()];
        self.rng.fill_bytes(&mut deposits);
        deposits[..16].copy_from_slice(&Digest::of(&[client as u8 / 2, round as u8]).0[..16]);
        let mut onions = vec![0; 2 * geometry.onion_bytes(Layer::FIRST)];
        let (paths, built) =
            keys.build(&deposits, Keep::CIRCUITS, &mut self.rng, &mut onions).unwrap();
        let mut entries = Vec::new();
        paths.entries(&onions).for_each(|entry| entry.append_to(&mut entries));
        drop(paths);
        let mut circuits = built.circuits.unwrap();
        if self.clients[client].copies_its_onion {
            entries.copy_within(..geometry.entry_bytes(), geometry.entry_bytes());
            let keys = [circuits.of(0), circuits.of(0)].concat();
            circuits = CircuitKeys::of_circuits(geometry.layers().into(), keys);
        }
        self.clients[client].circuits.insert(round, circuits);
        let ticket = ticket(client, round).digest();
        FromClient::Submit { epoch: EPOCH, round: Round(round), ticket, onions: Blob(entries) }
    }

    /// The cells of a client in a beat, wrapped.
    pub(crate) fn wrapped(&self, client: usize, round: u64, beat: u64) -> Vec<u8> {
        let contents = (0..2).flat_map(|circuit| content(client, circuit, round, beat));
        let mut cells: Vec<u8> = contents.collect();
        self.clients[client].circuits[&round].wrap(context(round, beat), &mut cells);
        cells
    }

    /// A client says cells now.
    pub(crate) fn say_cells(&mut self, client: usize, round: u64, beat: u64, cells: Vec<u8>) {
        let from = ClientId(self.clients[client].link);
        let cells = Blob(cells);
        let message = FromClient::Cells { epoch: EPOCH, round: Round(round), beat, cells };
        self.put(Self::gateway(client), Input::Client { from, message });
    }

    fn after(&mut self, ms: u64, event: Event) {
        self.at(self.now().plus_ms(ms), event);
    }

    fn at(&mut self, at: Timestamp, event: Event) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), event);
    }

    fn tell(&mut self, shard: usize, message: ToShard) {
        let from = Setup::coordinator_identity(0);
        self.put(shard, Input::Coordinator { from, message });
    }

    pub(crate) fn lose_coordinator(&mut self) {
        for shard in 0..SHARDS {
            self.put(shard, Input::CoordinatorLost(Setup::coordinator_identity(0)));
        }
    }

    pub(crate) fn restart(&mut self, shard: usize) {
        self.shards.restart(shard);
    }

    fn put(&mut self, shard: usize, input: Input) {
        let outputs = self.shards.put(shard, input);
        outputs.into_iter().for_each(|output| self.carry_out(shard, output));
    }

    fn carry_out(&mut self, shard: usize, output: Output) {
        let from = self.identity(shard);
        match output {
            Output::Peer { to, message } => {
                let to = self.shards.position(&to);
                let soon = self.now().plus_ms(LINK_MS);
                let at = match (&message, self.held_up) {
                    (PeerMessage::Statements { .. }, Some((shard, at))) if shard == to => {
                        soon.max(at)
                    }
                    _ => soon,
                };
                self.at(at, Event::Input(to, Input::Peer { from, message }));
            }
            Output::Batch { to, header, bytes, .. } => {
                let to = self.shards.position(&to);
                let batch = BatchKey::of(header.claimed());
                let message = PeerMessage::Batch { header };
                self.after(LINK_MS, Event::Input(to, Input::Peer { from, message }));
                if !bytes.is_empty() {
                    let chunk = Input::PeerChunk { from, batch, bytes };
                    self.after(LINK_MS, Event::Input(to, chunk));
                }
            }
            Output::Cells { to, batch, bytes, .. } => {
                self.sent.push((self.now(), shard, to, batch));
                self.send_cells(shard, to, batch, &bytes);
            }
            Output::Client { to, message } => {
                let message = (*message).clone();
                self.after(LINK_MS, Event::ToClient(to.0, message));
            }
            Output::Coordinator {
                message: ToCoordinator::Ended { round, outcome, .. }, ..
            } => self.ended.push((round, outcome)),
            Output::DropClient { client, .. } => self.dropped.push(client),
            Output::Notice(Notice::BeatEnded { filled, late, .. }) => {
                self.told.push((filled, late));
            }
            _ => {}
        }
    }

    fn send_cells(&mut self, shard: usize, to: IdentityKey, batch: CellBatch, bytes: &Bytes) {
        // What is remembered here must not keep a shard's buffers from coming back.
        let bytes = &Bytes::copy_from_slice(bytes);
        self.cells.extend((0..bytes.len()).step_by(CELL).map(|at| bytes.slice(at..at + CELL)));
        let place = (shard, to, batch.layer, batch.direction == Direction::Forward);
        let before = self.before.insert(place, bytes.clone());
        let flipped = || {
            let mut changed = bytes.to_vec();
            changed[0] ^= 1;
            Bytes::from(changed)
        };
        let copies = match self.adversary {
            Adversary::Drops(which) if which(&batch, shard) => vec![],
            Adversary::Repeats(which) if which(&batch, shard) => vec![bytes.clone(), flipped()],
            Adversary::Flips(which) if which(&batch, shard) => vec![flipped()],
            Adversary::Replays(which) if which(&batch, shard) => {
                before.into_iter().chain([bytes.clone()]).collect()
            }
            _ => vec![bytes.clone()],
        };
        let (from, to) = (self.identity(shard), self.shards.position(&to));
        for bytes in copies {
            let message = PeerMessage::Cells { batch };
            self.after(LINK_MS, Event::Input(to, Input::Peer { from, message }));
            // Two pieces, as chunks come.
            let half = bytes.len() / CELL / 2 * CELL;
            for piece in [bytes.slice(..half), bytes.slice(half..)] {
                if !piece.is_empty() {
                    let cells = Input::PeerCells { from, batch, bytes: piece };
                    self.after(LINK_MS, Event::Input(to, cells));
                }
            }
        }
    }

    fn identity(&self, shard: usize) -> IdentityKey {
        IdentityKey::of(&Setup::shard_key(shard))
    }

    /// Runs to `until`.
    pub(crate) fn run_until(&mut self, until: Timestamp) {
        loop {
            let event = self.queue.first_key_value().map(|((at, _), _)| *at);
            let wakes = (0..SHARDS).filter_map(|i| Some((self.shards.deadline(i)?, i)));
            let wake = wakes.min();
            let at = event.into_iter().chain(wake.map(|(at, _)| at)).min();
            let Some(at) = at.filter(|at| *at <= until) else { break };
            self.shards.now = self.now().max(at);
            if event == Some(at) {
                let Some((_, event)) = self.queue.pop_first() else { break };
                self.happen(event);
            } else if let Some((_, shard)) = wake {
                self.put(shard, Input::Tick);
            }
        }
        self.shards.now = until;
    }

    /// Bytes of the buffers of all shards.
    pub(crate) fn buffer_bytes(&self) -> usize {
        (0..SHARDS).map(|shard| self.shards.buffer_bytes(shard)).sum()
    }

    /// Runs until the last beat of a round is back.
    pub(crate) fn run_to_end(&mut self, round: u64) {
        let ends = self.announced[&round].ends(self.layers());
        self.run_until(ends.plus_ms(3 * LINK_MS));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Input(shard, input) => self.put(shard, input),
            Event::ToClient(link, message) => self.hear(link, message),
            Event::Speaks { client, round, beat } => {
                let cells = self.wrapped(client, round, beat);
                self.say_cells(client, round, beat, cells);
            }
        }
    }

    fn hear(&mut self, link: u64, message: ToClient) {
        let Some(client) = self.clients.iter().position(|client| client.link == link) else {
            self.shown += usize::from(matches!(message, ToClient::Circuits { .. }));
            return;
        };
        match message {
            ToClient::Circuits { announcement, statements } => {
                let round = announcement.round.0;
                let is_new = self.clients[client].evidence.iter().all(|(a, _)| a.round.0 != round);
                self.clients[client].evidence.push((announcement, statements));
                let speaks = !self.clients[client].is_silent && !self.clients[client].sleeps;
                if is_new && speaks {
                    for beat in 0..announcement.beats.beats.into() {
                        let at = Timestamp(announcement.begins(beat).0 - 50);
                        self.at(at, Event::Speaks { client, round, beat });
                    }
                }
            }
            ToClient::Cells { round, beat, cells, .. } => {
                self.come_back(client, round.0, beat, cells.0);
                self.home.insert((round.0, beat), self.now());
            }
            ToClient::Backlog { round, cells, .. } => {
                for (beat, cells) in (0..).zip(cells.0.chunks(2 * CELL)) {
                    self.come_back(client, round.0, beat, cells.to_vec());
                }
            }
            ToClient::Refused { .. } => self.clients[client].refused += 1,
            _ => {}
        }
    }

    fn come_back(&mut self, client: usize, round: u64, beat: u64, mut cells: Vec<u8>) {
        assert_eq!(cells.len(), 2 * CELL);
        self.clients[client].circuits[&round].unwrap(context(round, beat), &mut cells);
        let cells = cells.chunks(CELL).map(<[u8]>::to_vec).collect();
        let again = self.clients[client].back.insert((round, beat), cells);
        assert!(again.is_none(), "cells come back once");
    }

    /// Milliseconds from a beat's beginning until its last cells were home.
    pub(crate) fn took_ms(&self, round: u64, beat: u64) -> u64 {
        self.home[&(round, beat)].ms_since(self.announced[&round].begins(beat))
    }

    /// Which batches were sent, by whom and of how many cells: what an onlooker sees, but for times.
    pub(crate) fn sizes(&self) -> Vec<(usize, IdentityKey, CellBatch)> {
        let mut sizes: Vec<_> =
            self.sent.iter().map(|(_, from, to, batch)| (*from, *to, *batch)).collect();
        sizes.sort_unstable();
        sizes
    }

    pub(crate) fn assert_each_batch_was_sent_once(&self) {
        let sizes = self.sizes();
        let distinct: BTreeSet<_> = sizes
            .iter()
            .map(|(from, to, b)| (from, to, b.round, b.beat, b.layer, b.direction as u8))
            .collect();
        assert_eq!(distinct.len(), sizes.len());
        assert!(!sizes.is_empty());
    }

    pub(crate) fn sent_since(&self, shard: usize, since: Timestamp) -> bool {
        self.sent.iter().any(|(at, from, ..)| *from == shard && *at > since)
    }

    pub(crate) fn delivered(&self, round: Round) -> usize {
        self.ended.iter().filter(|ended| **ended == (round, RoundOutcome::Delivered)).count()
    }

    /// The shard that released its seal key with a statement, for this announcement.
    pub(crate) fn released_for(
        &self,
        statement: &Signed<SealStatement>,
        announcement: &Announcement,
    ) -> u16 {
        let shard = statement.claimed().shard;
        let verified = statement.verify(&self.epoch.shards()[shard.position()].identity).unwrap();
        let SealAct::Released { announcement: of, .. } = &verified.act else {
            panic!("withheld: {verified:?}")
        };
        assert_eq!(*of, announcement.digest());
        shard.0
    }

    /// What somebody is shown who links now.
    pub(crate) fn evidence_for_a_stranger(&mut self) -> usize {
        self.strangers += 1;
        self.shown = 0;
        self.put(0, Input::ClientJoined(ClientId(self.strangers)));
        self.run_until(self.now().plus_ms(LINK_MS));
        self.shown
    }
}

/// A moment `ms` milliseconds earlier.
pub(crate) fn before(at: Timestamp, ms: u64) -> Timestamp {
    Timestamp(at.0 - ms)
}

fn ticket(client: usize, round: u64) -> Ticket {
    Ticket(Digest::of(&[client as u8, round as u8, 1]).0)
}

fn context(round: u64, beat: u64) -> BeatContext {
    let cell = CellBytes::new(CELL as u16).unwrap();
    BeatContext { epoch: EPOCH, round: Round(round), beat, cell }
}
