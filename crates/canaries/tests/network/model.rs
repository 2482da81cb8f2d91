//! One round with its beats, as all shards see it together.

use std::collections::{BTreeMap, VecDeque};

use antiphon_canaries::{
    Ask, Canary, CanaryMessage, Court, Facts, Judged, Leg, Member, OpenCircuit, Print, Watch,
};
use antiphon_onion::{
    BeatContext, CellBytes, CircuitKey, CircuitKeys, backward_cells, forward_cells,
};
use antiphon_wire::{
    Direction, Epoch, IdentityKey, Layer, OperatorIndex, Round, ShardIndex, Signed, Timestamp,
};
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
    /// The same, for a beat that it asks for when all others have forgotten it.
    AsksTooLate,
    /// The same, so late that nobody can show anything for it any more.
    OpensTooLate,
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

/// Each shard has an operator of its own.
pub(crate) fn members(shards: usize) -> Vec<Member> {
    let operators = (0..).map(OperatorIndex);
    let member = |(shard, operator)| Member { shard, operator };
    identities(shards).into_iter().zip(operators).map(member).collect()
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
        watches: &mut [Option<Watch>],
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
        let comes = comes && watches[sender].is_some();
        if let Some(watch) = &mut watches[sender] {
            watch.sent(beat, leg, Print::of_all(&bytes, CELL));
        }
        if let Some(watch) = &mut watches[receiver] {
            watch.received(beat, leg, comes.then(|| Print::of_all(&bytes, CELL)));
        }
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
        watches: &mut [Option<Watch>],
        cells: &mut [Vec<u8>],
    ) {
        let layers = usize::from(self.layers);
        for layer in 1..=layers {
            self.layer((context, layer, Direction::Forward), circuits, orders, watches, cells);
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
            self.layer((context, layer, Direction::Reply), circuits, orders, watches, cells);
        }
    }

    fn layer(
        &mut self,
        (context, layer, direction): (BeatContext, usize, Direction),
        circuits: &[Circuit],
        orders: &Orders,
        watches: &mut [Option<Watch>],
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
            self.pass(watches, (beat, leg), order, cells);
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

    /// Plays a round before `court`, which then judges it.
    pub(crate) fn round(&mut self, round: u64, court: &mut Court) -> Judged {
        let facts = self.facts(round);
        let circuits = self.circuits();
        let orders = self.orders(&circuits);
        let canaries: Vec<_> = (0..self.shards)
            .map(|shard| Parts::new(&circuits[2 * shard..2 * shard + 2], self.rng.random()))
            .collect();
        let expires = Timestamp(1000 * round);
        court.open(facts, members(self.shards), expires);
        let watch = |(shard, parts): (usize, &Parts)| {
            Some(Watch::new(facts, index(shard), identities(self.shards), vec![parts.canary()]))
        };
        let mut watches: Vec<_> = canaries.iter().enumerate().map(watch).collect();
        for beat in 0..self.beats {
            if beat == 1
                && let Some(crashed) = self.trouble.crashed
            {
                watches[crashed] = None;
            }
            let context = facts_context(facts, beat);
            let mut cells: Vec<Vec<u8>> =
                circuits.iter().map(|_| self.rng.random::<[u8; CELL]>().to_vec()).collect();
            for (shard, watch) in watches.iter().enumerate() {
                let made = watch.as_ref().map(|watch| watch.cells(beat)).unwrap_or_default();
                for (circuit, cell) in made.chunks(CELL).enumerate() {
                    cells[2 * shard + circuit] = cell.to_vec();
                }
            }
            self.beat(context, &circuits, &orders, &mut watches, &mut cells);
            let mut said = VecDeque::new();
            for (shard, watch) in watches.iter_mut().enumerate() {
                let Some(watch) = watch else { continue };
                let came = cells[2 * shard..2 * shard + 2].concat();
                said.extend(watch.home(beat, &came, &key_of(shard)).map(|ask| (shard, ask)));
                let is_late = self.acts.get(&shard) == Some(&Act::AsksTooLate);
                if !is_late {
                    watch.forget_before(beat.saturating_sub(1));
                }
                let asks_at = if is_late { self.beats - 1 } else { 0 };
                if beat == asks_at && self.opens_anyway(shard) {
                    let (epoch, round) = (facts.epoch, facts.round);
                    let ask = Ask { epoch, round, beat: 0, shard: index(shard) };
                    let ask = CanaryMessage::Ask(Signed::new(ask, &key_of(shard)));
                    said.push_back((shard, ask));
                }
            }
            self.tell(said, &mut watches, court);
        }
        let mut said = VecDeque::new();
        for (shard, watch) in watches.iter_mut().enumerate() {
            let stated = watch.as_mut().and_then(|watch| watch.erased(&key_of(shard)));
            said.extend(stated.map(|statement| (shard, statement)));
        }
        self.tell(said, &mut watches, court);
        let mut said = VecDeque::new();
        for (shard, watch) in watches.iter_mut().enumerate() {
            let Some(watch) = watch else { continue };
            said.extend(watch.expired(&key_of(shard)).into_iter().map(|opening| (shard, opening)));
            if self.opens_anyway(shard) {
                let opening = self.false_opening(facts, shard, &canaries[shard]);
                said.push_back((shard, opening));
            }
        }
        self.tell(said, &mut watches, court);
        court.on_time(expires.plus_ms(3_600_000))
    }

    fn opens_anyway(&self, shard: usize) -> bool {
        use Act::{AsksTooLate, OpensOther, OpensTooLate, OpensWhole};
        let acts = [OpensOther, OpensWhole, AsksTooLate, OpensTooLate];
        self.acts.get(&shard).is_some_and(|act| acts.contains(act))
    }

    /// A canary that was whole, as it is or with another key at a hop.
    fn false_opening(&mut self, facts: Facts, shard: usize, parts: &Parts) -> CanaryMessage {
        let context = facts_context(facts, 0);
        let canary = parts.canary();
        let mut opening = canary.open(context, index(shard));
        if self.acts.get(&shard) == Some(&Act::OpensOther) {
            let at = self.rng.random_range(0..usize::from(self.layers) - 1);
            let OpenCircuit { keys, content, .. } = &mut opening.circuits[0];
            keys[at] = CircuitKey::from_bytes(self.rng.random());
            // With the first cell as it was: all is well up to the hop with the other key.
            content.0 = canary.cells(context)[..CELL].to_vec();
            for (key, layer) in keys.iter().zip(1..) {
                let key = std::slice::from_ref(key);
                forward_cells(key, context, Layer(layer), &mut content.0);
            }
        }
        CanaryMessage::Opening(Signed::new(opening, &key_of(shard)))
    }

    /// Tells all what shards say, and what they answer, until nobody says anything any more.
    fn tell(
        &self,
        mut said: VecDeque<(usize, CanaryMessage)>,
        watches: &mut [Option<Watch>],
        court: &mut Court,
    ) {
        while let Some((from, message)) = said.pop_front() {
            let Some(message) = self.twisted(from, message) else { continue };
            if court.hear(&identities(self.shards)[from], &message) != Ok(true) {
                continue;
            }
            let is_opening = matches!(message, CanaryMessage::Opening(_));
            let is_late = is_opening && self.acts.get(&from) == Some(&Act::OpensTooLate);
            for (shard, watch) in watches.iter_mut().enumerate() {
                if let Some(watch) = watch.as_mut().filter(|_| shard == from || !is_late) {
                    let answers = watch.hear(&message);
                    said.extend(answers.into_iter().map(|answer| (shard, answer)));
                }
            }
        }
    }

    /// What a shard really says: liars state other things.
    fn twisted(&self, shard: usize, message: CanaryMessage) -> Option<CanaryMessage> {
        let CanaryMessage::Statement(signed) = &message else { return Some(message) };
        let mut statement = signed.claimed().clone();
        for told in statement.beats.values_mut() {
            match self.acts.get(&shard) {
                Some(Act::GarbleSilently { .. }) => return None,
                Some(Act::GarbleAndFill { .. }) => {
                    told.received.values_mut().for_each(|list| *list = None);
                }
                Some(Act::GarbleAndLieReceived { .. }) => {
                    told.received.values_mut().flatten().for_each(|list| list.0[0] ^= 1);
                }
                Some(Act::GarbleAndLieSent { .. }) => {
                    told.sent.values_mut().for_each(|list| list.0[0] ^= 1);
                }
                _ => return Some(message),
            }
        }
        Some(CanaryMessage::Statement(Signed::new(statement, &key_of(shard))))
    }
}

/// All that a canary is made of, to make it twice.
struct Parts {
    hops: [Vec<ShardIndex>; 2],
    keys: CircuitKeys,
    seed: [u8; 32],
}

impl Parts {
    fn new(pair: &[Circuit], seed: [u8; 32]) -> Self {
        let hops = [0, 1].map(|i: usize| pair[i].hops.iter().map(|hop| index(*hop)).collect());
        let keys = pair.iter().flat_map(|circuit| circuit.keys.clone()).collect();
        Self { hops, keys: CircuitKeys::of_circuits(pair[0].hops.len(), keys), seed }
    }

    fn canary(&self) -> Canary {
        Canary::new(self.hops.clone(), self.keys.clone(), Zeroizing::new(self.seed))
    }
}

fn facts_context(facts: Facts, beat: u64) -> BeatContext {
    BeatContext { epoch: facts.epoch, round: facts.round, beat, cell: facts.cell }
}
