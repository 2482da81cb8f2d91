//! One beat after the other, over a round's tables.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::cipher::{Cell, Cipher, Tweak, random_cell, sum};
use super::ends::Ends;
use super::flaw::Flaw;
use super::tables::Tables;
use super::view::{Direction, Event, Names, Place, View};

/// Who answers the adversary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Honest clients and shards as they are, or with a flaw.
    Real(Option<Flaw>),
    /// A simulator, which knows what the adversary saw of the round, circuits that are given, and no more: of
    /// all others whoever is honest sends uniform cells, in batches of the round's sizes, at the schedule's times.
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

    /// Looks at a cell that a client leaves for a beat, before any beat, as its gateway is one of its shards.
    fn looks(&mut self, beat: u32, cell: Cell) {
        let _ = (beat, cell);
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
    pub(super) tables: Tables,
    pub(super) world: World,
    pub(super) cipher: Cipher,
    names: Names,
    pub(super) view: View,
    pub(super) ends: Ends,
    pub(super) rng: ChaCha8Rng,
}

/// Cells of one beat, by circuit.
pub(super) type Cells = Vec<Option<Cell>>;

impl Beats {
    /// Beats over these tables. With the flaw of late circuits, `tables` has those too.
    pub fn new(tables: Tables, world: World, seed: u64) -> Self {
        Self {
            ends: Ends::of(&tables),
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

    pub(super) fn has(&self, flaw: Flaw) -> bool {
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

    /// A random cell in place of one that is missing; none with a flaw.
    pub(super) fn filled(&mut self, shard: usize, flaw: Flaw) -> Option<Cell> {
        let flawed = self.has(flaw) && !self.tables.malicious[shard];
        (!flawed).then(|| random_cell(&mut self.rng))
    }

    /// Whether the simulator plays this circuit's honest hops and knows nothing of it.
    pub(super) fn is_simulated(&self, number: usize) -> bool {
        self.world == World::Ideal && !self.tables.circuits[number].given
    }

    /// Notes a cell that an honest sender put on a link. Links between honest shards hide their cells, but
    /// nothing rests on that: whoever proves later who garbled may have to show them.
    pub(super) fn see(&mut self, place: Place, cell: Cell) {
        let name = self.names.of(place, &cell);
        self.view.events.push(Event::Cell(place, name));
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
        let (mut again, mut asked) = (vec![None; cells.len()], vec![false; shards]);
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
            asked[to] |= self.process(batch, &on_link, cells, &mut again, adversary);
        }
        if !self.has(Flaw::RepeatsPart) {
            self.repeat_whole(hop_behind(layer, direction), &asked, cells, &mut again);
        }
        again
    }

    /// Who was asked for something again sends all that it sent, as the part of it that came in one batch would
    /// show where that batch went.
    fn repeat_whole(
        &self,
        hop: usize,
        asked: &[bool],
        cells: &[Option<Cell>],
        again: &mut [Option<Cell>],
    ) {
        for (number, circuit) in self.tables.circuits.iter().enumerate() {
            if circuit.slots.get(hop).is_some_and(|slot| asked[slot.to]) {
                again[number] = again[number].or(cells[number]);
            }
        }
    }

    /// What the shard behind a link makes of a batch, and of the same batch again with one cell altered, if it
    /// is asked again.
    fn process(
        &mut self,
        batch: Batch,
        on_link: &[usize],
        cells: &mut [Option<Cell>],
        again: &mut [Option<Cell>],
        adversary: &mut impl Adversary,
    ) -> bool {
        let Batch { beat, layer, direction, from, .. } = batch;
        let hop = hop_behind(layer, direction);
        if hop == 0 {
            return false;
        }
        let marked = adversary.again(batch).filter(|_| self.tables.malicious[from]);
        for (index, &number) in on_link.iter().enumerate() {
            let before = cells[number];
            cells[number] = before.map(|cell| self.hop(beat, hop, direction, number, cell));
            self.see_taken(batch, number, cells[number]);
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
        marked.is_some()
    }

    /// Notes what one of the adversary's shards deciphered.
    fn see_taken(&mut self, batch: Batch, number: usize, cell: Option<Cell>) {
        let Batch { beat, layer, direction, to, .. } = batch;
        if let Some(cell) = cell
            && direction == Direction::Forward
            && self.tables.malicious[to]
        {
            let place =
                Place { beat, layer, direction, slot: self.tables.circuits[number].slots[layer] };
            let name = self.names.of(place, &cell);
            self.view.events.push(Event::Taken(place, name));
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

    /// Notes an honest shard's batch and its cells: those of the beat, then those that are sent once more.
    fn see_leaving(&mut self, batch: Batch, on_link: &[usize], sources: [&[Option<Cell>]; 2]) {
        let Batch { beat, layer, direction, .. } = batch;
        let slots: Vec<_> =
            on_link.iter().map(|&number| self.tables.circuits[number].slots[layer]).collect();
        let place = Place { beat, layer, direction, slot: slots[0] };
        let cells = on_link.iter().filter(|&&number| sources[0][number].is_some()).count();
        self.view.events.push(Event::Batch { place, cells });
        for source in sources {
            for (&number, &slot) in on_link.iter().zip(&slots) {
                if let Some(cell) = source[number] {
                    self.see(Place { beat, layer, direction, slot }, cell);
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
        let slots = &self.tables.circuits[number].slots;
        if !self.tables.malicious[slots[layer].to] {
            let refused = layer < self.tables.layers && slots.len() == layer + 1;
            if refused && self.has(Flaw::EchoesRefused) {
                return cell;
            }
            if refused || self.is_simulated(number) {
                return random_cell(&mut self.rng);
            }
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
}

/// The hop behind a link. On the way back the last one is the gateway, hop 0, which only hands on.
fn hop_behind(layer: usize, direction: Direction) -> usize {
    match direction {
        Direction::Forward => layer,
        Direction::Backward => layer - 1,
    }
}
