//! Every inequality of the proofs in networks so small that all traces can be enumerated, with
//! honest shards alike and not.

use super::super::moments::Moments;
use super::super::{joint, one_onion};

/// The exponents that the bounds are taken at, or nearly.
pub(super) const EXPONENTS: [f64; 6] = [1.05, 1.25, 1.5, 1.75, 1.9, 2.0];

/// Probabilities of honest shards; malicious ones have the rest.
pub(super) const NETWORKS: [&[f64]; 8] = [
    &[0.8],
    &[0.3],
    &[1.0],
    &[0.4, 0.4],
    &[0.6, 0.1],
    &[0.1, 0.1],
    &[0.2, 0.2, 0.2],
    &[0.7, 0.02, 0.02],
];

pub(super) fn moments(network: &[f64], places: usize, p: f64) -> Moments {
    let f = (1.0 - network.iter().sum::<f64>()).max(0.0);
    Moments { f, honest_shards: network.len() as f64, places: places as f64, p }
}

/// Functions on `k`-tuples of different places.
pub(super) struct Space {
    places: usize,
    k: usize,
    pub(super) tuples: Vec<Vec<usize>>,
}

impl Space {
    pub(super) fn new(places: usize, k: usize) -> Self {
        let mut tuples = vec![Vec::new()];
        for _ in 0..k {
            let longer = |tuple: Vec<usize>| {
                let free: Vec<_> = (0..places).filter(|place| !tuple.contains(place)).collect();
                free.into_iter().map(move |place| [&tuple[..], &[place]].concat())
            };
            tuples = tuples.into_iter().flat_map(longer).collect();
        }
        Self { places, k, tuples }
    }

    fn index(base: usize, digits: impl Iterator<Item = usize>) -> usize {
        digits.fold(0, |index, digit| index * base + digit)
    }

    pub(super) fn places(&self) -> usize {
        self.places
    }

    /// Averages over tuples whose places are in the same classes.
    pub(super) fn pass(&self, values: &[f64], layer: &Layer) -> Vec<f64> {
        let kinds = layer.kinds;
        let mut sums = vec![(0.0, 0.0); kinds.pow(self.k as u32)];
        let keys: Vec<_> = self
            .tuples
            .iter()
            .map(|tuple| Self::index(kinds, tuple.iter().map(|&place| layer.class[place])))
            .collect();
        for (&key, value) in keys.iter().zip(values) {
            sums[key] = (sums[key].0 + value, sums[key].1 + 1.0);
        }
        keys.into_iter().map(|key| sums[key].0 / sums[key].1).collect()
    }

    /// The part of `values` that sums to zero over every coordinate, by taking means out in turn.
    pub(super) fn degenerate(&self, values: &[f64]) -> Vec<f64> {
        let mut values = values.to_vec();
        let members = (self.places - self.k + 1) as f64;
        for round in 0..400 {
            let mut sums = vec![0.0; self.places.pow(self.k as u32 - 1)];
            let coordinate = round % self.k;
            let keys: Vec<_> = self
                .tuples
                .iter()
                .map(|tuple| {
                    let others = (0..self.k).filter(|&each| each != coordinate);
                    Self::index(self.places, others.map(|each| tuple[each]))
                })
                .collect();
            keys.iter().zip(&values).for_each(|(&key, value)| sums[key] += value);
            keys.iter().zip(&mut values).for_each(|(&key, value)| *value -= sums[key] / members);
        }
        values
    }

    /// Functions to try: a single tuple, differences of two, and some with many values.
    pub(super) fn samples(&self) -> Vec<Vec<f64>> {
        let count = self.tuples.len();
        let mut single = vec![0.0; count];
        single[0] = 1.0;
        let mut two = single.clone();
        two[count - 1] = -1.0;
        let mut state = 1u64;
        let mut any = |power: i32| -> Vec<f64> {
            let mut draw = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                ((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0).powi(power)
            };
            (0..count).map(|_| draw()).collect()
        };
        [single, two, any(1), any(3), any(31)].map(|each| self.degenerate(&each)).into()
    }
}

/// Which places are averaged over together, and how likely that is.
pub(super) struct Layer {
    pub(super) probability: f64,
    pub(super) class: Vec<usize>,
    pub(super) kinds: usize,
}

/// All that one layer can be.
pub(super) fn layers(network: &[f64], places: usize) -> Vec<Layer> {
    let shards = network.len();
    let f = (1.0 - network.iter().sum::<f64>()).max(0.0);
    let of = |mut code: usize| {
        let mut probability = 1.0;
        let mut class = |place: usize| {
            let shard = code % (shards + 1);
            code /= shards + 1;
            probability *= network.get(shard).unwrap_or(&f);
            if shard < shards { shard } else { shards + place }
        };
        let class = (0..places).map(&mut class).collect();
        Layer { probability, class, kinds: shards + places }
    };
    (0..(shards + 1).pow(places as u32)).map(of).filter(|each| each.probability > 0.0).collect()
}

pub(super) fn norm(values: &[f64], p: f64) -> f64 {
    if p == 1.0 {
        return values.iter().map(|value| value.abs()).sum();
    }
    values.iter().map(|value| value.abs().powf(p)).sum::<f64>().powf(1.0 / p)
}

/// The expected p-norms after `depth` layers, for all `exponents`.
fn expected_norms(
    space: &Space,
    layers: &[Layer],
    depth: usize,
    values: &[f64],
    exponents: &[f64],
) -> Vec<f64> {
    if depth == 0 {
        return exponents.iter().map(|&p| norm(values, p)).collect();
    }
    let mut sums = vec![0.0; exponents.len()];
    for layer in layers {
        let after = space.pass(values, layer);
        let norms = expected_norms(space, layers, depth - 1, &after, exponents);
        sums.iter_mut().zip(norms).for_each(|(sum, norm)| *sum += layer.probability * norm);
    }
    sums
}

pub(super) fn at_most(found: f64, bound: f64, case: &str) {
    assert!(found <= bound * (1.0 + 1e-9) + 1e-12, "{case}: {found} > {bound}");
}

#[test]
fn one_layer_shrinks_a_deviation_by_the_stated_factor() {
    for (k, places, networks) in
        [(1, 7, &NETWORKS[..]), (2, 6, &NETWORKS[..]), (3, 6, &NETWORKS[..5])]
    {
        let space = Space::new(places, k);
        for network in networks {
            let layers = layers(network, places);
            for values in space.samples() {
                for p in EXPONENTS {
                    let power = |layer: &Layer| {
                        layer.probability * norm(&space.pass(&values, layer), p).powf(p)
                    };
                    let after: f64 = layers.iter().map(power).sum();
                    let factor = moments(network, places, p).layer(k as u32, places as f64);
                    let case = format!("k={k} {network:?} p={p}");
                    at_most(after, factor * norm(&values, p).powf(p), &case);
                }
            }
        }
    }
}

/// The phases of Theorem 1 for `k` = 1 and of Theorem 2's couples for `k` = 2.
fn phases_hold(k: usize, network: &[f64], places: usize, depth: usize) {
    let (space, layers) = (Space::new(places, k), layers(network, places));
    let check = |values: &[f64], fresh: bool| {
        for layer in 0..=depth {
            let exponents =
                if fresh { &[1.0, 1.05, 1.25, 1.5, 1.75, 1.9, 2.0][..] } else { &[1.0] };
            let norms = expected_norms(&space, &layers, layer, values, exponents);
            for p in EXPONENTS {
                let phases = [one_onion::phases, joint::couple][k - 1];
                let (starts, ends) = phases(moments(network, places, p), depth as u8);
                let case = format!("k={k} {network:?} p={p} after {layer}");
                if let Some(i) = exponents.iter().position(|&each| each == p) {
                    at_most(norms[i], starts[layer], &case);
                }
                at_most(norms[0], ends[layer] * norm(values, p), &case);
            }
        }
    };
    // The first sample is what is known at the start; the second phase is for any deviation.
    for (i, values) in space.samples().iter().enumerate() {
        check(values, i == 0);
    }
}

#[test]
fn both_phases_of_theorem_one_hold_exactly() {
    for network in NETWORKS {
        let (places, depth) = [(8, 2), (6, 2), (5, 2)][network.len() - 1];
        phases_hold(1, network, places, depth);
    }
}

#[test]
fn both_phases_of_couples_hold_exactly() {
    for network in NETWORKS {
        let (places, depth) = [(8, 2), (5, 2), (6, 1)][network.len() - 1];
        phases_hold(2, network, places, depth);
    }
    phases_hold(2, NETWORKS[0], 5, 3);
    phases_hold(2, NETWORKS[1], 5, 3);
}

#[test]
fn third_and_fourth_orders_hold_exactly() {
    for (k, places, depth, networks) in
        [(3, 7, 2, &NETWORKS[..2]), (3, 7, 1, &NETWORKS[3..6]), (4, 8, 1, &NETWORKS[..2])]
    {
        let space = Space::new(places, k);
        let start = space.samples().swap_remove(0);
        for network in networks {
            let layers = layers(network, places);
            let found = expected_norms(&space, &layers, depth, &start, &[1.0])[0];
            for p in EXPONENTS {
                let bound = joint::whole_path(moments(network, places, p), k as u32, depth as u8);
                at_most(found, bound, &format!("k={k} {network:?} p={p}"));
            }
        }
    }
}

#[test]
fn taking_out_lower_orders_is_not_large() {
    for (k, places) in [(1, 16), (2, 16), (3, 16)] {
        let space = Space::new(places, k);
        let mut values = vec![0.0; space.tuples.len()];
        values[0] = 1.0;
        let part = space.degenerate(&values);
        at_most(norm(&part, 1.0), f64::from(1 << k), &format!("k={k}"));
        for p in EXPONENTS {
            let bound = f64::from(1 << k).powf((2.0 - p) / p);
            at_most(norm(&part, p), bound, &format!("k={k} p={p}"));
        }
    }
}

#[test]
fn the_worlds_differ_by_no_more_than_couples_triples_and_all_four() {
    // Step 2, for posteriors of any kind: its last line is an inequality of functions.
    let places = 9;
    let four = Space::new(places, 4);
    let mut posteriors = four.samples();
    let mut single = vec![0.0; four.tuples.len()];
    single[17] = 1.0;
    // Two onions of one couple known, the others uniform.
    let known = |tuple: &Vec<usize>| f64::from(u8::from(tuple[0] == 3 && tuple[1] == 5));
    let couple: Vec<f64> = four.tuples.iter().map(known).collect();
    let skew =
        four.tuples.iter().map(|t| (t[0] * t[2] + 1) as f64 / (t[1] + t[3]) as f64).collect();
    posteriors.extend([single, couple, skew]);
    for posterior in posteriors {
        let at = |tuple: [usize; 4]| {
            let mut free: Vec<_> = (0..places).collect();
            let mut index = 0;
            for (i, place) in tuple.into_iter().enumerate() {
                let position = free.iter().position(|&each| each == place).unwrap();
                free.remove(position);
                index = index * (places - i) + position;
            }
            posterior[index]
        };
        // Every view eight times, once for each way of writing it.
        let mut distance = 0.0;
        for x in &four.tuples {
            let ways = |[a, b, c, d]: [usize; 4]| {
                [[a, b, c, d], [b, a, c, d], [a, b, d, c], [b, a, d, c]]
                    .into_iter()
                    .flat_map(|[a, b, c, d]| [[a, b, c, d], [c, d, a, b]])
            };
            let difference: f64 = ways([x[0], x[1], x[2], x[3]])
                .map(|[a, b, c, d]| at([a, b, c, d]) - at([a, c, b, d]))
                .sum();
            distance += difference.abs() / 16.0;
        }
        let part = |onions: &[usize]| {
            let space = Space::new(places, onions.len());
            let mut marginal = vec![0.0; space.tuples.len()];
            for (tuple, value) in four.tuples.iter().zip(&posterior) {
                let of: Vec<_> = onions.iter().map(|&onion| tuple[onion]).collect();
                marginal[space.tuples.iter().position(|each| *each == of).unwrap()] += value;
            }
            norm(&space.degenerate(&marginal), 1.0)
        };
        let couples: f64 = [[0, 1], [2, 3], [0, 2], [1, 3]].iter().map(|s| part(s)).sum();
        let triples: f64 =
            [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]].iter().map(|s| part(s)).sum();
        let n = places as f64;
        let bound = couples + (n - 3.0) / (n - 6.0) * triples + part(&[0, 1, 2, 3]);
        at_most(distance, bound, "four onions");
    }
}
