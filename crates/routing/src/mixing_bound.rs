//! How far from perfectly mixed an onion can be: `delta_mix`.
//!
//! The adversary's posterior over one onion's position is a vector over the M onions of a layer.
//! An honest shard averages it over its batch, a malicious one leaves it alone. Let v be its
//! distance from uniform. Every onion draws its shard independently, so for each honest shard the
//! chance to be in its batch, divided by the size of the batch, is at most 1/M, and the mixed
//! products of v's entries, which sum to -|v|^2, only help: the expected |v|^2 after a hop is at
//! most q |v|^2 with q = f + H/M. It starts below 1, and half the sum of |v_i| is at most
//! 0.5 sqrt(M) |v|: the proven bound, 0.5 sqrt(M q^m).
//!
//! Splitting q^m by the number k of honest hops and bounding each part apart gives the conjectured
//! figure. It is the smaller one where noise is plentiful, and above every simulation tried; but the
//! parts need not converge separately, so nothing may be promised from it.

use crate::Ppm;
use crate::path_length::{MOST_MIXING_HOPS, PathLengthError};

/// The onions that a conversation sends in a round: two from each end.
pub const ONIONS_PER_CONVERSATION: u8 = 4;

/// What an onion is certain to be mixed with.
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

/// Which of the two figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BoundKind {
    /// 0.5 sqrt(M q^m): holds, and is loose.
    Proven,
    /// The sum over the number of honest hops: above every simulation, without a proof.
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

    fn times(self, count: f64) -> Self {
        Self {
            proven: (self.proven * count).min(1.0),
            conjectured: (self.conjectured * count).min(1.0),
        }
    }
}

impl MixingPopulation {
    /// The total variation between the adversary's posterior over one onion's position after
    /// `hops` mixing hops and the uniform one, on average over paths.
    pub fn one_onion(&self, hops: u8) -> MixingBound {
        if self.onions == 0 {
            return MixingBound { proven: 1.0, conjectured: 1.0 };
        }
        MixingBound {
            proven: self.proven(hops).min(1.0),
            conjectured: self.conjectured(hops).min(1.0),
        }
    }

    /// `delta_mix` of one round: [`one_onion`](Self::one_onion) for each of the four onions of a
    /// conversation.
    pub fn conversation(&self, hops: u8) -> MixingBound {
        self.one_onion(hops).times(f64::from(ONIONS_PER_CONVERSATION))
    }

    /// The least number of mixing hops with a [`conversation`](Self::conversation) figure of
    /// `kind` at most `target` in one round.
    ///
    /// # Errors
    /// If [`MOST_MIXING_HOPS`] hops are not enough.
    pub fn least_mixing_hops(&self, target: f64, kind: BoundKind) -> Result<u8, PathLengthError> {
        (2..=MOST_MIXING_HOPS)
            .find(|&hops| self.conversation(hops).of_kind(kind) <= target)
            .ok_or(PathLengthError::OutOfReach { f: self.f, target })
    }

    /// The part of this population whose proven bound after `hops` hops is least.
    ///
    /// The bound holds for any part of the noise: were the adversary told the paths of the rest,
    /// it could only do better. With q = f + H/M, M q^m is least at M = H (m-1) / f, which is
    /// fewer onions than a large noise volume gives.
    #[must_use]
    pub fn sharpest_part(&self, hops: u8) -> Self {
        let f = self.f.as_f64();
        let least = f64::from(self.honest_shards) * (f64::from(hops) - 1.0) / f;
        if hops < 2 || f == 0.0 || least >= self.onions as f64 {
            return *self;
        }
        Self { onions: libm::ceil(least) as u64, ..*self }
    }

    fn proven(&self, hops: u8) -> f64 {
        let onions = self.onions as f64;
        let q = self.f.as_f64() + f64::from(self.honest_shards) / onions;
        0.5 * libm::sqrt(onions * libm::pow(q, f64::from(hops)))
    }

    fn conjectured(&self, hops: u8) -> f64 {
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
mod tests {
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn population(f: u32, onions: u64, honest_shards: u32) -> MixingPopulation {
        MixingPopulation { f: Ppm::new(f).unwrap(), onions, honest_shards }
    }

    /// The average total variation after `hops` hops of the averaging process itself.
    fn simulate(population: &MixingPopulation, hops: u8, runs: u32, rng: &mut ChaCha8Rng) -> f64 {
        let onions = usize::try_from(population.onions).unwrap();
        let honest = population.honest_shards as usize;
        let mut posterior = vec![0.0; onions];
        let mut shard_of = vec![honest; onions];
        let mut batches = vec![(0.0, 0u32); honest];
        let mut total = 0.0;
        for _ in 0..runs {
            posterior.fill(0.0);
            posterior[0] = 1.0;
            for _ in 0..hops {
                batches.fill((0.0, 0));
                for (shard, mass) in shard_of.iter_mut().zip(&posterior) {
                    let malicious = rng.random_range(0..Ppm::WHOLE) < population.f.parts();
                    *shard = if malicious { honest } else { rng.random_range(0..honest) };
                    if let Some(batch) = batches.get_mut(*shard) {
                        *batch = (batch.0 + mass, batch.1 + 1);
                    }
                }
                for (shard, mass) in shard_of.iter().zip(&mut posterior) {
                    if let Some(batch) = batches.get(*shard) {
                        *mass = batch.0 / f64::from(batch.1);
                    }
                }
            }
            let uniform = 1.0 / onions as f64;
            total += posterior.iter().map(|mass| (mass - uniform).abs()).sum::<f64>() / 2.0;
        }
        total / f64::from(runs)
    }

    #[test]
    fn both_figures_are_above_simulation() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (f, onions, shards) in
            [(200_000, 200, 4), (250_000, 120, 3), (0, 200, 8), (400_000, 300, 6)]
        {
            let population = population(f, onions, shards);
            for hops in [2, 4, 6, 8] {
                let simulated = simulate(&population, hops, 4000, &mut rng);
                let bound = population.one_onion(hops);
                let case = format!("f={f} M={onions} H={shards} m={hops}: {simulated:e} {bound:?}");
                assert!(simulated <= bound.conjectured, "{case}");
                assert!(simulated <= bound.proven, "{case}");
            }
        }
    }

    #[test]
    fn the_figures_are_those_of_the_formulas() {
        // q = 0.2 + 4/1216 at five shards of volume 304, one malicious.
        let bound = population(200_000, 1216, 4).one_onion(14);
        let q: f64 = 0.2 + 4.0 / 1216.0;
        assert!((bound.proven / (0.5 * (1216.0 * q.powi(14)).sqrt()) - 1.0).abs() < 1e-12);

        // One hop: C(1,0) min(f, .) + C(1,1) min(1-f, 0.5 sqrt(M (1-f) H / ((1-f) M))).
        let bound = population(200_000, 1216, 1).one_onion(1);
        assert!((bound.conjectured - (0.2 + 0.5)).abs() < 1e-12);
    }

    #[test]
    fn four_onions_and_many_rounds_add_up_to_at_most_one() {
        let population = population(200_000, 1216, 4);
        let (one, four) = (population.one_onion(20), population.conversation(20));
        assert!((four.proven / one.proven - 4.0).abs() < 1e-12);
        assert!((four.over_rounds(720).conjectured / one.conjectured - 2880.0).abs() < 1e-6);
        assert_eq!(four.over_rounds(u64::MAX).proven, 1.0);
        assert_eq!(four.over_rounds(0).proven, 0.0);
    }

    #[test]
    fn a_target_is_met_by_the_least_number_of_hops() {
        let population = population(200_000, 6464, 4);
        let mut fewest = 99;
        for kind in [BoundKind::Proven, BoundKind::Conjectured] {
            let hops = population.least_mixing_hops(1e-10, kind).unwrap();
            assert!(population.conversation(hops).of_kind(kind) <= 1e-10);
            assert!(population.conversation(hops - 1).of_kind(kind) > 1e-10);
            assert!(hops <= fewest, "the conjectured figure asks for no more hops");
            fewest = hops;
        }
    }

    #[test]
    fn no_number_of_hops_helps_without_honest_noise_or_honest_shards() {
        for hopeless in [population(200_000, 0, 4), population(1_000_000, 1000, 0)] {
            for kind in [BoundKind::Proven, BoundKind::Conjectured] {
                assert!(hopeless.least_mixing_hops(1e-3, kind).is_err(), "{hopeless:?}");
            }
        }
    }

    #[test]
    fn the_sharpest_part_is_a_part_with_the_least_proven_bound() {
        let whole = population(200_000, 6464, 4);
        let part = whole.sharpest_part(14);
        assert_eq!(part.onions, 260);
        for onions in 1..=whole.onions {
            let other = MixingPopulation { onions, ..whole };
            assert!(part.one_onion(14).proven <= other.one_onion(14).proven * (1.0 + 1e-12));
        }
        let small = population(200_000, 100, 4);
        assert_eq!(small.sharpest_part(14), small);
    }
}
