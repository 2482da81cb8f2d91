//! Whole views of tiny networks, some of whose places were dropped on the way: exact, given the
//! trace.

use std::collections::HashMap;

use crate::posterior::Shard;

/// Onions: the first ones are users', the others one shard's noise.
pub(crate) const ONIONS: usize = 6;

/// The place of each onion.
type Places = [usize; ONIONS];

/// For each place its partner's, its own if it is single or its partner was dropped, or none if it
/// was dropped itself.
type View = [Option<usize>; ONIONS];

/// The posterior over all ways in which the onions can be at the places.
pub(crate) struct Dropping {
    states: Vec<(Places, f64)>,
    dropped: Vec<usize>,
}

impl Dropping {
    /// Each onion known to be at the place of its number, and nothing dropped.
    pub(crate) fn new() -> Self {
        let mut all = vec![Vec::new()];
        for _ in 0..ONIONS {
            let longer = |places: Vec<usize>| {
                let free: Vec<_> = (0..ONIONS).filter(|place| !places.contains(place)).collect();
                free.into_iter().map(move |place| [&places[..], &[place]].concat())
            };
            all = all.into_iter().flat_map(longer).collect();
        }
        let states = all.into_iter().map(|places| std::array::from_fn(|onion| places[onion]));
        let mut states: Vec<_> = states.map(|places| (places, 0.0)).collect();
        states[0].1 = 1.0;
        Self { states, dropped: Vec::new() }
    }

    pub(crate) fn drop(&mut self, place: usize) {
        self.dropped.push(place);
    }

    /// A layer: what was dropped stays where it is.
    pub(crate) fn pass(&mut self, shards: &[Shard], honest_shards: usize) {
        let class = |place: usize| match shards[place] {
            Some(shard) if !self.dropped.contains(&place) => shard,
            _ => honest_shards + place,
        };
        let mut sums = HashMap::<Places, (f64, u32)>::new();
        for (places, mass) in &self.states {
            let sum = sums.entry(places.map(class)).or_default();
            *sum = (sum.0 + mass, sum.1 + 1);
        }
        let mut states = std::mem::take(&mut self.states);
        for (places, mass) in &mut states {
            let (sum, count) = sums[&places.map(class)];
            *mass = sum / f64::from(count);
        }
        self.states = states;
    }

    /// Where the onions are, and how likely, if all of `left` are left and none of `gone` is.
    fn cases(&self, left: &[usize], gone: &[usize]) -> impl Iterator<Item = (&Places, f64)> {
        let lost = |place: usize| self.dropped.contains(&place);
        let fits = move |places: &Places| {
            left.iter().all(|&onion| !lost(places[onion]))
                && gone.iter().all(|&onion| lost(places[onion]))
        };
        self.states.iter().filter(move |(places, _)| fits(places)).map(|(at, mass)| (at, *mass))
    }

    /// What is seen of these cases if `pairs` share dead drops, `times` its probability, added to
    /// `seen`.
    pub(crate) fn see(
        &self,
        [left, gone]: [&[usize]; 2],
        pairs: &[(usize, usize)],
        times: f64,
        seen: &mut HashMap<View, f64>,
    ) {
        for (places, mass) in self.cases(left, gone) {
            let mut view: View = std::array::from_fn(Some);
            for &(one, other) in pairs {
                let (one, other) = (places[one], places[other]);
                if ![one, other].iter().any(|place| self.dropped.contains(place)) {
                    (view[one], view[other]) = (Some(other), Some(one));
                }
            }
            self.dropped.iter().for_each(|&place| view[place] = None);
            *seen.entry(view).or_default() += times * mass;
        }
    }

    /// Theorem 3's figure of `onion`, given where `others` are: the part in which all of them are
    /// left, except `gone`.
    pub(crate) fn figure(&self, onion: usize, others: &[usize], gone: &[usize]) -> f64 {
        let left: Vec<_> = others.iter().copied().chain([onion]).collect();
        let known: Vec<_> = others.iter().chain(gone).copied().collect();
        let mut given = HashMap::<Vec<usize>, HashMap<usize, f64>>::new();
        for (places, mass) in self.cases(&left, gone) {
            let at = known.iter().map(|&other| places[other]).collect();
            *given.entry(at).or_default().entry(places[onion]).or_default() += mass;
        }
        let free = (ONIONS - self.dropped.len() - others.len()) as f64;
        let deviation = |at: &HashMap<usize, f64>| {
            let mean = at.values().sum::<f64>() / free;
            let here: f64 = at.values().map(|mass| (mass - mean).abs()).sum();
            (here + mean * (free - at.len() as f64)) / 2.0
        };
        given.values().map(deviation).sum()
    }
}

/// Half the sum of absolute differences.
pub(crate) fn distance(one: &HashMap<View, f64>, other: &HashMap<View, f64>) -> f64 {
    let at = |seen: &HashMap<View, f64>, view| seen.get(view).copied().unwrap_or(0.0);
    let here: f64 = one.iter().map(|(view, mass)| (mass - at(other, view)).abs()).sum();
    let there: f64 =
        other.iter().filter(|(view, _)| !one.contains_key(*view)).map(|(_, m)| m).sum();
    (here + there) / 2.0
}
