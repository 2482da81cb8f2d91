//! Rules as they were before they were mended, for adversaries to show what was wrong with them.
//!
//! Each says which document has to pass the rules of today for a proposal to pass as it did then: the proposal with
//! what was not looked at put right.

use antiphon_dp_noise::{Account, Mechanism, PairDistribution, Step};
use antiphon_wire::{EpochDocument, NetworkFile, OperatorIndex};

use super::documents::operators;

/// So many of the sets that leave the least variance were put to the accountant.
const LEAST_VARIANCE: usize = 8;

/// Noise was enough if it kept the budget whichever of a few sets of operators was malicious: of all maximal
/// ones those that leave the least variance, as the document states it.
pub(super) fn by_stated_variance(
    proposed: &EpochDocument,
    honest: &EpochDocument,
    file: &NetworkFile,
) -> Option<EpochDocument> {
    let policy = &file.policy;
    let keeps = |left: Vec<PairDistribution>| {
        let account = Account::new(Mechanism::ConstantVolume(left)).ok();
        account.is_some_and(|account| {
            let epsilon = account.epsilon(policy.delta, policy.disturbed_rounds, Step::One);
            epsilon <= policy.epsilon
        })
    };
    let mut left = left_by_maximal_sets(proposed, file);
    left.sort_by_key(|left| stated_variance(left));
    if !left.into_iter().take(LEAST_VARIANCE).all(keeps) {
        return None;
    }
    let mut shown = proposed.clone();
    for (shard, honest) in shown.shards.iter_mut().zip(&honest.shards) {
        (shard.noise_volume, shard.noise_sigma) = (honest.noise_volume, honest.noise_sigma);
    }
    Some(shown)
}

/// Sum of the shards' variances as the document states them, in square units of sigma.
fn stated_variance(shards: &[PairDistribution]) -> u128 {
    shards.iter().map(|noise| u128::from(noise.sigma().units()).pow(2)).sum()
}

/// The honest shards' noise for each set of operators that may be malicious and that nobody can be added to.
fn left_by_maximal_sets(
    document: &EpochDocument,
    file: &NetworkFile,
) -> Vec<Vec<PairDistribution>> {
    let operators = operators(document, file);
    // A set is a number, with a bit for each operator: there are few of them.
    let taken = |set: u32| {
        let in_set = operators.iter().enumerate().filter(move |(at, _)| set >> at & 1 == 1);
        in_set.map(|(_, operator)| u64::from(operator.1)).sum::<u64>()
    };
    let is_allowed = |set: u32| taken(set) <= file.malicious_weight();
    let is_maximal =
        |set: u32| (0..operators.len()).all(|at| set >> at & 1 == 1 || !is_allowed(set | 1 << at));
    let shards = |operator: OperatorIndex| {
        document.shards.iter().filter(|shard| shard.operator == operator).count()
    };
    (0..1 << operators.len())
        .filter(|&set| is_allowed(set) && is_maximal(set))
        .map(|set| {
            let honest = operators.iter().enumerate().filter(|(at, _)| set >> at & 1 == 0);
            honest
                .flat_map(|(_, &(operator, _, noise))| std::iter::repeat_n(noise, shards(operator)))
                .collect()
        })
        .collect()
}

/// A document could ask for any number of pairs of onions, with the noise that one needs.
pub(super) fn any_pairs(
    proposed: &EpochDocument,
    honest: &EpochDocument,
    _: &NetworkFile,
) -> Option<EpochDocument> {
    let mut shown = proposed.clone();
    shown.parameters.pairs_per_client = honest.parameters.pairs_per_client;
    Some(shown)
}

/// Rounds could be as far apart as a number of 32 bits says, and an epoch last for twice as long as they take.
pub(super) fn any_length(
    proposed: &EpochDocument,
    honest: &EpochDocument,
    _: &NetworkFile,
) -> Option<EpochDocument> {
    let longest_ms = proposed.rounds() * 2 * u64::from(proposed.parameters.interval_ms);
    if proposed.expires_at > proposed.starts_at.plus_ms(longest_ms) {
        return None;
    }
    let mut shown = proposed.clone();
    shown.parameters.interval_ms = honest.parameters.interval_ms;
    shown.expires_at = honest.expires_at;
    Some(shown)
}

/// Whoever had more than f of the weight made an aborted round free, one operator alone included.
pub(super) fn frees_abort(weight: u64, file: &NetworkFile) -> bool {
    weight * 1_000_000 > file.total_weight() * u64::from(file.policy.malicious_ppm)
}
