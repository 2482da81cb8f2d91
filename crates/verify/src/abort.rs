//! Whether an aborted round is free, from the shards' signed statements alone.

use std::collections::BTreeSet;

use antiphon_wire::{
    EpochDocument, NetworkFile, OperatorIndex, Round, SealAct, SealStatement, Signed,
};

/// What an aborted round costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortKind {
    /// An honest operator is certain to have withheld: nothing was opened, nothing is learnt.
    Free,
    /// There is no such certainty: the round counts like a disturbed one.
    Charged,
}

/// Judges an aborted round by what shards signed about it.
///
/// Free if the operators with at least one shard that signed *withheld* are two or more and hold more than
/// f of the network file's weight. One operator alone never makes a round free, however heavy it is:
/// whoever is trusted in the figures could abort rounds by what it has seen, at no cost. Statements that are forged, or about another round, network or roster, do
/// not count; an operator counts in full once any of its shards signed.
pub fn judge_abort(
    document: &EpochDocument,
    network: &NetworkFile,
    round: Round,
    statements: &[Signed<SealStatement>],
) -> AbortKind {
    let withheld: BTreeSet<OperatorIndex> = statements
        .iter()
        .filter_map(|signed| {
            let claimed = signed.claimed();
            let shard = document.shards.get(claimed.shard.position())?;
            let about_this = claimed.network == document.network
                && claimed.epoch == document.epoch
                && claimed.round == round
                && matches!(claimed.act, SealAct::Withheld { .. });
            (about_this && signed.verify(&shard.identity).is_ok()).then_some(shard.operator)
        })
        .collect();
    let weight: u64 = withheld
        .iter()
        .filter_map(|index| network.operator(*index))
        .map(|operator| u64::from(operator.weight))
        .sum();
    let f = u64::from(network.policy.malicious_ppm);
    if withheld.len() >= 2 && weight * 1_000_000 > network.total_weight() * f {
        AbortKind::Free
    } else {
        AbortKind::Charged
    }
}
