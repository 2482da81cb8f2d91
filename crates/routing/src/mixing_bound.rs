//! Bounds on the distance from perfectly mixed onions: `delta_mix`.
//!
//! The adversary's posterior over one onion's place is a vector over the onions of a layer. An honest shard
//! averages it over its batch, and a malicious one leaves it alone. Two statements follow, both proven in the
//! documentation ("Mixing"). [`MixingPopulation::one_onion`] bounds how well one onion can be followed, which
//! counts in disturbed rounds. [`MixingPopulation::conversation`] bounds how well it can be told in
//! undisturbed rounds how four onions are paired, which is of the order of its square.
//!
//! The conjectured figures need more than is proven: see [`BoundKind::Conjectured`].

mod halfway;
mod joint;
mod moments;
mod one_onion;
mod squares;

use std::time::Duration;

use self::halfway::Losses;
use self::moments::Moments;
use self::squares::Hidden;
use crate::path_length::{MOST_MIXING_HOPS, PathLengthError};
use crate::{Horizon, Ppm};

/// The onions that a conversation sends in a round: two from each end.
pub const ONIONS_PER_CONVERSATION: u8 = 4;

/// Noise pairs are cut off at this many standard deviations or more, in every shard: four of them
/// make a quarter of its volume.
const CUT_IN_DEVIATIONS: f64 = 4.0;

/// The onions whose places a disturbed round can depend on when onions are dropped half-way: the
/// users' four, and a couple of noise for either world that can show one pair more.
const FOLLOWED_HALFWAY: f64 = 8.0;

/// Noise onions that the adversary cannot tell apart, with all other noise given away.
#[derive(Clone, Copy, Debug)]
enum Alike {
    /// The single ones of all shards: M - 2D.
    Single(u64),
    /// One of each pair of the shard that drew most, which matches them at random: D/H at least.
    OfPairs(u64),
}

/// The onions and shards that an onion is certain to be mixed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MixingPopulation {
    /// f, the malicious fraction of the path weight present.
    pub f: Ppm,
    /// M, the honest operators' noise onions in a layer of the whole network: what is left when
    /// the adversary blocks every other user.
    pub onions: u64,
    /// H, the honest operators' shards.
    pub honest_shards: u32,
}

/// Status of a figure: proven, or only conjectured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BoundKind {
    /// Holds, by a proof in the documentation.
    Proven,
    /// Above every simulation, without a proof. For one onion: the sum over the number of honest
    /// hops. For a conversation: the proven formula, with noise that is paired counted as if it
    /// hid an onion as well as single noise does.
    Conjectured,
}

impl BoundKind {
    /// The word to print beside the figure.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Conjectured => "conjectured, not proven",
        }
    }
}

/// Both figures for one total-variation distance, each at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixingBound {
    /// A bound that is proven.
    pub proven: f64,
    /// A smaller figure that is only conjectured to be a bound.
    pub conjectured: f64,
}

impl MixingBound {
    /// The figure of one kind.
    pub const fn of_kind(self, kind: BoundKind) -> f64 {
        match kind {
            BoundKind::Proven => self.proven,
            BoundKind::Conjectured => self.conjectured,
        }
    }

    /// Over `rounds` attempted rounds: the sum.
    #[must_use]
    pub fn over_rounds(self, rounds: u64) -> Self {
        self.times(rounds as f64)
    }

    /// Over all the rounds that start within `time` at one round every `interval`: a year of
    /// 5-second rounds is 6,307,200 of them. An interval of zero promises nothing.
    #[must_use]
    pub fn over_time(self, time: Duration, interval: Duration) -> Self {
        self.over_rounds(Horizon::rounds_of(time, interval))
    }

    fn times(self, count: f64) -> Self {
        Self {
            proven: (self.proven * count).min(1.0),
            conjectured: (self.conjectured * count).min(1.0),
        }
    }
}

impl MixingPopulation {
    /// The total variation between the adversary's posterior over one onion's place after `hops`
    /// mixing hops and the uniform one, on average over paths: Theorem 1.
    pub fn one_onion(&self, hops: u8) -> MixingBound {
        if self.onions == 0 {
            return MixingBound { proven: 1.0, conjectured: 1.0 };
        }
        let proven = self.followed(hops);
        MixingBound { proven, conjectured: self.by_honest_hops(hops).min(proven) }
    }

    /// `delta_mix` of one undisturbed round: the total variation between what the adversary sees
    /// when the two ends of a conversation talk and when both idle, Theorem 2. Proven for rounds in
    /// which the four onions arrive, and the noise. A round counts once it is attempted: an
    /// adversary can abort those in which it saw little.
    ///
    /// Noise that is paired could tell where its partner is, so single noise onions count, half of
    /// the noise more or less. This averages over the draw, for M spread evenly over the honest
    /// shards. If it is not, take [`Self::conversation_given`].
    pub fn conversation(&self, hops: u8) -> MixingBound {
        self.conversation_given(self.even_deviation(), hops)
    }

    /// [`Self::conversation`], given the deviation of the number of noise pairs that all honest
    /// shards draw together: the root of the sum of their sigma squared, or more.
    pub fn conversation_given(&self, pair_deviation: f64, hops: u8) -> MixingBound {
        let fewest = self.fewest_alike();
        self.counting_noise(pair_deviation, fewest, |alike| match alike {
            Alike::Single(onions) | Alike::OfPairs(onions) => self.pairing(onions, hops),
        })
    }

    /// The part that mixing adds in a disturbed round to the differential privacy of its counts: the total
    /// variation between what the adversary sees in the two worlds when noise and users make equally many
    /// pairs, four times Theorem 1.
    ///
    /// Once an onion of a couple is dropped, following the other one tells all, so this is of first order. If
    /// the counts are (epsilon, delta)-private, what the adversary sees is (epsilon, delta + this)-private. M
    /// as in [`Self::conversation`]. Proven for drops chosen without regard to what was seen of the routes,
    /// and counted once a round is attempted.
    pub fn disturbed(&self, hops: u8) -> MixingBound {
        self.disturbed_given(self.even_deviation(), hops)
    }

    /// [`Self::disturbed`], given the deviation of [`Self::conversation_given`].
    pub fn disturbed_given(&self, pair_deviation: f64, hops: u8) -> MixingBound {
        self.counting_noise(pair_deviation, self.fewest_alike(), |alike| {
            // A couple of users' onions is compared with a couple of noise, in both worlds among
            // two more onions than are alike. Of each couple one is followed first, then the other
            // among one place less.
            let (onions, views) = match alike {
                Alike::Single(onions) => (onions, 2.0),
                // The couple that is not paired stands out too.
                Alike::OfPairs(onions) => (onions, 4.0),
            };
            let among = |more| Self { onions: onions.saturating_add(more), ..*self }.followed(hops);
            (views * (among(1) + among(2))).min(1.0)
        })
    }

    /// [`Self::disturbed`], for onions dropped anywhere on the way, by any rule from the routes seen
    /// so far: eight times Theorem 3.
    ///
    /// Proven, for noise spread evenly over the honest shards. The factor e^eta between the worlds for
    /// noise that is lost unnoticed is in it, as far as it multiplies this; as far as it adds to epsilon
    /// it is lost noise, which the accountant counts.
    pub fn disturbed_halfway(&self, hops: u8) -> MixingBound {
        self.disturbed_halfway_given(self.even_deviation(), hops)
    }

    /// [`Self::disturbed_halfway`], given the deviation of [`Self::conversation_given`].
    pub fn disturbed_halfway_given(&self, pair_deviation: f64, hops: u8) -> MixingBound {
        let volume = self.onions as f64 / f64::from(self.honest_shards.max(1));
        let losses = Losses::of(volume);
        self.counting_noise(pair_deviation, 0.0, |alike| match alike {
            Alike::Single(onions) => {
                // Two couples of noise are given away with the users' other onions.
                let places = onions.saturating_sub(4) as f64;
                let one = self
                    .exponents(places)
                    .map(|moments| halfway::bound(moments, hops, losses))
                    .fold(1.0, f64::min);
                (FOLLOWED_HALFWAY * one).min(1.0)
            }
            Alike::OfPairs(_) => 1.0,
        })
    }

    /// The part that one round adds for an adversary that looks first, and then decides whether to disturb
    /// it: the probability that one of the conversation's onions has malicious hops alone, Theorem 4.
    ///
    /// Whoever holds such an onion at its gateway can peel it all the way before anything else is sent. It
    /// then drops the onion's sibling, and sees for certain which of the two worlds it is in. That takes a
    /// unit of the ledger, and in all other rounds there is nothing to see. So this is counted for every
    /// round, disturbed or not.
    pub fn peek(&self, hops: u8) -> f64 {
        let followed = libm::pow(self.f.as_f64(), f64::from(hops));
        (f64::from(ONIONS_PER_CONVERSATION) * followed).min(1.0)
    }

    /// The part that mixing adds over `rounds` of which the adversary disturbs any it likes at the gateway,
    /// after it saw all routes of all of them: Theorem 5, a total variation, beside the [`peek`] of each round.
    /// For a conversation of so many pairs; `volume` is the least that an honest shard adds, and the only noise
    /// that hides anything here.
    ///
    /// Proven for users' onions dropped where they enter, while the noise arrives.
    ///
    /// [`peek`]: Self::peek
    pub fn chosen(&self, volume: u64, hops: u8, rounds: u64, pairs: u8) -> f64 {
        if volume < joint::LEAST_ALIKE || self.honest_shards == 0 {
            return 1.0;
        }
        let (f, honest_shards) = (self.f.as_f64(), f64::from(self.honest_shards));
        let hidden = Hidden { f, honest_shards, volume: volume as f64 };
        let pairs = f64::from(pairs);
        (pairs * hidden.round(hops, pairs).over(rounds as f64)).min(1.0)
    }

    /// The total variation between two patterns of conversations among four users, say A with B
    /// and C with D against A with C and B with D: two exchanges of onions, each as in
    /// [`Self::conversation`].
    pub fn between_patterns(&self, hops: u8) -> MixingBound {
        self.conversation(hops).times(2.0)
    }

    /// Theorem 2 for exactly so many `alike` onions: others whose route the adversary knows no
    /// better and whose deposits are all alike. Proven; at most 1.
    pub fn pairing(&self, alike: u64, hops: u8) -> f64 {
        let places = alike.saturating_add(u64::from(ONIONS_PER_CONVERSATION));
        if alike < joint::LEAST_ALIKE || self.honest_shards == 0 {
            return 1.0;
        }
        self.exponents(places as f64).map(|moments| joint::bound(moments, hops)).fold(1.0, f64::min)
    }

    /// The least number of mixing hops with which a [`conversation`](Self::conversation) figure of
    /// `kind` and [`peek`](Self::peek) come to at most `target` in one round.
    ///
    /// # Errors
    /// If [`MOST_MIXING_HOPS`] hops are not enough.
    pub fn least_mixing_hops(&self, target: f64, kind: BoundKind) -> Result<u8, PathLengthError> {
        self.least_mixing_hops_given(self.even_deviation(), target, kind)
    }

    /// [`Self::least_mixing_hops`], given the deviation of [`Self::conversation_given`].
    ///
    /// # Errors
    /// If [`MOST_MIXING_HOPS`] hops are not enough.
    pub fn least_mixing_hops_given(
        &self,
        pair_deviation: f64,
        target: f64,
        kind: BoundKind,
    ) -> Result<u8, PathLengthError> {
        (2..=MOST_MIXING_HOPS)
            .find(|&hops| {
                let mixing = self.conversation_given(pair_deviation, hops).of_kind(kind);
                mixing + self.peek(hops) <= target
            })
            .ok_or(PathLengthError::OutOfReach { f: self.f, target })
    }

    /// Theorem 1, or the second moment where that is less.
    fn followed(&self, hops: u8) -> f64 {
        if self.honest_shards == 0 || self.onions == 0 {
            return 1.0;
        }
        let by_moments = self
            .exponents(self.onions as f64)
            .map(|moments| one_onion::bound(moments, hops))
            .fold(1.0, f64::min);
        by_moments.min(self.second_moment(hops))
    }

    /// The standard deviation of the number of pairs that shards of equal volume draw together.
    fn even_deviation(&self) -> f64 {
        let shards = libm::sqrt(f64::from(self.honest_shards.max(1)));
        self.onions as f64 / 4.0 / CUT_IN_DEVIATIONS / shards
    }

    /// M / (2H+1): the M - 2D single noise onions, or the D/H pairs of the shard that drew most, are
    /// at least so many.
    fn fewest_alike(&self) -> f64 {
        self.onions as f64 / (2.0 * f64::from(self.honest_shards) + 1.0)
    }

    /// A bound that is proven for alike noise: on average over how much that is, and as if all
    /// noise were. With `fewest` or less single noise, one of each pair counts.
    fn counting_noise(
        &self,
        pair_deviation: f64,
        fewest: f64,
        bound: impl Fn(Alike) -> f64,
    ) -> MixingBound {
        let conjectured = bound(Alike::Single(self.onions));
        let proven = self.average_over_pairs(pair_deviation, fewest, bound).max(conjectured);
        debug_assert!((0.0..=1.0).contains(&proven), "{proven} is no total variation");
        MixingBound { proven, conjectured }
    }

    /// `bound` on average over D, the number of noise pairs. It has mean M/4 and is as unlikely
    /// to exceed that by t `deviation` as a Gaussian: exp(-t^2 / 2), for discrete Gaussians and
    /// their cuts.
    fn average_over_pairs(&self, deviation: f64, fewest: f64, bound: impl Fn(Alike) -> f64) -> f64 {
        const STEP: f64 = 0.25;
        let onions = self.onions as f64;
        let (mut sum, mut before, mut t) = (0.0, 0.0, 0.0);
        loop {
            // The integral of the tail: what a step adds to the bound counts as often as the step is
            // exceeded.
            let exceeded = libm::exp(-0.5 * t * t);
            t += STEP;
            // Beyond ten deviations, of which no draw comes near, the worst number is as good.
            let singles = if t > 10.0 { fewest } else { onions / 2.0 - 2.0 * t * deviation };
            let alike = if singles > fewest {
                Alike::Single(libm::floor(singles) as u64)
            } else {
                Alike::OfPairs(libm::floor(fewest) as u64)
            };
            let here = bound(alike).max(before);
            debug_assert!(exceeded <= 1.0 && here >= before, "the tail falls and the bound rises");
            sum += (here - before) * exceeded;
            before = here;
            if singles <= fewest || before >= 1.0 {
                return sum.min(1.0);
            }
        }
    }

    /// Settings to take the least bound of: exponents from nearly 1 to 2.
    fn exponents(&self, places: f64) -> impl Iterator<Item = Moments> {
        let (f, honest_shards) = (self.f.as_f64(), f64::from(self.honest_shards));
        (21..=40u32).map(move |p| Moments { f, honest_shards, places, p: f64::from(p) / 20.0 })
    }

    /// 0.5 sqrt(M q^m): the plain second moment of one onion. Proven, and loose.
    fn second_moment(&self, hops: u8) -> f64 {
        let onions = self.onions as f64;
        let q = self.f.as_f64() + f64::from(self.honest_shards) / onions;
        0.5 * libm::sqrt(onions * libm::pow(q, f64::from(hops)))
    }

    /// Splitting (f + H/M)^m by the number k of honest hops, and bounding each part apart. A
    /// conjecture: the parts need not converge one by one.
    fn by_honest_hops(&self, hops: u8) -> f64 {
        let (f, onions) = (self.f.as_f64(), self.onions as f64);
        let per_honest_hop = f64::from(self.honest_shards) / onions;
        let mut choices = 1.0;
        let mut sum = 0.0;
        for k in 0..=hops {
            let (honest, malicious) = (f64::from(k), f64::from(hops - k));
            let unmixed = libm::pow(f, malicious);
            let probability = libm::pow(1.0 - f, honest) * unmixed;
            // M P (H / ((1-f) M))^k, with (1-f)^k cancelled so that f = 1 divides nothing by zero.
            let squared = onions * unmixed * libm::pow(per_honest_hop, honest);
            sum += choices * probability.min(0.5 * libm::sqrt(squared));
            choices = choices * malicious / (honest + 1.0);
        }
        sum
    }
}

#[cfg(test)]
mod tests;
