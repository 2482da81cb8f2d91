//! Theorem 5 in networks of up to eight onions: every trace, every view, and the best of all rules for
//! which rounds to disturb.

use std::collections::HashMap;

use super::super::squares::{Hidden, Squares, Weights};
use super::exact::{Layer, Space, at_most, layers};

/// Some of the users' onions and one shard's noise, of which `pairs` couples share dead drops.
#[derive(Clone, Copy)]
struct Case {
    /// Two if the users' onions are a couple in one world and single in the other, as noise then is. Three
    /// if the first of them meets the second in one world and the third in the other.
    users: usize,
    volume: usize,
    pairs: usize,
}

/// A view: each place's partner, or the place itself.
type View = Vec<usize>;

/// A view's probability if all were uniform, and its likelihoods in both worlds relative to that.
struct Seen {
    uniform: f64,
    likelihoods: [f64; 2],
}

const COUPLE: Case = Case { users: 2, volume: 4, pairs: 1 };
const EXCHANGE: Case = Case { users: 3, volume: 4, pairs: 1 };
const EIGHT: Case = Case { users: 2, volume: 6, pairs: 1 };

impl Case {
    fn places(self) -> usize {
        self.users + self.volume
    }

    /// All matchings of `places` with so many couples.
    fn matchings(places: usize, couples: usize) -> Vec<View> {
        fn go(view: &mut View, from: usize, couples: usize, all: &mut Vec<View>) {
            if couples == 0 {
                all.push(view.clone());
                return;
            }
            for first in from..view.len() {
                for second in first + 1..view.len() {
                    if view[first] == first && view[second] == second {
                        (view[first], view[second]) = (second, first);
                        go(view, first + 1, couples - 1, all);
                        (view[first], view[second]) = (first, second);
                    }
                }
            }
        }
        let mut all = Vec::new();
        go(&mut (0..places).collect(), 0, couples, &mut all);
        all
    }

    /// All views, each with the places where the users' onions can be in either world, as indices.
    fn views(self, space: &Space) -> Vec<(View, [Vec<usize>; 2])> {
        let of = |view: View| {
            let fitting = [0, 1].map(|world| {
                let fits = |&index: &usize| self.fits(world, &space.tuples[index], &view);
                (0..space.tuples.len()).filter(fits).collect()
            });
            (view, fitting)
        };
        Self::matchings(self.places(), self.pairs + 1).into_iter().map(of).collect()
    }

    /// Whether the users' onions can be at these places in a world, if this is seen.
    fn fits(self, world: usize, tuple: &[usize], view: &View) -> bool {
        let single = |place: usize| view[place] == place;
        match (self.users, world) {
            (2, 0) => view[tuple[0]] == tuple[1],
            (2, _) => single(tuple[0]) && single(tuple[1]),
            (_, 0) => view[tuple[0]] == tuple[1] && single(tuple[2]),
            (_, _) => view[tuple[0]] == tuple[2] && single(tuple[1]),
        }
    }

    fn hidden(self, network: &[f64]) -> Hidden {
        Hidden {
            f: 1.0 - network.iter().sum::<f64>(),
            honest_shards: network.len() as f64,
            volume: self.volume as f64,
        }
    }
}

/// All that can be seen, from the joint posterior of the users' onions.
fn seen(posterior: &[f64], views: &[(View, [Vec<usize>; 2])]) -> Vec<Seen> {
    let likelihood = |fitting: &Vec<usize>| {
        let mass: f64 = fitting.iter().map(|&index| posterior[index]).sum();
        mass * posterior.len() as f64 / fitting.len() as f64
    };
    let of = |(_, fitting): &(View, [Vec<usize>; 2])| Seen {
        uniform: 1.0 / views.len() as f64,
        likelihoods: [likelihood(&fitting[0]), likelihood(&fitting[1])],
    };
    views.iter().map(of).collect()
}

/// Traces after which the users' onions have the same joint posterior.
struct Traced {
    probability: f64,
    posterior: Vec<f64>,
    /// One of the onions has had no honest hop.
    followed: bool,
}

/// Every trace of so many hops.
fn traces(case: Case, space: &Space, network: &[f64], hops: usize) -> Vec<Traced> {
    let drawn = layers(network, case.places());
    let mut posterior = vec![0.0; space.tuples.len()];
    posterior[0] = 1.0;
    // Which of the onions are still where they started, for certain.
    let mut all = vec![(1.0, posterior, vec![true; case.users])];
    for _ in 0..hops {
        let mut alike: HashMap<_, (f64, Vec<f64>, Vec<bool>)> = HashMap::new();
        for (probability, posterior, known) in &all {
            for layer in &drawn {
                let malicious = |onion: usize| layer.class[onion] >= network.len();
                let known: Vec<_> = (0..case.users).map(|i| known[i] && malicious(i)).collect();
                let posterior = space.pass(posterior, layer);
                let rounded = posterior.iter().map(|mass| (mass * 1e12).round() as i64);
                let key = (rounded.collect::<Vec<_>>(), known.clone());
                alike.entry(key).or_insert((0.0, posterior, known)).0 +=
                    probability * layer.probability;
            }
        }
        all = alike.into_values().collect();
    }
    let traced = |(probability, posterior, known): (f64, Vec<f64>, Vec<bool>)| Traced {
        probability,
        posterior,
        followed: known.contains(&true),
    };
    all.into_iter().map(traced).collect()
}

fn average(seen: &[Seen], of: impl Fn([f64; 2]) -> f64) -> f64 {
    seen.iter().map(|each| each.uniform * of(each.likelihoods)).sum()
}

/// One route of all onions through honest shards' permutations: onion `i` starts at place `i`.
fn permuted(all: Vec<Vec<usize>>, layer: &Layer, shards: usize) -> Vec<Vec<usize>> {
    let mut ways = all;
    for shard in 0..shards {
        let held: Vec<usize> =
            (0..layer.class.len()).filter(|&place| layer.class[place] == shard).collect();
        for first in 0..held.len() {
            let swapped = |way: Vec<usize>| {
                let held = held.clone();
                (first..held.len()).map(move |other| {
                    let mut way = way.clone();
                    way.swap(held[first], held[other]);
                    way
                })
            };
            ways = ways.into_iter().flat_map(swapped).collect();
        }
    }
    ways
}

#[test]
fn what_one_shards_noise_hides_follows_from_the_users_places_alone() {
    // Every permutation and every way to pair the noise, without any reasoning, for some traces of two
    // layers and both shards alike or not.
    let network = [0.4, 0.3];
    let mut compared = 0;
    for case in [COUPLE, EXCHANGE] {
        let space = Space::new(case.places(), case.users);
        let views = case.views(&space);
        let drawn = layers(&network, case.places());
        for which in 0..60 {
            let (one, two) = (&drawn[which * 173 % drawn.len()], &drawn[which * 311 % drawn.len()]);
            let mut posterior = vec![0.0; space.tuples.len()];
            posterior[0] = 1.0;
            let posterior = space.pass(&space.pass(&posterior, one), two);
            let start = vec![(0..case.places()).collect::<Vec<_>>()];
            let ways = |layer: &Layer| -> usize {
                let held = |shard| layer.class.iter().filter(|each| **each == shard).count();
                (0..2).map(|shard| (1..=held(shard)).product::<usize>()).product()
            };
            // Thousands of routes take long and show nothing new.
            if ways(one) * ways(two) > 300 {
                continue;
            }
            let routes = permuted(permuted(start, one, 2), two, 2);
            compared += usize::from(routes.len() > 10);
            for world in [0, 1] {
                let mut played = vec![0.0; views.len()];
                // In the first world of a couple, and in both of an exchange, users make one pair.
                let users = usize::from(case.users == 3 || world == 0);
                let noise = Case::matchings(case.volume, case.pairs + 1 - users);
                for onion_at in &routes {
                    for matching in &noise {
                        let partner = |onion: usize| match (case.users, world, onion) {
                            (2, 0, 0) | (3, 0, 0) => 1,
                            (2, 0, 1) | (3, 0, 1) | (3, 1, 2) => 0,
                            (3, 1, 0) => 2,
                            (_, _, onion) if onion < case.users => onion,
                            _ => matching[onion - case.users] + case.users,
                        };
                        let place =
                            |onion| onion_at.iter().position(|&each| each == onion).unwrap();
                        let view: View = onion_at.iter().map(|&o| place(partner(o))).collect();
                        let index = views.iter().position(|(each, _)| *each == view).unwrap();
                        played[index] += 1.0 / (routes.len() * noise.len()) as f64;
                    }
                }
                let found = seen(&posterior, &views);
                for (played, computed) in played.iter().zip(found) {
                    let expected = computed.uniform * computed.likelihoods[world];
                    assert!((played - expected).abs() < 1e-12, "{played} {expected}");
                }
            }
        }
    }
    assert!(compared > 10, "{compared} traces have routes to tell apart");
}

#[test]
fn squares_are_as_large_as_stated_and_nearly_so_in_first_order() {
    for (case, network, hops) in [
        (COUPLE, &[0.8][..], 3),
        (COUPLE, &[0.5][..], 3),
        (COUPLE, &[0.5, 0.3][..], 2),
        (EXCHANGE, &[0.8][..], 2),
        (EXCHANGE, &[0.4, 0.4][..], 1),
        (EIGHT, &[0.7][..], 2),
        (EIGHT, &[0.5, 0.2][..], 1),
    ] {
        let space = Space::new(case.places(), case.users);
        let traced = traces(case, &space, network, hops);
        let (hidden, views) = (case.hidden(network), case.views(&space));
        let weights = Weights::of(case.volume as f64, case.pairs as f64, 1.0);
        let (mut difference, mut mean, mut first, mut told) = (0.0, 0.0, 0.0, 0.0);
        let places = case.places() as f64;
        for each in traced.iter().filter(|each| !each.followed) {
            let seen = seen(&each.posterior, &views);
            difference += each.probability * average(&seen, |[a, b]| (a - b) * (a - b));
            mean += each.probability * average(&seen, |[a, b]| ((a + b) / 2.0 - 1.0).powi(2));
            // The first-order part: one onion's deviation each.
            let mut deviations = vec![vec![-1.0 / places; case.places()]; case.users];
            for (tuple, mass) in space.tuples.iter().zip(&each.posterior) {
                tuple
                    .iter()
                    .enumerate()
                    .for_each(|(onion, &place)| deviations[onion][place] += mass);
            }
            let both = |place: usize| match case.users {
                2 => deviations[0][place] + deviations[1][place],
                _ => deviations[1][place] - deviations[2][place],
            };
            let square: f64 = (0..case.places()).map(|place| both(place).powi(2)).sum();
            first += each.probability * square;
            // Whoever knows all other onions' places sees in which of two places one of two is.
            told += each.probability * places * square / 2.0;
        }
        let stated = hidden.one_way(hops as u8, weights);
        let case = format!("{} users, {network:?}, {hops} hops", case.users);
        at_most(difference, stated.difference, &case);
        at_most(mean, stated.mean, &case);
        let together = 4.0
            * (hidden.f + (hidden.honest_shards - 1.0 + hidden.f) / (hidden.volume + 1.0))
                .powi(hops as i32)
            / hidden.volume;
        at_most(first, 2.0 * hidden.deviation(hops as u8) + together, &case);
        assert!(first > 0.0 && difference > 0.0 && told > 0.0, "{case}");
    }
}

/// For each trace: its probability, whether an onion is followed to its end, and what can be seen if the
/// round is disturbed.
type Round = Vec<(f64, bool, Vec<Seen>)>;

fn rounds(case: Case, network: &[f64], hops: usize) -> Round {
    let space = Space::new(case.places(), case.users);
    let views = case.views(&space);
    let of = |each: Traced| (each.probability, each.followed, seen(&each.posterior, &views));
    traces(case, &space, network, hops).into_iter().map(of).collect()
}

/// What the best rule gains in so many rounds, of which it disturbs at most `left`: it sees each round's
/// whole trace before it decides. The worlds' likelihoods so far are `so_far`.
fn best(round: &Round, rounds: u32, left: u32, so_far: [f64; 2]) -> f64 {
    let [a, b] = so_far;
    if rounds == 0 || left == 0 {
        return (a - b).abs() / 2.0;
    }
    let alone = best(round, rounds - 1, left, so_far);
    let each = |(probability, _, seen): &(f64, bool, Vec<Seen>)| {
        let disturbed = average(seen, |[here_a, here_b]| {
            best(round, rounds - 1, left - 1, [a * here_a, b * here_b])
        });
        probability * disturbed.max(alone)
    };
    round.iter().map(each).sum()
}

/// What Theorem 5 says of it, with the squares of this network as they are.
fn by_squares(round: &Round, rounds: u32) -> f64 {
    let (mut followed, mut difference, mut mean) = (0.0, 0.0, 0.0);
    for (probability, to_its_end, seen) in round {
        if *to_its_end {
            followed += probability;
        } else {
            difference += probability * average(seen, |[a, b]| (a - b) * (a - b));
            mean += probability * average(seen, |[a, b]| ((a + b) / 2.0 - 1.0).powi(2));
        }
    }
    let squares = Squares { difference, mean };
    squares.over(f64::from(rounds)) + f64::from(rounds) * followed
}

/// What the best rule gains that sees the traces of all these rounds before it disturbs the first of them, as
/// rounds overlap.
fn best_foreseen(traces: &[&[Seen]], left: u32, [a, b]: [f64; 2]) -> f64 {
    let Some((seen, later)) = traces.split_first().filter(|_| left > 0) else {
        return (a - b).abs() / 2.0;
    };
    let alone = best_foreseen(later, left, [a, b]);
    let disturbed =
        average(seen, |[here_a, here_b]| best_foreseen(later, left - 1, [a * here_a, b * here_b]));
    alone.max(disturbed)
}

/// [`best_foreseen`] on average over the traces of so many rounds.
fn foreseen<'a>(round: &'a Round, rounds: u32, left: u32, before: &mut Vec<&'a [Seen]>) -> f64 {
    if rounds == 0 {
        return best_foreseen(before, left, [1.0; 2]);
    }
    let mut sum = 0.0;
    for (probability, _, seen) in round {
        before.push(seen);
        sum += probability * foreseen(round, rounds - 1, left, before);
        before.pop();
    }
    sum
}

/// What is gained by disturbing the best of so many rounds, all of whose traces are seen first.
fn best_of_all(round: &Round, rounds: i32) -> f64 {
    let gain = |seen: &[Seen]| average(seen, |[a, b]| (a - b).abs()) / 2.0;
    let mut gains: Vec<_> =
        round.iter().map(|(probability, _, seen)| (gain(seen), *probability)).collect();
    gains.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut below, mut sum) = (0.0_f64, 0.0);
    for (gain, probability) in gains {
        let with = below + probability;
        sum += gain * (with.powi(rounds) - below.powi(rounds));
        below = with;
    }
    sum
}

#[test]
fn losing_deposits_leaves_the_number_of_pairs_log_concave() {
    for (volume, deviation) in [(16, 1.0), (16, 0.3), (64, 4.0), (64, 40.0), (200, 12.5)] {
        let draw = |pairs: i32| {
            let t = (f64::from(pairs) - f64::from(volume) / 4.0) / deviation;
            (-0.5 * t * t).exp()
        };
        let mut pairs: Vec<f64> = (0..=volume / 2).map(draw).collect();
        for left in (volume / 4..=volume).rev() {
            for row in pairs.windows(3) {
                assert!(row[0] * row[2] <= row[1] * row[1] * (1.0 + 1e-9), "{volume}: {left} left");
            }
            let broken = |x: usize| pairs.get(x).unwrap_or(&0.0) * 2.0 * x as f64 / f64::from(left);
            let lost = (0..pairs.len()).map(|x| pairs[x] - broken(x) + broken(x + 1));
            pairs = lost.map(|probability| probability.max(0.0)).collect();
        }
    }
}

#[test]
fn seeing_the_routes_of_later_rounds_first_helps_and_stays_below_the_squares() {
    for (case, network, hops) in [(COUPLE, &[0.97][..], 2), (EXCHANGE, &[0.97][..], 2)] {
        let round = rounds(case, network, hops);
        for number in [1, 2, 5, 20, 100] {
            let (gained, bound) = (best_of_all(&round, number), by_squares(&round, number as u32));
            at_most(gained, bound, &format!("{} users, the best of {number}", case.users));
        }
    }
    let round = rounds(COUPLE, &[0.97], 1);
    for (number, left) in [(2, 1), (2, 2), (3, 1), (3, 2)] {
        let gained = foreseen(&round, number, left, &mut Vec::new());
        at_most(gained, by_squares(&round, number), &format!("{left} of {number}, foreseen"));
        let one_by_one = best(&round, number, left, [1.0; 2]);
        assert!(gained >= one_by_one - 1e-12, "{left} of {number}: {gained} {one_by_one}");
        assert!(left == number || gained > 1.0004 * one_by_one, "{gained} {one_by_one}");
    }
}

#[test]
fn weights_cover_whichever_world_the_draw_is_of_and_every_pair_of_the_conversation() {
    let pairs_and_draws = (1..=3).flat_map(|pairs| (1..=11).map(move |drawn| (pairs, drawn)));
    for (pairs, drawn) in pairs_and_draws {
        let volume = 24;
        let weights = Weights::of(f64::from(volume), f64::from(drawn), f64::from(pairs));
        // The other pairs of the conversation move the draw by one each, and this one as well where the draw
        // is that of the world with one more.
        for noise in (drawn - pairs).max(0)..drawn + pairs {
            let paired = f64::from(2 * (noise + 1));
            // Beside a couple, of which the lesser draw is compared, and beside three onions.
            for users in [2, 3] {
                let single = f64::from(volume + users) - paired;
                if single < 1.0 {
                    continue;
                }
                let n = f64::from(volume + users);
                let variance = paired * single / (n * (n - 1.0));
                let (difference, factors) = if users == 2 {
                    // Of the sum of both onions' deviations, on the paired places.
                    let all = n * (n - 1.0) / (n - 2.0);
                    let skew = all * (single - paired) / (2.0 * paired * single);
                    (all * n / (paired * single), vec![skew, skew])
                } else {
                    let own = (n - 1.0) / (paired * single);
                    let skew = single - paired;
                    let beside = (single + skew) / (n - 3.0);
                    let roles = [single, skew / 2.0, skew / 2.0];
                    (own * n, roles.map(|role| own * (role + beside)).to_vec())
                };
                // Deviations of the onions are of one size at most, in any directions.
                let sum: f64 = factors.iter().map(|factor| factor.abs()).sum();
                let case = format!("{pairs} pairs, {drawn} drawn, {noise} compared, {users} users");
                at_most(difference * difference * variance, weights.difference, &case);
                at_most(sum * sum * variance, weights.mean, &case);
            }
        }
    }
}

#[test]
fn no_rule_for_which_rounds_to_disturb_gains_more_than_the_squares() {
    // One round of many, after a look at each; then two of three, where what was seen matters too.
    for (case, network, hops) in
        [(COUPLE, &[0.97][..], 2), (COUPLE, &[0.9][..], 2), (EXCHANGE, &[0.97][..], 2)]
    {
        let round = rounds(case, network, hops);
        let mut alone = 0.0;
        for number in 1..=100 {
            // One disturbance is left: stop at a trace that is better than what is still to come.
            alone = round
                .iter()
                .map(|(probability, _, seen)| {
                    probability * (average(seen, |[a, b]| (a - b).abs()) / 2.0).max(alone)
                })
                .sum::<f64>();
            let bound = by_squares(&round, number);
            at_most(alone, bound, &format!("{} users, {network:?}, one of {number}", case.users));
        }
        assert!(alone > 0.02, "there is something to gain: {alone}");
    }
    let round = rounds(COUPLE, &[0.97], 1);
    for (number, left) in [(1, 1), (2, 1), (2, 2), (3, 2)] {
        let (gained, bound) = (best(&round, number, left, [1.0; 2]), by_squares(&round, number));
        at_most(gained, bound, &format!("{left} of {number}"));
        assert!(gained > 0.2 * bound && bound < 0.8, "{gained} {bound}");
    }
}

#[test]
fn the_squares_of_the_default_network_are_what_another_program_finds() {
    let hidden = Hidden { f: 0.2, honest_shards: 4.0, volume: 1616.0 };
    for (hops, one, thousand, year) in [
        (14, 2.42e-11, 7.06e-4, 0.1606),
        (18, 5.08e-14, 3.22e-5, 5.77e-3),
        (22, 1.01e-16, 1.44e-6, 2.56e-4),
    ] {
        let round = hidden.round(hops, 1.0);
        for (found, written) in [
            (hidden.deviation(hops), one),
            (round.over(1000.0), thousand),
            (round.over(31_536_000.0), year),
        ] {
            assert!((found / written - 1.0).abs() < 0.01, "{hops}: {found:e}, not {written:e}");
        }
    }
}
