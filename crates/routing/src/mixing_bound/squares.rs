//! Rounds disturbed at the gateway, in second moments: Theorem 5.
//!
//! One honest shard's noise stays hidden, and all other noise is given away. What a disturbed round tells is
//! then a likelihood ratio that is close to 1, and rounds add up by its squares and not by its size. Squares
//! are of the order of the probability that one onion has malicious hops alone.

use super::moments::Moments;

/// The ways to disturb a round that tell anything: one of four onions is dropped, or two of them in four
/// ways. The two that are left of the other two ways look alike in both worlds.
const WAYS: f64 = 8.0;

/// The most of the users' onions that are left in a disturbed round.
const LEFT: u32 = 3;

/// A network of which all noise but one honest shard's is given away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hidden {
    /// f, the probability that a hop is malicious.
    pub(super) f: f64,
    /// H, the number of honest shards.
    pub(super) honest_shards: f64,
    /// V, the deposits of the hidden shard.
    pub(super) volume: f64,
}

/// Squares that a round adds on average over traces and views, as far as no user's onion has malicious hops
/// alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Squares {
    /// Of the difference between the two worlds' likelihoods, both relative to a uniform matching.
    pub(super) difference: f64,
    /// Of their mean less 1.
    pub(super) mean: f64,
}

/// Factors by which the squares of one onion's deviation count, which follow from how many of the hidden
/// deposits are paired.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights {
    pub(super) difference: f64,
    pub(super) mean: f64,
}

impl Weights {
    /// For a shard that draws so many pairs, and a conversation of so many.
    ///
    /// Of what is compared, a couple of the users included, 2 (drawn + pairs) places are paired at most and
    /// 2 (drawn - pairs + 1) at least, whichever of the worlds the draw is of. Both figures are convex in that
    /// number, so the greatest are at its ends.
    pub(super) fn of(volume: f64, drawn: f64, pairs: f64) -> Self {
        let fewest = Self::given(volume, (2.0 * (drawn - pairs + 1.0)).max(2.0));
        let most = Self::given(volume, (2.0 * (drawn + pairs)).min(volume + 2.0));
        Self {
            difference: fewest.difference.max(most.difference),
            mean: fewest.mean.max(most.mean),
        }
    }

    /// For so many paired places, and single ones beside a couple of the users or beside three of their
    /// onions.
    fn given(volume: f64, paired: f64) -> Self {
        let places = volume + 3.0;
        let single = (volume + 2.0 - paired).max(1.0);
        let beside = 1.0 + 3.0 / (places - 3.0);
        let difference =
            places.powi(3) * (places - 1.0) / ((places - 2.0) * (places - 2.0) * paired * single);
        let mean = |single: f64| {
            let skew = single - paired;
            2.0 * (single * single + skew * skew) / (paired * single) * beside * beside
        };
        Self { difference, mean: mean(single).max(mean(single + 1.0)) }
    }

    /// For the shard, of so many, whose draw counts most: on average over draws as wide as documents may
    /// have them, their cut at four deviations.
    fn drawn(volume: f64, shards: f64, pairs: f64) -> Self {
        let (mean, deviation) = (volume / 4.0, volume / 16.0);
        let draws = libm::floor(volume / 2.0) as u32 + 1;
        let weighed: Vec<_> = (0..draws)
            .map(|drawn| {
                let drawn = f64::from(drawn);
                let t = (drawn - mean) / deviation;
                (libm::exp(-0.5 * t * t), Self::of(volume, drawn, pairs))
            })
            .collect();
        let all: f64 = weighed.iter().map(|(weight, _)| weight).sum();
        // The greatest of several is at most any threshold and what each is above it.
        let greatest = |figure: &dyn Fn(&Self) -> f64| {
            let above = |threshold: f64| -> f64 {
                let over =
                    |(weight, each): &(f64, Self)| weight * (figure(each) - threshold).max(0.0);
                threshold + shards * weighed.iter().map(over).sum::<f64>() / all
            };
            (0..14)
                .map(|quarter| {
                    let drawn = mean - deviation * f64::from(quarter) / 4.0;
                    above(figure(&Self::of(volume, drawn, pairs)))
                })
                .fold(f64::MAX, f64::min)
        };
        Self { difference: greatest(&|each| each.difference), mean: greatest(&|each| each.mean) }
    }
}

impl Hidden {
    /// The expected square of one onion's deviation from uniform, without the case that all its hops are
    /// malicious: q^m - f^m.
    pub(super) fn deviation(self, hops: u8) -> f64 {
        let hops = f64::from(hops);
        (libm::pow(self.shrink(), hops) - libm::pow(self.f, hops)).max(0.0)
    }

    /// q, the factor by which a layer shrinks the expected square: the number of classes of places less one,
    /// over the number of places less one.
    fn shrink(self) -> f64 {
        let others = self.volume + 1.0;
        (self.f + (self.honest_shards - 1.0 + self.f) / others).min(1.0)
    }

    /// What deviations of two of the users' onions and more add together.
    pub(super) fn higher_orders(self, hops: u8) -> f64 {
        let places = self.volume + 3.0;
        // Among as few places as a couple has, where a layer shrinks less.
        let fewest = places - 1.0;
        let moments =
            Moments { f: self.f, honest_shards: self.honest_shards, places: fewest, p: 2.0 };
        let of = |k: u32| {
            let ways = if k == LEFT { 1.0 } else { 3.0 };
            let tuples: f64 = (0..k).map(|i| places - f64::from(i)).product();
            ways * tuples * libm::pow(moments.layer(k, fewest), f64::from(hops))
        };
        (2..=LEFT).map(of).sum()
    }

    /// The squares of a round that is disturbed in one way, given how many deposits are paired.
    pub(super) fn one_way(self, hops: u8, weights: Weights) -> Squares {
        let one = self.deviation(hops);
        let together = 4.0 * libm::pow(self.shrink(), f64::from(hops)) / self.volume;
        let higher = self.higher_orders(hops);
        Squares {
            difference: weights.difference * (2.0 * one + together) + 4.0 * higher,
            mean: weights.mean * one + higher,
        }
    }

    /// The squares of a round in which the adversary picks one of the ways after it saw the whole trace of
    /// each: at most the sum over them. For one pair of a conversation of so many, the others given away.
    pub(super) fn round(self, hops: u8, pairs: f64) -> Squares {
        let Squares { difference, mean } =
            self.one_way(hops, Weights::drawn(self.volume, self.honest_shards, pairs));
        Squares { difference: WAYS * difference, mean: WAYS * mean }
    }
}

impl Squares {
    /// The total variation that so many rounds come to: half the root of the expected square of the
    /// difference between the products of all likelihoods, even if all rounds' traces are seen first.
    pub(super) fn over(self, rounds: f64) -> f64 {
        let (difference, mean) = (self.difference * rounds, self.mean * rounds);
        // The squares add up, but for how far the products have moved already.
        let slack = libm::sqrt(mean);
        let moved = libm::exp(2.0 * mean + 0.5 * difference + mean + slack);
        (0.5 * libm::sqrt((1.0 + slack) * difference * moved)).min(1.0)
    }
}
