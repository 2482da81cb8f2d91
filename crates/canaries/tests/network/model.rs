//! One round with its beats, as all shards see it together.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_canaries::{Canary, Evidence, Facts, Finding, Leg, Opening, Record, may_ask};
use antiphon_onion::{
    BeatContext, CellBytes, CircuitKey, CircuitKeys, backward_cells, forward_cells,
};
use antiphon_wire::{Direction, Epoch, IdentityKey, Layer, Round, ShardIndex, Signed};
use ed25519_dalek::SigningKey;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

/// What a malicious shard does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Garbles the bytes from `from` on of so many in a million of the cells that it sends.
    Garble { per_million: u32, from: usize },
    /// The same with whole cells, and says that it filled all that it received.
    GarbleAndFill { per_million: u32 },
    /// The same, and makes no statement.
    GarbleSilently { per_million: u32 },
    /// The same, and states that it received what would have given what it sent.
    GarbleAndLieReceived { per_million: u32 },
    /// The same, and states that it sent what it should have.
    GarbleAndLieSent { per_million: u32 },
    /// Puts each cell of a batch in its neighbour's slot.
    Swap,
    /// As the hop before another, lets a copy of a canary's onion run to it over a third shard, and later garbles it.
    Copies,
    /// Opens its own canary, which was whole, with another key at a hop.
    OpensOther,
    /// Opens its own canary, which was whole, as it is.
    OpensWhole,
}

/// Trouble that is nobody's fault.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    /// Batches in a thousand that come too late.
    pub(crate) late: u32,
    /// A shard that crashes in beat 1 of the round, and knows nothing afterwards.
    pub(crate) crashed: Option<usize>,
}

/// A network of shards with an operator each.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) shards: usize,
    pub(crate) layers: u8,
    pub(crate) beats: u64,
    pub(crate) acts: BTreeMap<usize, Act>,
    pub(crate) trouble: Trouble,
    pub(crate) rng: ChaCha20Rng,
}

struct Circuit {
    gateway: usize,
    hops: Vec<usize>,
    keys: Vec<CircuitKey>,
    partner: usize,
    /// The layer at which the hop's slot is on the link of another shard than the hop before.
    diverted: Option<(usize, usize)>,
}

/// A place of a batch: whose circuit it is, and if it is the place of a refused copy.
type Slot = (usize, bool);

type Orders = BTreeMap<(usize, usize, usize), Vec<Slot>>;

const CELL: usize = 64;

pub(crate) fn key_of(shard: usize) -> SigningKey {
    SigningKey::from_bytes(&[shard as u8 + 1; 32])
}

pub(crate) fn identities(shards: usize) -> Vec<IdentityKey> {
    (0..shards).map(|shard| IdentityKey::of(&key_of(shard))).collect()
}

fn index(shard: usize) -> ShardIndex {
    ShardIndex(shard as u16)
}

impl Circuit {
    /// The shard that a cell comes from at a layer, from 1.
    fn before(&self, layer: usize) -> usize {
        if layer == 1 { self.gateway } else { self.hops[layer - 2] }
    }
}

impl Network {
    pub(crate) fn new(
        shards: usize,
        acts: impl IntoIterator<Item = (usize, Act)>,
        seed: u64,
    ) -> Self {
        Self {
            shards,
            layers: 4,
            beats: 3,
            acts: acts.into_iter().collect(),
            trouble: Trouble::default(),
            rng: ChaCha20Rng::seed_from_u64(seed),
        }
    }

    fn facts(&self, round: u64) -> Facts {
        let cell = CellBytes::new(CELL as u16).expect("cells have such sizes");
        Facts {
            epoch: Epoch(1),
            round: Round(round),
            layers: self.layers,
            shards: self.shards,
            cell,
        }
    }

    fn circuit(&mut self, gateway: usize, partner: usize, last: usize) -> Circuit {
        let mut hops: Vec<_> =
            (1..self.layers).map(|_| self.rng.random_range(0..self.shards)).collect();
        hops.push(last);
        let keys = hops.iter().map(|_| CircuitKey::from_bytes(self.rng.random())).collect();
        Circuit { gateway, hops, keys, partner, diverted: None }
    }

    /// A pair of canaries of each shard, and an idle client at each gateway.
    fn circuits(&mut self) -> Vec<Circuit> {
        let mut circuits = Vec::new();
        for gateway in (0..self.shards).chain(0..self.shards) {
            let (first, last) = (circuits.len(), self.rng.random_range(0..self.shards));
            circuits.push(self.circuit(gateway, first + 1, last));
            circuits.push(self.circuit(gateway, first, last));
        }
        for circuit in &mut circuits {
            for layer in 2..=usize::from(self.layers) {
                let (before, hop) = (circuit.before(layer), circuit.hops[layer - 1]);
                let copies = self.acts.get(&before) == Some(&Act::Copies);
                if copies && before != hop && circuit.diverted.is_none() {
                    circuit.diverted = Some((layer, before));
                }
            }
        }
        circuits
    }

    /// Who is in which slot of each batch.
    fn orders(&mut self, circuits: &[Circuit]) -> Orders {
        let mut orders = Orders::new();
        for layer in 1..=usize::from(self.layers) {
            for (number, circuit) in circuits.iter().enumerate() {
                let (before, hop) = (circuit.before(layer), circuit.hops[layer - 1]);
                let diverted = circuit.diverted.filter(|(at, _)| *at == layer);
                if let Some((_, by)) = diverted {
                    // The copy runs over a shard of the same adversary, or the one after it.
                    let others = self.acts.keys().find(|shard| **shard != by).copied();
                    let over = others.unwrap_or((by + 1) % self.shards);
                    orders.entry((layer, over, hop)).or_default().push((number, false));
                }
                orders.entry((layer, before, hop)).or_default().push((number, diverted.is_some()));
            }
        }
        orders.values_mut().for_each(|order| order.shuffle(&mut self.rng));
        orders
    }

    fn is_crashed(&self, shard: usize, beat: u64) -> bool {
        self.trouble.crashed == Some(shard) && beat >= 1
    }

    fn one_in_a_million(&mut self, times: u32) -> bool {
        self.rng.random_range(0..1_000_000) < times
    }

    fn tamper(&mut self, sender: usize, cells: &mut [Vec<u8>]) {
        let (per_million, from) = match self.acts.get(&sender) {
            Some(Act::Garble { per_million, from }) => (*per_million, *from),
            Some(
                Act::GarbleAndFill { per_million }
                | Act::GarbleSilently { per_million }
                | Act::GarbleAndLieReceived { per_million }
                | Act::GarbleAndLieSent { per_million },
            ) => (*per_million, 0),
            Some(Act::Swap) => return cells.rotate_right(1),
            _ => return,
        };
        for cell in cells {
            if self.one_in_a_million(per_million) {
                self.rng.fill_bytes(&mut cell[from..]);
            }
        }
    }

    /// One batch on its way, and what its receiver then has.
    fn pass(
        &mut self,
        records: &mut [Record],
        (beat, leg): (u64, Leg),
        order: &[Slot],
        cells: &mut [Vec<u8>],
    ) {
        let (sender, receiver) = (leg.sender.position(), leg.receiver.position());
        let refused = |rng: &mut ChaCha20Rng| rng.random::<[u8; CELL]>().to_vec();
        let mut batch = Vec::new();
        for (number, dead) in order {
            // Whoever let a copy run sends its cells in the slot that was refused, and garbage in the other.
            let copied = cells[*number].len() == CELL && leg.direction == Direction::Forward;
            batch.push(match (dead, copied) {
                (true, true) | (false, _) => cells[*number].clone(),
                (true, false) => refused(&mut self.rng),
            });
        }
        self.tamper(sender, &mut batch);
        let bytes = batch.concat();
        let comes = sender == receiver || self.rng.random_range(0..1000) >= self.trouble.late;
        let comes = comes && !self.is_crashed(sender, beat);
        if !self.is_crashed(sender, beat) {
            records[sender].sent(beat, leg, &bytes);
        }
        records[receiver].received(beat, leg, comes.then_some(&bytes[..]));
        for ((number, dead), cell) in order.iter().zip(batch) {
            if *dead {
                continue;
            }
            cells[*number] = if comes { cell } else { refused(&mut self.rng) };
        }
    }

    /// One beat. `cells` are those of all circuits as they leave their makers, and come back to them.
    fn beat(
        &mut self,
        context: BeatContext,
        circuits: &[Circuit],
        orders: &Orders,
        records: &mut [Record],
        cells: &mut [Vec<u8>],
    ) {
        let layers = usize::from(self.layers);
        for layer in 1..=layers {
            self.layer((context, layer, Direction::Forward), circuits, orders, records, cells);
            for (circuit, cell) in circuits.iter().zip(&mut *cells) {
                let key = circuit.keys[layer - 1].clone();
                forward_cells(&[key], context, Layer(layer as u8), cell);
            }
        }
        let met: Vec<_> = circuits.iter().map(|circuit| cells[circuit.partner].clone()).collect();
        cells.iter_mut().zip(met).for_each(|(cell, met)| *cell = met);
        for layer in (1..=layers).rev() {
            for (circuit, cell) in circuits.iter().zip(&mut *cells) {
                let key = circuit.keys[layer - 1].clone();
                backward_cells(&[key], context, Layer(layer as u8), cell);
            }
            self.layer((context, layer, Direction::Reply), circuits, orders, records, cells);
        }
    }

    fn layer(
        &mut self,
        (context, layer, direction): (BeatContext, usize, Direction),
        circuits: &[Circuit],
        orders: &Orders,
        records: &mut [Record],
        cells: &mut [Vec<u8>],
    ) {
        let beat = context.beat;
        for ((_, before, hop), order) in orders.range((layer, 0, 0)..(layer + 1, 0, 0)) {
            let (sender, receiver) = match direction {
                Direction::Forward => (*before, *hop),
                Direction::Reply => (*hop, *before),
            };
            let leg = Leg {
                layer: Layer(layer as u8),
                direction,
                sender: index(sender),
                receiver: index(receiver),
            };
            self.pass(records, (beat, leg), order, cells);
        }
        // The copy's way carries garbage, from the moment at which both ways part.
        if direction == Direction::Forward {
            for (circuit, cell) in circuits.iter().zip(cells) {
                if circuit.diverted.is_some_and(|(at, _)| at == layer) {
                    self.rng.fill_bytes(cell);
                }
            }
        }
    }

    /// Plays a round. Returns what comes of its canaries, each with its maker.
    pub(crate) fn round(&mut self, round: u64) -> Vec<Finding> {
        let facts = self.facts(round);
        let circuits = self.circuits();
        let orders = self.orders(&circuits);
        let canaries: Vec<_> = (0..self.shards)
            .map(|shard| {
                let pair = &circuits[2 * shard..2 * shard + 2];
                let hops = [0, 1].map(|i| pair[i].hops.iter().map(|hop| index(*hop)).collect());
                let keys = pair.iter().flat_map(|circuit| circuit.keys.clone()).collect();
                let keys = CircuitKeys::of_circuits(self.layers.into(), keys);
                Canary::new(hops, keys, Zeroizing::new(self.rng.random()))
            })
            .collect();
        let mut records: Vec<_> = (0..self.shards)
            .map(|shard| Record::new(facts.epoch, facts.round, index(shard), CELL))
            .collect();
        let mut broken: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
        let mut asked: BTreeMap<usize, u64> = BTreeMap::new();
        for beat in 0..self.beats {
            let context =
                BeatContext { epoch: facts.epoch, round: facts.round, beat, cell: facts.cell };
            let mut cells: Vec<Vec<u8>> =
                circuits.iter().map(|_| self.rng.random::<[u8; CELL]>().to_vec()).collect();
            for (shard, canary) in canaries.iter().enumerate() {
                let made = canary.cells(context);
                cells[2 * shard] = made[..CELL].to_vec();
                cells[2 * shard + 1] = made[CELL..].to_vec();
            }
            self.beat(context, &circuits, &orders, &mut records, &mut cells);
            for (shard, canary) in canaries.iter().enumerate() {
                let opens_anyway =
                    matches!(self.acts.get(&shard), Some(Act::OpensOther | Act::OpensWhole));
                let came = cells[2 * shard..2 * shard + 2].concat();
                if !canary.is_whole(context, &came) || opens_anyway {
                    broken.entry(beat).or_default().insert(shard);
                    if may_ask(facts.round, index(shard), self.shards) {
                        asked.entry(shard).or_insert(beat);
                    }
                }
            }
            records.iter_mut().for_each(|record| record.forget_before(beat.saturating_sub(1)));
            for asked in asked.values().filter(|asked| **asked == beat) {
                records.iter_mut().for_each(|record| assert!(record.keep(*asked)));
            }
        }
        self.judge(facts, &canaries, &records, &broken, &asked.into_values().collect())
    }

    fn judge(
        &mut self,
        facts: Facts,
        canaries: &[Canary],
        records: &[Record],
        broken: &BTreeMap<u64, BTreeSet<usize>>,
        asked: &BTreeSet<u64>,
    ) -> Vec<Finding> {
        let mut evidence = Evidence::new(facts, identities(self.shards));
        for (shard, record) in records.iter().enumerate() {
            let Some(mut statement) = record.statement() else { continue };
            if self.is_crashed(shard, self.beats) {
                continue;
            }
            for told in statement.beats.values_mut() {
                match self.acts.get(&shard) {
                    Some(Act::GarbleAndFill { .. }) => {
                        told.received.values_mut().for_each(|list| *list = None);
                    }
                    Some(Act::GarbleAndLieReceived { .. }) => {
                        told.received.values_mut().flatten().for_each(|list| list.0[0] ^= 1);
                    }
                    Some(Act::GarbleAndLieSent { .. }) => {
                        told.sent.values_mut().for_each(|list| list.0[0] ^= 1);
                    }
                    _ => (),
                }
            }
            if !matches!(self.acts.get(&shard), Some(Act::GarbleSilently { .. })) {
                let signed = Signed::new(statement, &key_of(shard));
                evidence.add_statement(&signed).expect("a statement of this round");
            }
        }
        let mut findings = Vec::new();
        for beat in asked {
            for shard in broken.get(beat).into_iter().flatten() {
                let context = BeatContext {
                    epoch: facts.epoch,
                    round: facts.round,
                    beat: *beat,
                    cell: facts.cell,
                };
                let mut opening: Opening = canaries[*shard].open(context, index(*shard));
                if self.acts.get(shard) == Some(&Act::OpensOther) {
                    let at = self.rng.random_range(0..usize::from(self.layers) - 1);
                    opening.circuits[0].keys[at] = CircuitKey::from_bytes(self.rng.random());
                    // With the first cell as it was: all is well up to the hop with the other key.
                    let mut cell = canaries[*shard].cells(context)[..CELL].to_vec();
                    let keys = &opening.circuits[0].keys;
                    for (layer, key) in keys.iter().enumerate() {
                        forward_cells(
                            std::slice::from_ref(key),
                            context,
                            Layer(layer as u8 + 1),
                            &mut cell,
                        );
                    }
                    opening.circuits[0].content.0 = cell;
                }
                let signed = Signed::new(opening, &key_of(*shard));
                for leg in evidence.legs(&signed).expect("an opening of this round") {
                    for end in [leg.sender, leg.receiver] {
                        let list = records[end.position()].list(*beat, leg);
                        // A list that no statement names any more is no use to whoever lied about it.
                        let _ = list.map(|list| evidence.add_list(&list));
                    }
                }
                findings.extend(evidence.judge(&signed).expect("an opening of this round"));
            }
        }
        findings
    }
}
