//! All that can happen in a tiny network: every route of every onion, every permutation of every
//! honest shard, and what the adversary sees of it, without any reasoning about posteriors.

use std::collections::HashMap;

use crate::posterior::{FourOnions, Shard};

/// Two hops of onions of which the first four are users', two each, and the others single noise.
pub(crate) struct Tiny<'a> {
    pub(crate) onions: usize,
    pub(crate) hops: usize,
    /// The probabilities of honest shards; malicious ones have the rest.
    pub(crate) honest: &'a [f64],
}

/// What the adversary sees: for each layer the shard of each ciphertext, then for each its
/// partner's number, or its own.
type View = Vec<u8>;

impl Tiny<'_> {
    /// The total variation between talking and idle, summed over everything seen.
    pub(crate) fn by_routes(&self) -> f64 {
        let mut seen = HashMap::new();
        let start: Vec<_> = (0..self.onions).collect();
        self.play(self.hops, 1.0, &start, &Vec::new(), &mut seen);
        seen.values().map(|difference| difference.abs()).sum::<f64>() / 2.0
    }

    /// The same from the posterior over the users' places, averaged over traces.
    pub(crate) fn by_posterior(&self) -> f64 {
        self.average(self.hops, 1.0, &mut Vec::new())
    }

    fn average(&self, hops: usize, probability: f64, trace: &mut Vec<Vec<Shard>>) -> f64 {
        if hops == 0 {
            let mut four = FourOnions::new(self.onions);
            trace.iter().for_each(|shards| four.pass(shards, self.honest.len()));
            return probability * four.distance();
        }
        let mut sum = 0.0;
        for (drawn, shards) in self.draws() {
            trace.push(shards);
            sum += self.average(hops - 1, probability * drawn, trace);
            trace.pop();
        }
        sum
    }

    /// `onion_at` says which onion each ciphertext is.
    fn play(
        &self,
        hops: usize,
        probability: f64,
        onion_at: &[usize],
        view: &View,
        seen: &mut HashMap<View, f64>,
    ) {
        if hops == 0 {
            for (sign, partner) in [(1.0, [1, 0, 3, 2]), (-1.0, [2, 3, 0, 1])] {
                let mut opened = view.clone();
                for (place, &onion) in onion_at.iter().enumerate() {
                    let other = *partner.get(onion).unwrap_or(&onion);
                    let found = onion_at.iter().position(|&each| each == other);
                    opened.push(found.map_or(place, |found| found) as u8);
                }
                *seen.entry(opened).or_default() += sign * probability;
            }
            return;
        }
        // Each onion draws its own hop; what is seen is where its ciphertext goes.
        for (drawn, shard_of) in self.draws() {
            let shards: Vec<Shard> = onion_at.iter().map(|&onion| shard_of[onion]).collect();
            let mut view = view.clone();
            view.extend(shards.iter().map(|shard| shard.map_or(u8::MAX, |shard| shard as u8)));
            let mut shuffles = vec![onion_at.to_vec()];
            for shard in 0..self.honest.len() {
                let held: Vec<_> = (0..self.onions).filter(|&p| shards[p] == Some(shard)).collect();
                shuffles = shuffles.iter().flat_map(|each| permuted(each, &held)).collect();
            }
            let each = probability * drawn / shuffles.len() as f64;
            for onion_at in shuffles {
                self.play(hops - 1, each, &onion_at, &view, seen);
            }
        }
    }

    /// All that one layer's draws can be, and how likely.
    fn draws(&self) -> impl Iterator<Item = (f64, Vec<Shard>)> {
        let shards = self.honest.len();
        let f = 1.0 - self.honest.iter().sum::<f64>();
        (0..(shards + 1).pow(self.onions as u32)).map(move |mut code| {
            let mut probability = 1.0;
            let mut draw = |_| {
                let shard = code % (shards + 1);
                code /= shards + 1;
                probability *= self.honest.get(shard).unwrap_or(&f);
                (shard < shards).then_some(shard)
            };
            let drawn = (0..self.onions).map(&mut draw).collect();
            (probability, drawn)
        })
    }
}

/// `onion_at` with the onions at the places `held` in every order.
fn permuted(onion_at: &[usize], held: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![onion_at.to_vec()];
    for first in 0..held.len() {
        let swaps = |each: Vec<usize>| {
            (first..held.len()).map(move |other| {
                let mut swapped = each.clone();
                swapped.swap(held[first], held[other]);
                swapped
            })
        };
        all = all.into_iter().flat_map(swaps).collect();
    }
    all
}
