//! The adversary's posterior, followed exactly through a network of which it sees everything but
//! the permutations of honest shards.
//!
//! A place is a ciphertext that can be followed from layer to layer: an honest shard permutes
//! the onions among the places it holds, a malicious one leaves them where they are.

use rand::{Rng, RngExt as _};

/// Where a place is in one layer: at an honest shard, or at some malicious one.
pub(crate) type Shard = Option<usize>;

/// Draws where each place is: at a malicious shard with probability `f`, else at one of
/// `honest_shards` alike.
pub(crate) fn layer(places: usize, f: f64, honest_shards: usize, rng: &mut impl Rng) -> Vec<Shard> {
    let mut draw = || {
        let malicious = rng.random::<f64>() < f;
        (!malicious).then(|| rng.random_range(0..honest_shards))
    };
    (0..places).map(|_| draw()).collect()
}

/// A class of places among which a layer averages, as a number below shards + places: an honest
/// shard's, or the place alone.
fn classes(shards: &[Shard], honest_shards: usize) -> Vec<usize> {
    let class = |(place, shard): (usize, &Shard)| shard.unwrap_or(honest_shards + place);
    shards.iter().enumerate().map(class).collect()
}

/// Averages `values` over equal `keys`, each below `bound`. A key of `None` is left alone.
fn average(values: &mut [f64], key: impl Fn(usize) -> Option<usize>, bound: usize) {
    let mut sums = vec![(0.0, 0u32); bound];
    for (index, value) in values.iter().enumerate() {
        if let Some(key) = key(index) {
            sums[key].0 += value;
            sums[key].1 += 1;
        }
    }
    for (index, value) in values.iter_mut().enumerate() {
        if let Some(key) = key(index) {
            *value = sums[key].0 / f64::from(sums[key].1);
        }
    }
}

/// The posterior of one onion over all places.
pub(crate) struct OneOnion {
    pub(crate) posterior: Vec<f64>,
}

impl OneOnion {
    /// Known to be at place 0.
    pub(crate) fn new(places: usize) -> Self {
        let mut posterior = vec![0.0; places];
        posterior[0] = 1.0;
        Self { posterior }
    }

    pub(crate) fn pass(&mut self, shards: &[Shard], honest_shards: usize) {
        average(&mut self.posterior, |place| shards[place], honest_shards);
    }

    /// Total variation from the uniform distribution.
    pub(crate) fn deviation(&self) -> f64 {
        let uniform = 1.0 / self.posterior.len() as f64;
        self.posterior.iter().map(|mass| (mass - uniform).abs()).sum::<f64>() / 2.0
    }
}

/// What the couples {12, 34} tell beyond {13, 24}: a function on couples of places, stored for
/// both orders, that sums to zero for every place.
pub(crate) struct Couples {
    places: usize,
    difference: Vec<f64>,
}

impl Couples {
    /// Onions 1 to 4 known to be at places 0 to 3.
    pub(crate) fn new(places: usize) -> Self {
        let mut difference = vec![0.0; places * places];
        for (a, b, sign) in [(0, 1, 1.0), (2, 3, 1.0), (0, 2, -1.0), (1, 3, -1.0)] {
            difference[a * places + b] = sign;
            difference[b * places + a] = sign;
        }
        Self { places, difference }
    }

    pub(crate) fn pass(&mut self, shards: &[Shard], honest_shards: usize) {
        let (places, class) = (self.places, classes(shards, honest_shards));
        let kinds = honest_shards + places;
        let key = |index: usize| {
            let (a, b) = (index / places, index % places);
            (a != b).then(|| class[a] * kinds + class[b])
        };
        average(&mut self.difference, key, kinds * kinds);
    }

    /// The sum of the `power`-th powers of absolute values over couples of places. The first is
    /// at least the second-order part of the total variation.
    pub(crate) fn moment(&self, power: i32) -> f64 {
        self.difference.iter().map(|d| d.abs().powi(power)).sum::<f64>() / 2.0
    }
}

/// The joint posterior of four onions, over all 4-tuples of different places.
pub(crate) struct FourOnions {
    places: usize,
    posterior: Vec<f64>,
}

impl FourOnions {
    /// Onions 1 to 4 known to be at places 0 to 3.
    pub(crate) fn new(places: usize) -> Self {
        let mut four = Self { places, posterior: vec![0.0; places.pow(4)] };
        let start = four.index([0, 1, 2, 3]);
        four.posterior[start] = 1.0;
        four
    }

    fn index(&self, tuple: [usize; 4]) -> usize {
        tuple.into_iter().fold(0, |index, place| index * self.places + place)
    }

    pub(crate) fn pass(&mut self, shards: &[Shard], honest_shards: usize) {
        let (places, class) = (self.places, classes(shards, honest_shards));
        let kinds = honest_shards + places;
        let key = |index: usize| {
            let tuple = [3, 2, 1, 0].map(|digit| index / places.pow(digit) % places);
            let repeated = (1..4).any(|i| tuple[..i].contains(&tuple[i]));
            (!repeated).then(|| tuple.into_iter().fold(0, |key, place| key * kinds + class[place]))
        };
        average(&mut self.posterior, key, kinds.pow(4));
    }

    /// The probabilities of the view {ab, cd} in the world where onions 1 and 2 share a dead
    /// drop, as do 3 and 4, and in the one where 1 and 3 do, and 2 and 4.
    pub(crate) fn likelihoods(&self, [a, b, c, d]: [usize; 4]) -> (f64, f64) {
        let orders = [
            [a, b, c, d],
            [b, a, c, d],
            [a, b, d, c],
            [b, a, d, c],
            [c, d, a, b],
            [d, c, a, b],
            [c, d, b, a],
            [d, c, b, a],
        ];
        let sum = |pick: fn([usize; 4]) -> [usize; 4]| {
            orders.into_iter().map(|order| self.posterior[self.index(pick(order))]).sum()
        };
        (sum(|order| order), sum(|[i, j, k, l]| [i, k, j, l]))
    }

    /// The total variation between the two worlds' views.
    pub(crate) fn distance(&self) -> f64 {
        let n = self.places;
        let mut sum = 0.0;
        for a in 0..n {
            for b in a + 1..n {
                for c in (a + 1..n).filter(|&c| c != b) {
                    for d in (c + 1..n).filter(|&d| d != b) {
                        let (idle, talking) = self.likelihoods([a, b, c, d]);
                        sum += (idle - talking).abs();
                    }
                }
            }
        }
        sum / 2.0
    }
}
