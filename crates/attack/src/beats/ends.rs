//! The ends of circuits: clients, and shards that make noise and canaries.

use std::collections::{BTreeMap, BTreeSet};

use super::cipher::{Cell, Tweak, random_cell};
use super::flaw::Flaw;
use super::passage::{Adversary, Beats, Cells};
use super::tables::{Maker, Tables};
use super::view::{Direction, Event, Place};

/// What makers remember between beats.
#[derive(Debug)]
pub(super) struct Ends {
    /// Clients that went back to an older round's circuits.
    fallen: Vec<bool>,
    /// Circuits of which a reply was not whole.
    broken: Vec<bool>,
    /// Clients that sleep.
    asleep: BTreeSet<usize>,
    /// What they left for a beat and a circuit: what it says, and the cell.
    left: BTreeMap<(u32, usize), (Cell, Cell)>,
    /// For each beat and circuit of theirs, whether what came back was whole.
    kept: Vec<(u32, usize, bool)>,
}

impl Ends {
    pub(super) fn of(tables: &Tables) -> Self {
        let circuits = tables.circuits.len();
        Self {
            fallen: vec![false; circuits],
            broken: vec![false; circuits],
            asleep: BTreeSet::new(),
            left: BTreeMap::new(),
            kept: Vec::new(),
        }
    }
}

impl Beats {
    /// Some clients leave their cells of all these beats to their gateways, and sleep.
    pub fn sleep(&mut self, clients: &[usize], beats: u32, adversary: &mut impl Adversary) {
        self.ends.asleep.extend(clients);
        for number in 0..self.tables.circuits.len() {
            if !self.sleeps(number) {
                continue;
            }
            let slot = self.tables.circuits[number].slots[0];
            let talks = self.tables.circuits[number].partner.is_some_and(|it| it / 2 != number / 2);
            let beats = if self.has(Flaw::LeavesPart) && !talks { 1 } else { beats };
            for beat in 0..beats {
                let content = random_cell(&mut self.rng);
                let cell = self.made(beat, number, content);
                self.see(Place { beat, layer: 0, direction: Direction::Forward, slot }, cell);
                if self.tables.malicious[slot.to] {
                    adversary.looks(beat, cell);
                }
                self.ends.left.insert((beat, number), (content, cell));
            }
        }
    }

    /// They are back in this beat, and fetch all that came for them, or nothing.
    pub fn wake(&mut self, beat: u32) {
        let kept = std::mem::take(&mut self.ends.kept);
        for client in std::mem::take(&mut self.ends.asleep) {
            let of_it = |number: usize| self.tables.circuits[number].maker == Maker::Client(client);
            let its: Vec<_> = kept.iter().filter(|(_, number, _)| of_it(*number)).collect();
            let part = self.has(Flaw::FetchesPart);
            let fetched = its.iter().filter(|(.., whole)| *whole || !part).count();
            self.view.events.push(Event::Fetched(beat, client, fetched));
            for &&(beat, number, whole) in &its {
                if !self.is_simulated(number) {
                    self.client_reads(beat, number, client, whole);
                }
            }
        }
    }

    /// Whether a circuit's client sleeps.
    fn sleeps(&self, number: usize) -> bool {
        match self.tables.circuits[number].maker {
            Maker::Client(client) => self.ends.asleep.contains(&client),
            Maker::Noise | Maker::Canary => false,
        }
    }

    /// What makers say, and the cells that they start with.
    pub(super) fn clients_send(
        &mut self,
        beat: u32,
        adversary: &mut impl Adversary,
    ) -> (Cells, Cells) {
        (0..self.tables.circuits.len()).fold(
            (Vec::new(), Vec::new()),
            |(mut contents, mut cells), number| {
                let (content, cell) = self.maker_sends(beat, number, &contents, adversary);
                contents.push(content);
                cells.push(cell);
                (contents, cells)
            },
        )
    }

    /// What a circuit's maker says, unless it says nothing, and the cell that its first hop then has.
    fn maker_sends(
        &mut self,
        beat: u32,
        number: usize,
        said: &[Option<Cell>],
        adversary: &mut impl Adversary,
    ) -> (Option<Cell>, Option<Cell>) {
        let slot = self.tables.circuits[number].slots[0];
        let mut content = random_cell(&mut self.rng);
        if self.sleeps(number) {
            return match self.ends.left.remove(&(beat, number)) {
                Some((content, cell)) => (Some(content), Some(cell)),
                None => (None, Some(content)),
            };
        }
        let client = match self.tables.circuits[number].maker {
            // The maker of noise keeps no keys, and fills the slot.
            Maker::Noise if !self.has(Flaw::OpensNoise) => return (None, Some(content)),
            Maker::Noise | Maker::Canary => {
                return (Some(content), Some(self.made(beat, number, content)));
            }
            Maker::Client(client) => client,
        };
        if adversary.cuts(beat, client) || self.ends.fallen[client] {
            self.view.events.push(Event::Absent(beat, client));
            return (None, self.filled(slot.to, Flaw::SizesFollowPresence));
        }
        if self.has(Flaw::SameContentTwice) && number % 2 == 1 {
            content = said[number - 1].unwrap_or(content);
        }
        let made = if self.has(Flaw::LiveAndLeft) && client == 0 { 2 } else { 1 };
        let mut last = content;
        for _ in 0..made {
            last = self.made(beat, number, content);
            self.see(Place { beat, layer: 0, direction: Direction::Forward, slot }, last);
        }
        (Some(content), Some(last))
    }

    /// A maker's cell: enciphered for each hop, the last one first.
    fn made(&mut self, beat: u32, number: usize, content: Cell) -> Cell {
        if self.is_simulated(number) {
            return random_cell(&mut self.rng);
        }
        (1..=self.tables.layers).rev().fold(content, |cell, layer| {
            let tweak = Tweak { beat, layer, direction: Direction::Forward };
            self.cipher.encipher(((number, layer), tweak), &cell, &mut self.rng)
        })
    }

    /// Makers read their replies. What honest ones do then does not depend on it, but for the flaws; the
    /// adversary's clients say it.
    pub(super) fn clients_receive(
        &mut self,
        beat: u32,
        contents: &[Option<Cell>],
        cells: &[Option<Cell>],
    ) {
        for (number, carried) in cells.iter().enumerate() {
            let mut whole = false;
            if !self.is_simulated(number) {
                let expected = contents[self.tables.circuits[number].partner.unwrap_or(number)];
                let read = carried.map(|cell| self.read(beat, number, cell));
                whole = read.is_some() && read == expected;
            }
            if self.sleeps(number) {
                self.sleeper_is_sent(beat, number, whole);
            } else if !self.is_simulated(number) {
                self.maker_reads(beat, number, whole);
            }
        }
    }

    fn maker_reads(&mut self, beat: u32, number: usize, whole: bool) {
        match self.tables.circuits[number].maker {
            Maker::Client(client) => self.client_reads(beat, number, client, whole),
            Maker::Noise | Maker::Canary => self.shard_reads(beat, number, whole),
        }
    }

    /// What comes for a client that sleeps is kept for it.
    fn sleeper_is_sent(&mut self, beat: u32, number: usize, whole: bool) {
        if let Maker::Client(client) = self.tables.circuits[number].maker
            && self.has(Flaw::WakesOnMessage)
            && whole
        {
            self.view.events.push(Event::Links(beat + 1, client));
        }
        self.ends.kept.push((beat, number, whole));
    }

    fn read(&mut self, beat: u32, number: usize, cell: Cell) -> Cell {
        (1..=self.tables.layers).fold(cell, |cell, layer| {
            let tweak = Tweak { beat, layer, direction: Direction::Backward };
            self.cipher.decipher(((number, layer), tweak), &cell, &mut self.rng)
        })
    }

    fn client_reads(&mut self, beat: u32, number: usize, client: usize, whole: bool) {
        let circuit = &self.tables.circuits[number];
        if circuit.given || (self.has(Flaw::PartnerTells) && client == 1) {
            self.view.events.push(Event::Told(beat, client, whole));
        }
        // Who is alone expects nothing.
        if circuit.partner.is_none() {
            return;
        }
        if (self.has(Flaw::RelinksOnLoss) && !whole)
            || (self.has(Flaw::WakesOnMessage) && whole && client == 1)
        {
            self.view.events.push(Event::Links(beat + 1, client));
        }
        if self.has(Flaw::AsksEarlyOnLoss) && !whole {
            self.view.events.push(Event::AsksEarly(beat + 1, client));
        }
        self.ends.fallen[client] |= self.has(Flaw::FallsBackOnLoss) && !whole;
    }

    /// The maker of a canary asks for the beat in which it was broken first. What was lost in the round itself is no
    /// circuit.
    fn shard_reads(&mut self, beat: u32, number: usize, whole: bool) {
        let circuit = &self.tables.circuits[number];
        let is_canary = circuit.maker == Maker::Canary && circuit.slots.len() > self.tables.layers;
        if is_canary && !whole && !self.ends.broken[number] {
            self.view.events.push(Event::Asked(beat, circuit.slots[0].from));
        }
        self.ends.broken[number] |= !whole;
    }

    /// The round's tables are erased: whoever kept keys opens the circuits that somebody garbled. What was
    /// lost in the round itself is no circuit.
    pub fn finish(&mut self) {
        for number in 0..self.tables.circuits.len() {
            let circuit = &self.tables.circuits[number];
            let opens = match circuit.maker {
                Maker::Client(_) => false,
                Maker::Noise => self.has(Flaw::OpensNoise),
                Maker::Canary => true,
            };
            let whole_way = circuit.slots.len() > self.tables.layers;
            if opens && whole_way && self.ends.broken[number] {
                self.view.events.push(Event::Opened(circuit.slots.clone()));
            }
        }
    }
}
