//! How likely canaries name who garbles cells, within an epoch and two: the table of `docs/src/canaries.md`.
//!
//! `cargo run -p antiphon-canaries --example figures`. Rounds have 75 beats, epochs 12 rounds, each shard has an operator
//! of its own and makes one canary a round, and hops are uniform. Malicious shards show what they have: hiding it
//! costs them deadlines. Draws which cells are garbled, and asks the crate's own marks who is named.

use std::collections::BTreeSet;

use antiphon_canaries::{Marks, Member, may_ask};
use antiphon_wire::{IdentityKey, OperatorIndex, Round, ShardIndex};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

const LAYERS: usize = 15;
const BEATS: u64 = 75;
const EPOCH: u64 = 12;

/// Who garbles what.
#[derive(Clone, Copy)]
struct Case {
    shards: usize,
    garblers: usize,
    /// Share of cells that each of them garbles.
    share: f64,
    /// Whether these are always the cells of the same circuits, drawn anew in each round.
    same_circuits: bool,
}

/// A canary of an honest maker: the steps at which a garbler sends, with those who answer for them.
struct Ways {
    exposed: [Vec<BTreeSet<usize>>; 2],
}

fn ways(case: Case, maker: usize, rng: &mut ChaCha20Rng) -> Ways {
    let last = rng.random_range(0..case.shards);
    let mut way = || {
        let mut hops: Vec<usize> = (1..LAYERS).map(|_| rng.random_range(0..case.shards)).collect();
        hops.push(last);
        [vec![maker], hops].concat()
    };
    let (one, other) = (way(), way());
    let journey = |out: &[usize], home: &[usize]| {
        let mut steps = Vec::new();
        for layer in 1..=LAYERS {
            let before = out[layer.saturating_sub(2)];
            steps.push((out[layer - 1], [maker, out[layer - 1], before].into()));
        }
        for layer in (1..=LAYERS).rev() {
            let came_from = if layer == LAYERS { out[layer - 1] } else { home[layer + 1] };
            steps.push((home[layer], [maker, home[layer], home[layer - 1], came_from].into()));
        }
        let exposed = steps.into_iter().filter(|(sender, _)| *sender < case.garblers);
        exposed.map(|(_, members)| members).collect()
    };
    Ways { exposed: [journey(&one, &other), journey(&other, &one)] }
}

impl Ways {
    fn exposure(&self) -> usize {
        self.exposed.iter().map(Vec::len).sum()
    }

    /// The first step garbled in each journey. With `surely`, at least one is.
    fn garbled(&self, share: f64, surely: bool, rng: &mut ChaCha20Rng) -> Vec<BTreeSet<usize>> {
        let all = self.exposure();
        if all == 0 {
            return Vec::new();
        }
        // The first that is garbled, by the distribution of it given that there is one.
        let certain = surely.then(|| {
            let any = 1.0 - (1.0 - share).powi(all as i32);
            let drawn: f64 = rng.random::<f64>() * any;
            let first = if share >= 1.0 { 0.0 } else { (1.0 - drawn).ln() / (1.0 - share).ln() };
            (first as usize).min(all - 1)
        });
        let mut number = 0;
        let mut found = Vec::new();
        for journey in &self.exposed {
            let mut first = None;
            for members in journey {
                let hit = match certain {
                    Some(certain) if number < certain => false,
                    Some(certain) if number == certain => true,
                    _ => rng.random::<f64>() < share,
                };
                number += 1;
                if hit && first.is_none() {
                    first = Some(members.clone());
                }
            }
            found.extend(first);
        }
        found
    }
}

/// The marks of one round.
fn round(case: Case, round: u64, rng: &mut ChaCha20Rng) -> Vec<BTreeSet<usize>> {
    let makers: Vec<_> = (case.garblers..case.shards).map(|m| (m, ways(case, m, rng))).collect();
    if case.same_circuits {
        // Broken in every beat or in none: one beat shows all.
        return makers.iter().flat_map(|(_, ways)| ways.garbled(case.share, false, rng)).collect();
    }
    // The first broken beat of each that has a turn.
    let first = |ways: &Ways, rng: &mut ChaCha20Rng| {
        let whole = (1.0 - case.share).powi(ways.exposure() as i32);
        let drawn = rng.random::<f64>().ln();
        let beat = if whole <= 0.0 { 0.0 } else { drawn / whole.ln() };
        (whole < 1.0 && beat < BEATS as f64).then_some(beat as u64)
    };
    let mut asked = Vec::new();
    for (position, (maker, ways)) in makers.iter().enumerate() {
        if may_ask(Round(round), ShardIndex(*maker as u16), case.shards) {
            asked.extend(first(ways, rng).map(|beat| (beat, position)));
        }
    }
    let beats: BTreeSet<u64> = asked.iter().map(|(beat, _)| *beat).collect();
    let mut marks = Vec::new();
    for beat in beats {
        for (position, (_, ways)) in makers.iter().enumerate() {
            let surely = asked.contains(&(beat, position));
            // Beats before a shard's first are whole; it makes no difference that matters to those that have no turn.
            let earlier = asked.iter().any(|(first, asker)| *asker == position && beat < *first);
            if !earlier {
                marks.extend(ways.garbled(case.share, surely, rng));
            }
        }
    }
    marks
}

/// The share of runs in which a garbler, and in which all of them are named, after one epoch and after two; and in
/// which somebody honest is.
fn run(case: Case, runs: u32) -> [f64; 5] {
    let member = |shard: usize| Member {
        shard: IdentityKey([shard as u8; 32]),
        operator: OperatorIndex(shard as u16),
    };
    let mut counts = [0u32; 5];
    for seed in 0..runs {
        let mut rng = ChaCha20Rng::seed_from_u64(seed.into());
        let mut marks = Marks::default();
        for epoch in 0..2 {
            for number in 0..EPOCH {
                for mark in round(case, epoch * EPOCH + number, &mut rng) {
                    marks.add(mark.into_iter().map(member).collect());
                }
            }
            let named = marks.named(|_| 1, case.shards as u64 / 5);
            let found = named.iter().filter(|m| usize::from(m.operator.0) < case.garblers).count();
            counts[2 * epoch as usize] += u32::from(found > 0);
            counts[2 * epoch as usize + 1] += u32::from(found == case.garblers);
            counts[4] += u32::from(found < named.len());
        }
    }
    counts.map(|count| f64::from(count) / f64::from(runs))
}

fn main() {
    println!(
        "shards garblers same circuits  share | 1 epoch: one  all | 2 epochs: one  all | honest named"
    );
    for (shards, garblers, runs) in [(5, 1, 400), (100, 1, 40), (100, 20, 8)] {
        for same_circuits in [false, true] {
            for share in [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1] {
                let case = Case { shards, garblers, share, same_circuits };
                let [one, all, one_in_two, all_in_two, honest] = run(case, runs);
                println!(
                    "{shards:6} {garblers:8} {same_circuits:13}  {share:6} | {one:12.3} {all:5.3} | {one_in_two:13.3} {all_in_two:5.3} | {honest:.3}"
                );
            }
        }
    }
}
