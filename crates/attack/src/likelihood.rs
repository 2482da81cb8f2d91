//! Likelihood of the pairs of an undisturbed round, by where onions can be.
//!
//! The adversary is told which onions are paired noise or other users', all the way, as Theorem 2 of the
//! documentation ("Mixing") tells it. Left are single noise and the onions in question, which make all
//! pairs that are left.

#[cfg(test)]
mod brute_force;
mod joint;
mod posterior;

use std::collections::HashMap;

use super::Game;
use super::count::log_ratio;
use super::game::Field;
use super::worlds::couples;
use crate::ideal::View;
use joint::Joint;
use posterior::posterior;

/// Logarithm of how much likelier the pairs seen are in the second world.
///
/// For four onions in a small network it is exact, so that no guess is better. Elsewhere onions are
/// followed one by one, as if independent of each other: what they exclude for each other is of the
/// order of one in their number.
pub(super) fn likelier(game: &Game<'_>, field: &Field, view: &View) -> f64 {
    let (Some(opened), Some(last)) = (&view.opened, view.trace.layers.last()) else { return 0.0 };
    let pairs = pairs_of(&opened.dead_drops, |place| last.hidden[place]);
    let in_question = &view.trace.users[..game.against.users()];
    let starts: Option<Vec<u32>> = in_question.iter().flatten().copied().collect();
    let Some(starts) = starts.filter(|starts| starts.len() == 2 * pairs.len()) else { return 0.0 };
    let seen_through = |shard| field.network.sees_through(shard);

    let joint = match (&starts[..], &pairs[..]) {
        (&[a, b, c, d], &[(i, j), (k, l)]) => {
            Joint::follow(&view.trace, [a, b, c, d], [i, j, k, l], seen_through)
        }
        _ => None,
    };
    let likely: [f64; 2] = if let Some(joint) = joint {
        [0, 1].map(|world| joint.of_couples(&couples(&field.worlds[world], starts.len())))
    } else {
        let posteriors: Vec<Vec<f64>> =
            starts.iter().map(|start| posterior(&view.trace, *start, true, seen_through)).collect();
        [0, 1].map(|world| {
            let couples = couples(&field.worlds[world], starts.len());
            permanent(&couples, &pairs, &posteriors)
        })
    };
    let difference = log_ratio(likely[1], likely[0]);
    // Rounding is no evidence.
    if difference.abs() < 1e-9 { 0.0 } else { difference }
}

/// Logarithm of how much likelier a view is in the second world, of a round without the first onions of A and of
/// B, whose second ones meet in that world alone. It goes by the count of pairs, and by whether the
/// places where those two can be are paired. Nothing is told, and the two are followed as if independent.
pub(super) fn likelier_after_drop(game: &Game<'_>, field: &Field, view: &View) -> f64 {
    let Some(opened) = &view.opened else { return 0.0 };
    let (Some([_, Some(a)]), Some([_, Some(b)])) =
        (view.trace.users.first(), view.trace.users.get(1))
    else {
        return 0.0;
    };
    let seen_through = |shard| field.network.sees_through(shard);
    let [a, b] = [*a, *b].map(|start| posterior(&view.trace, start, false, seen_through));
    let pairs = pairs_of(&opened.dead_drops, |_| true);
    let mut single = vec![true; opened.dead_drops.len()];
    let mut together = 0.0;
    for (i, j) in &pairs {
        let (i, j) = (*i as usize, *j as usize);
        (single[i], single[j]) = (false, false);
        together += a[i] * b[j] + a[j] * b[i];
    }
    let alone = |p: &[f64]| p.iter().zip(&single).filter(|(_, s)| **s).map(|(p, _)| p).sum::<f64>();
    let at_once = a.iter().zip(&b).zip(&single).filter(|(_, s)| **s).map(|((a, b), _)| a * b);
    let apart = alone(&a) * alone(&b) - at_once.sum::<f64>();
    // Of all couples of places so many are paired, and so many both single.
    let (paired, singles) = (pairs.len() as f64, (single.len() - 2 * pairs.len()) as f64);
    let share = |of: f64, couples: f64| if couples > 0.0 { of / couples } else { 0.0 };
    let where_they_are =
        log_ratio(share(together, 2.0 * paired), share(apart, singles * (singles - 1.0)));
    let mut kept = vec![[true; 2]; game.users()];
    (kept[0][0], kept[1][0]) = (false, false);
    game.weigh_count(field, &kept, view) + where_they_are
}

/// The pairs of places with a dead drop in common, among those that count.
fn pairs_of(dead_drops: &[u128], counts: impl Fn(usize) -> bool) -> Vec<(u32, u32)> {
    let mut met: HashMap<u128, u32> = HashMap::new();
    let mut pairs = Vec::new();
    for (place, dead_drop) in (0..).zip(dead_drops).filter(|(place, _)| counts(*place as usize)) {
        if let Some(other) = met.insert(*dead_drop, place) {
            pairs.push((other, place));
        }
    }
    pairs
}

/// The sum over all ways to give each couple a pair of its own.
fn permanent(couples: &[(usize, usize)], pairs: &[(u32, u32)], posteriors: &[Vec<f64>]) -> f64 {
    let Some((&(x, y), others)) = couples.split_first() else { return 1.0 };
    let mut sum = 0.0;
    for taken in 0..pairs.len() {
        let (i, j) = (pairs[taken].0 as usize, pairs[taken].1 as usize);
        let here = posteriors[x][i] * posteriors[y][j] + posteriors[x][j] * posteriors[y][i];
        if here > 0.0 {
            let left = [&pairs[..taken], &pairs[taken + 1..]].concat();
            sum += here * permanent(others, &left, posteriors);
        }
    }
    sum
}
