//! Whose absence spoilt a round, as far as the shards' reports tell.
//!
//! Reports are claims, so their weight is small: a shard that is named sits out an epoch, and one
//! that alone names ever other shards is taken to be the cause itself. Convictions take signed
//! contradictions and are no business of a coordinator.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{IdentityKey, Reason, RoundOutcome, ShardIndex};

/// What was concluded from the reports of one round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The earliest cause that a shard gave.
    pub(crate) reason: Option<Reason>,
    /// Whom that cause names.
    pub(crate) named: Vec<IdentityKey>,
    /// Who had better not be in the next epoch.
    pub(crate) suspects: Vec<IdentityKey>,
    /// Whether onions were missing from filters, or filters differed: a dispute that leaving a
    /// shard out may not end.
    pub(crate) disputed: bool,
}

/// The shards that were alone in naming another one, and whom.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoneAccusers(BTreeMap<IdentityKey, BTreeSet<IdentityKey>>);

/// A claim: how early in the round, who makes it, whom it names, why.
type Claim = (u32, usize, ShardIndex, Option<Reason>);

/// How early in a round a cause lies, and the shard it names, if it is a cause of its own.
fn stage(reason: &Reason, reporter: usize) -> Option<(u32, ShardIndex)> {
    match *reason {
        // At most as many shards as an index counts.
        Reason::NotPrepared => Some((0, ShardIndex(reporter as u16))),
        Reason::MissingBatch { layer, sender } => Some((1 + u32::from(layer.0), sender)),
        Reason::MissingFilter { shard } | Reason::BadFilter { shard } => Some((300, shard)),
        Reason::MissingOnions { at, .. } => Some((301, at)),
        Reason::OtherFilters { shard } => Some((301, shard)),
        Reason::MissingVerdict { shard } => Some((302, shard)),
        Reason::Follows { .. } => None,
    }
}

/// Judges a round. `outcomes` has one entry for each of `shards`, `None` for the silent ones.
pub(crate) fn judge(
    shards: &[IdentityKey],
    outcomes: &[Option<RoundOutcome>],
    lone: &mut LoneAccusers,
) -> Finding {
    let mut claims: Vec<Claim> = Vec::new();
    for (reporter, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Some(RoundOutcome::Withheld { reason }) => {
                if let Some((stage, named)) = stage(reason, reporter) {
                    claims.push((stage, reporter, named, Some(*reason)));
                }
            }
            Some(RoundOutcome::NotOpened { missing }) => {
                claims.push((400, reporter, *missing, None));
            }
            Some(RoundOutcome::Delivered) | None => {}
        }
    }
    claims.retain(|(_, _, named, _)| named.position() < shards.len());
    let Some(&(earliest, .., reason)) = claims.iter().min_by_key(|claim| (claim.0, claim.1)) else {
        return Finding::default();
    };
    claims.retain(|claim| claim.0 == earliest);
    let mut accusers: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (_, reporter, named, _) in &claims {
        accusers.entry(named.position()).or_default().insert(*reporter);
    }
    Finding {
        reason,
        named: accusers.keys().map(|&shard| shards[shard]).collect(),
        suspects: suspects(shards, outcomes, &accusers, lone),
        disputed: earliest == 301,
    }
}

fn suspects(
    shards: &[IdentityKey],
    outcomes: &[Option<RoundOutcome>],
    accusers: &BTreeMap<usize, BTreeSet<usize>>,
    lone: &mut LoneAccusers,
) -> Vec<IdentityKey> {
    let sure: Vec<_> = accusers
        .iter()
        .filter(|(named, by)| by.len() > 1 || by.contains(named) || outcomes[**named].is_none())
        .map(|(named, _)| shards[*named])
        .collect();
    if !sure.is_empty() {
        return sure;
    }
    // One word against another: the one named sits out first, next time the one who named it.
    let Some((&named, by)) = accusers.iter().next() else { return Vec::new() };
    let Some(&accuser) = by.first() else { return Vec::new() };
    let (named, accuser) = (shards[named], shards[accuser]);
    let before = lone.0.entry(accuser).or_default();
    let suspect = if before.iter().any(|other| *other != named) { accuser } else { named };
    before.insert(named);
    vec![suspect]
}

#[cfg(test)]
mod tests {
    use antiphon_wire::Layer;

    use super::*;

    const SHARDS: [IdentityKey; 4] =
        [IdentityKey([0; 32]), IdentityKey([1; 32]), IdentityKey([2; 32]), IdentityKey([3; 32])];

    fn withheld(reason: Reason) -> Option<RoundOutcome> {
        Some(RoundOutcome::Withheld { reason })
    }

    fn batch(layer: u8, sender: u16) -> Option<RoundOutcome> {
        withheld(Reason::MissingBatch { layer: Layer(layer), sender: ShardIndex(sender) })
    }

    #[test]
    fn the_earliest_cause_counts_and_followers_do_not() {
        let follows = withheld(Reason::Follows { shard: ShardIndex(0) });
        let outcomes = [batch(3, 2), batch(4, 1), batch(3, 2), follows];
        let finding = judge(&SHARDS, &outcomes, &mut LoneAccusers::default());
        assert_eq!(finding.named, [SHARDS[2]]);
        assert_eq!(finding.suspects, [SHARDS[2]]);
        assert_eq!(
            finding.reason,
            Some(Reason::MissingBatch { layer: Layer(3), sender: ShardIndex(2) })
        );
    }

    #[test]
    fn whoever_alone_names_ever_others_is_suspected_itself() {
        let mut lone = LoneAccusers::default();
        let follows = withheld(Reason::Follows { shard: ShardIndex(0) });
        let first = judge(&SHARDS, &[batch(2, 1), follows, follows, follows], &mut lone);
        assert_eq!(first.suspects, [SHARDS[1]]);
        let second = judge(&SHARDS, &[batch(2, 3), follows, follows, follows], &mut lone);
        assert_eq!((second.named, second.suspects), (vec![SHARDS[3]], vec![SHARDS[0]]));
    }

    #[test]
    fn a_silent_shard_is_believed_by_nobody() {
        let outcomes = [batch(2, 1), None, batch(2, 3), Some(RoundOutcome::Delivered)];
        let finding = judge(&SHARDS, &outcomes, &mut LoneAccusers::default());
        assert_eq!(finding.suspects, [SHARDS[1]]);
    }

    #[test]
    fn indices_beyond_the_roster_are_ignored() {
        let finding = judge(&SHARDS, &[batch(2, 99)], &mut LoneAccusers::default());
        assert_eq!(finding, Finding::default());
    }
}
