//! Specifications that are refused, in words that say what would do. Nothing is touched for them.

use antiphon_process::keyfile;
use antiphon_routing::{DocumentError, most_rounds};
use antiphon_wire::{IdentityKey, NetworkFile, NetworkFileError, OperatorIndex};
use ed25519_dalek::SigningKey;

use crate::decide::MOST_HELPFUL;
use crate::objects::MOST_LAYERS;
use crate::resource::{
    Autoscale, Coordinator, Exposure, ExposureType, MixNetworkSpec, Requirements,
};
use crate::window::Window;

/// The reason for which nothing is done for a specification.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("coordinator needs either run, to have it here, or join, to name it")]
    Coordinator,
    #[error(
        "coordinator.run.replicas is {wanted}, and {found} run: shards elect one of those that they were started with, \
         so the number is chosen once. Set it to {found}"
    )]
    Coordinators { wanted: u16, found: u16 },
    #[error(
        "image {0} has no digest: a tag can be moved to another program. Give repository@sha256:..., as \
         `k8s/image/build` prints it, or set allowTags"
    )]
    Tag(String),
    #[error("there is no ConfigMap {0} with `network.toml`: make it from the network file")]
    NoNetworkFile(String),
    #[error("network.toml in the ConfigMap {map}: {source}")]
    NetworkFile { map: String, source: NetworkFileError },
    #[error(
        "the network file has the id {found}, and network.id says {expected}: somebody has another file, which is \
         another network. Compare files with the other operators"
    )]
    OtherNetwork { found: String, expected: String },
    #[error("the network file names no operator {name}: it has {known}")]
    NoSuchOperator { name: String, known: String },
    #[error("there is no Secret {0} with `operator.key`: put the operator's key there")]
    NoOperatorKey(String),
    #[error(
        "`operator.key` in the Secret {0} is no operator's key: `antiphon keygen operator` makes one"
    )]
    NoKey(String),
    #[error(
        "the Secret {secret} holds another key than operator {name} has in the network file: its public half is \
         {found}, and the file has {expected}"
    )]
    OtherKey { secret: String, name: String, found: String, expected: String },
    #[error(
        "requires.operators is {required}, and the network file has {found}: nothing is started for less"
    )]
    TooFewOperators { required: u16, found: usize },
    #[error(
        "requires.{what} is {required} at most, and the network file promises {found}: nothing is started for less"
    )]
    Weaker { what: &'static str, required: f64, found: f64 },
    #[error(
        "{shards} shards are more than an epoch of {rounds} rounds carries: set coordinator.run.epoch.rounds to \
         {most} at most, or have fewer shards"
    )]
    TooManyShards { shards: u16, rounds: u32, most: u64 },
    #[error("coordinator.run.beats: {0}")]
    Beats(DocumentError),
    #[error("autoscale.minShards is {least}, which is more than autoscale.maxShards, {most}")]
    Bounds { least: u16, most: u16 },
    #[error(
        "autoscale.maxShards is {asked}: with one shard of every other operator that is more than {MOST_HELPFUL}, from which \
         on a round takes longer with every shard. Set it to {most} at most"
    )]
    TooManyToHelp { asked: u16, most: u16 },
    #[error(
        "update.onlyBetween is {0}: it should be a part of the day in UTC, such as 02:00-05:00"
    )]
    Window(String),
    #[error("exposure: {ports} ports from {one} on run into those from {other} on")]
    Ports { ports: u16, one: u16, other: u16 },
}

/// The part of the cluster that a specification is held against.
#[derive(Debug, Default)]
pub(crate) struct Given<'a> {
    /// The network file's text.
    pub(crate) network: Option<&'a str>,
    /// The bytes of the operator's key file.
    pub(crate) operator_key: Option<&'a [u8]>,
    /// The number of coordinators that are kept.
    pub(crate) coordinators: Option<u16>,
}

/// A specification that can be acted on.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) network: NetworkFile,
    pub(crate) operator: OperatorIndex,
    pub(crate) key: SigningKey,
    /// The part of the day in which pods that serve are replaced, if that is not all of it.
    pub(crate) window: Option<Window>,
}

/// Looks for a reason to do nothing.
pub(crate) fn accept(spec: &MixNetworkSpec, given: &Given<'_>) -> Result<Accepted, Refusal> {
    check_coordinators(spec, given)?;
    if !spec.allow_tags && !spec.image.contains("@sha256:") {
        return Err(Refusal::Tag(spec.image.clone()));
    }
    check_ports(spec)?;
    let window = window(spec)?;
    let network = network(spec, given)?;
    check_requirements(&spec.requires, &network)?;
    check_beats(spec, &network)?;
    check_bounds(spec, &network)?;
    check_size(spec, &network)?;
    let (operator, key) = operator(spec, given, &network)?;
    Ok(Accepted { network, operator, key, window })
}

fn window(spec: &MixNetworkSpec) -> Result<Option<Window>, Refusal> {
    let parse = |text: &String| text.parse().map_err(|_| Refusal::Window(text.clone()));
    spec.update.only_between.as_ref().map(parse).transpose()
}

fn check_coordinators(spec: &MixNetworkSpec, given: &Given<'_>) -> Result<(), Refusal> {
    let Coordinator { run, join } = &spec.coordinator;
    match (run, join) {
        (Some(own), None) => {
            let (wanted, found) = (own.replicas, given.coordinators.unwrap_or(own.replicas));
            if wanted == found { Ok(()) } else { Err(Refusal::Coordinators { wanted, found }) }
        }
        (None, Some(joined)) if !joined.is_empty() => Ok(()),
        _ => Err(Refusal::Coordinator),
    }
}

fn network(spec: &MixNetworkSpec, given: &Given<'_>) -> Result<NetworkFile, Refusal> {
    let map = &spec.network.config_map;
    let text = given.network.ok_or_else(|| Refusal::NoNetworkFile(map.clone()))?;
    let network = NetworkFile::parse(text)
        .map_err(|source| Refusal::NetworkFile { map: map.clone(), source })?;
    let found = hex::encode(network.id().0);
    if found == spec.network.id {
        return Ok(network);
    }
    Err(Refusal::OtherNetwork { found, expected: spec.network.id.clone() })
}

fn operator(
    spec: &MixNetworkSpec,
    given: &Given<'_>,
    network: &NetworkFile,
) -> Result<(OperatorIndex, SigningKey), Refusal> {
    let (name, secret) = (spec.operator.clone(), spec.operator_key.secret.clone());
    let Some(operator) = network.operators.iter().find(|operator| operator.name == name) else {
        let known: Vec<&str> =
            network.operators.iter().map(|operator| operator.name.as_str()).collect();
        return Err(Refusal::NoSuchOperator { name, known: known.join(", ") });
    };
    let bytes = given.operator_key.ok_or_else(|| Refusal::NoOperatorKey(secret.clone()))?;
    let (_, seed) = keyfile::secret_in(bytes).ok_or_else(|| Refusal::NoKey(secret.clone()))?;
    let key = SigningKey::from_bytes(&seed);
    let public = IdentityKey::of(&key);
    match network.index_of(&public) {
        Some(index) if public == operator.key => Ok((index, key)),
        _ => {
            let (found, expected) = (public.to_hex(), operator.key.to_hex());
            Err(Refusal::OtherKey { secret, name, found, expected })
        }
    }
}

fn check_requirements(requires: &Requirements, network: &NetworkFile) -> Result<(), Refusal> {
    let found = network.operators.len();
    if let Some(required) = requires.operators.filter(|required| usize::from(*required) > found) {
        return Err(Refusal::TooFewOperators { required, found });
    }
    let policy = &network.policy;
    for (what, required, found) in
        [("epsilon", requires.epsilon, policy.epsilon), ("delta", requires.delta, policy.delta)]
    {
        if let Some(required) = required.filter(|required| found > *required) {
            return Err(Refusal::Weaker { what, required, found });
        }
    }
    Ok(())
}

fn check_beats(spec: &MixNetworkSpec, network: &NetworkFile) -> Result<(), Refusal> {
    let Some(own) = &spec.coordinator.run else { return Ok(()) };
    own.config().check_beats(network, MOST_LAYERS).map_err(Refusal::Beats)
}

/// The most shards that there will be.
fn most_shards(spec: &MixNetworkSpec) -> u16 {
    spec.autoscale.map_or(spec.shards, |bounds| bounds.max_shards.max(spec.shards))
}

fn check_bounds(spec: &MixNetworkSpec, network: &NetworkFile) -> Result<(), Refusal> {
    let Some(Autoscale { min_shards: least, max_shards: asked, .. }) = spec.autoscale else {
        return Ok(());
    };
    if least > asked {
        return Err(Refusal::Bounds { least, most: asked });
    }
    let others = u16::try_from(network.operators.len() - 1).unwrap_or(u16::MAX);
    let most = MOST_HELPFUL.saturating_sub(others);
    if asked > most { Err(Refusal::TooManyToHelp { asked, most }) } else { Ok(()) }
}

/// Every other operator has a shard at least.
fn check_size(spec: &MixNetworkSpec, network: &NetworkFile) -> Result<(), Refusal> {
    let Some(own) = &spec.coordinator.run else { return Ok(()) };
    let operators = network.operators.len() as u64;
    let (shards, rounds) = (most_shards(spec), own.epoch.rounds);
    let most = most_rounds(u64::from(shards) + operators - 1);
    if u64::from(rounds) > most {
        Err(Refusal::TooManyShards { shards, rounds, most })
    } else {
        Ok(())
    }
}

fn check_ports(spec: &MixNetworkSpec) -> Result<(), Refusal> {
    let Exposure { kind, peers, clients, coordinator_shards, coordinator_clients, .. } =
        spec.exposure;
    if kind != ExposureType::NodePort {
        return Ok(());
    }
    let coordinators = spec.coordinator.run.as_ref().map_or(0, |own| own.replicas);
    let ranges = [
        (most_shards(spec), peers, clients),
        (coordinators, coordinator_shards, coordinator_clients),
    ];
    match ranges.into_iter().find(|(ports, one, other)| one.abs_diff(*other) < *ports) {
        Some((ports, one, other)) => Err(Refusal::Ports { ports, one, other }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
