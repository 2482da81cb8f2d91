//! Four onions and how they are paired: Theorem 2.
//!
//! What one onion's place tells is the same whichever of its three companions it is paired with.
//! What differs needs two onions of one couple whose places are both known better than by chance,
//! so the bound is of the order of the square of one onion's.

use super::moments::Moments;
use super::one_onion::least_product;

/// Fewer alike onions than this, and the theorem says nothing: it asks for 20 places.
pub(super) const LEAST_ALIKE: u64 = 16;

/// The couples of onions that are paired in one of the two worlds only.
const COUPLES: f64 = 4.0;

/// The triples among four onions.
const TRIPLES: f64 = 4.0;

/// The total variation between what the adversary sees when four onions are paired {12, 34} and
/// {13, 24}: at most 4 beta_2 + 4 (N-3)/(N-6) beta_3 + beta_4.
pub(super) fn bound(moments: Moments, hops: u8) -> f64 {
    let n = moments.places;
    let (starts, ends) = couple(moments, hops);
    let couples = least_product(&starts, &ends);
    let triples = (n - 3.0) / (n - 6.0) * whole_path(moments, 3, hops);
    COUPLES * couples + TRIPLES * triples + whole_path(moments, 4, hops)
}

/// S_s and E_t for all numbers of layers up to `hops`, whose products bound beta_2, the expected
/// sum of absolute values of two onions' second-order deviation. As in Theorem 1, for two onions
/// whose first, and two places whose last, honest hops may be at different layers.
pub(super) fn couple(moments: Moments, hops: u8) -> (Vec<f64>, Vec<f64>) {
    let Moments { f, honest_shards: h, places: n, p } = moments;
    let (root, spread) = (moments.root(), moments.spread());
    let others = n - 1.0;
    let theta = libm::pow(moments.theta(), root);
    let tau = theta + 2.0 / n;
    let one = libm::pow(moments.layer(1, others), root);
    let two = libm::pow(moments.layer(2, n), root);
    let honest = libm::pow(1.0 - f, root);
    let per_place = h / others;

    // First honest hops: of the first onion, of the second onion later, of both at once.
    let first = honest * theta * libm::pow(per_place, spread);
    let given_block = f + libm::pow(2.0, 2.0 - p) * libm::pow(per_place, p - 1.0);
    let second = tau * honest * libm::pow(per_place, spread) * libm::pow(given_block, root);
    let at_once = tau * theta * honest * honest * libm::pow(h * h / (n * others), spread);

    // Last honest hops: of the first place, of the second place later, of both at once.
    let (alone, both) = (moments.honest_part(1, others), moments.honest_part(2, n));
    let opening = libm::pow((1.0 - f) * n, spread) * libm::pow(f * alone + both, root);
    let last = libm::pow((1.0 - f) * others, spread) * libm::pow(alone, root);
    let closed_at_once =
        libm::pow((1.0 - f) * (1.0 - f) * n * others, spread) * libm::pow(both, root);

    let known = |layers: u8| libm::pow(f, 2.0 * f64::from(layers));
    let (one_place, two_places) = (libm::pow(n, spread), libm::pow(n * others, spread));
    let (mut starts, mut ends) = (vec![tau * theta], vec![two_places]);
    let (mut one_fresh, mut mixed) = (0.0, 0.0);
    let (mut one_closed, mut closing) = (0.0, 0.0);
    for layer in 1..=hops {
        mixed = two * mixed + second * one_fresh + at_once * known(layer - 1);
        one_fresh = f * one * one_fresh + 2.0 * f * first * known(layer - 1);
        starts.push(tau * theta * known(layer) + tau * one_fresh + mixed);

        closing = two * closing + closed_at_once * known(layer - 1) + 2.0 * opening * one_closed;
        one_closed = f * one * one_closed + f * last * known(layer - 1);
        ends.push(two_places * known(layer) + 2.0 * one_place * one_closed + closing);
    }
    (starts, ends)
}

/// beta_k for `k` = 3 or 4, which are far smaller: the whole path in the p-th mean.
pub(super) fn whole_path(moments: Moments, k: u32, hops: u8) -> f64 {
    let Moments { places: n, p, .. } = moments;
    let tuples: f64 = (0..k).map(|i| n - f64::from(i)).product();
    let start = libm::pow(libm::pow(2.0, f64::from(k)), (2.0 - p) / p);
    let shrunk = libm::pow(moments.layer(k, n), f64::from(hops) / p);
    libm::pow(tuples, moments.spread()) * shrunk * start
}
