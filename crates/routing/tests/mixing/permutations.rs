//! The adversary's posterior over where every onion of a tiny network is, so that noise that is
//! paired can be part of what it sees.

use std::collections::HashMap;

use crate::posterior::Shard;

/// Onions: four of users, four of noise.
pub(crate) const ONIONS: usize = 8;

/// What the places of the four noise onions look like once everything is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Noise {
    /// All alike.
    Single,
    /// Two pairs, of two different shards: the adversary knows which onions make a pair.
    Paired,
    /// Given away, onion by onion.
    Known,
}

/// The posterior over all ways in which the onions can be at the places.
pub(crate) struct AllOnions {
    /// The place of each onion, and how likely that is.
    states: Vec<([usize; ONIONS], f64)>,
}

impl AllOnions {
    /// Each onion known to be at the place of its number.
    pub(crate) fn new() -> Self {
        let mut states = vec![(std::array::from_fn(|onion| onion), 0.0)];
        for position in 0..ONIONS {
            let swap = |&(state, mass): &([usize; ONIONS], f64), other| {
                let mut swapped = state;
                swapped.swap(position, other);
                (swapped, mass)
            };
            states = states
                .iter()
                .flat_map(|state| (position..ONIONS).map(move |other| swap(state, other)))
                .collect();
        }
        states[0].1 = 1.0;
        Self { states }
    }

    pub(crate) fn pass(&mut self, shards: &[Shard], honest_shards: usize) {
        let class = |place: usize| shards[place].unwrap_or(honest_shards + place) as u8;
        let mut sums = HashMap::<[u8; ONIONS], (f64, u32)>::new();
        for (state, mass) in &self.states {
            let sum = sums.entry(state.map(class)).or_default();
            *sum = (sum.0 + mass, sum.1 + 1);
        }
        for (state, mass) in &mut self.states {
            let (sum, count) = sums[&state.map(class)];
            *mass = sum / f64::from(count);
        }
    }

    /// The total variation between what the adversary sees when onions 0 and 1 are paired, and
    /// 2 and 3, and when 0 and 2 are, and 1 and 3.
    pub(crate) fn distance(&self, noise: Noise) -> f64 {
        let mut difference = HashMap::<[u8; ONIONS], f64>::new();
        for (state, mass) in &self.states {
            *difference.entry(view(state, [(0, 1), (2, 3)], noise)).or_default() += mass;
            *difference.entry(view(state, [(0, 2), (1, 3)], noise)).or_default() -= mass;
        }
        difference.values().map(|mass| mass.abs()).sum::<f64>() / 2.0
    }
}

/// For each place its partner's, its own if it is single, or a number for the onion there.
fn view(state: &[usize; ONIONS], users: [(usize, usize); 2], noise: Noise) -> [u8; ONIONS] {
    let mut view = std::array::from_fn(|place| place as u8);
    let mut pair = |(one, other): (usize, usize)| {
        view[state[one]] = state[other] as u8;
        view[state[other]] = state[one] as u8;
    };
    users.into_iter().for_each(&mut pair);
    match noise {
        Noise::Single => {}
        Noise::Paired => [(4, 5), (6, 7)].into_iter().for_each(&mut pair),
        Noise::Known => (4..ONIONS).for_each(|onion| view[state[onion]] = (ONIONS + onion) as u8),
    }
    view
}
