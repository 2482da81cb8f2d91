//! The routes that a round left, which beats go over.

use rand::seq::SliceRandom as _;
use rand::{CryptoRng, RngExt as _};

/// A circuit's place on one link at one layer, the same in every beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    /// The sending shard; at layer 0, the client.
    pub from: usize,
    /// The receiving shard.
    pub to: usize,
    /// The place in the batch.
    pub index: usize,
}

/// Who made the onion of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// A client, honest or the adversary's.
    Client(usize),
    /// A shard, which kept no keys: the noise that figures count.
    Noise,
    /// A shard, which kept the keys, and opens the circuit once the round is over if a reply was not whole.
    Canary,
}

/// The route of one onion of the round.
#[derive(Clone, Debug)]
pub struct Circuit {
    /// Who made its onion.
    pub maker: Maker,
    /// Whether no figure counts it among what hides others, so that a simulator is given it with its keys:
    /// circuits of the adversary's clients, those that they meet, its shards' noise, and canaries.
    pub given: bool,
    /// Slots from the gateway or the noise's maker on: layer 0, then 1 to L. Shorter if it ended.
    pub slots: Vec<Slot>,
    /// The circuit that it was swapped with at layer L.
    pub partner: Option<usize>,
}

/// Every circuit of a round.
#[derive(Clone, Debug)]
pub struct Tables {
    /// The layers, L.
    pub layers: usize,
    /// For each shard, whether it is the adversary's. A client's gateway follows from its number.
    pub malicious: Vec<bool>,
    /// Clients' circuits first, two of each, then noise and canaries.
    pub circuits: Vec<Circuit>,
}

/// Whose onions a round has.
#[derive(Clone, Copy, Debug)]
pub struct Population {
    /// Clients: the first two talk, and so do the last two, of which the last is the adversary's. The others
    /// idle.
    pub clients: usize,
    /// Single noise of each shard.
    pub noise: usize,
}

impl Tables {
    /// A round's routes, drawn at random. Each shard makes one pair of canaries.
    pub fn draw(
        population: Population,
        layers: usize,
        malicious: &[bool],
        rng: &mut impl CryptoRng,
    ) -> Self {
        let shards = malicious.len();
        let mut circuits = starting(population, malicious);
        // Two that meet have drawn the same shard for layer L.
        let mut hops: Vec<Vec<usize>> = circuits
            .iter()
            .map(|_| (0..layers).map(|_| rng.random_range(0..shards)).collect())
            .collect();
        for number in 0..circuits.len() {
            if let Some(partner) = circuits[number].partner.filter(|partner| *partner < number) {
                hops[number][layers - 1] = hops[partner][layers - 1];
            }
        }
        for layer in 1..=layers {
            // Each shard sends in an order of its own.
            let mut order: Vec<usize> = (0..circuits.len()).collect();
            order.shuffle(rng);
            let mut sizes = vec![vec![0; shards]; shards];
            for number in order {
                let (from, to) = (circuits[number].slots[layer - 1].to, hops[number][layer - 1]);
                let slot = Slot { from, to, index: sizes[from][to] };
                sizes[from][to] += 1;
                circuits[number].slots.push(slot);
            }
        }
        Self { layers, malicious: malicious.to_vec(), circuits }
    }

    /// The same round, but one onion got no further than this layer, and its partner was alone. At layer 0 it
    /// came too late for the round; an honest shard further on refused it.
    #[must_use]
    pub fn ended(&self, number: usize, layer: usize) -> Self {
        let mut tables = self.clone();
        let ended = tables.circuits[number].slots.split_off(layer + 1);
        for circuit in &mut tables.circuits {
            for (slot, gone) in circuit.slots.iter_mut().skip(layer + 1).zip(&ended) {
                let link = (slot.from, slot.to) == (gone.from, gone.to);
                slot.index -= usize::from(link && slot.index > gone.index);
            }
        }
        if let Some(partner) = tables.circuits[number].partner.take() {
            tables.circuits[partner].partner = None;
        }
        tables
    }

    /// The same round as far as the adversary saw it: at each honest hop, which onion left in which slot is
    /// drawn anew. So the onions behind honest hops are others, and who meets whom as well. A gateway is no hop:
    /// it hands on what it gets, and where an onion started is known.
    #[must_use]
    pub fn rerouted(&self, rng: &mut impl CryptoRng) -> Self {
        let mut tables = self.clone();
        for layer in 1..tables.layers {
            for shard in (0..tables.malicious.len()).filter(|&shard| !self.malicious[shard]) {
                let held = tables.hidden_at(layer, shard);
                for last in (1..held.len()).rev() {
                    tables.exchange(layer, held[rng.random_range(0..=last)], held[last]);
                }
            }
        }
        tables
    }

    /// The circuits at a shard after a layer, apart from those that the adversary knows anyway.
    fn hidden_at(&self, layer: usize, shard: usize) -> Vec<usize> {
        let here = |circuit: &Circuit| {
            !circuit.given && circuit.slots.get(layer).is_some_and(|slot| slot.to == shard)
        };
        (0..self.circuits.len()).filter(|&number| here(&self.circuits[number])).collect()
    }

    /// Exchanges how two circuits go on behind a layer.
    fn exchange(&mut self, layer: usize, one: usize, other: usize) {
        if one == other {
            return;
        }
        let behind = [one, other].map(|number| self.circuits[number].slots.split_off(layer + 1));
        let partners = [one, other].map(|number| self.circuits[number].partner);
        for (number, (slots, partner)) in
            [other, one].into_iter().zip(behind.into_iter().zip(partners))
        {
            self.circuits[number].slots.extend(slots);
            self.circuits[number].partner = partner;
        }
        // Partners are numbers of circuits, and these two have changed theirs.
        let renamed = |number: usize| match number {
            _ if number == one => other,
            _ if number == other => one,
            _ => number,
        };
        for circuit in &mut self.circuits {
            circuit.partner = circuit.partner.map(renamed);
        }
    }

    /// The circuits on a link at a layer, in the order of their slots.
    pub(super) fn on_link(&self, layer: usize, from: usize, to: usize) -> Vec<usize> {
        let slot = |circuit: &usize| self.circuits[*circuit].slots.get(layer).copied();
        let on =
            |circuit: &usize| slot(circuit).is_some_and(|slot| (slot.from, slot.to) == (from, to));
        let mut all: Vec<_> = (0..self.circuits.len()).filter(on).collect();
        all.sort_by_key(slot);
        all
    }
}

/// Circuits before their first hop: who talks meets the other one's onions, and who idles its own.
fn starting(Population { clients, noise }: Population, malicious: &[bool]) -> Vec<Circuit> {
    let shards = malicious.len();
    let mut circuits = Vec::new();
    let last = clients - 1;
    for client in 0..clients {
        for which in 0..2 {
            let other = match client {
                0 | 1 => Some(1 - client),
                _ if client + 1 >= last => Some(2 * last - 1 - client),
                _ => None,
            };
            let partner = other.map_or(2 * client + 1 - which, |other| 2 * other + which);
            circuits.push(Circuit {
                maker: Maker::Client(client),
                given: client + 1 >= last,
                slots: vec![Slot { from: client, to: client % shards, index: which }],
                partner: Some(partner),
            });
        }
    }
    for (shard, &malicious) in malicious.iter().enumerate() {
        let slot = |index| Slot { from: shard, to: shard, index };
        for index in 0..noise {
            let (slots, given) = (vec![slot(index)], malicious);
            circuits.push(Circuit { maker: Maker::Noise, given, slots, partner: None });
        }
        let first = circuits.len();
        for (which, partner) in [first + 1, first].into_iter().enumerate() {
            let (slots, partner) = (vec![slot(noise + which)], Some(partner));
            circuits.push(Circuit { maker: Maker::Canary, given: true, slots, partner });
        }
    }
    circuits
}
