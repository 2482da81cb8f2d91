//! Prediction of a round: its time and what it needs.

use std::path::Path;

use antiphon_model::{
    AtInterval, MachineFigures, Placement, Prediction, Scenario, SpeedReport, Spread,
    largest_users, predict, users_of_machine,
};
use antiphon_process::config_file::read_bounded;
use antiphon_wire::{NetworkFile, Suite};
use serde::Serialize;

use super::scale_arguments::ScaleArguments;
use super::{Figures, PlanError};
use crate::measurement;

/// The share of its cores' time that a machine is planned with.
const MOST_LOAD: f64 = 0.8;

/// A prediction, named as the JSON names it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ScaleFigures {
    /// Whose round it is, unless a target is given alone.
    pub(crate) users: Option<u64>,
    #[serde(flatten)]
    pub(crate) round: Option<Prediction>,
    /// What all shards send in a month, for each user.
    #[serde(flatten)]
    pub(crate) egress: Option<Egress>,
    pub(crate) target_latency_s: Option<f64>,
    /// The most users whose round takes no longer.
    pub(crate) largest_users_for_target: Option<u64>,
    pub(crate) assumptions: Assumptions,
}

/// What all shards send in a month of 30 days, for each user: what a metered link is paid for.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Egress {
    /// Bytes that all shards together send in a round, for each user.
    pub(crate) egress_bytes_per_user_and_round: f64,
    /// Rounds of 30 days, at the interval.
    pub(crate) rounds_per_month: f64,
    /// Their product.
    pub(crate) egress_bytes_per_user_and_month: f64,
}

pub(super) const MONTH_S: f64 = 30.0 * 86_400.0;

impl Egress {
    /// In a network with rounds of dead drops alone.
    fn of(round: &Prediction, shards: usize, users: u64, interval_s: f64) -> Self {
        let a_round = round.bytes_sent_per_shard * shards as f64 / users as f64;
        let rounds = MONTH_S / interval_s;
        Self {
            egress_bytes_per_user_and_round: a_round,
            rounds_per_month: rounds,
            egress_bytes_per_user_and_month: a_round * rounds,
        }
    }
}

/// Assumptions that a prediction rests on.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Assumptions {
    /// Machine whose figures are used, in words.
    pub(crate) machine: String,
    /// True if all shards share one machine.
    pub(crate) one_machine: bool,
    pub(crate) cores: u32,
    /// Of no meaning on one machine.
    pub(crate) link_gbps: Option<f64>,
    /// Of no meaning on one machine.
    pub(crate) delay_ms: Option<f64>,
    pub(crate) interval_s: f64,
    pub(crate) body_bytes: u16,
    pub(crate) suite: u8,
    pub(crate) peel_us: f64,
    pub(crate) build_us_per_hop: f64,
}

/// Machines and links, for networks of any size.
#[derive(Clone, Debug)]
pub(super) struct Machines {
    pub(super) figures: MachineFigures,
    pub(super) assumptions: Assumptions,
    suite: Suite,
    /// Canaries are made with the noise, as they are where beats follow rounds.
    has_canaries: bool,
}

impl Machines {
    /// Those that the arguments describe, for the rounds of `network`; this one is measured if it is asked for.
    pub(super) fn of(arguments: &ScaleArguments, network: &NetworkFile) -> Result<Self, PlanError> {
        let suite = network.policy.suite;
        let (figures, machine, cores) = if arguments.this_machine {
            let report = measurement::measure(true).map_err(Box::new)?;
            (report.figures(), format!("this machine: {}", report.processor), report.cores as u32)
        } else if let Some(path) = &arguments.speed {
            let report = read(path)?;
            (report.figures(), format!("{}: {}", path.display(), report.processor), Scenario::CORES)
        } else {
            let machine = "reference: AMD EPYC (Zen 4), 2.6 GHz".to_owned();
            (MachineFigures::REFERENCE, machine, Scenario::CORES)
        };
        let apart = !arguments.this_machine;
        let (peel, build) = match suite {
            Suite::Classic => (0.0, 0.0),
            Suite::Hybrid => (figures.kem_peel_us, figures.kem_build_us_per_hop),
        };
        let cores = arguments.cores.unwrap_or(cores);
        let assumptions = Assumptions {
            machine,
            one_machine: arguments.this_machine,
            cores,
            link_gbps: apart.then_some(arguments.link_gbps),
            delay_ms: apart.then_some(arguments.delay_ms),
            interval_s: arguments.interval_s(network),
            body_bytes: Scenario::BODY,
            suite: suite.number(),
            peel_us: figures.peel_us + peel,
            build_us_per_hop: figures.build_us_per_hop + build,
        };
        let has_canaries = arguments.beats.are_wanted();
        Ok(Self { figures, assumptions, suite, has_canaries })
    }

    /// The network of `plan` on these machines.
    pub(super) fn scenario(&self, plan: &Figures, users: u64) -> Scenario {
        let Assumptions { cores, interval_s, .. } = self.assumptions;
        let interval_ms = interval_s * 1e3;
        let canaries = if self.has_canaries { 2 * u32::from(plan.canaries) } else { 0 };
        let usual = of_plan(plan, users);
        let noise_per_shard = usual.noise_per_shard + canaries;
        let network = Scenario { interval_ms, suite: self.suite, noise_per_shard, ..usual };
        match (self.assumptions.link_gbps, self.assumptions.delay_ms) {
            (Some(link_gbps), Some(delay_ms)) => {
                Scenario { placement: Placement::Apart { cores }, link_gbps, delay_ms, ..network }
            }
            _ => network.on_one_machine(cores),
        }
    }
}

/// The network of `plan`, with machines that have nothing to do with it. It has at most 1000 operators with 64
/// shards each.
fn of_plan(plan: &Figures, users: u64) -> Scenario {
    Scenario::usual(users, plan.shards as u32, plan.layers, plan.noise_per_shard)
}

impl ScaleFigures {
    /// Makes the predictions that the arguments ask for, of the network of `plan` on `machines`.
    pub(super) fn of(
        plan: &Figures,
        machines: &Machines,
        arguments: &ScaleArguments,
    ) -> Result<Self, PlanError> {
        let round = arguments
            .users
            .map(|users| predict(&machines.scenario(plan, users), &machines.figures))
            .transpose()?;
        // With beats or mailbox rounds there is more than this, which is said with them.
        let alone = round.as_ref().filter(|_| !arguments.beats.are_wanted());
        let egress = alone.zip(arguments.users).map(|(round, users)| {
            Egress::of(round, plan.shards, users, machines.assumptions.interval_s)
        });
        let largest = arguments
            .target_latency_s
            .map(|target| largest_users(&machines.scenario(plan, 1), &machines.figures, target))
            .transpose()?;
        Ok(Self {
            users: arguments.users,
            round,
            egress,
            target_latency_s: arguments.target_latency_s,
            largest_users_for_target: largest,
            assumptions: machines.assumptions.clone(),
        })
    }
}

/// The users that a machine of `report` serves as a shard of the network of `plan`, with a link that
/// is never in the way.
pub(super) fn carried(
    report: &SpeedReport,
    plan: &Figures,
    interval_s: f64,
) -> Result<AtInterval, PlanError> {
    let figures = report.figures();
    let scenario = Scenario {
        placement: Placement::Apart { cores: report.cores as u32 },
        link_gbps: 100_000.0,
        delay_ms: 0.0,
        interval_ms: interval_s * 1e3,
        spread: Spread::NONE,
        ..of_plan(plan, 1)
    };
    let all = users_of_machine(&scenario, &figures, MOST_LOAD)?;
    let round = predict(&Scenario { users: all.max(1), ..scenario }, &figures)?;
    Ok(AtInterval {
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

/// Reads a file that `antiphon speed --json` wrote.
pub(super) fn read(path: &Path) -> Result<SpeedReport, PlanError> {
    let text = read_bounded(path)
        .map_err(|source| PlanError::ReadSpeed { path: path.to_owned(), source })?;
    serde_json::from_str(&text)
        .map_err(|source| PlanError::SpeedFile { path: path.to_owned(), source })
}
