//! Epoch documents from what shards offer: a coordinator puts one together.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_dp_noise::{NoiseAllocation, SolveError, solve};
use antiphon_onion::{KeyError, SealKeySum};
use antiphon_wire::{
    Contribution, Digest, Epoch, EpochDocument, IdentityKey, NetworkFile, OperatorIndex,
    PROTOCOL_VERSION, Parameters, Registration, Round, ShardEntry, Suite, Timestamp,
};

use crate::contribution::{ContributionError, ReadKeys};
use crate::document::shares;
use crate::{EpochRules, Honest, Horizon, PathLengthError, RulesError, TotalDelta};

/// The coordinator's decisions about an epoch; the rest follows from who takes part.
#[derive(Clone, Copy, Debug)]
pub struct Draft {
    /// Number of the epoch.
    pub epoch: Epoch,
    /// First round of the epoch.
    pub first_round: Round,
    /// Last round of the epoch.
    pub last_round: Round,
    /// Time at which the first round is to open.
    pub starts_at: Timestamp,
    /// Hash of the document before this one.
    pub previous: Digest,
    /// Parameters, of which `layers` is raised to what the rules ask for.
    pub parameters: Parameters,
}

/// A shard that wants to take part, and its keys.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Identity and addresses.
    pub registration: Registration,
    /// Keys for the epoch, with their proof.
    pub contribution: Contribution,
}

/// Reason why no document can be put together.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AssembleError {
    /// The operators do not make up an epoch.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// No noise gives the guarantee.
    #[error(transparent)]
    Noise(#[from] SolveError),
    /// No path keeps the policy's total.
    #[error("the policy's total delta cannot be kept: {0}")]
    Total(#[from] PathLengthError),
    /// A shard's keys are of no use.
    #[error("shard {shard}: {error}")]
    Keys {
        /// Shard that offered the keys.
        shard: IdentityKey,
        /// Reason why they are of no use.
        error: ContributionError,
    },
    /// A shard offered another number of seal keys than the epoch has rounds.
    #[error("shard {shard} offered keys for other rounds")]
    Rounds {
        /// Shard that offered the keys.
        shard: IdentityKey,
    },
    /// The sum of all seal keys is no key.
    #[error("the seal keys of round {round} do not add up: {error}")]
    Sum {
        /// Round whose keys they are.
        round: Round,
        /// Reason why the sum is no key.
        error: KeyError,
    },
}

/// Puts a document together from the offers of shards, each checked to be by the shard it names.
///
/// Operators with no more than half of their listed shards among the offers are left out. Hops and
/// noise are the least that the network file's policy allows for those present.
///
/// # Errors
/// If they miss the quorum, no noise suffices, a shard's keys are not proven, or keys cannot be summed; the
/// error names the shard to leave out where it is one shard's fault.
pub fn assemble(
    draft: Draft,
    offers: &[Offer],
    network: &NetworkFile,
) -> Result<EpochDocument, AssembleError> {
    let id = network.id();
    put_together(draft, offers, network, |offer, operator| {
        ReadKeys::proven(&offer.contribution, &id, operator)
    })
}

/// The same without a look at the proofs of possession, as a coordinator may do that means no good.
///
/// # Errors
/// As for [`assemble`], but for the proofs.
pub fn assemble_unproven(
    draft: Draft,
    offers: &[Offer],
    network: &NetworkFile,
) -> Result<EpochDocument, AssembleError> {
    put_together(draft, offers, network, |offer, _| Ok(ReadKeys::of(&offer.contribution)?))
}

fn put_together(
    draft: Draft,
    offers: &[Offer],
    network: &NetworkFile,
    read: impl Fn(&Offer, OperatorIndex) -> Result<ReadKeys, ContributionError>,
) -> Result<EpochDocument, AssembleError> {
    let by_operator = quorate(offers);
    kem_keys(&by_operator, network.policy.suite)?;
    let (noise, hops) = least_noise_and_hops(&by_operator, &draft.parameters, network)?;
    let mut parameters = draft.parameters;
    parameters.layers = parameters.layers.max(hops + 1);
    let rounds = draft.last_round.0.saturating_add(1).saturating_sub(draft.first_round.0);
    let nominal = rounds.saturating_mul(parameters.interval_ms.into());
    Ok(EpochDocument {
        version: PROTOCOL_VERSION,
        network: network.id(),
        epoch: draft.epoch,
        first_round: draft.first_round,
        last_round: draft.last_round,
        starts_at: draft.starts_at,
        // Rounds may come half as fast as planned before the keys are gone.
        expires_at: draft.starts_at.plus_ms(nominal.saturating_mul(2)),
        previous: draft.previous,
        parameters,
        operators: by_operator.values().map(|offers| offers[0].registration.list.clone()).collect(),
        shards: entries(&by_operator, &noise),
        joint_seal_keys: joint_seal_keys(draft.first_round, rounds, &by_operator, read)?,
    })
}

/// Offers by rising operator index, each operator's by the identity of the shard: the document's order.
type ByOperator<'a> = BTreeMap<OperatorIndex, Vec<&'a Offer>>;

/// The offers of operators with more than half of their listed shards among them.
fn quorate(offers: &[Offer]) -> ByOperator<'_> {
    let mut by_operator = ByOperator::new();
    for offer in offers {
        let operator = offer.registration.list.claimed().operator;
        by_operator.entry(operator).or_default().push(offer);
    }
    by_operator.retain(|_, offers| {
        let listed = offers[0].registration.list.claimed().shards.len();
        2 * offers.len() > listed
    });
    for offers in by_operator.values_mut() {
        offers.sort_by_key(|offer| offer.contribution.identity);
    }
    by_operator
}

/// Checks that the offers have the ML-KEM keys that the suite has, each its own.
fn kem_keys(by_operator: &ByOperator<'_>, suite: Suite) -> Result<(), AssembleError> {
    let mut seen = BTreeSet::new();
    for Contribution { identity: shard, kem_key, .. } in
        by_operator.values().flatten().map(|offer| &offer.contribution)
    {
        let wrong = |error| Err(AssembleError::Keys { shard: *shard, error });
        if kem_key.is_some() != (suite == Suite::Hybrid) {
            return wrong(ContributionError::Suite);
        }
        // No shard sees the keys of another before it has offered its own.
        if kem_key.as_ref().is_some_and(|key| !seen.insert(key)) {
            return wrong(ContributionError::Twice);
        }
    }
    Ok(())
}

/// The least noise and the fewest mixing hops that keep the policy with these operators.
fn least_noise_and_hops(
    by_operator: &ByOperator<'_>,
    parameters: &Parameters,
    network: &NetworkFile,
) -> Result<(NoiseAllocation, u8), AssembleError> {
    let present: Vec<_> = by_operator.keys().copied().collect();
    let rules = EpochRules::of(network, &present)?.with_pairs(parameters.pairs_per_client)?;
    let sizes: Vec<_> = by_operator.iter().map(|(index, offers)| (*index, offers.len())).collect();
    let shares = shares(network, &sizes);
    let noise = solve(&rules.budget, &shares, rules.malicious_weight)?;
    // The noise comes first: the more there is, the fewer hops mix well enough.
    let hops = TotalDelta::least_hops(
        &Honest::of(&shares, &noise.per_operator, rules.malicious_weight),
        rules.effective_malicious,
        rules.mixing_hops,
        rules.budget.delta(),
        Horizon::of(&network.policy, parameters.pairs_per_client),
        network.policy.total_delta,
    )?;
    Ok((noise, hops))
}

fn entries(by_operator: &ByOperator<'_>, noise: &NoiseAllocation) -> Vec<ShardEntry> {
    debug_assert_eq!(by_operator.len(), noise.per_operator.len(), "noise is for each operator");
    let mut shards = Vec::new();
    for ((operator, offers), noise) in by_operator.iter().zip(&noise.per_operator) {
        shards.extend(offers.iter().map(|offer| ShardEntry {
            operator: *operator,
            identity: offer.contribution.identity,
            peer_addresses: offer.registration.peer_addresses.clone(),
            client_addresses: offer.registration.client_addresses.clone(),
            onion_key: offer.contribution.onion_key,
            kem_key: offer.contribution.kem_key.clone(),
            noise_volume: noise.volume(),
            noise_sigma: noise.sigma().units(),
        }));
    }
    shards
}

/// The sums of the seal keys of each round. Shards' keys are read one after the other, and not kept.
fn joint_seal_keys(
    first: Round,
    rounds: u64,
    by_operator: &ByOperator<'_>,
    read: impl Fn(&Offer, OperatorIndex) -> Result<ReadKeys, ContributionError>,
) -> Result<Vec<[u8; 32]>, AssembleError> {
    let mut sums = vec![SealKeySum::default(); usize::try_from(rounds).unwrap_or(0)];
    for (operator, offers) in by_operator {
        for offer in offers {
            let Contribution { identity: shard, ref seal_keys, .. } = offer.contribution;
            if seal_keys.len() != sums.len() {
                return Err(AssembleError::Rounds { shard });
            }
            let keys =
                read(offer, *operator).map_err(|error| AssembleError::Keys { shard, error })?;
            sums.iter_mut().zip(&keys.seals).for_each(|(sum, key)| sum.add(key));
        }
    }
    let key = |(offset, sum): (usize, &SealKeySum)| {
        let round = Round(first.0 + offset as u64);
        sum.key().map(|key| key.to_bytes()).map_err(|error| AssembleError::Sum { round, error })
    };
    sums.iter().enumerate().map(key).collect()
}
