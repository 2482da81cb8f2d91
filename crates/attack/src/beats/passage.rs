//! One beat after the other, over a round's tables.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::cipher::{Cell, Cipher, Tweak, random_cell, sum};
use super::flaw::Flaw;
use super::tables::{Slot, Tables};
use super::view::{Direction, Event, Names, Place, View};

/// Who answers the adversary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Honest clients and shards as they are, or with a flaw.
    Real(Option<Flaw>),
    /// A simulator, which knows what the adversary saw of the round and no more: whoever is honest sends
    /// uniform cells, in batches of the round's sizes, at the schedule's times.
    Ideal,
}

/// One batch of a beat on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The beat.
    pub beat: u32,
    /// The layer that the link leads to on the way there.
    pub layer: usize,
    /// There or back.
    pub direction: Direction,
    /// The sender.
    pub from: usize,
    /// The receiver.
    pub to: usize,
}

/// What an adversary does, apart from watching. Its shards know their keys and what they hold.
pub trait Adversary {
    /// Alters what one of its shards sends. Cells that are missing, or too many, are what it likes.
    fn sends(&mut self, batch: Batch, cells: &mut Vec<Option<Cell>>) {
        let _ = (batch, cells);
    }

    /// Decides if an honest shard's batch comes too late.
    fn delays(&mut self, batch: Batch) -> bool {
        let _ = batch;
        false
    }

    /// Sends a batch a second time, with these bytes added to one of its cells.
    fn again(&mut self, batch: Batch) -> Option<(usize, Cell)> {
        let _ = batch;
        None
    }

    /// Decides if a client's link is cut in a beat, as its gateway sees.
    fn cuts(&mut self, beat: u32, client: usize) -> bool {
        let _ = (beat, client);
        false
    }
}

/// A round's beats.
#[derive(Debug)]
pub struct Beats {
    tables: Tables,
    world: World,
    cipher: Cipher,
    names: Names,
    view: View,
    rng: ChaCha8Rng,
}

/// Cells of one beat, by circuit.
type Cells = Vec<Option<Cell>>;

impl Beats {
    /// Beats over these tables. With the flaw of late circuits, `tables` has those too.
    pub fn new(tables: Tables, world: World, seed: u64) -> Self {
        Self {
            tables,
            world,
            cipher: Cipher::new(world == World::Real(Some(Flaw::StreamTwice))),
            names: Names::default(),
            view: View::default(),
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Everything seen so far.
    pub fn view(&self) -> &View {
        &self.view
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.world == World::Real(Some(flaw))
    }

    /// Plays one beat there and back.
    pub fn beat(&mut self, beat: u32, adversary: &mut impl Adversary) {
        let (contents, mut cells) = self.clients_send(beat, adversary);
        let layers = self.tables.layers;
        let mut repeated = vec![None; cells.len()];
        for layer in 1..=layers {
            repeated = self.pass(beat, layer, Direction::Forward, &mut cells, &repeated, adversary);
        }
        self.swap(&mut cells);
        // Layer L answers before anybody else does.
        self.process_all(beat, layers, Direction::Backward, &mut cells);
        let mut repeated = vec![None; cells.len()];
        for layer in (1..=layers).rev() {
            repeated =
                self.pass(beat, layer, Direction::Backward, &mut cells, &repeated, adversary);
        }
        self.clients_receive(beat, &contents, &cells);
    }

    /// What clients say, and the cells that they and noise's makers start with.
    fn clients_send(&mut self, beat: u32, adversary: &mut impl Adversary) -> (Cells, Cells) {
        let mut contents = Vec::new();
        let mut cells = Vec::new();
        for number in 0..self.tables.circuits.len() {
            let (client, slot) =
                (self.tables.circuits[number].client, self.tables.circuits[number].slots[0]);
            let content = random_cell(&mut self.rng);
            let Some(client) = client else {
                // The maker of noise keeps no keys, and fills the slot.
                contents.push(None);
                cells.push(Some(content));
                continue;
            };
            if adversary.cuts(beat, client) {
                self.view.events.push(Event::Absent(beat, client));
                contents.push(None);
                cells.push(self.filled(slot.to, Flaw::SizesFollowPresence));
                continue;
            }
            let made = if self.has(Flaw::LiveAndLeft) && client == 0 { 2 } else { 1 };
            let mut last = content;
            for _ in 0..made {
                last = self.made(beat, number, content);
                self.see(beat, 0, Direction::Forward, slot, slot.to, last);
            }
            contents.push(Some(content));
            cells.push(Some(last));
        }
        (contents, cells)
    }

    /// A random cell in place of one that is missing; none with a flaw.
    fn filled(&mut self, shard: usize, flaw: Flaw) -> Option<Cell> {
        let flawed = self.has(flaw) && !self.tables.malicious[shard];
        (!flawed).then(|| random_cell(&mut self.rng))
    }

    /// A client's cell: enciphered for each hop, the last one first.
    fn made(&mut self, beat: u32, number: usize, content: Cell) -> Cell {
        if self.world == World::Ideal {
            return random_cell(&mut self.rng);
        }
        (1..=self.tables.layers).rev().fold(content, |cell, layer| {
            let tweak = Tweak { beat, layer, direction: Direction::Forward };
            self.cipher.encipher(((number, layer), tweak), &cell, &mut self.rng)
        })
    }

    /// Notes a cell that an honest sender gave to one of the adversary's shards.
    fn see(
        &mut self,
        beat: u32,
        layer: usize,
        direction: Direction,
        slot: Slot,
        to: usize,
        cell: Cell,
    ) {
        if self.tables.malicious[to] {
            let place = Place { beat, layer, direction, slot };
            let name = self.names.of(place, &cell);
            self.view.events.push(Event::Cell(place, name));
        }
    }

    /// Takes all batches of a layer over their links, and through the shard behind. Returns what shards that
    /// were asked twice send once more.
    fn pass(
        &mut self,
        beat: u32,
        layer: usize,
        direction: Direction,
        cells: &mut [Option<Cell>],
        repeated: &[Option<Cell>],
        adversary: &mut impl Adversary,
    ) -> Cells {
        let shards = self.tables.malicious.len();
        let mut again = vec![None; cells.len()];
        for (first, second) in (0..shards).flat_map(|one| (0..shards).map(move |two| (one, two))) {
            let on_link = self.tables.on_link(layer, first, second);
            if on_link.is_empty() {
                continue;
            }
            let (from, to) = match direction {
                Direction::Forward => (first, second),
                Direction::Backward => (second, first),
            };
            let batch = Batch { beat, layer, direction, from, to };
            self.transmit(batch, &on_link, cells, repeated, adversary);
            self.process(batch, &on_link, cells, &mut again, adversary);
        }
        again
    }

    /// What the shard behind a link makes of a batch, and of the same batch again with one cell altered.
    fn process(
        &mut self,
        batch: Batch,
        on_link: &[usize],
        cells: &mut [Option<Cell>],
        again: &mut [Option<Cell>],
        adversary: &mut impl Adversary,
    ) {
        let Batch { beat, layer, direction, from, .. } = batch;
        // On the way back the last one is the gateway, which only hands on.
        let hop = if direction == Direction::Forward { layer } else { layer - 1 };
        if hop == 0 {
            return;
        }
        let marked = adversary.again(batch).filter(|_| self.tables.malicious[from]);
        for (index, &number) in on_link.iter().enumerate() {
            let before = cells[number];
            cells[number] = before.map(|cell| self.hop(beat, hop, direction, number, cell));
            let Some((place, mark)) = marked else { continue };
            self.names.mark(mark);
            let mark = if index == place { mark } else { Cell::default() };
            again[number] = before.map(|cell| {
                // What was answered is repeated, whatever is asked.
                let twice = self.has(Flaw::Twice) || self.has(Flaw::StreamTwice);
                if !twice {
                    return cells[number].unwrap_or(cell);
                }
                self.hop(beat, hop, direction, number, sum(&cell, &mark))
            });
        }
    }

    /// One batch on its link: seen, altered, late, filled.
    fn transmit(
        &mut self,
        batch: Batch,
        on_link: &[usize],
        cells: &mut [Option<Cell>],
        repeated: &[Option<Cell>],
        adversary: &mut impl Adversary,
    ) {
        let Batch { from, to, .. } = batch;
        let mut sent: Vec<_> = on_link.iter().map(|&number| cells[number]).collect();
        if self.tables.malicious[from] {
            adversary.sends(batch, &mut sent);
            if sent.len() != on_link.len() || sent.contains(&None) {
                // Of another size than the round's: filled, whole.
                sent = if self.has(Flaw::NoFill) { sent } else { vec![None; on_link.len()] };
            }
        } else {
            self.see_leaving(batch, on_link, [&*cells, repeated]);
            if adversary.delays(batch) {
                sent = vec![None; on_link.len()];
            }
        }
        sent.resize(on_link.len(), None);
        for (&number, cell) in on_link.iter().zip(sent) {
            let left_out = self.has(Flaw::SizesFollowPresence) && cells[number].is_none();
            cells[number] =
                if left_out { None } else { cell.or_else(|| self.filled(to, Flaw::NoFill)) };
        }
    }

    /// Notes an honest shard's batch, and its cells if one of the adversary's receives them: those of the beat,
    /// then those that are sent once more.
    fn see_leaving(&mut self, batch: Batch, on_link: &[usize], sources: [&[Option<Cell>]; 2]) {
        let Batch { beat, layer, direction, to, .. } = batch;
        let slots: Vec<_> =
            on_link.iter().map(|&number| self.tables.circuits[number].slots[layer]).collect();
        let place = Place { beat, layer, direction, slot: slots[0] };
        let cells = on_link.iter().filter(|&&number| sources[0][number].is_some()).count();
        self.view.events.push(Event::Batch { place, cells });
        for source in sources {
            for (&number, &slot) in on_link.iter().zip(&slots) {
                if let Some(cell) = source[number] {
                    self.see(beat, layer, direction, slot, to, cell);
                }
            }
        }
    }

    /// What one hop makes of a cell.
    fn hop(
        &mut self,
        beat: u32,
        layer: usize,
        direction: Direction,
        number: usize,
        cell: Cell,
    ) -> Cell {
        let shard = self.tables.circuits[number].slots[layer].to;
        if self.world == World::Ideal && !self.tables.malicious[shard] {
            return random_cell(&mut self.rng);
        }
        let key = ((number, layer), Tweak { beat, layer, direction });
        match direction {
            Direction::Forward => self.cipher.decipher(key, &cell, &mut self.rng),
            Direction::Backward => self.cipher.encipher(key, &cell, &mut self.rng),
        }
    }

    /// Layer L: cells of two that met change places, and all others return.
    fn swap(&self, cells: &mut [Option<Cell>]) {
        let before = cells.to_vec();
        for (number, circuit) in self.tables.circuits.iter().enumerate() {
            let Some(last) = circuit.slots.get(self.tables.layers) else { continue };
            let alone = self.has(Flaw::NothingForSingles) && !self.tables.malicious[last.to];
            cells[number] = match circuit.partner {
                Some(partner) => before[partner],
                None if alone => None,
                None => before[number],
            };
        }
    }

    fn process_all(
        &mut self,
        beat: u32,
        layer: usize,
        direction: Direction,
        cells: &mut [Option<Cell>],
    ) {
        for (number, carried) in cells.iter_mut().enumerate() {
            if self.tables.circuits[number].slots.len() > layer {
                *carried = carried.map(|cell| self.hop(beat, layer, direction, number, cell));
            }
        }
    }

    /// Clients read their replies. What they do then does not depend on it, but for the flaws.
    fn clients_receive(&mut self, beat: u32, contents: &[Option<Cell>], cells: &[Option<Cell>]) {
        if self.world == World::Ideal {
            return;
        }
        for (number, carried) in cells.iter().enumerate() {
            let circuit = &self.tables.circuits[number];
            let (Some(client), Some(partner)) = (circuit.client, circuit.partner) else { continue };
            let read = carried.map(|cell| {
                (1..=self.tables.layers).fold(cell, |cell, layer| {
                    let tweak = Tweak { beat, layer, direction: Direction::Backward };
                    self.cipher.decipher(((number, layer), tweak), &cell, &mut self.rng)
                })
            });
            let whole = read.is_some() && read == contents[partner];
            if (self.has(Flaw::RelinksOnLoss) && !whole)
                || (self.has(Flaw::WakesOnMessage) && whole && client == 1)
            {
                self.view.events.push(Event::Links(beat + 1, client));
            }
            if self.has(Flaw::PartnerTells) && client == 1 {
                self.view.events.push(Event::Told(beat, whole));
            }
        }
    }
}
