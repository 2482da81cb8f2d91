//! The figures of a plan, named as the JSON names them.

use std::time::Duration;

use antiphon_coordinator::CoordinatorConfig;
use antiphon_dp_noise::check;
use antiphon_process::grace::termination_grace;
use antiphon_routing::{
    BoundKind, Horizon, MixingBound, TotalDelta, most_rounds, p_fewer_than_two_honest,
};
use antiphon_wire::NetworkFile;
use serde::Serialize;

use super::PlanError;
use super::solved::Solved;

/// The interval that figures over a time assume.
pub(crate) const ROUND: Duration = Duration::from_secs(5);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Seconds that a shard takes to leave, at most, with a coordinator's usual deadlines and so many layers.
fn termination_grace_s(layers: u8) -> u64 {
    let longest = Duration::from_millis(CoordinatorConfig::default().longest_round_ms(layers));
    termination_grace(longest).as_millis().div_ceil(1000) as u64
}

/// Everything that a plan says.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    /// Shards of all operators.
    pub(crate) shards: usize,
    pub(crate) operators: usize,
    /// m, the mixing hops of a path.
    pub(crate) hops: u8,
    /// Mixing hops that the probability of too few honest ones, or the policy, asks for.
    pub(crate) hops_by_rule: u8,
    /// The largest proven `delta_mix` of a round that was asked for.
    pub(crate) mix_target: Option<f64>,
    /// The least mixing hops that are proven to meet it.
    pub(crate) hops_for_mix_target: Option<u8>,
    /// L: the mixing hops and the dead-drop shard.
    pub(crate) layers: u8,
    /// Seconds from a shard's SIGTERM to its end, at most, with a coordinator's usual deadlines.
    pub(crate) termination_grace_s: u64,
    /// The most rounds of an epoch whose keys so many shards check; the coordinator plans no more.
    pub(crate) most_epoch_rounds: u64,
    /// Probability, for one onion.
    pub(crate) p_fewer_than_two_honest: f64,
    /// V: noise deposits a round; the largest of all shards.
    pub(crate) noise_per_shard: u32,
    /// The width of a shard's number of pairs; of the same shard.
    pub(crate) sigma: f64,
    /// Noise deposits a round of all shards.
    pub(crate) noise_total: u64,
    /// Noise deposits a round that are certain to be honest operators'.
    pub(crate) noise_honest: u64,
    /// Canaries of each shard in a round with beats, two onions each, beside its noise.
    pub(crate) canaries: u8,
    /// The same figures for each operator.
    pub(crate) noise_by_operator: Vec<OperatorNoise>,
    /// f, the malicious fraction of the weight.
    pub(crate) malicious: f64,
    /// f of the total weight, rounded down.
    pub(crate) malicious_weight: u64,
    pub(crate) total_weight: u64,
    /// The most shards that are malicious.
    pub(crate) malicious_shards: usize,
    /// The fewest shards that are honest.
    pub(crate) honest_shards: usize,
    /// epsilon of the budget.
    pub(crate) epsilon: f64,
    /// delta of the budget.
    pub(crate) delta: f64,
    /// K, the disturbed rounds that the budget covers.
    pub(crate) disturbed_rounds_budget: u32,
    /// p: the most pairs of a conversation, by which the count that is seen moves.
    pub(crate) pairs: u8,
    /// K/2, what each client's ledger holds.
    pub(crate) ledger: u32,
    /// Epsilon at the budget's delta.
    pub(crate) epsilon_reached: f64,
    /// The same between two conversation patterns of four users.
    pub(crate) epsilon_between_patterns: f64,
    /// Of one conversation in one undisturbed round; proven.
    pub(crate) delta_mix: f64,
    /// `delta_mix` of a round, conjectured.
    pub(crate) delta_mix_conjectured: f64,
    /// Of one conversation in a week of 5-second rounds; proven.
    pub(crate) delta_mix_week: f64,
    /// `delta_mix` of a week, conjectured.
    pub(crate) delta_mix_week_conjectured: f64,
    /// Of one conversation in a year of 5-second rounds; proven.
    pub(crate) delta_mix_year: f64,
    /// `delta_mix` of a year, conjectured.
    pub(crate) delta_mix_year_conjectured: f64,
    /// Mixing's part in one disturbed round; proven, under the conditions that the book states.
    pub(crate) delta_mix_disturbed: f64,
    /// The same over the budget's disturbed rounds.
    pub(crate) delta_mix_disturbed_budget: f64,
    /// As `delta_mix_disturbed`, for onions dropped half-way by what was seen of the routes; proven, with a
    /// proviso that the book states.
    pub(crate) delta_mix_halfway: f64,
    /// The same over the budget's disturbed rounds.
    pub(crate) delta_mix_halfway_budget: f64,
    /// Gain in a round of an adversary that looks first and then decides whether to disturb it.
    pub(crate) peek_round: f64,
    /// The same in a week of 5-second rounds.
    pub(crate) peek_week: f64,
    /// The same in a year of 5-second rounds.
    pub(crate) peek_year: f64,
    /// All that comes beside epsilon, over the policy's time at the least round interval: the sum of
    /// `delta` and the three below, at most 1.
    pub(crate) delta_total: f64,
    /// Mixing over the disturbed rounds and attempts.
    pub(crate) delta_total_disturbed: f64,
    /// Mixing over all rounds.
    pub(crate) delta_total_undisturbed: f64,
    /// Disturbing after a look, over all rounds.
    pub(crate) delta_total_peek: f64,
    /// Days that the policy's total covers.
    pub(crate) total_over_days: u32,
    /// The policy's least interval, at which the total's rounds are counted.
    pub(crate) total_interval_ms: u32,
    /// The total that the policy allows; 1 is no limit.
    pub(crate) delta_total_allowed: f64,
    /// The least mixing hops with the total that it allows.
    pub(crate) hops_for_total: u8,
    /// Aborted rounds and other attempts that the policy allows for beside the disturbed rounds.
    pub(crate) attempts_budget: u32,
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
        Self::of_solved(&Solved::of(network, shards_per_operator)?, network, mix_target)
    }

    /// The same where the noise is solved for already.
    ///
    /// Long, as every figure is a line. Each follows from those above it, and the order is that of the
    /// report.
    pub(super) fn of_solved(
        solved: &Solved,
        network: &NetworkFile,
        mix_target: Option<f64>,
    ) -> Result<Self, PlanError> {
        let Solved { rules, shares, noise, honest, horizon, .. } = solved;
        let achieved = check(noise, shares, rules.malicious_weight, &rules.budget)?;
        let f = rules.effective_malicious;
        let (population, deviation) = (honest.population(f), honest.most_deviation);
        let hops_for_mix_target = mix_target
            .map(|target| population.least_mixing_hops_given(deviation, target, BoundKind::Proven))
            .transpose()?;
        let (delta, policy) = (rules.budget.delta(), &network.policy);
        let hops_for_total = solved.hops_for_total(rules.mixing_hops, policy.total_delta)?;
        let hops = hops_for_total.max(hops_for_mix_target.unwrap_or(0));
        let total = TotalDelta::of(honest, f, hops, delta, *horizon);
        let in_round = population.conversation_given(deviation, hops);
        let in_week = in_round.over_time(WEEK, ROUND);
        let in_year = in_round.over_time(YEAR, ROUND);
        let peek_round = population.peek(hops);
        let peek_in = |time| (peek_round * Horizon::rounds_of(time, ROUND) as f64).min(1.0);
        let disturbed = population.disturbed_given(deviation, hops);
        let halfway = population.disturbed_halfway_given(deviation, hops);
        let in_all = |bound: MixingBound| bound.over_rounds(rules.budget.disturbed_rounds().into());

        let by_operator: Vec<_> = network
            .operators
            .iter()
            .zip(shares)
            .zip(&noise.per_operator)
            .map(|((operator, share), each)| OperatorNoise {
                name: operator.name.clone(),
                weight: operator.weight,
                shards: share.shards,
                noise_per_shard: each.volume(),
                sigma: each.sigma().pairs(),
            })
            .collect();
        let largest = by_operator.iter().max_by_key(|each| each.noise_per_shard);
        // All operators run as many.
        let each = shares.first().map_or(1, |share| share.shards);
        let shards = shares.len() * usize::from(each);
        let honest_shards = honest.fewest_operators * usize::from(each);
        let MixingBound { proven, conjectured } = in_round;
        Ok(Self {
            shards,
            operators: shares.len(),
            hops,
            hops_by_rule: rules.mixing_hops,
            mix_target,
            hops_for_mix_target,
            layers: hops + 1,
            termination_grace_s: termination_grace_s(hops + 1),
            most_epoch_rounds: most_rounds(shards as u64),
            p_fewer_than_two_honest: p_fewer_than_two_honest(hops, rules.effective_malicious),
            noise_per_shard: largest.map_or(0, |each| each.noise_per_shard),
            sigma: largest.map_or(0.0, |each| each.sigma),
            noise_total: noise.total_volume(shares),
            noise_honest: honest.least_noise,
            canaries: rules.canaries,
            noise_by_operator: by_operator,
            malicious: rules.effective_malicious.as_f64(),
            malicious_weight: rules.malicious_weight,
            total_weight: network.total_weight(),
            malicious_shards: shards - honest_shards,
            honest_shards,
            epsilon: rules.budget.epsilon(),
            delta: rules.budget.delta(),
            disturbed_rounds_budget: rules.budget.disturbed_rounds(),
            pairs: rules.budget.pairs(),
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
            peek_round,
            peek_week: peek_in(WEEK),
            peek_year: peek_in(YEAR),
            delta_total: total.sum(),
            delta_total_disturbed: total.disturbed,
            delta_total_undisturbed: total.undisturbed,
            delta_total_peek: total.peek,
            total_over_days: policy.total_over_days,
            total_interval_ms: policy.least_round_interval_ms,
            delta_total_allowed: policy.total_delta,
            hops_for_total,
            attempts_budget: policy.attempts,
        })
    }

    /// Returns `true` if every operator's shards add the same noise.
    pub(crate) fn is_uniform(&self) -> bool {
        self.noise_by_operator.iter().all(|each| each.noise_per_shard == self.noise_per_shard)
    }
}

#[cfg(test)]
mod tests;
