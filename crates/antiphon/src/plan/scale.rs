//! How long a round takes, and what it needs.

use std::path::Path;

use antiphon_model::{
    MachineFigures, Placement, Prediction, Scenario, Spread, largest_users, predict,
    users_of_machine,
};
use antiphon_process::config_file::read_bounded;
use antiphon_verify::FilterPrecision;
use serde::{Serialize, Serializer};

use super::scale_arguments::ScaleArguments;
use super::{Figures, PlanError};
use crate::speed::{self, SpeedReport};

/// Bytes of a body, as the coordinator proposes.
const BODY: u16 = 256;
/// Cores of each machine if none are given: what Karaoke was measured on.
const CORES: u32 = 36;
/// Where the model's randomness comes from: the same plan gives the same figures.
const SEED: u64 = 1;
/// The share of its cores' time that a machine is planned with.
const MOST_LOAD: f64 = 0.8;

/// A prediction, named as the JSON names it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ScaleFigures {
    /// Whose round it is, unless a target is given alone.
    pub(crate) users: Option<u64>,
    #[serde(flatten)]
    pub(crate) round: Option<RoundFigures>,
    pub(crate) target_latency_s: Option<f64>,
    /// The most users whose round takes no longer.
    pub(crate) largest_users_for_target: Option<u64>,
    pub(crate) assumptions: Assumptions,
}

/// One predicted round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RoundFigures {
    /// From the coordinator's opening until the last client has its replies.
    pub(crate) predicted_latency_ms: f64,
    /// Where it goes, in milliseconds.
    #[serde(serialize_with = "as_map")]
    pub(crate) phases: Vec<(&'static str, f64)>,
    /// Onions in a layer, noise included.
    pub(crate) onions: f64,
    /// For one round, noise included.
    pub(crate) cpu_s_per_shard: f64,
    pub(crate) noise_cpu_s_per_shard: f64,
    /// Of the cores' time, at the interval.
    pub(crate) load: f64,
    pub(crate) bandwidth_per_shard_gbps: f64,
    pub(crate) bytes_sent_per_shard: f64,
    pub(crate) bytes_received_per_shard: f64,
    pub(crate) memory_per_shard_bytes: f64,
    pub(crate) bytes_per_client_up: f64,
    pub(crate) bytes_per_client_down: f64,
}

/// What a prediction rests on.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Assumptions {
    /// Whose figures.
    pub(crate) machine: String,
    /// Whether all shards share one machine.
    pub(crate) one_machine: bool,
    pub(crate) cores: u32,
    /// Of no meaning on one machine.
    pub(crate) link_gbps: Option<f64>,
    /// Of no meaning on one machine.
    pub(crate) delay_ms: Option<f64>,
    pub(crate) interval_s: f64,
    pub(crate) body_bytes: u16,
    pub(crate) peel_us: f64,
    pub(crate) build_us_per_hop: f64,
}

/// Machines and links, for networks of any size.
#[derive(Clone, Debug)]
pub(super) struct Machines {
    pub(super) figures: MachineFigures,
    pub(super) assumptions: Assumptions,
    placement: Placement,
    link_gbps: f64,
    delay_ms: f64,
    interval_ms: f64,
    spread: Spread,
}

impl Machines {
    /// Those that the arguments describe; this one is measured if it is asked for.
    pub(super) fn of(arguments: &ScaleArguments) -> Result<Self, PlanError> {
        if arguments.this_machine {
            let report = speed::measure(true).map_err(Box::new)?;
            return Ok(Self::this(&report, arguments.cores, arguments.interval));
        }
        let (figures, machine) = if let Some(path) = &arguments.speed {
            let report = read(path)?;
            (report.figures(), format!("{}: {}", path.display(), report.processor))
        } else {
            (MachineFigures::REFERENCE, "reference: AMD EPYC (Zen 4), 2.6 GHz".to_owned())
        };
        let cores = arguments.cores.unwrap_or(CORES);
        Ok(Self {
            figures,
            assumptions: Assumptions {
                machine,
                one_machine: false,
                cores,
                link_gbps: Some(arguments.link_gbps),
                delay_ms: Some(arguments.delay_ms),
                interval_s: arguments.interval,
                body_bytes: BODY,
                peel_us: figures.peel_us,
                build_us_per_hop: figures.build_us_per_hop,
            },
            placement: Placement::Apart { cores },
            link_gbps: arguments.link_gbps,
            delay_ms: arguments.delay_ms,
            interval_ms: arguments.interval * 1e3,
            spread: Spread::USUAL,
        })
    }

    /// The machine of `report`, with all shards, the coordinator and the clients on it.
    pub(super) fn this(report: &SpeedReport, cores: Option<u32>, interval_s: f64) -> Self {
        let figures = report.figures();
        let cores = cores.unwrap_or(report.cores as u32);
        Self {
            figures,
            assumptions: Assumptions {
                machine: format!("this machine: {}", report.processor),
                one_machine: true,
                cores,
                link_gbps: None,
                delay_ms: None,
                interval_s,
                body_bytes: BODY,
                peel_us: figures.peel_us,
                build_us_per_hop: figures.build_us_per_hop,
            },
            placement: Placement::Together { cores },
            link_gbps: 1.0,
            delay_ms: 0.0,
            interval_ms: interval_s * 1e3,
            // One machine is as fast as itself, but batches differ in size all the same.
            spread: Spread { shards: 0.0, steps: 0.01 },
        }
    }

    /// The network of `plan` on these machines.
    pub(super) fn scenario(&self, plan: &Figures, users: u64) -> Scenario {
        Scenario {
            users,
            pairs: 1,
            // At most 1000 operators with 64 shards each.
            shards: plan.shards as u32,
            layers: plan.layers,
            body: BODY,
            noise_per_shard: plan.noise_per_shard,
            filter_bits: FilterPrecision::default().hashes(),
            placement: self.placement,
            link_gbps: self.link_gbps,
            delay_ms: self.delay_ms,
            interval_ms: self.interval_ms,
            spread: self.spread,
            seed: SEED,
        }
    }
}

impl ScaleFigures {
    /// What the arguments ask for, of the network of `plan`.
    pub(super) fn of(plan: &Figures, arguments: &ScaleArguments) -> Result<Self, PlanError> {
        let machines = Machines::of(arguments)?;
        let round = arguments
            .users
            .map(|users| predict(&machines.scenario(plan, users), &machines.figures))
            .transpose()?;
        let largest = arguments
            .target_latency_s
            .map(|target| largest_users(&machines.scenario(plan, 1), &machines.figures, target))
            .transpose()?;
        Ok(Self {
            users: arguments.users,
            round: round.map(RoundFigures::from),
            target_latency_s: arguments.target_latency_s,
            largest_users_for_target: largest,
            assumptions: machines.assumptions,
        })
    }
}

impl From<Prediction> for RoundFigures {
    fn from(round: Prediction) -> Self {
        Self {
            predicted_latency_ms: round.latency_ms,
            phases: round.phases.named().to_vec(),
            onions: round.onions,
            cpu_s_per_shard: round.cpu_s_per_shard,
            noise_cpu_s_per_shard: round.noise_cpu_s_per_shard,
            load: round.load,
            bandwidth_per_shard_gbps: round.bandwidth_per_shard_gbps,
            bytes_sent_per_shard: round.bytes_sent_per_shard,
            bytes_received_per_shard: round.bytes_received_per_shard,
            memory_per_shard_bytes: round.memory_per_shard_bytes,
            bytes_per_client_up: round.bytes_per_client_up,
            bytes_per_client_down: round.bytes_per_client_down,
        }
    }
}

/// In the order of the round.
fn as_map<S: Serializer>(phases: &[(&'static str, f64)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(phases.iter().copied())
}

/// The users that a machine of `report` serves as a shard of the network of `plan`, with a link that
/// is never in the way.
pub(super) fn carried(
    report: &SpeedReport,
    plan: &Figures,
    interval_s: f64,
) -> Result<speed::AtInterval, PlanError> {
    let figures = report.figures();
    let scenario = Scenario {
        users: 1,
        pairs: 1,
        shards: plan.shards as u32,
        layers: plan.layers,
        body: BODY,
        noise_per_shard: plan.noise_per_shard,
        filter_bits: FilterPrecision::default().hashes(),
        placement: Placement::Apart { cores: report.cores as u32 },
        link_gbps: 100_000.0,
        delay_ms: 0.0,
        interval_ms: interval_s * 1e3,
        spread: Spread::NONE,
        seed: SEED,
    };
    let all = users_of_machine(&scenario, &figures, MOST_LOAD)?;
    let round = predict(&Scenario { users: all.max(1), ..scenario }, &figures)?;
    Ok(speed::AtInterval {
        interval_s,
        network_shards: plan.shards as u16,
        noise_per_shard: plan.noise_per_shard,
        users_at_interval: all / plan.shards as u64,
        network_users_at_interval: all,
        most_load: MOST_LOAD,
        gbps_at_interval: round.bandwidth_per_shard_gbps,
        memory_at_interval_bytes: round.memory_per_shard_bytes,
    })
}

/// What `antiphon speed` wrote.
pub(super) fn read(path: &Path) -> Result<SpeedReport, PlanError> {
    let text = read_bounded(path)
        .map_err(|source| PlanError::ReadSpeed { path: path.to_owned(), source })?;
    serde_json::from_str(&text)
        .map_err(|source| PlanError::SpeedFile { path: path.to_owned(), source })
}
