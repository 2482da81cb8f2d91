//! A whole network, onion by onion, and an adversary that guesses who talks.

use rand::seq::SliceRandom as _;
use rand::{Rng, RngExt as _};

use crate::posterior::{FourOnions, Shard};

/// How an adversary fared over many rounds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Guesses {
    pub(crate) rounds: u32,
    pub(crate) right: u32,
    /// The sum of the probabilities that it gave to its own guesses.
    pub(crate) confidence: f64,
    /// The sum of the total variations between the two worlds, given what it saw of the routes.
    pub(crate) distance: f64,
}

impl Guesses {
    /// Twice the share of right guesses, less one: its expectation is the total variation.
    pub(crate) fn advantage(self) -> f64 {
        2.0 * f64::from(self.right) / f64::from(self.rounds) - 1.0
    }
}

/// A network in which each onion draws each hop by itself, and the adversary knows all places.
pub(crate) struct Network<R> {
    /// The onions; the first four are users', two each.
    pub(crate) onions: usize,
    pub(crate) hops: usize,
    pub(crate) honest_shards: usize,
    /// Draws one hop.
    pub(crate) hop: R,
}

impl<R: FnMut() -> Shard> Network<R> {
    /// Plays a round: a fair coin decides whether the two users talk, and the adversary says
    /// which is likelier from what it saw.
    pub(crate) fn play(&mut self, guesses: &mut Guesses, rng: &mut impl Rng) {
        let mut onion_at: Vec<usize> = (0..self.onions).collect();
        let mut posterior = FourOnions::new(self.onions);
        for _ in 0..self.hops {
            let next: Vec<Shard> = (0..self.onions).map(|_| (self.hop)()).collect();
            let shards: Vec<Shard> = onion_at.iter().map(|&onion| next[onion]).collect();
            for honest in 0..self.honest_shards {
                let held: Vec<usize> =
                    (0..self.onions).filter(|&place| shards[place] == Some(honest)).collect();
                let mut shuffled: Vec<usize> = held.iter().map(|&place| onion_at[place]).collect();
                shuffled.shuffle(rng);
                for (place, onion) in held.into_iter().zip(shuffled) {
                    onion_at[place] = onion;
                }
            }
            posterior.pass(&shards, self.honest_shards);
        }
        let place_of =
            |onion| onion_at.iter().position(|&each| each == onion).expect("shuffled, not lost");
        let talking: bool = rng.random();
        let view = if talking { [0, 2, 1, 3] } else { [0, 1, 2, 3] }.map(place_of);
        let (if_idle, if_talking) = posterior.likelihoods(view);
        guesses.rounds += 1;
        guesses.right += u32::from((if_talking > if_idle) == talking);
        guesses.confidence += if_idle.max(if_talking) / (if_idle + if_talking);
        guesses.distance += posterior.distance();
    }
}
