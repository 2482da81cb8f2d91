//! A network all of whose operators take part, and its noise.

use antiphon_coordinator::CoordinatorConfig;
use antiphon_dp_noise::{NoiseAllocation, OperatorShare, SolveError, solve};
use antiphon_routing::{EpochRules, Honest, Horizon, PathLengthError, TotalDelta};
use antiphon_wire::{NetworkFile, OperatorIndex};

use super::PlanError;
use super::possible::OutOfReach;

/// Values that figures are computed from.
#[derive(Clone, Debug)]
pub(super) struct Solved {
    pub(super) rules: EpochRules,
    pub(super) shares: Vec<OperatorShare>,
    pub(super) noise: NoiseAllocation,
    pub(super) honest: Honest,
    pub(super) horizon: Horizon,
    /// Rounds of the horizon that may come early.
    pub(super) early_rounds: u64,
}

impl Solved {
    /// The least noise that keeps the network's policy, with so many shards of each operator.
    pub(super) fn of(network: &NetworkFile, shards_per_operator: u16) -> Result<Self, PlanError> {
        if network.operators.len() == 1 {
            return Err(PlanError::LoneOperator);
        }
        // At most 1000 operators, as a network file has.
        let everyone: Vec<_> =
            (0..network.operators.len()).map(|index| OperatorIndex(index as u16)).collect();
        let rules = EpochRules::of(network, &everyone)?;
        let operators = everyone.len() as u64;
        let shards = operators * u64::from(shards_per_operator);
        CoordinatorConfig::default().can_form(network, shards, rules.mixing_hops + 1)?;
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
        let honest = Honest::of(&shares, &noise.per_operator, rules.malicious_weight);
        let policy = &network.policy;
        let horizon = Horizon::of(policy, policy.most_pairs);
        let early_rounds = Horizon::early_rounds(policy);
        Ok(Self { rules, shares, noise, honest, horizon, early_rounds })
    }

    /// The least mixing hops, from `fewest` on, with a total of at most `target`.
    pub(super) fn hops_for_total(&self, fewest: u8, target: f64) -> Result<u8, PathLengthError> {
        let EpochRules { effective_malicious, budget, .. } = &self.rules;
        let f = *effective_malicious;
        TotalDelta::least_hops(&self.honest, f, fewest, budget.delta(), self.horizon, target)
    }
}
