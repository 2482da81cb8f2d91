//! A row of predicted rounds, beside what was published of Karaoke.

mod plot;

use std::fs;
use std::path::Path;

use antiphon_model::{Prediction, predict};
use serde::Serialize;

use super::scale::{Assumptions, Machines};
use super::scale_arguments::CurveOver;
use super::{Figures, PlanArguments, PlanError};

/// Users of a curve over users.
const USERS: [u64; 9] =
    [100_000, 250_000, 500_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000, 32_000_000];
/// Shards of a curve over shards.
const SHARDS: [u16; 7] = [10, 20, 50, 100, 200, 500, 1000];
/// Users of a curve over shards, if none are given.
const USERS_OVER_SHARDS: u64 = 2_000_000;

/// Latencies of Karaoke on 100 servers with 36 cores and 10 Gbit/s each: Lazar, Gilad and Zeldovich,
/// "Karaoke: Distributed Private Messaging Immune to Passive Traffic Analysis", OSDI 2018. The second
/// is read off a figure.
const KARAOKE: [Published; 2] = [
    Published { users: 2_000_000, shards: 100, latency_ms: 6800.0 },
    Published { users: 16_000_000, shards: 100, latency_ms: 28_000.0 },
];

/// Rounds, named as the JSON names them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Curve {
    over: &'static str,
    points: Vec<Point>,
    /// Measured by its authors, not here.
    karaoke: Vec<Published>,
    assumptions: Assumptions,
}

/// One predicted round of the curve.
#[derive(Clone, Debug, Serialize)]
struct Point {
    users: u64,
    shards: usize,
    layers: u8,
    noise_per_shard: u32,
    #[serde(flatten)]
    round: Prediction,
}

/// Latency that other work has published.
#[derive(Clone, Copy, Debug, Serialize)]
struct Published {
    users: u64,
    shards: usize,
    latency_ms: f64,
}

impl Curve {
    /// The rounds that the arguments ask for.
    pub(super) fn of(over: CurveOver, arguments: &PlanArguments) -> Result<Self, PlanError> {
        let machines = Machines::of(&arguments.scale, arguments.network_file()?.policy.suite)?;
        let point = |plan: &Figures, users| -> Result<Point, PlanError> {
            let round = predict(&machines.scenario(plan, users), &machines.figures)?;
            Ok(Point {
                users,
                shards: plan.shards,
                layers: plan.layers,
                noise_per_shard: plan.noise_per_shard,
                round,
            })
        };
        let plan = |network: &antiphon_wire::NetworkFile| {
            Figures::of(network, arguments.shards_per_operator, arguments.mix_target)
        };
        let points: Result<Vec<_>, PlanError> = match over {
            CurveOver::Users => {
                let plan = plan(&arguments.network_file()?)?;
                USERS.iter().map(|&users| point(&plan, users)).collect()
            }
            CurveOver::Shards => {
                let users = arguments.scale.users.unwrap_or(USERS_OVER_SHARDS);
                let of = |shards| -> Result<Point, PlanError> {
                    let equals = arguments.equals.with_operators(shards)?;
                    point(&plan(&equals)?, users)
                };
                SHARDS.iter().map(|&shards| of(shards)).collect()
            }
        };
        let points = points?;
        // Only what differs from the curve in nothing but the system.
        let comparable = |published: &Published| match over {
            CurveOver::Users => points.iter().all(|point| point.shards == published.shards),
            CurveOver::Shards => points.iter().all(|point| point.users == published.users),
        };
        let karaoke = KARAOKE.into_iter().filter(comparable).collect();
        let over = match over {
            CurveOver::Users => "users",
            CurveOver::Shards => "shards",
        };
        Ok(Self { over, karaoke, points, assumptions: machines.assumptions })
    }

    /// A table for people.
    pub(super) fn render(&self) -> String {
        let mut text = format!(
            "{:>11} {:>7} {:>12} {:>10} {:>8} {:>8} {:>8}\n",
            "users", "shards", "latency s", "Karaoke s", "load", "Gbit/s", "GB"
        );
        for Point { users, shards, round, .. } in &self.points {
            let published = self.karaoke.iter().find(|p| p.users == *users && p.shards == *shards);
            text += &format!(
                "{users:>11} {shards:>7} {:>12.2} {:>10} {:>7.1}% {:>8.2} {:>8.2}\n",
                round.latency_ms * 1e-3,
                published.map_or_else(String::new, |p| format!("{:.1}", p.latency_ms * 1e-3)),
                100.0 * round.load,
                round.bandwidth_per_shard_gbps,
                round.memory_per_shard_bytes * 1e-9,
            );
        }
        text + "\n" + &self.about() + "\n"
    }

    /// Assumptions of the curve, in a line or two.
    fn about(&self) -> String {
        let assumed = &self.assumptions;
        let links = match (assumed.link_gbps, assumed.delay_ms) {
            (Some(gbps), Some(delay)) => {
                format!("{gbps} Gbit/s, {delay} ms from machine to machine, ")
            }
            _ => String::new(),
        };
        format!(
            "Predicted: {} cores a shard ({}),\n{links}a round every {} s; noise and hops of the \
             guarantee.\nKaraoke: as published, on 36 cores and 10 Gbit/s a server.",
            assumed.cores, assumed.machine, assumed.interval_s
        )
    }

    /// Writes the curve as a drawing.
    pub(super) fn plot(&self, path: &Path) -> Result<(), PlanError> {
        fs::write(path, plot::draw(self))
            .map_err(|source| PlanError::Plot { path: path.to_owned(), source })
    }
}
