//! Hops for smaller totals, and the cost of attempts and chosen rounds.

use std::iter::repeat_n;

use antiphon_dp_noise::{Account, AccountError, Mechanism, PairDistribution, Step};
use antiphon_routing::TotalDelta;
use serde::Serialize;

use super::PlanError;
use super::solved::Solved;

/// Totals that hops are shown for; the first is what a network file allows unless it says otherwise.
const TOTALS: [f64; 5] = [0.3, 0.1, 1e-2, 1e-3, 1e-4];

/// The rate of false positives that filters are made for.
const FALSE_POSITIVES: f64 = 1.0 / (1 << 20) as f64;

/// Figures that stand beside the guarantee, named as the JSON names them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Outlook {
    /// The least mixing hops for smaller totals, with the same noise.
    pub(super) hops_by_total: Vec<HopsForTotal>,
    /// Mixing's part in disturbed rounds that are chosen among all rounds of the policy's time, after a
    /// look at all of its routes, users' onions dropped where they enter. Proven, at most 1. Not in the total.
    pub(super) delta_mix_chosen_budget: f64,
    /// Attempts at dropping noise, or at leaving onions out of filters, behind the attempts that the policy allows:
    /// those are counted where somebody notices. Null if there is too little noise to say.
    pub(super) attempts_in_all: Option<u32>,
    /// Mixing's part over those of them that nobody notices, onions dropped half-way; proven, at most 1. Not
    /// in the total, which counts the attempts that the policy allows.
    pub(super) delta_mix_unnoticed: f64,
    /// Epsilon at the budget's delta, with so many rounds besides in which noise is dropped or onions are left
    /// out of filters; null if there is too little noise to say.
    pub(super) epsilon_with_attempts: Option<f64>,
    /// The same for onions left out alone.
    pub(super) epsilon_with_left_out: Option<f64>,
}

/// Hops that a total takes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct HopsForTotal {
    pub(super) total: f64,
    /// None are enough if null.
    pub(super) hops: Option<u8>,
}

impl Outlook {
    /// For paths of so many mixing hops.
    pub(super) fn of(solved: &Solved, hops: u8) -> Result<Self, PlanError> {
        let Solved { rules, honest, horizon, .. } = solved;
        let account = Account::new(Mechanism::ConstantVolume(honest_shards(solved)))?
            .with_pairs(horizon.pairs)?;
        let (delta, rounds) = (rules.budget.delta(), rules.budget.disturbed_rounds());
        let epsilon = |account: Result<Account, AccountError>| {
            let epsilon = account.ok()?.epsilon(delta, rounds, Step::One);
            epsilon.is_finite().then_some(epsilon)
        };
        let in_all = account.attempts_behind(horizon.attempts, FALSE_POSITIVES).ok();
        let attempts = in_all.unwrap_or(horizon.attempts);
        Ok(Self {
            attempts_in_all: in_all,
            delta_mix_unnoticed: over_unnoticed(solved, hops, attempts - horizon.attempts),
            hops_by_total: TOTALS
                .map(|total| HopsForTotal { total, hops: solved.hops_for_total(2, total).ok() })
                .to_vec(),
            delta_mix_chosen_budget: TotalDelta::of_chosen(
                honest,
                rules.effective_malicious,
                hops,
                *horizon,
            ),
            epsilon_with_attempts: epsilon(
                account.clone().with_attempts(attempts, FALSE_POSITIVES),
            ),
            epsilon_with_left_out: epsilon(account.with_left_out_attempts(attempts)),
        })
    }
}

/// Mixing's part over so many attempts, onions dropped half-way.
fn over_unnoticed(solved: &Solved, hops: u8, attempts: u32) -> f64 {
    let Solved { rules, honest, horizon, .. } = solved;
    let population = honest.population(rules.effective_malicious);
    let each = population.disturbed_halfway_given(honest.most_deviation, hops).proven;
    (each * f64::from(horizon.pairs) * f64::from(attempts)).min(1.0)
}

/// The shards that are left when those operators are taken out that add most variance for their weight, the
/// first that no longer fits included.
fn honest_shards(solved: &Solved) -> Vec<PairDistribution> {
    let mut operators: Vec<_> = solved.noise.per_operator.iter().zip(&solved.shares).collect();
    operators.sort_by(|(a, its), (b, others)| {
        let per_weight = |each: &PairDistribution, shards: u16, weight: u32| {
            each.sigma().pairs().powi(2) * f64::from(shards) / f64::from(weight)
        };
        let (a, b) =
            (per_weight(a, its.shards, its.weight), per_weight(b, others.shards, others.weight));
        b.total_cmp(&a)
    });
    let mut room = solved.rules.malicious_weight;
    let honest = operators.into_iter().skip_while(|(_, share)| {
        let taken = room > 0;
        room = room.saturating_sub(share.weight.into());
        taken
    });
    honest.flat_map(|(each, share)| repeat_n(*each, share.shards.into())).collect()
}
