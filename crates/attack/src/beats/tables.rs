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

/// The route of one onion of the round.
#[derive(Clone, Debug)]
pub struct Circuit {
    /// Its client, or none for noise.
    pub client: Option<usize>,
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
    /// Clients' circuits first, two of each, then noise.
    pub circuits: Vec<Circuit>,
}

impl Tables {
    /// A round of `clients` of which the first two talk and the others idle, with so much single noise of
    /// each shard.
    pub fn draw(
        clients: usize,
        noise: usize,
        layers: usize,
        malicious: &[bool],
        rng: &mut impl CryptoRng,
    ) -> Self {
        let shards = malicious.len();
        let mut circuits = starting(clients, noise, shards);
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

    /// The same round, but one onion's batch came too late for it: it has a slot at its gateway and no
    /// further one, and its partner was alone.
    #[must_use]
    pub fn without(&self, late: usize) -> Self {
        let mut tables = self.clone();
        let ended = tables.circuits[late].slots.split_off(1);
        for circuit in &mut tables.circuits {
            for (slot, gone) in circuit.slots.iter_mut().skip(1).zip(&ended) {
                let link = (slot.from, slot.to) == (gone.from, gone.to);
                slot.index -= usize::from(link && slot.index > gone.index);
            }
        }
        if let Some(partner) = tables.circuits[late].partner.take() {
            tables.circuits[partner].partner = None;
        }
        tables
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

/// Circuits before their first hop: the first two clients' onions meet each other's, and another client's its
/// own.
fn starting(clients: usize, noise: usize, shards: usize) -> Vec<Circuit> {
    let mut circuits = Vec::new();
    for client in 0..clients {
        for which in 0..2 {
            let partner = match client {
                0 | 1 => 2 * (1 - client) + which,
                _ => 2 * client + 1 - which,
            };
            let slot = Slot { from: client, to: client % shards, index: which };
            let (client, partner) = (Some(client), Some(partner));
            circuits.push(Circuit { client, slots: vec![slot], partner });
        }
    }
    for shard in 0..shards {
        for index in 0..noise {
            let slot = Slot { from: shard, to: shard, index };
            circuits.push(Circuit { client: None, slots: vec![slot], partner: None });
        }
    }
    circuits
}
