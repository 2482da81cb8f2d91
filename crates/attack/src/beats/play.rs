//! Strategies against beats: whether what they see is what a simulator shows them that knows the round alone.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::act::{Act, Player};
use super::flaw::Flaw;
use super::passage::{Beats, World};
use super::tables::{Population, Tables};
use super::view::View;

/// Layers of the rounds that are played.
const LAYERS: usize = 4;
/// Beats that follow each of them.
const BEATS: u32 = 5;
/// The first onion of the third client is late in every round: its partner is idle's other half.
const LATE: usize = 4;

/// One strategy against one network, in many rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Played {
    /// What the adversary does.
    pub act: Act,
    /// The rule that the network breaks; none if it is intact.
    pub flaw: Option<Flaw>,
    /// Rounds that were played, each with beats.
    pub rounds: u64,
    /// Those in which the adversary's view was not the simulator's.
    pub told_apart: u64,
}

impl Played {
    /// Returns `true` if the views were the same throughout where nothing is broken, and differed where it is.
    pub fn as_it_should_be(&self) -> bool {
        (self.told_apart > 0) == self.flaw.is_some()
    }
}

/// Plays an act in so many rounds, seeded one after the other from `seed` on.
pub fn play(act: Act, flaw: Option<Flaw>, rounds: u64, seed: u64) -> Played {
    let differs = |round: &u64| {
        let seed = seed.wrapping_mul(1_000_000).wrapping_add(*round);
        seen(World::Real(flaw), act, seed) != seen(World::Ideal, act, seed)
    };
    Played { act, flaw, rounds, told_apart: (0..rounds).filter(differs).count() as u64 }
}

/// Every act against the intact network and against each flaw that it has to notice.
pub fn every_play() -> Vec<(Act, Option<Flaw>)> {
    let of = |act: Act| {
        let notices = act.notices().iter().map(move |flaw| (act, Some(*flaw)));
        std::iter::once((act, None)).chain(notices)
    };
    Act::ALL.into_iter().flat_map(of).collect()
}

/// A round of six clients, with shards of which the first and, by the seed, another are malicious.
pub fn round(seed: u64) -> Tables {
    let malicious = [true, false, false, seed.is_multiple_of(2)];
    let population = Population { clients: 6, noise: 3 };
    Tables::draw(population, LAYERS, &malicious, &mut ChaCha8Rng::seed_from_u64(seed))
}

/// The same round, after an honest shard refused an onion that it had from a malicious one, if there was any.
pub fn refusing(tables: &Tables) -> Tables {
    let refused = (LATE + 1..tables.circuits.len())
        .flat_map(|number| (1..LAYERS).map(move |layer| (number, layer)))
        .find(|&(number, layer)| {
            let circuit = &tables.circuits[number];
            let slot = circuit.slots[layer];
            !circuit.given && tables.malicious[slot.from] && !tables.malicious[slot.to]
        });
    refused.map_or_else(|| tables.clone(), |(number, layer)| tables.ended(number, layer))
}

/// The view of who does `act` in a round and its beats, in one of the worlds.
pub fn seen(world: World, act: Act, seed: u64) -> View {
    let tables = refusing(&round(seed));
    let tables = match world {
        World::Real(Some(Flaw::LateCircuits)) => tables,
        _ => without_late(&tables),
    };
    played(tables, world, act, seed)
}

/// The round without the onion that came late.
pub fn without_late(tables: &Tables) -> Tables {
    tables.ended(LATE, 0)
}

/// Clients that sleep in two of three rounds: one of two that talk, and one that idles.
const SLEEPERS: [usize; 2] = [1, 2];

/// The view of who does `act` in the beats of these tables.
pub fn played(tables: Tables, world: World, act: Act, seed: u64) -> View {
    // Honest draws have nothing in common in the two worlds.
    let own: u64 = if world == World::Ideal { 1000 } else { 2000 };
    let mut beats = Beats::new(tables, world, own.wrapping_add(seed));
    let mut player = Player::new(act, seed);
    if !seed.is_multiple_of(3) {
        beats.sleep(&SLEEPERS, BEATS, &mut player);
    }
    (0..BEATS).for_each(|beat| beats.beat(beat, &mut player));
    beats.wake(BEATS);
    beats.finish();
    beats.view().clone()
}
