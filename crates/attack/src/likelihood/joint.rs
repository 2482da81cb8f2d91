//! Where four onions can be together, exactly.

use antiphon_wire::ShardIndex;

use crate::ideal::{Trace, TraceLayer};

/// Number of onions that are followed together.
const ONIONS: usize = 4;

/// Above so many cells a layer, their fourth power takes too long.
const MOST_CELLS: usize = 22;

/// The probability of each way in which four onions can have got to four places.
#[derive(Debug)]
pub(super) struct Joint {
    /// For each permutation: `ends[permutation[i]]` is where onion i is.
    ways: Vec<([usize; ONIONS], f64)>,
}

/// Groups of onions at the start of a layer. Those at one honest shard, which is about to shuffle them, are
/// alike; at a shard that can be looked into each is itself.
struct Slots {
    /// By place; of no use for those that are not hidden.
    of_place: Vec<usize>,
    count: usize,
}

/// Where onions can go from a layer: like slots, and by who sent them, for as long as a shard's onions
/// must not be drawn twice.
struct Cells {
    list: Vec<Cell>,
    /// By place of the layer after.
    of_place: Vec<usize>,
    /// Number of hidden onions that each honest shard sends.
    sent: Vec<f64>,
}

struct Cell {
    /// The honest shard they come from; others' onions are not drawn.
    from: Option<usize>,
    /// The slot in the layer after.
    slot: usize,
    places: f64,
}

impl Slots {
    fn of(layer: &TraceLayer, seen_through: &impl Fn(ShardIndex) -> bool) -> Self {
        let mut of_shard: Vec<Option<usize>> = Vec::new();
        let mut count = 0;
        let mut fresh = || {
            count += 1;
            count - 1
        };
        let of_place = layer
            .at
            .iter()
            .zip(&layer.hidden)
            .map(|(at, hidden)| {
                if !hidden {
                    return 0;
                }
                if seen_through(*at) {
                    return fresh();
                }
                of_shard.resize(of_shard.len().max(at.position() + 1), None);
                *of_shard[at.position()].get_or_insert_with(&mut fresh)
            })
            .collect();
        Self { of_place, count }
    }
}

impl Cells {
    fn of(after: &TraceLayer, slots: &Slots, seen_through: &impl Fn(ShardIndex) -> bool) -> Self {
        let mut list: Vec<Cell> = Vec::new();
        let mut sent: Vec<f64> = Vec::new();
        let mut of_place = vec![0; after.at.len()];
        for place in (0..after.at.len()).filter(|place| after.hidden[*place]) {
            let shard = after.from[place];
            let from = (!seen_through(shard)).then_some(shard.position());
            if let Some(from) = from {
                sent.resize(sent.len().max(from + 1), 0.0);
                sent[from] += 1.0;
            }
            let slot = slots.of_place[place];
            let known = list.iter().position(|cell| (cell.from, cell.slot) == (from, slot));
            of_place[place] = known.unwrap_or(list.len());
            match known {
                Some(known) => list[known].places += 1.0,
                None => list.push(Cell { from, slot, places: 1.0 }),
            }
        }
        Self { list, of_place, sent }
    }
}

impl Joint {
    /// Follows the onions from the places `starts` of layer 0 to the places `ends` of layer L. `None` if
    /// that takes too long.
    pub(super) fn follow(
        trace: &Trace,
        starts: [u32; ONIONS],
        ends: [u32; ONIONS],
        seen_through: impl Fn(ShardIndex) -> bool,
    ) -> Option<Self> {
        let mut layers = trace.layers.iter();
        let mut layer = layers.next()?;
        let mut slots = Slots::of(layer, &seen_through);
        // Sparse at first: only what is reached is kept.
        let mut now = vec![(starts.map(|start| slots.of_place[start as usize]), 1.0)];
        let (last, between) = layers.as_slice().split_last()?;
        for after in between {
            let next_slots = Slots::of(after, &seen_through);
            let cells = Cells::of(after, &next_slots, &seen_through);
            if cells.list.len() > MOST_CELLS {
                return None;
            }
            now = step(&now, layer, &slots, &cells, next_slots.count, &seen_through);
            (layer, slots) = (after, next_slots);
        }
        Some(Self { ways: arrive(&now, layer, &slots, last, ends, &seen_through) })
    }

    /// The probability that the onions are at the two pairs of places, `ends[0]` with `ends[1]` and
    /// `ends[2]` with `ends[3]`, couple by couple.
    pub(super) fn of_couples(&self, couples: &[(usize, usize)]) -> f64 {
        let fits = |way: &[usize; ONIONS]| couples.iter().all(|(x, y)| way[*x] / 2 == way[*y] / 2);
        self.ways.iter().filter(|(way, _)| fits(way)).map(|(_, p)| p).sum()
    }
}

/// Where each slot's onion goes, if it is known, and who holds it, if not.
fn leaving(
    layer: &TraceLayer,
    slots: &Slots,
    seen_through: &impl Fn(ShardIndex) -> bool,
) -> Vec<Result<Option<u32>, usize>> {
    let mut leaving = vec![Ok(None); slots.count];
    for place in (0..layer.at.len()).filter(|place| layer.hidden[*place]) {
        let at = layer.at[place];
        leaving[slots.of_place[place]] =
            if seen_through(at) { Ok(layer.next[place]) } else { Err(at.position()) };
    }
    leaving
}

/// One layer: onion after onion is drawn from what its shard sends, less what was drawn already.
///
/// Long and deep, as it is one formula: the sum over states, onions and the cells that each may have come
/// from.
fn step(
    now: &[([usize; ONIONS], f64)],
    layer: &TraceLayer,
    slots: &Slots,
    cells: &Cells,
    next_slots: usize,
    seen_through: &impl Fn(ShardIndex) -> bool,
) -> Vec<([usize; ONIONS], f64)> {
    let leaving = leaving(layer, slots, seen_through);
    let mut now = now.to_vec();
    for onion in 0..ONIONS {
        // Cells for those before, slots for those after.
        let base = cells.list.len().max(slots.count);
        let mut sums = vec![0.0; base.pow(ONIONS as u32)];
        let index = |key: &[usize; ONIONS]| key.iter().fold(0, |index, digit| index * base + digit);
        for (key, p) in now {
            let mut to = key;
            match leaving[key[onion]] {
                Ok(Some(place)) => {
                    to[onion] = cells.of_place[place as usize];
                    sums[index(&to)] += p;
                }
                Ok(None) => {}
                Err(shard) => {
                    // Those drawn before took places that this one cannot come from any more.
                    let drawn = &key[..onion];
                    let gone = drawn.iter().filter(|c| cells.list[**c].from == Some(shard)).count();
                    let left = cells.sent[shard] - gone as f64;
                    for (c, cell) in cells.list.iter().enumerate() {
                        if cell.from == Some(shard) {
                            let taken = drawn.iter().filter(|other| **other == c).count();
                            to[onion] = c;
                            sums[index(&to)] += p * (cell.places - taken as f64) / left;
                        }
                    }
                }
            }
        }
        now = nonzero(&sums, base);
    }
    // Who sent them does not matter any more.
    let base = next_slots.max(1);
    let mut sums = vec![0.0; base.pow(ONIONS as u32)];
    for (key, p) in now {
        let index = key.iter().fold(0, |index, cell| index * base + cells.list[*cell].slot);
        sums[index] += p;
    }
    nonzero(&sums, base)
}

fn nonzero(sums: &[f64], base: usize) -> Vec<([usize; ONIONS], f64)> {
    let key = |mut index: usize| {
        let mut key = [0; ONIONS];
        for digit in key.iter_mut().rev() {
            (*digit, index) = (index % base, index / base);
        }
        key
    };
    sums.iter().enumerate().filter(|(_, p)| **p > 0.0).map(|(i, p)| (key(i), *p)).collect()
}

/// The last layer: the probability of every way to the four ends.
///
/// Deep, as it is one formula: the sum over ways, states and onions.
fn arrive(
    now: &[([usize; ONIONS], f64)],
    layer: &TraceLayer,
    slots: &Slots,
    last: &TraceLayer,
    ends: [u32; ONIONS],
    seen_through: &impl Fn(ShardIndex) -> bool,
) -> Vec<([usize; ONIONS], f64)> {
    let leaving = leaving(layer, slots, seen_through);
    let sent = |shard: usize| {
        let from = last.from.iter().zip(&last.hidden);
        from.filter(|(from, hidden)| **hidden && from.position() == shard).count() as f64
    };
    let sent: Vec<f64> = leaving.iter().map(|slot| slot.map_or_else(sent, |_| 0.0)).collect();
    let mut ways: Vec<([usize; ONIONS], f64)> =
        permutations().into_iter().map(|way| (way, 0.0)).collect();
    for (way, sum) in &mut ways {
        for (key, p) in now {
            let mut p = *p;
            for onion in 0..ONIONS {
                let end = ends[way[onion]];
                p *= match leaving[key[onion]] {
                    Ok(next) => f64::from(u8::from(next == Some(end))),
                    Err(shard) if last.from[end as usize].position() == shard => {
                        let gone = key[..onion].iter().filter(|k| **k == key[onion]).count();
                        1.0 / (sent[key[onion]] - gone as f64)
                    }
                    Err(_) => 0.0,
                };
            }
            *sum += p;
        }
    }
    ways
}

fn permutations() -> Vec<[usize; ONIONS]> {
    let mut all = Vec::new();
    for code in 0..ONIONS.pow(ONIONS as u32) {
        let way = [code / 64, code / 16 % 4, code / 4 % 4, code % 4];
        if (0..ONIONS).all(|end| way.contains(&end)) {
            all.push(way);
        }
    }
    all
}
