//! Bound that the guarantee sets an adversary in a case.

use antiphon_dp_noise::{Account, AccountError, Mechanism, PairDistribution};
use antiphon_routing::MixingPopulation;

use super::{Against, Case};

/// A bound on any adversary's advantage, in parts that add up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The total variation that the noise leaves over the charged rounds, from the accountant. For equal
    /// priors an advantage is at most (e^eps - 1 + 2 delta) / (e^eps + 1) for every (eps, delta)
    /// that holds, and the least of these is delta at eps = 0. Where the adversary chooses among
    /// documents: that of the policy's epsilon and delta.
    pub noise: f64,
    /// Part that mixing leaves over the rounds in which onions are followed, as proven: `delta_mix`, and the
    /// figure of first order where others are dropped.
    pub mixing: f64,
    /// Part gained by looking first, and then deciding whether to disturb a round.
    pub peek: f64,
}

impl Bound {
    /// The bound on the intact network of a case.
    ///
    /// # Errors
    /// If the case has no honest shard, or too little noise for its attempts.
    pub fn of(case: &Case, against: Against) -> Result<Self, AccountError> {
        let honest: Vec<PairDistribution> = case.setup.honest_noise().collect();
        let noise = if case.charged_rounds == 0 {
            0.0
        } else if let Some(promised) = case.promised {
            promised
        } else {
            // Honest noise alone: what malicious shards add, the adversary knows.
            Account::new(Mechanism::ConstantVolume(honest.clone()))?
                .with_left_out_attempts(case.left_out_attempts)?
                .delta(0.0, case.charged_rounds, against.step())
        };
        let population = MixingPopulation {
            f: case.setup.malicious_share(),
            onions: case.setup.noise_deposits(),
            honest_shards: honest.len() as u32,
        };
        let variance: f64 = honest.iter().map(|noise| noise.sigma().pairs().powi(2)).sum();
        let (deviation, hops) = (libm::sqrt(variance), case.setup.mixing_hops);
        let once = population.conversation_given(deviation, hops).proven;
        let disturbed = population.disturbed_given(deviation, hops).proven;
        let worlds = match against {
            Against::Idle => 1.0,
            Against::Pattern => 2.0,
        };
        // Every followed round may tell something anew, and a pattern has two conversations to tell it of.
        let mixing = once * f64::from(case.followed_rounds)
            + disturbed * f64::from(case.followed_after_drop);
        let mixing = (worlds * mixing).min(1.0);
        let peek = worlds * population.peek(hops) * f64::from(case.peeked_rounds);
        Ok(Self { noise, mixing, peek: peek.min(1.0) })
    }

    /// All parts; an advantage is never more than one.
    pub fn total(&self) -> f64 {
        (self.without_peek() + self.peek).min(1.0)
    }

    /// The bound if nobody looked before disturbing a round.
    pub fn without_peek(&self) -> f64 {
        (self.noise + self.mixing).min(1.0)
    }
}
