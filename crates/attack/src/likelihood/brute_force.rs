//! The likelihoods against what comes out if every shuffle is tried.

use std::collections::HashMap;

use antiphon_wire::ShardIndex;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::super::cases::noise;
use super::*;
use crate::ideal::{IdealNetwork, IdealSetup, Trace, TraceLayer, Watcher};
use crate::{Against, PairCountLaw};

type Places = [u32; 4];

const MOST_SHARDS: u16 = 3;
/// More shuffles of a layer take too long to try.
const MOST_SHUFFLES: usize = 1000;

/// Where onions that start at some places can be at layer L: all ways to shuffle what the adversary is not
/// told are alike. `None` if there are too many.
fn tried(
    trace: &Trace,
    starts: Places,
    seen_through: impl Fn(ShardIndex) -> bool,
) -> Option<HashMap<Places, f64>> {
    let mut now = HashMap::from([(starts, 1.0)]);
    for layers in trace.layers.windows(2) {
        let shuffles = shuffles(&layers[0], &layers[1], &seen_through)?;
        let mut then = HashMap::new();
        for (places, p) in now {
            for shuffle in &shuffles {
                let to = places.map(|place| shuffle[place as usize]);
                *then.entry(to).or_default() += p / shuffles.len() as f64;
            }
        }
        now = then;
    }
    Some(now)
}

/// Every way from the places of a layer to those of the next one.
fn shuffles(
    layer: &TraceLayer,
    after: &TraceLayer,
    seen_through: impl Fn(ShardIndex) -> bool,
) -> Option<Vec<Vec<u32>>> {
    // What the adversary knows about an honest shard's onions is of no use here: it is about others.
    let mut ways = vec![layer.next.iter().map(|next| next.unwrap_or(u32::MAX)).collect::<Vec<_>>()];
    for shard in (0..MOST_SHARDS).map(ShardIndex).filter(|shard| !seen_through(*shard)) {
        let hidden_of = |shards: &[ShardIndex], hidden: &[bool]| -> Vec<u32> {
            let all = (0..).zip(shards).zip(hidden);
            all.filter(|((_, of), hidden)| **of == shard && **hidden).map(|((i, _), _)| i).collect()
        };
        let held = hidden_of(&layer.at, &layer.hidden);
        if ways.len() * (1..=held.len()).product::<usize>() > MOST_SHUFFLES {
            return None;
        }
        let sent = orders(&hidden_of(&after.from, &after.hidden));
        let each = ways.iter().flat_map(|way| sent.iter().map(move |sent| (way, sent)));
        ways = each
            .map(|(way, sent)| {
                assert_eq!(held.len(), sent.len());
                let mut way = way.clone();
                held.iter().zip(sent).for_each(|(from, to)| way[*from as usize] = *to);
                way
            })
            .collect();
    }
    Some(ways)
}

fn orders(items: &[u32]) -> Vec<Vec<u32>> {
    let Some((first, rest)) = items.split_first() else { return vec![Vec::new()] };
    let inserted = |order: Vec<u32>| {
        (0..items.len()).map(move |at| [&order[..at], &[*first], &order[at..]].concat())
    };
    orders(rest).into_iter().flat_map(inserted).collect()
}

/// Long and deep, as it tries every order of every layer inside each other: nothing clever may be in it.
#[test]
fn four_onions_are_weighed_as_if_every_shuffle_were_tried() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut compared, mut settled, mut undecided) = (0, 0, 0);
    for (shards, malicious, hops) in [(2, 1, 2), (2, 1, 4), (3, 1, 2), (3, 1, 3), (3, 2, 4)] {
        let setup = IdealSetup::equal(shards, malicious, hops, noise(4));
        let network = IdealNetwork::new(setup, None).unwrap();
        let worlds = Against::Idle.worlds(2, 2);
        let field = Field { network, worlds, noise: PairCountLaw::none() };
        for number in 0..200 {
            let truth = number as usize % 2;
            let view = field.network.round(number, &field.worlds[truth], &mut Watcher, &mut rng);
            let starts = view.trace.users.concat();
            let starts: Places = std::array::from_fn(|onion| starts[onion].unwrap());
            let seen_through = |shard: ShardIndex| shard.position() < malicious;
            let Some(tried) = tried(&view.trace, starts, seen_through) else { continue };
            assert!((tried.values().sum::<f64>() - 1.0).abs() < 1e-12);

            // World 0: onions 0 and 1 are paired, and 2 and 3. World 1: 0 and 2, 1 and 3.
            let dead_drops = &view.opened.as_ref().unwrap().dead_drops;
            let meet = |x: u32, y: u32| dead_drops[x as usize] == dead_drops[y as usize];
            let sum = |fits: &dyn Fn(&Places) -> bool| -> f64 {
                tried.iter().filter(|(places, _)| fits(places)).map(|(_, p)| p).sum()
            };
            let idle = sum(&|[a, b, c, d]| meet(*a, *b) && meet(*c, *d));
            let talking = sum(&|[a, b, c, d]| meet(*a, *c) && meet(*b, *d));
            assert!([idle, talking][truth] > 0.0);
            let expected = log_ratio(talking, idle);

            let game = Game {
                field: &field,
                against: Against::Idle,
                truth,
                rounds: 1,
                parts: &[],
                attempts: 0,
                played: 0,
                rng: ChaCha8Rng::seed_from_u64(2),
            };
            let found = likelier(&game, &field, &view);
            assert!((found - expected).abs() < 1e-8, "{found} for {expected}");
            compared += 1;
            settled += u32::from(expected.abs() > 100.0);
            undecided += u32::from(expected.abs() < 1e-8);

            for (onion, start) in starts.into_iter().enumerate() {
                let alone = posterior(&view.trace, start, true, seen_through);
                for (place, found) in (0..).zip(alone) {
                    let expected = sum(&|places| places[onion] == place);
                    assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
                }
            }
        }
    }
    let between = compared - settled - undecided;
    println!("{compared} rounds: {settled} settled, {undecided} undecided, {between} between");
    assert!(settled > 20 && undecided > 20 && between > 20);
}
