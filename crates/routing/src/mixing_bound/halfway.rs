//! One onion's place when the adversary drops others on the way, by any rule from the routes that
//! it has seen so far: Theorem 3.
//!
//! Taking a few places away from many hardly changes the p-th mean of what is left, and each
//! noise onion lost goes unnoticed with probability a half only. So dropping gains little, and the
//! path's end is no longer summed over apart.

use super::moments::Moments;

/// The most noise onions that are lost one by one in the bound. That more go unnoticed is added.
const MOST_LOST: u32 = 60;

/// The least weight of a noise onion's loss: the probability that it goes unnoticed is a half, with room for
/// false positives of the filters and for the factor e^eta of large volumes.
pub(super) const UNNOTICED: f64 = 0.51;

/// Noise onions lost on the way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Losses {
    /// The most that are lost one by one.
    pub(super) most: u32,
    /// u: the weight of each loss.
    pub(super) unnoticed: f64,
}

impl Losses {
    /// For shards that add so many noise deposits. A loss weighs half of e^(eta/l), at least, where e^eta is
    /// the factor between the two worlds that l lost onions of one shard make. eta is convex in l, so what
    /// the most onions lost weigh holds for all.
    pub(super) fn of(volume: f64) -> Self {
        // Half of them single, a quarter of that many pairs. Not nearly all of these are lost.
        let (single, pairs) = (volume / 2.0 - 1.0, volume / 4.0);
        let lost = libm::floor(0.8 * pairs).clamp(0.0, f64::from(MOST_LOST));
        if lost < 1.0 || single <= lost {
            return Self { most: 0, unnoticed: 1.0 };
        }
        let eta = (-2.0 * libm::log1p(-lost / single)).max(-libm::log1p(-lost / pairs));
        // A false positive in 2^20 at most.
        let each = 0.5 * (1.0 + libm::ldexp(1.0, -20)) * libm::exp(eta / lost);
        Self { most: lost as u32, unnoticed: each.clamp(UNNOTICED, 1.0) }
    }
}

/// Distance of an onion's place, among those not lost, from uniform: expected, and weighted by each loss. At
/// most 1.
pub(super) fn bound(moments: Moments, hops: u8, losses: Losses) -> f64 {
    let more = libm::pow(losses.unnoticed, f64::from(losses.most) + 1.0);
    (losing(moments, hops, losses) + more).min(1.0)
}

/// [`bound`] for an adversary that drops no more noise onions than these.
pub(super) fn losing(moments: Moments, hops: u8, losses: Losses) -> f64 {
    let fewest = moments.places - f64::from(losses.most);
    if fewest < 3.0 {
        return 1.0;
    }
    let Moments { f, honest_shards: h, .. } = moments;
    let (root, spread) = (moments.root(), moments.spread());
    let shrink = libm::pow(layer(moments, losses), root);
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
/// the adversary drops others after the draws, up to so many.
pub(super) fn layer(moments: Moments, losses: Losses) -> f64 {
    let Losses { most: most_lost, unnoticed } = losses;
    let Moments { f, honest_shards: h, places, p } = moments;
    let (root, spread) = (moments.root(), moments.spread());
    let fewest = places - f64::from(most_lost);
    let most = |factor: &dyn Fn(f64) -> f64| {
        let weighed = |k: u32| libm::pow(unnoticed, f64::from(k)) * factor(f64::from(k));
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
