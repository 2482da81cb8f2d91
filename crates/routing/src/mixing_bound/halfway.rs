//! One onion's place when the adversary drops others on the way, by any rule from the routes that
//! it has seen so far: Theorem 3.
//!
//! Taking a few places away from many hardly changes the p-th mean of what is left, and each
//! noise onion lost goes unnoticed with probability a half only. So dropping gains little, and the
//! path's end is no longer summed over apart.

use super::moments::Moments;

/// The most noise onions that are lost one by one in the bound. That more go unnoticed is added.
pub(super) const MOST_LOST: u32 = 60;

/// The probability that the loss of a noise onion goes unnoticed: a half, and room for false
/// positives of the filters.
pub(super) const UNNOTICED: f64 = 0.51;

/// How far an onion's place, among those not lost, is from uniform, expected and weighted by the
/// probability that nothing is noticed. At most 1.
pub(super) fn bound(moments: Moments, hops: u8) -> f64 {
    let more = libm::pow(UNNOTICED, f64::from(MOST_LOST) + 1.0);
    (losing(moments, MOST_LOST, hops) + more).min(1.0)
}

/// [`bound`] for an adversary that drops at most so many noise onions.
pub(super) fn losing(moments: Moments, most_lost: u32, hops: u8) -> f64 {
    let fewest = moments.places - f64::from(most_lost);
    if fewest < 3.0 {
        return 1.0;
    }
    let Moments { f, honest_shards: h, .. } = moments;
    let (root, spread) = (moments.root(), moments.spread());
    let shrink = libm::pow(layer(moments, most_lost), root);
    let first = libm::pow((1.0 - f) * moments.theta(), root) * libm::pow(h / fewest, spread);
    let (mut known, mut mixed) = (1.0, 0.0);
    for _ in 0..hops {
        mixed = shrink * mixed + first * known;
        known *= f;
    }
    let absolute = libm::pow(moments.places, spread) * (1.0 + 1.0 / (fewest - 2.0));
    (known + 0.5 * absolute * mixed).min(1.0)
}

/// L^p: the factor by which a layer shrinks the expected p-th power of one onion's deviation when
/// the adversary drops up to so many others after the draws, each weighted by [`UNNOTICED`].
pub(super) fn layer(moments: Moments, most_lost: u32) -> f64 {
    let Moments { f, honest_shards: h, places, p } = moments;
    let (root, spread) = (moments.root(), moments.spread());
    let fewest = places - f64::from(most_lost);
    let most = |factor: &dyn Fn(f64) -> f64| {
        let weighed = |k: u32| libm::pow(UNNOTICED, f64::from(k)) * factor(f64::from(k));
        (1..=most_lost).map(weighed).fold(0.0, f64::max)
    };
    // What was at the places taken out of their batches, and the mean. Whether any are is chosen
    // after the draws, so this adds to what the layer leaves if none is.
    let taken = most(&|k| libm::pow(k * (k + 1.0), spread))
        * libm::pow(1.0 - f, (2.0 - p) * root)
        * libm::pow(h / fewest, spread);
    let mean = most(&|k| libm::pow(k / fewest, spread));
    // Batches that shrink, by Hölder's inequality.
    let smaller = most(&|k| libm::pow(k + 1.0, spread));
    let rest = 1.0 - libm::pow(smaller, 1.0 / spread);
    f + moments.honest_part(1, fewest) + libm::pow(taken + mean, p) / libm::pow(rest, p - 1.0)
}
