//! The theorem on beats, tried: whatever an adversary does, what it sees is what a simulator shows it that
//! knows the round alone. And each rule that it rests on, broken, is noticed.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use antiphon_attack::beats::{
    Act, Adversary, Batch, Beats, CELL_BYTES, Cell, Direction, Event, Flaw, Maker, Tables, View,
    World, every_play, play, played, refusing, round, seen, without_late,
};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

const LAYERS: usize = 4;

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
    for act in Act::ALL {
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
    for act in Act::ALL {
        for seed in 0..20 {
            let tables = without_late(&refusing(&round(seed)));
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
    assert!(moved > 10 * Act::ALL.len(), "the first client meets others: {moved}");
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
        let noticed: Vec<_> = Act::ALL.into_iter().filter(|act| tells(Some(flaw), *act)).collect();
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
}

#[test]
fn each_strategy_notices_the_rules_that_it_is_for_and_nothing_on_the_intact_network() {
    for (act, flaw) in every_play() {
        let played = play(act, flaw, 6, 1);
        assert!(played.as_it_should_be(), "{played:?}");
    }
    // Each flaw is named by a strategy that does one thing.
    for flaw in Flaw::ALL {
        let named = Act::ALL.into_iter().filter(|act| act.notices().contains(&flaw)).count();
        assert!(named >= 2, "{flaw:?}");
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
