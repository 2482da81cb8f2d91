//! The theorem on beats, tried: whatever an adversary does, what it sees is what a simulator shows it that
//! knows the round alone. And each rule that it rests on, broken, is noticed.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use antiphon_attack::beats::{
    Adversary, Batch, Beats, CELL_BYTES, Cell, Direction, Event, Flaw, Maker, Population, Tables,
    View, World,
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const LAYERS: usize = 4;
const BEATS: u32 = 5;

/// What an adversary can do to cells, each of it in some beats and on some links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Nothing,
    Garble,
    Half,
    Copy,
    Swap,
    Replay,
    Shift,
    Drop,
    Short,
    Long,
    Delay,
    Again,
    Reflect,
    Cut,
    Everything,
}

const ACTS: [Act; 15] = [
    Act::Nothing,
    Act::Garble,
    Act::Half,
    Act::Copy,
    Act::Swap,
    Act::Replay,
    Act::Shift,
    Act::Drop,
    Act::Short,
    Act::Long,
    Act::Delay,
    Act::Again,
    Act::Reflect,
    Act::Cut,
    Act::Everything,
];

/// Draws of its own, the same in both worlds. It remembers the last batch that it sent.
struct Player {
    act: Act,
    draws: ChaCha8Rng,
    last: Vec<Option<Cell>>,
    back: Vec<Option<Cell>>,
}

impl Player {
    fn new(act: Act, seed: u64) -> Self {
        let draws = ChaCha8Rng::seed_from_u64(seed);
        Self { act, draws, last: Vec::new(), back: Vec::new() }
    }

    fn now(&mut self) -> Act {
        // The same number of draws for every act.
        let (any, whether) =
            (self.draws.random_range(0..ACTS.len() - 1), self.draws.random::<bool>());
        match self.act {
            Act::Everything => ACTS[any],
            act if whether => act,
            _ => Act::Nothing,
        }
    }
}

impl Adversary for Player {
    fn sends(&mut self, batch: Batch, cells: &mut Vec<Option<Cell>>) {
        let (sent, mark) = (cells.clone(), self.draws.random::<Cell>());
        match self.now() {
            Act::Garble => {
                cells[0] = cells[0].map(|cell| std::array::from_fn(|i| cell[i] ^ mark[i]));
            }
            // Every other cell or so, as one who asks partners what arrived.
            Act::Half => {
                for (cell, bit) in cells.iter_mut().zip(mark) {
                    let garbled = cell.map(|cell| std::array::from_fn(|i| cell[i] ^ mark[i]));
                    *cell = if bit % 2 == 1 { garbled } else { *cell };
                }
            }
            Act::Copy => cells.fill(sent[0]),
            Act::Swap => cells.reverse(),
            Act::Replay if self.last.len() == cells.len() => cells.clone_from(&self.last),
            Act::Reflect if self.back.len() == cells.len() => cells.clone_from(&self.back),
            Act::Shift => cells.rotate_left(1),
            Act::Drop => cells.clear(),
            Act::Short => cells[0] = None,
            Act::Long => cells.push(Some(mark)),
            _ => {}
        }
        match batch.direction {
            Direction::Forward => self.last = sent,
            Direction::Backward => self.back = sent,
        }
    }

    fn delays(&mut self, _: Batch) -> bool {
        self.now() == Act::Delay
    }

    fn again(&mut self, _: Batch) -> Option<(usize, Cell)> {
        let mark = self.draws.random::<Cell>();
        (self.now() == Act::Again).then_some((0, mark))
    }

    fn cuts(&mut self, _: u32, _: usize) -> bool {
        self.now() == Act::Cut
    }
}

/// A round of six clients, with shards of which the first and another are malicious.
fn round(seed: u64) -> Tables {
    let malicious = [true, false, false, seed.is_multiple_of(2)];
    let population = Population { clients: 6, noise: 3 };
    Tables::draw(population, LAYERS, &malicious, &mut ChaCha8Rng::seed_from_u64(seed))
}

/// The first onion of the third client is late in every round: its partner is idle's other half.
const LATE: usize = 4;

/// The same round, after an honest shard refused an onion that it had from a malicious one.
fn refusing(tables: &Tables) -> Tables {
    let (number, layer) = (LATE + 1..tables.circuits.len())
        .flat_map(|number| (1..LAYERS).map(move |layer| (number, layer)))
        .find(|&(number, layer)| {
            let circuit = &tables.circuits[number];
            let slot = circuit.slots[layer];
            !circuit.given && tables.malicious[slot.from] && !tables.malicious[slot.to]
        })
        .unwrap();
    tables.ended(number, layer)
}

fn played(tables: Tables, world: World, act: Act, seed: u64) -> View {
    // Honest draws have nothing in common in the two worlds.
    let own = if world == World::Ideal { 1000 } else { 2000 };
    let mut beats = Beats::new(tables, world, own + seed);
    let mut player = Player::new(act, seed);
    (0..BEATS).for_each(|beat| beats.beat(beat, &mut player));
    beats.finish();
    beats.view().clone()
}

fn seen(world: World, act: Act, seed: u64) -> View {
    let tables = refusing(&round(seed));
    let tables = match world {
        World::Real(Some(Flaw::LateCircuits)) => tables,
        _ => tables.ended(LATE, 0),
    };
    played(tables, world, act, seed)
}

/// Both views are the same, event by event.
fn compare(one: &View, other: &View, case: &str) {
    for (which, (found, expected)) in one.events.iter().zip(&other.events).enumerate() {
        assert_eq!(found, expected, "{case}, event {which}");
    }
    assert_eq!(one.events.len(), other.events.len(), "{case}");
}

/// Whether an adversary tells the worlds apart in one of some rounds.
fn tells(flaw: Option<Flaw>, act: Act) -> bool {
    (0..6).any(|seed| seen(World::Real(flaw), act, seed) != seen(World::Ideal, act, seed))
}

#[test]
fn beats_show_nothing_that_their_round_did_not() {
    for act in ACTS {
        for seed in 0..20 {
            let (real, ideal) = (seen(World::Real(None), act, seed), seen(World::Ideal, act, seed));
            let cells = real.events.iter().filter(|event| matches!(event, Event::Cell(..))).count();
            assert!(cells > 40, "an adversary sees something: {cells}");
            compare(&real, &ideal, &format!("{act:?}, round {seed}"));
        }
    }
}

#[test]
fn what_is_behind_honest_shards_does_not_show_in_beats() {
    let mut moved = 0;
    for act in ACTS {
        for seed in 0..20 {
            let tables = refusing(&round(seed)).ended(LATE, 0);
            let other = tables.rerouted(&mut ChaCha8Rng::seed_from_u64(3000 + seed));
            let partners = |tables: &Tables| [0, 1].map(|number| tables.circuits[number].partner);
            moved += usize::from(partners(&tables) != partners(&other));
            // Neither in the real world, nor in the simulator's, which has to know no more than it says.
            for world in [World::Real(None), World::Ideal] {
                let views = [&tables, &other].map(|each| played(each.clone(), world, act, seed));
                compare(&views[0], &views[1], &format!("{act:?}, round {seed}, {world:?}"));
            }
        }
    }
    assert!(moved > 10 * ACTS.len(), "the first client meets others: {moved}");
    // The comparison has power: it finds what a partner tells, or what noise that is opened tells.
    for (flaw, act) in [
        (Flaw::PartnerTells, Act::Half),
        (Flaw::OpensNoise, Act::Half),
        (Flaw::RelinksOnLoss, Act::Half),
        (Flaw::RepeatsPart, Act::Again),
    ] {
        let differs = (0..6).any(|seed| {
            let tables = round(seed);
            let other = tables.rerouted(&mut ChaCha8Rng::seed_from_u64(3000 + seed));
            let views =
                [tables, other].map(|each| played(each, World::Real(Some(flaw)), act, seed));
            views[0] != views[1]
        });
        assert!(differs, "{flaw:?}");
    }
}

#[test]
fn a_simulator_fails_without_the_circuits_of_the_adversarys_clients_or_without_canaries() {
    let adversarys = |maker| matches!(maker, Maker::Client(_));
    let canary = |maker| maker == Maker::Canary;
    let kinds: [&dyn Fn(Maker) -> bool; 2] = [&adversarys, &canary];
    for withheld in kinds {
        let fails = (0..6).any(|seed| {
            let tables = round(seed);
            let mut fewer = tables.clone();
            for circuit in fewer.circuits.iter_mut().filter(|circuit| withheld(circuit.maker)) {
                circuit.given = false;
            }
            let [real, ideal] = [(tables, World::Real(None)), (fewer, World::Ideal)]
                .map(|(tables, world)| played(tables, world, Act::Half, seed));
            real != ideal
        });
        assert!(fails);
    }
}

#[test]
fn each_rule_that_is_broken_is_noticed() {
    for flaw in Flaw::ALL {
        let noticed: Vec<_> = ACTS.into_iter().filter(|act| tells(Some(flaw), *act)).collect();
        println!("{flaw:?}: {noticed:?}");
        assert!(noticed.contains(&Act::Everything), "{flaw:?}: {noticed:?}");
    }
    // Not by luck: what needs an act is not seen by one who only watches.
    for flaw in [
        Flaw::StreamTwice,
        Flaw::Twice,
        Flaw::RepeatsPart,
        Flaw::NoFill,
        Flaw::SizesFollowPresence,
        Flaw::FallsBackOnLoss,
        Flaw::OpensNoise,
    ] {
        assert!(!tells(Some(flaw), Act::Nothing), "{flaw:?}");
    }
    for (flaw, act) in [
        (Flaw::StreamTwice, Act::Again),
        (Flaw::Twice, Act::Again),
        (Flaw::RepeatsPart, Act::Again),
        (Flaw::NoFill, Act::Drop),
        (Flaw::SizesFollowPresence, Act::Cut),
        (Flaw::RelinksOnLoss, Act::Garble),
        (Flaw::FallsBackOnLoss, Act::Garble),
        (Flaw::WakesOnMessage, Act::Garble),
        (Flaw::LateCircuits, Act::Nothing),
        (Flaw::LiveAndLeft, Act::Nothing),
        (Flaw::SameContentTwice, Act::Nothing),
        (Flaw::EchoesRefused, Act::Nothing),
        (Flaw::OpensNoise, Act::Garble),
        (Flaw::NothingForSingles, Act::Nothing),
        (Flaw::PartnerTells, Act::Garble),
    ] {
        assert!(tells(Some(flaw), act), "{flaw:?} {act:?}");
    }
}

/// Garbles one slot of a link in every beat.
struct Tagger {
    layer: usize,
    index: usize,
}

impl Adversary for Tagger {
    fn sends(&mut self, batch: Batch, cells: &mut Vec<Option<Cell>>) {
        let here = batch.layer == self.layer && batch.direction == Direction::Forward;
        if here && self.index < cells.len() {
            cells[self.index] = Some([7; CELL_BYTES]);
        }
    }
}

#[test]
fn a_partner_who_tells_what_arrived_finds_the_slot() {
    // The limit of the theorem, as an attack: garble one slot after the other, and ask the partner.
    let tables = round(2);
    let told = |layer, index| {
        let flaw = Some(Flaw::PartnerTells);
        let mut beats = Beats::new(tables.clone(), World::Real(flaw), 1);
        beats.beat(0, &mut Tagger { layer, index });
        let lost = |event: &&Event| **event == Event::Told(0, 1, false);
        beats.view().events.iter().filter(lost).count()
    };
    let mut found = 0;
    for layer in 1..=LAYERS {
        for index in 0..8 {
            let through = (0..2).filter(|&number| {
                let slot = tables.circuits[number].slots[layer];
                tables.malicious[slot.from] && slot.index == index
            });
            let expected = through.count();
            assert_eq!(told(layer, index), expected, "layer {layer}, slot {index}");
            found += expected;
        }
    }
    assert!(found > 0, "a circuit of the first client passes a malicious shard");
}

/// Rounds of a day if one is asked for early whenever clients allow it: a bucket of so many an hour and a day.
fn forced(interval_s: u32, an_hour: u32, a_day: u32) -> u32 {
    const DAY: u32 = 24 * 3600;
    let (mut rounds, mut early, mut in_hour, mut next) = (0, 0, Vec::new(), 0);
    for second in 0..DAY {
        in_hour.retain(|at| second - at < 3600);
        let may = early < a_day && (in_hour.len() as u32) < an_hour;
        if second >= next {
            next = second + interval_s;
            rounds += 1;
        } else if may {
            in_hour.push(second);
            early += 1;
            next = second + interval_s;
            rounds += 1;
        }
    }
    rounds
}

#[test]
fn figures_at_the_nominal_interval_are_below_what_an_adversary_can_force() {
    let (interval, an_hour, a_day) = (300, 4, 24);
    let (nominal, found) = (24 * 3600 / interval, forced(interval, an_hour, a_day));
    assert!(found > nominal, "{found} {nominal}");
    assert!(found <= nominal + a_day, "the least interval covers them: {found}");
    assert_eq!(forced(interval, 0, 0), nominal);
}
