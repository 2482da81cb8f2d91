//! Proposals of epoch documents: a coordinator puts one together, and a shard checks it before it signs.

use std::collections::BTreeMap;

use antiphon_dp_noise::{NoiseAllocation, SolveError, solve};
use antiphon_onion::{
    Claim, JointSealKey, KeyError, OnionPublicKey, ProofOfPossession, SealPublicKey, verify_claims,
};
use antiphon_wire::{
    Contribution, Digest, Epoch, EpochDocument, IdentityKey, KeyRole, NetworkFile, OperatorIndex,
    PROTOCOL_VERSION, Parameters, Registration, Round, ShardEntry, ShardIndex, Timestamp,
    possession_context,
};
use rand::CryptoRng;

use crate::document::{DocumentError, shares};
use crate::{EpochRules, Honest, Horizon, PathLengthError, RulesError, TotalDelta, document};

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
    /// Keys for the epoch, with their proofs.
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
    /// A shard's seal key is no key.
    #[error("shard {shard} offered a seal key that cannot be used: {error}")]
    SealKey {
        /// Shard that offered the key.
        shard: IdentityKey,
        /// Reason why it is no key.
        error: KeyError,
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

/// Reason why a shard does not sign a proposal.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProposalError {
    /// The document itself breaks a rule.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The contributions are not those of the listed shards.
    #[error("the contribution for shard {shard} does not belong to the document")]
    Contribution {
        /// Shard that the contribution should be from.
        shard: ShardIndex,
    },
    /// A seal key is no key.
    #[error("shard {shard}: {error}")]
    Key {
        /// Shard whose key it is.
        shard: ShardIndex,
        /// Reason why it is no key.
        error: KeyError,
    },
    /// A shard has not proven that it holds the secret of a key.
    #[error("shard {shard} has no valid proof of possession for one of its keys")]
    Possession {
        /// Shard whose proof fails.
        shard: ShardIndex,
    },
    /// A joint seal key is not the sum of the shards' seal keys.
    #[error("the joint seal key of round {round} is not the sum of the shards' seal keys")]
    Sum {
        /// Round whose key it is.
        round: Round,
    },
}

/// A document that this shard may sign, with every shard's published seal keys.
#[derive(Debug)]
pub struct CheckedProposal {
    document: EpochDocument,
    /// For each shard, one key for each round of the epoch.
    seal_keys: Vec<Vec<SealPublicKey>>,
}

impl CheckedProposal {
    /// The document to sign.
    pub fn document(&self) -> &EpochDocument {
        &self.document
    }

    /// The shards' seal keys: for each shard, one per round of the epoch.
    pub fn into_seal_keys(self) -> Vec<Vec<SealPublicKey>> {
        self.seal_keys
    }
}

/// Puts a document together from the offers of shards, each checked to be by the shard it names.
///
/// Operators with no more than half of their listed shards among the offers are left out. Hops and
/// noise are the least that the network file's policy allows for those present.
///
/// # Errors
/// If they miss the quorum, no noise suffices, or keys cannot be summed; the error names the shard
/// to leave out where it is one shard's fault.
pub fn assemble(
    draft: Draft,
    offers: &[Offer],
    network: &NetworkFile,
) -> Result<EpochDocument, AssembleError> {
    let by_operator = quorate(offers);
    let (noise, hops) = least_noise_and_hops(&by_operator, &draft.parameters, network)?;
    let mut parameters = draft.parameters;
    parameters.layers = parameters.layers.max(hops + 1);
    let rounds = draft.last_round.0.saturating_add(1).saturating_sub(draft.first_round.0);
    let nominal = rounds.saturating_mul(parameters.interval_ms.into());
    let all: Vec<&Contribution> =
        by_operator.values().flatten().map(|offer| &offer.contribution).collect();
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
        joint_seal_keys: joint_seal_keys(draft.first_round, rounds, &all)?,
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
            peer_address: offer.registration.peer_address,
            client_address: offer.registration.client_address,
            onion_key: offer.contribution.onion_key,
            noise_volume: noise.volume(),
            noise_sigma: noise.sigma().units(),
        }));
    }
    shards
}

fn joint_seal_keys(
    first: Round,
    rounds: u64,
    contributions: &[&Contribution],
) -> Result<Vec<[u8; 32]>, AssembleError> {
    let mut keys = Vec::with_capacity(contributions.len());
    for contribution in contributions {
        let shard = contribution.identity;
        if contribution.seal_keys.len() as u64 != rounds {
            return Err(AssembleError::Rounds { shard });
        }
        let of_shard: Result<Vec<_>, _> =
            contribution.seal_keys.iter().map(|&key| SealPublicKey::from_bytes(key)).collect();
        keys.push(of_shard.map_err(|error| AssembleError::SealKey { shard, error })?);
    }
    (0..rounds)
        .map(|offset| {
            JointSealKey::sum(keys.iter().map(|of_shard| &of_shard[offset as usize]))
                .map(|sum| sum.to_bytes())
                .map_err(|error| AssembleError::Sum { round: Round(first.0 + offset), error })
        })
        .collect()
}

/// Checks everything that a shard has to check before it signs `document`, except that its own keys
/// are in it unchanged, which only it can know. `contributions` are in the order of the shards.
///
/// # Errors
/// Names the rule that is broken.
pub fn check_proposal(
    document: EpochDocument,
    contributions: &[Contribution],
    network: &NetworkFile,
    rng: &mut impl CryptoRng,
) -> Result<CheckedProposal, ProposalError> {
    document::content(&document, network)?;
    let mut seal_keys = Vec::with_capacity(document.shards.len());
    if contributions.len() != document.shards.len() {
        let shard = ShardIndex(contributions.len().min(document.shards.len()) as u16);
        return Err(ProposalError::Contribution { shard });
    }
    for (position, (shard, offered)) in document.shards.iter().zip(contributions).enumerate() {
        let index = ShardIndex(position as u16);
        if offered.identity != shard.identity
            || offered.epoch != document.epoch
            || offered.first_round != document.first_round
            || offered.onion_key != shard.onion_key
            || offered.seal_keys.len() as u64 != document.rounds()
            || offered.seal_proofs.len() != offered.seal_keys.len()
        {
            return Err(ProposalError::Contribution { shard: index });
        }
        seal_keys.push(possessed_keys(&document, index, offered, rng)?);
    }
    // A joint key that was made up would let its maker open a seal alone.
    for (position, expected) in document.joint_seal_keys.iter().enumerate() {
        let sum = JointSealKey::sum(seal_keys.iter().map(|of_shard| &of_shard[position]));
        if sum.map(|sum| sum.to_bytes()).as_ref() != Ok(expected) {
            let round = Round(document.first_round.0 + position as u64);
            return Err(ProposalError::Sum { round });
        }
    }
    Ok(CheckedProposal { document, seal_keys })
}

/// A shard's seal keys, once it has proven to hold the secrets of all its keys.
fn possessed_keys(
    document: &EpochDocument,
    index: ShardIndex,
    offered: &Contribution,
    rng: &mut impl CryptoRng,
) -> Result<Vec<SealPublicKey>, ProposalError> {
    let operator = document.shards[index.position()].operator;
    let context = |role| {
        possession_context(&document.network, operator, &offered.identity, document.epoch, role)
    };
    let key_error = |error| ProposalError::Key { shard: index, error };
    let onion = OnionPublicKey::from_bytes(offered.onion_key).map_err(key_error)?;
    let onion_context = context(KeyRole::Onion);
    let seal_keys = offered
        .seal_keys
        .iter()
        .map(|&key| SealPublicKey::from_bytes(key).map_err(key_error))
        .collect::<Result<Vec<_>, _>>()?;
    let seal_contexts: Vec<_> = (document.first_round.0..=document.last_round.0)
        .map(|round| context(KeyRole::Seal(Round(round))))
        .collect();
    // All of a shard's proofs are verified at once, so that an error names the shard and not the key.
    let mut claims =
        vec![Claim::onion(&onion, &onion_context, ProofOfPossession(offered.onion_proof))];
    for ((key, context), proof) in seal_keys.iter().zip(&seal_contexts).zip(&offered.seal_proofs) {
        claims.push(Claim::seal(key, context, ProofOfPossession(*proof)));
    }
    verify_claims(&claims, rng).map_err(|_| ProposalError::Possession { shard: index })?;
    Ok(seal_keys)
}
