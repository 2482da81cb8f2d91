//! The figures of a plan, named as the JSON names them.

use std::time::Duration;

use antiphon_dp_noise::{OperatorShare, SolveError, check, solve};
use antiphon_routing::{
    BoundKind, EpochRules, MixingBound, MixingPopulation, p_fewer_than_two_honest,
};
use antiphon_wire::{NetworkFile, OperatorIndex};
use serde::Serialize;

use super::PlanError;
use super::possible::OutOfReach;
use super::worst_case::{Contributor, Honest};

/// The interval that figures over a time assume.
pub(crate) const ROUND: Duration = Duration::from_secs(5);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Everything that a plan says.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    /// Shards of all operators.
    pub(crate) shards: usize,
    pub(crate) operators: usize,
    /// Mixing hops, m.
    pub(crate) hops: u8,
    /// Mixing hops that the probability of too few honest ones, or the policy, asks for.
    pub(crate) hops_by_rule: u8,
    /// The largest proven `delta_mix` of a round that was asked for.
    pub(crate) mix_target: Option<f64>,
    /// The least mixing hops that are proven to meet it.
    pub(crate) hops_for_mix_target: Option<u8>,
    /// L: the mixing hops and the dead-drop shard.
    pub(crate) layers: u8,
    /// Of one onion.
    pub(crate) p_fewer_than_two_honest: f64,
    /// V: noise deposits a round; the largest of all shards.
    pub(crate) noise_per_shard: u32,
    /// The width of a shard's number of pairs; of the same shard.
    pub(crate) sigma: f64,
    /// Noise deposits a round of all shards.
    pub(crate) noise_total: u64,
    /// Noise deposits a round that are certain to be honest operators'.
    pub(crate) noise_honest: u64,
    /// The same figures for each operator.
    pub(crate) noise_by_operator: Vec<OperatorNoise>,
    /// f.
    pub(crate) malicious: f64,
    /// f of the total weight, rounded down.
    pub(crate) malicious_weight: u64,
    pub(crate) total_weight: u64,
    /// The most shards that are malicious.
    pub(crate) malicious_shards: usize,
    /// The fewest shards that are honest.
    pub(crate) honest_shards: usize,
    /// The budget's epsilon.
    pub(crate) epsilon: f64,
    /// The budget's delta.
    pub(crate) delta: f64,
    /// K.
    pub(crate) disturbed_rounds_budget: u32,
    /// K/2, what each client's ledger holds.
    pub(crate) ledger: u32,
    /// Epsilon at the budget's delta.
    pub(crate) epsilon_reached: f64,
    /// The same between two conversation patterns of four users.
    pub(crate) epsilon_between_patterns: f64,
    /// Of one conversation in one undisturbed round; proven.
    pub(crate) delta_mix: f64,
    /// The same, conjectured.
    pub(crate) delta_mix_conjectured: f64,
    /// Of one conversation in a week of 5-second rounds; proven.
    pub(crate) delta_mix_week: f64,
    /// The same, conjectured.
    pub(crate) delta_mix_week_conjectured: f64,
    /// Of one conversation in a year of 5-second rounds; proven.
    pub(crate) delta_mix_year: f64,
    /// The same, conjectured.
    pub(crate) delta_mix_year_conjectured: f64,
    /// What mixing adds to one disturbed round; proven, under the conditions that the book states.
    pub(crate) delta_mix_disturbed: f64,
    /// The same over the budget's disturbed rounds.
    pub(crate) delta_mix_disturbed_budget: f64,
    /// As `delta_mix_disturbed`, for onions dropped half-way by what was seen of the routes; proven, with a
    /// proviso that the book states.
    pub(crate) delta_mix_halfway: f64,
    /// The same over the budget's disturbed rounds.
    pub(crate) delta_mix_halfway_budget: f64,
}

/// The noise of one operator's shards.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OperatorNoise {
    pub(crate) name: String,
    pub(crate) weight: u32,
    pub(crate) shards: u16,
    pub(crate) noise_per_shard: u32,
    pub(crate) sigma: f64,
}

impl Figures {
    /// The plan for a network all of whose operators take part with so many shards each.
    pub(crate) fn of(
        network: &NetworkFile,
        shards_per_operator: u16,
        mix_target: Option<f64>,
    ) -> Result<Self, PlanError> {
        if network.operators.len() == 1 {
            return Err(PlanError::LoneOperator);
        }
        // At most 1000 operators, as a network file has.
        let everyone: Vec<_> =
            (0..network.operators.len()).map(|index| OperatorIndex(index as u16)).collect();
        let rules = EpochRules::of(network, &everyone)?;
        let shares: Vec<_> = network
            .operators
            .iter()
            .map(|operator| OperatorShare { weight: operator.weight, shards: shards_per_operator })
            .collect();
        let noise = match solve(&rules.budget, &shares, rules.malicious_weight) {
            Ok(noise) => noise,
            Err(SolveError::Share(error)) => return Err(error.into()),
            Err(SolveError::OutOfReach | SolveError::Margin { .. }) => {
                return Err(OutOfReach::of(&rules, &shares).into());
            }
        };
        let achieved = check(&noise, &shares, rules.malicious_weight, &rules.budget)?;

        let contributors: Vec<_> = noise
            .per_operator
            .iter()
            .zip(&shares)
            .map(|(each, share)| Contributor {
                weight: share.weight,
                noise: u64::from(each.volume()) * u64::from(share.shards),
            })
            .collect();
        let honest = Honest::of(&contributors, rules.malicious_weight);
        let population = population(&rules, &honest, shards_per_operator);
        // Of all shards: more than the honest ones', so that fewer single onions count.
        let variance: f64 = noise
            .per_operator
            .iter()
            .map(|each| f64::from(shards_per_operator) * each.sigma().pairs().powi(2))
            .sum();
        let deviation = variance.sqrt();
        let hops_for_mix_target = mix_target
            .map(|target| population.least_mixing_hops_given(deviation, target, BoundKind::Proven))
            .transpose()?;
        let hops = rules.mixing_hops.max(hops_for_mix_target.unwrap_or(0));
        let in_round = population.conversation_given(deviation, hops);
        let in_week = in_round.over_time(WEEK, ROUND);
        let in_year = in_round.over_time(YEAR, ROUND);
        let disturbed = population.disturbed_given(deviation, hops);
        let halfway = population.disturbed_halfway_given(deviation, hops);
        let in_all = |bound: MixingBound| bound.over_rounds(rules.budget.disturbed_rounds().into());

        let by_operator: Vec<_> = network
            .operators
            .iter()
            .zip(&noise.per_operator)
            .map(|(operator, each)| OperatorNoise {
                name: operator.name.clone(),
                weight: operator.weight,
                shards: shards_per_operator,
                noise_per_shard: each.volume(),
                sigma: each.sigma().pairs(),
            })
            .collect();
        let largest = by_operator.iter().max_by_key(|each| each.noise_per_shard);
        let shards = everyone.len() * usize::from(shards_per_operator);
        let honest_shards = honest.fewest_operators * usize::from(shards_per_operator);
        let MixingBound { proven, conjectured } = in_round;
        Ok(Self {
            shards,
            operators: everyone.len(),
            hops,
            hops_by_rule: rules.mixing_hops,
            mix_target,
            hops_for_mix_target,
            layers: hops + 1,
            p_fewer_than_two_honest: p_fewer_than_two_honest(hops, rules.effective_malicious),
            noise_per_shard: largest.map_or(0, |each| each.noise_per_shard),
            sigma: largest.map_or(0.0, |each| each.sigma),
            noise_total: noise.total_volume(&shares),
            noise_honest: honest.least_noise,
            noise_by_operator: by_operator,
            malicious: rules.effective_malicious.as_f64(),
            malicious_weight: rules.malicious_weight,
            total_weight: network.total_weight(),
            malicious_shards: shards - honest_shards,
            honest_shards,
            epsilon: rules.budget.epsilon(),
            delta: rules.budget.delta(),
            disturbed_rounds_budget: rules.budget.disturbed_rounds(),
            ledger: rules.budget.disturbed_rounds() / 2,
            epsilon_reached: achieved.epsilon,
            epsilon_between_patterns: achieved.epsilon_of_patterns,
            delta_mix: proven,
            delta_mix_conjectured: conjectured,
            delta_mix_week: in_week.proven,
            delta_mix_week_conjectured: in_week.conjectured,
            delta_mix_year: in_year.proven,
            delta_mix_year_conjectured: in_year.conjectured,
            delta_mix_disturbed: disturbed.proven,
            delta_mix_disturbed_budget: in_all(disturbed).proven,
            delta_mix_halfway: halfway.proven,
            delta_mix_halfway_budget: in_all(halfway).proven,
        })
    }

    /// Whether every operator's shards add the same noise.
    pub(crate) fn is_uniform(&self) -> bool {
        self.noise_by_operator.iter().all(|each| each.noise_per_shard == self.noise_per_shard)
    }
}

/// What onions are certain to be mixed with. Fewer onions are a part of those that there are, for
/// which the bounds hold too; more honest shards only raise them.
fn population(rules: &EpochRules, honest: &Honest, shards_per_operator: u16) -> MixingPopulation {
    MixingPopulation {
        f: rules.effective_malicious,
        onions: honest.least_noise,
        // At most 1000 operators.
        honest_shards: honest.most_operators as u32 * u32::from(shards_per_operator),
    }
}

#[cfg(test)]
mod tests;
