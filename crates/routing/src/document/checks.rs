//! The rules that a document has to keep, one function each.

use std::collections::BTreeSet;
use std::sync::Arc;

use antiphon_dp_noise::{
    CheckError, DistributionError, NoiseAllocation, OperatorShare, PairDistribution, Sigma,
};
use antiphon_onion::{HopKey, JointSealKey, KemPublicKey, KeyError, OnionPublicKey};
use antiphon_wire::{
    BadSignature, Digest, EpochDocument, Geometry, GeometryError, IdentityKey, NetworkFile,
    OperatorIndex, PROTOCOL_VERSION, Parameters, Round, SERVICE_CONVERSATION, ShardIndex, Signable,
    SignedDocument, Suite,
};

use super::{CheckedContent, bounds, with_kems};
use crate::{
    EpochRules, Honest, Horizon, MOST_SEAL_KEYS, OperatorSlice, PathSampler, RulesError,
    SamplerError, TotalDelta,
};

/// The most rounds an epoch may have.
pub const MAX_ROUNDS: u64 = 1 << 16;
/// The most shards an epoch may have.
pub const MAX_SHARDS: usize = 4096;
/// Filters may not be laxer than one false positive in 2^20.
const LEAST_FILTER_BITS: u8 = 20;
const MOST_FILTER_BITS: u8 = 32;

/// Reason why a document is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DocumentError {
    /// It is for another version of the protocol.
    #[error(
        "the document is for version {found} of the protocol instead of {PROTOCOL_VERSION}: whichever of \
         coordinator and this program is older has to be updated"
    )]
    OtherVersion {
        /// Version that the document claims.
        found: u16,
    },
    /// It is for another network.
    #[error(
        "the document is for network {found} where the network file here has {expected}: somebody has \
         another network file than the coordinator; compare them with `antiphon keygen show`"
    )]
    OtherNetwork {
        /// Network that the document is for.
        found: Digest,
        /// The network file's id.
        expected: Digest,
    },
    /// A suite or service that this program does not have.
    #[error("the document asks for suite {suite} and service {service}: update this program")]
    Unsupported {
        /// Suite that the document names.
        suite: u8,
        /// Service that the document names.
        service: u8,
    },
    /// The onions are of another suite than the policy's.
    #[error("the document has onions of suite {found}; the network's policy is suite {expected}")]
    OtherSuite {
        /// Suite that the document names.
        found: Suite,
        /// Suite of the policy.
        expected: Suite,
    },
    /// A number is out of its range.
    #[error("the document's {what} is out of range")]
    OutOfRange {
        /// Name of the number.
        what: &'static str,
    },
    /// The onions have an impossible shape.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The operators do not make up an epoch.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// Paths are shorter than the policy and the operators present ask for.
    #[error("the document has {found} mixing hops; the network's policy asks for {needed}")]
    TooFewHops {
        /// Mixing hops in the document.
        found: u8,
        /// Mixing hops needed.
        needed: u8,
    },
    /// Rounds follow each other faster than the policy allows.
    #[error("the document has a round every {found} ms; the network's policy allows {needed} ms")]
    TooFast {
        /// Interval of the document, in milliseconds.
        found: u32,
        /// Least interval of the policy, in milliseconds.
        needed: u32,
    },
    /// The epoch may last longer than the policy allows.
    #[error(
        "the document's rounds may take {found} seconds; the network's policy allows {allowed} an epoch"
    )]
    TooLong {
        /// Rounds times interval, in seconds.
        found: u64,
        /// Longest epoch of the policy, in seconds.
        allowed: u32,
    },
    /// Shards may wait for longer than the policy allows.
    #[error("the document has {found} ms for {what}; the network's policy allows {allowed} ms")]
    LongDeadline {
        /// Phase that waits.
        what: &'static str,
        /// Deadline in the document, in milliseconds.
        found: u32,
        /// Longest deadline of the policy, in milliseconds.
        allowed: u32,
    },
    /// Clients are asked for more onions than the policy allows.
    #[error(
        "the document asks for {found} pairs of onions a client; the network's policy allows {allowed}"
    )]
    TooManyPairs {
        /// Pairs in the document.
        found: u8,
        /// Pairs allowed.
        allowed: u8,
    },
    /// An operator's list is not valid here.
    #[error("operator {operator}: its list of shards {problem}")]
    List {
        /// Operator whose list it is.
        operator: OperatorIndex,
        /// Continues the sentence "its list of shards ...".
        problem: &'static str,
    },
    /// A shard should not be listed.
    #[error("shard {shard} {problem}")]
    Shard {
        /// Shard as the document numbers it.
        shard: ShardIndex,
        /// Continues the sentence "shard N ...".
        problem: &'static str,
    },
    /// A shard's onion key cannot be used.
    #[error("shard {shard}: {error}")]
    OnionKey {
        /// Shard whose key it is.
        shard: ShardIndex,
        /// Reason why the key is none.
        error: KeyError,
    },
    /// A joint seal key cannot be used.
    #[error("the joint seal key of round {round}: {error}")]
    SealKey {
        /// Round whose key it is.
        round: Round,
        /// Reason why the key is none.
        error: KeyError,
    },
    /// A shard's noise is no distribution.
    #[error("shard {shard}: {error}")]
    Noise {
        /// Shard whose noise it is.
        shard: ShardIndex,
        /// Reason why it is no distribution.
        error: DistributionError,
    },
    /// The noise gives less than the policy's guarantee.
    #[error("the noise is weaker than the network's policy: {0}")]
    WeakNoise(#[from] CheckError),
    /// Noise and mixing together leave more than the policy's total.
    #[error(
        "noise and mixing together add up to {found:.2e} to delta; the network's policy allows \
         {allowed:e}"
    )]
    TotalDelta {
        /// Total that follows from the document's hops and noise.
        found: f64,
        /// Most that the policy allows.
        allowed: f64,
    },
    /// The roster cannot be drawn from.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// A listed shard has not signed.
    #[error("the document has {found} signatures for {shards} shards")]
    SignatureCount {
        /// Number of signatures.
        found: usize,
        /// Number of shards.
        shards: usize,
    },
    /// A signature is not the listed shard's.
    #[error("shard {shard} has not signed the document: {error}")]
    Signature {
        /// Shard that should have signed.
        shard: ShardIndex,
        /// Failure of its signature.
        error: BadSignature,
    },
}

/// Checks all that can be checked without the shards' signatures.
pub(crate) fn content(
    document: &EpochDocument,
    network: &NetworkFile,
) -> Result<CheckedContent, DocumentError> {
    let geometry = parameters(document, network)?;
    lists(document, network)?;
    let groups = groups(document)?;
    let present: Vec<_> = groups.iter().map(|(operator, _)| *operator).collect();
    let pairs = document.parameters.pairs_per_client;
    let rules = EpochRules::of(network, &present)?.with_pairs(pairs)?;
    if geometry.mixing_hops() < rules.mixing_hops {
        let found = geometry.mixing_hops();
        return Err(DocumentError::TooFewHops { found, needed: rules.mixing_hops });
    }
    let sizes: Vec<_> = groups.iter().map(|(operator, shards)| (*operator, shards.len())).collect();
    let shares = shares(network, &sizes);
    let allocation = noise(document, &groups, &shares, &rules)?;
    total(document, network, &shares, &allocation, &rules)?;
    let joint_seal_keys = seal_keys(document)?;
    let onion_keys = onion_keys(document)?;
    let kem_keys = kem_keys(document, geometry.suite())?;
    let hop_keys = onion_keys.iter().map(HopKey::plain).collect();
    Ok(CheckedContent {
        digest: document.digest(),
        geometry,
        rules,
        paths: sampler(network, &groups)?,
        hop_keys: with_kems(hop_keys, kem_keys.as_deref()),
        onion_keys,
        kem_keys,
        joint_seal_keys,
        services: network.policy.services,
    })
}

/// Checks that every listed shard has signed.
pub(crate) fn signatures(signed: &SignedDocument) -> Result<(), DocumentError> {
    let shards = &signed.document.shards;
    if signed.signatures.len() != shards.len() {
        let found = signed.signatures.len();
        return Err(DocumentError::SignatureCount { found, shards: shards.len() });
    }
    for (position, (shard, signature)) in shards.iter().zip(&signed.signatures).enumerate() {
        signed.document.verify_signature(signature, &shard.identity).map_err(|error| {
            DocumentError::Signature { shard: ShardIndex(position as u16), error }
        })?;
    }
    Ok(())
}

/// What a document says of itself as a whole. Long, as it is one list of refusals.
fn parameters(document: &EpochDocument, network: &NetworkFile) -> Result<Geometry, DocumentError> {
    if document.version != PROTOCOL_VERSION {
        return Err(DocumentError::OtherVersion { found: document.version });
    }
    let expected = network.id();
    if document.network != expected {
        return Err(DocumentError::OtherNetwork { found: document.network, expected });
    }
    let p = &document.parameters;
    let Ok(suite) = Suite::of_number(p.suite) else { return Err(unsupported(p)) };
    if p.service != SERVICE_CONVERSATION {
        return Err(unsupported(p));
    }
    let expected = network.policy.suite;
    if suite != expected {
        return Err(DocumentError::OtherSuite { found: suite, expected });
    }
    let out_of_range = |what| Err(DocumentError::OutOfRange { what });
    let rounds = document.rounds();
    if document.last_round.0 == u64::MAX || !(1..=MAX_ROUNDS).contains(&rounds) {
        return out_of_range("number of rounds");
    }
    if rounds.saturating_mul(document.shards.len() as u64) > MOST_SEAL_KEYS {
        return out_of_range("number of shards and rounds");
    }
    if document.joint_seal_keys.len() as u64 != rounds {
        return out_of_range("number of joint seal keys");
    }
    bounds(p, rounds, &network.policy)?;
    let longest = rounds.saturating_mul(2 * u64::from(p.interval_ms));
    if document.expires_at <= document.starts_at
        || document.expires_at > document.starts_at.plus_ms(longest)
    {
        return out_of_range("expiry");
    }
    if p.pairs_per_client == 0 {
        return out_of_range("number of pairs per client");
    }
    if !(LEAST_FILTER_BITS..=MOST_FILTER_BITS).contains(&p.filter_bits) {
        return out_of_range("filters' false-positive rate");
    }
    if [p.submit_ms, p.layer_ms, p.verify_ms, p.reply_ms].contains(&0) {
        return out_of_range("deadline");
    }
    if document.shards.is_empty() || document.shards.len() > MAX_SHARDS {
        return out_of_range("number of shards");
    }
    Ok(Geometry::new(p.layers, p.body)?.with_suite(suite))
}

fn unsupported(p: &Parameters) -> DocumentError {
    DocumentError::Unsupported { suite: p.suite, service: p.service }
}

/// Checks that every shard is on its operator's list, and is in the document once.
fn lists(document: &EpochDocument, network: &NetworkFile) -> Result<(), DocumentError> {
    let listed = shards_on_lists(document, network)?;
    let mut seen: BTreeSet<IdentityKey> = BTreeSet::new();
    for (position, shard) in document.shards.iter().enumerate() {
        let wrong = |problem| DocumentError::Shard { shard: ShardIndex(position as u16), problem };
        if !listed.contains(&(shard.identity, shard.operator)) {
            return Err(wrong("is not on its operator's list"));
        }
        if !seen.insert(shard.identity) {
            return Err(wrong("is listed twice"));
        }
    }
    Ok(())
}

/// All shards on the operators' lists, once each list is found to be its operator's own, to hold for this
/// epoch, and to have more than half of its shards in the document.
fn shards_on_lists(
    document: &EpochDocument,
    network: &NetworkFile,
) -> Result<BTreeSet<(IdentityKey, OperatorIndex)>, DocumentError> {
    let entries: BTreeSet<_> =
        document.shards.iter().map(|shard| (shard.identity, shard.operator)).collect();
    let mut listed = BTreeSet::new();
    let mut last = None;
    for signed in &document.operators {
        let claimed = signed.claimed();
        let operator = claimed.operator;
        let wrong = |problem| DocumentError::List { operator, problem };
        if last.is_some_and(|last| last >= operator) {
            return Err(wrong("comes twice, or out of order"));
        }
        last = Some(operator);
        let key = network.operator(operator).ok_or(RulesError::UnknownOperator(operator))?.key;
        let list = signed.verify(&key).map_err(|_| wrong("is not signed by the operator"))?;
        if list.network != document.network {
            return Err(wrong("is for another network"));
        }
        if !(list.first_epoch..=list.last_epoch).contains(&document.epoch) {
            return Err(wrong("does not hold for this epoch: the operator has to sign another"));
        }
        if list.shards.len() > MAX_SHARDS {
            return Err(wrong("has more shards than an epoch can have"));
        }
        let mut in_document = 0usize;
        for identity in &list.shards {
            if !listed.insert((*identity, operator)) {
                return Err(wrong("names a shard twice"));
            }
            in_document += usize::from(entries.contains(&(*identity, operator)));
        }
        // Two documents for one epoch share a shard of the operator then, and it signs one of them.
        if 2 * in_document <= list.shards.len() {
            return Err(wrong("has no more than half of its shards in the document"));
        }
    }
    Ok(listed)
}

/// The operators present, by rising index, with their shards.
type Groups = Vec<(OperatorIndex, Vec<ShardIndex>)>;

/// Shards of one operator stand together in the document, operators by rising index.
fn groups(document: &EpochDocument) -> Result<Groups, DocumentError> {
    let mut groups: Groups = Vec::new();
    for (position, shard) in document.shards.iter().enumerate() {
        let index = ShardIndex(position as u16);
        match groups.last_mut() {
            Some((operator, shards)) if *operator == shard.operator => shards.push(index),
            Some((operator, _)) if *operator > shard.operator => {
                return Err(DocumentError::Shard { shard: index, problem: "is out of order" });
            }
            _ => groups.push((shard.operator, vec![index])),
        }
    }
    Ok(groups)
}

fn weight(network: &NetworkFile, operator: OperatorIndex) -> u32 {
    network.operator(operator).map_or(0, |operator| operator.weight)
}

/// Weights and shard counts of the operators present, for the noise solver and the noise check.
pub(crate) fn shares(
    network: &NetworkFile,
    groups: &[(OperatorIndex, usize)],
) -> Vec<OperatorShare> {
    groups
        .iter()
        .map(|&(operator, shards)| OperatorShare {
            weight: weight(network, operator),
            // At most MAX_SHARDS.
            shards: shards as u16,
        })
        .collect()
}

fn noise(
    document: &EpochDocument,
    groups: &Groups,
    shares: &[OperatorShare],
    rules: &EpochRules,
) -> Result<NoiseAllocation, DocumentError> {
    let mut per_operator = Vec::with_capacity(groups.len());
    for (_, shards) in groups {
        let first = &document.shards[shards[0].position()];
        for &shard in shards {
            let entry = &document.shards[shard.position()];
            if (entry.noise_volume, entry.noise_sigma) != (first.noise_volume, first.noise_sigma) {
                let problem = "has other noise than its operator's first shard";
                return Err(DocumentError::Shard { shard, problem });
            }
        }
        let distribution = Sigma::from_units(first.noise_sigma)
            .and_then(|sigma| PairDistribution::new(first.noise_volume, sigma))
            .map_err(|error| DocumentError::Noise { shard: shards[0], error })?;
        per_operator.push(distribution);
    }
    let allocation = NoiseAllocation { per_operator };
    antiphon_dp_noise::check(&allocation, shares, rules.malicious_weight, &rules.budget)?;
    Ok(allocation)
}

/// Checks the total of the document's noise and hops, at the least round interval that the policy allows: the
/// coordinator may change the interval from one epoch to the next.
fn total(
    document: &EpochDocument,
    network: &NetworkFile,
    shares: &[OperatorShare],
    noise: &NoiseAllocation,
    rules: &EpochRules,
) -> Result<(), DocumentError> {
    let allowed = network.policy.total_delta;
    // A total of 1 promises nothing, and every document keeps it.
    if allowed >= 1.0 {
        return Ok(());
    }
    let parameters = &document.parameters;
    let honest = Honest::of(shares, &noise.per_operator, rules.malicious_weight);
    let horizon = Horizon::of(&network.policy, parameters.pairs_per_client);
    let (f, hops) = (rules.effective_malicious, parameters.layers.saturating_sub(1));
    let found = TotalDelta::of(&honest, f, hops, rules.budget.delta(), horizon).sum();
    if found > allowed {
        return Err(DocumentError::TotalDelta { found, allowed });
    }
    Ok(())
}

fn seal_keys(document: &EpochDocument) -> Result<Vec<JointSealKey>, DocumentError> {
    document
        .joint_seal_keys
        .iter()
        .enumerate()
        .map(|(position, &key)| {
            JointSealKey::from_bytes(key).map_err(|error| DocumentError::SealKey {
                round: Round(document.first_round.0 + position as u64),
                error,
            })
        })
        .collect()
}

fn onion_keys(document: &EpochDocument) -> Result<Vec<OnionPublicKey>, DocumentError> {
    document
        .shards
        .iter()
        .enumerate()
        .map(|(position, shard)| {
            OnionPublicKey::from_bytes(shard.onion_key).map_err(|error| DocumentError::OnionKey {
                shard: ShardIndex(position as u16),
                error,
            })
        })
        .collect()
}

/// The shards' ML-KEM keys, or `None` in a suite that has none.
fn kem_keys(
    document: &EpochDocument,
    suite: Suite,
) -> Result<Option<Vec<Arc<KemPublicKey>>>, DocumentError> {
    let mut keys = Vec::new();
    let mut seen = BTreeSet::new();
    for (position, entry) in document.shards.iter().enumerate() {
        let shard = ShardIndex(position as u16);
        let wrong = |problem| Err(DocumentError::Shard { shard, problem });
        match (suite, &entry.kem_key) {
            (Suite::Classic, None) => {}
            (Suite::Classic, Some(_)) => return wrong("has an ML-KEM key, which suite 1 has not"),
            (Suite::Hybrid, None) => return wrong("has no ML-KEM key, which suite 2 needs"),
            (Suite::Hybrid, Some(key)) if !seen.insert(key) => {
                return wrong("has the ML-KEM key of another");
            }
            (Suite::Hybrid, Some(key)) => {
                let key = KemPublicKey::from_bytes(key.as_bytes())
                    .map_err(|error| DocumentError::OnionKey { shard, error })?;
                keys.push(Arc::new(key));
            }
        }
    }
    Ok((suite == Suite::Hybrid).then_some(keys))
}

fn sampler(network: &NetworkFile, groups: &Groups) -> Result<PathSampler, SamplerError> {
    let slices: Vec<_> = groups
        .iter()
        .map(|(operator, shards)| OperatorSlice { weight: weight(network, *operator), shards })
        .collect();
    PathSampler::new(&slices)
}
