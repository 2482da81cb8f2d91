//! Distance of the adversary's posterior over one onion's place from uniform.

use super::moments::Moments;

/// Half the expected sum of absolute deviations after `hops` layers: Theorem 1. Every split of the
/// layers into two phases gives a bound.
pub(super) fn bound(moments: Moments, hops: u8) -> f64 {
    let (starts, ends) = phases(moments, hops);
    0.5 * least_product(&starts, &ends)
}

/// The two factors of Theorem 1, for all numbers of layers up to `hops`: the expected p-norm of the
/// deviation after so many, and what so many layers make of the p-norm before them.
///
/// Until the onion's first honest hop its place is known; after the last honest hop of a place,
/// what is known of it stays. Both ends are summed over as they are, and the layers between them
/// in the p-th mean.
pub(super) fn phases(moments: Moments, hops: u8) -> (Vec<f64>, Vec<f64>) {
    let Moments { f, honest_shards: h, places: n, .. } = moments;
    let (root, spread) = (moments.root(), moments.spread());
    let theta = libm::pow(moments.theta(), root);
    let shrink = libm::pow(moments.layer(1, n), root);
    let first = libm::pow(1.0 - f, root) * theta * libm::pow(h / n, spread);
    let last = libm::pow((1.0 - f) * n, spread) * libm::pow(moments.honest_part(1, n), root);

    let known = |layers: u8| libm::pow(f, f64::from(layers));
    let (mut starts, mut ends) = (vec![theta], vec![libm::pow(n, spread)]);
    let (mut mixed, mut closing) = (0.0, 0.0);
    for layer in 1..=hops {
        // An onion is followed through malicious hops until its first honest one, here or before.
        mixed = shrink * mixed + first * known(layer - 1);
        starts.push(theta * known(layer) + mixed);
        closing = shrink * closing + last * known(layer - 1);
        ends.push(libm::pow(n, spread) * known(layer) + closing);
    }
    (starts, ends)
}

/// The least product `starts[s] * ends[m-s]`, over all splits of m layers.
pub(super) fn least_product(starts: &[f64], ends: &[f64]) -> f64 {
    debug_assert_eq!(starts.len(), ends.len(), "a split gives each layer to one of two phases");
    starts.iter().zip(ends.iter().rev()).map(|(start, end)| start * end).fold(f64::MAX, f64::min)
}
