//! A row of predicted rounds and beats, beside what was published of other systems.

mod plot;

use std::fs;
use std::path::Path;

use antiphon_model::{BeatPrediction, Prediction, Scenario, predict, predict_beat};
use serde::Serialize;

use super::scale::{Assumptions, Machines};
use super::scale_arguments::CurveOver;
use super::{Figures, PlanArguments, PlanError};

/// Users of a curve over users.
const USERS: [u64; 11] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_000_000,
    4_000_000,
    8_000_000,
    16_000_000,
    32_000_000,
    64_000_000,
    100_000_000,
];
/// Links' delays of a curve over delays, in milliseconds.
const DELAYS: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0];
/// Shards of a curve over shards.
const SHARDS: [u16; 7] = [10, 20, 50, 100, 200, 500, 1000];
/// Users of a curve over shards or delays, if none are given.
const USERS_OVER_SHARDS: u64 = 2_000_000;

/// Latencies of Karaoke on 100 servers with 36 cores and 10 Gbit/s each: Lazar, Gilad and Zeldovich,
/// "Karaoke: Distributed Private Messaging Immune to Passive Traffic Analysis", OSDI 2018. The second
/// is read off a figure.
const KARAOKE: [Published; 2] = [
    Published { users: 2_000_000, shards: 100, latency_ms: 6800.0 },
    Published { users: 16_000_000, shards: 100, latency_ms: 28_000.0 },
];

/// What the authors of other systems published, each of something else: the book's comparison has the sources.
const OTHERS: [Other; 3] = [
    Other {
        system: "Yodel",
        users: 5_000_000,
        latency_ms: 990.0,
        conditions: "a packet of voice once the call stands; 100 servers across the internet",
    },
    Other {
        system: "Groove",
        users: 1_000_000,
        latency_ms: 32_000.0,
        conditions: "a message, 50 contacts each; 100 servers on two continents",
    },
    Other {
        system: "TEEMS",
        users: 1 << 20,
        latency_ms: 1000.0,
        conditions: "a message, in less than this; 205 cores with enclaves",
    },
];
/// Published without a latency.
const TRELLIS: &str =
    "Trellis: no latency published; 220 bits a second in all for 100,000 users on 64 servers.";

/// Rounds, named as the JSON names them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Curve {
    over: &'static str,
    points: Vec<Point>,
    /// Measured by its authors, not here.
    karaoke: Vec<Published>,
    /// The same, under conditions of their own. Only along users.
    others: Vec<Other>,
    assumptions: Assumptions,
}

/// One predicted round of the curve.
#[derive(Clone, Debug, Serialize)]
struct Point {
    users: u64,
    shards: usize,
    layers: u8,
    noise_per_shard: u32,
    delay_ms: f64,
    #[serde(flatten)]
    round: Prediction,
    /// A beat after it, if there are any.
    #[serde(flatten)]
    beat: Option<BeatPrediction>,
}

/// Latency that the authors of another system have published.
#[derive(Clone, Copy, Debug, Serialize)]
struct Other {
    system: &'static str,
    users: u64,
    latency_ms: f64,
    conditions: &'static str,
}

/// Latency that other work has published.
#[derive(Clone, Copy, Debug, Serialize)]
struct Published {
    users: u64,
    shards: usize,
    latency_ms: f64,
}

impl Curve {
    /// The rounds that the arguments ask for. Long, as each curve varies something else of one network.
    pub(super) fn of(over: CurveOver, arguments: &PlanArguments) -> Result<Self, PlanError> {
        let network = arguments.network_file()?;
        let machines = Machines::of(&arguments.scale, &network)?;
        let beats = arguments.scale.beats.of(&network, machines.assumptions.interval_s * 1e3)?;
        let point = |plan: &Figures, scenario: Scenario| -> Result<Point, PlanError> {
            let round = predict(&scenario, &machines.figures)?;
            let beat = beats.map(|beats| predict_beat(&scenario, &beats, &machines.figures));
            Ok(Point {
                users: scenario.users,
                shards: plan.shards,
                layers: plan.layers,
                noise_per_shard: plan.noise_per_shard,
                delay_ms: scenario.delay_ms,
                round,
                beat: beat.transpose()?,
            })
        };
        let plan = |network: &antiphon_wire::NetworkFile| {
            Figures::of(network, arguments.shards_per_operator, arguments.mix_target)
        };
        let users = arguments.scale.users.unwrap_or(USERS_OVER_SHARDS);
        let points: Result<Vec<_>, PlanError> = match over {
            CurveOver::Users => {
                let plan = plan(&network)?;
                USERS.iter().map(|&users| point(&plan, machines.scenario(&plan, users))).collect()
            }
            CurveOver::Delay => {
                let plan = plan(&network)?;
                let usual = machines.scenario(&plan, users);
                let of = |delay_ms| point(&plan, Scenario { delay_ms, ..usual });
                DELAYS.into_iter().map(of).collect()
            }
            CurveOver::Shards => {
                let of = |shards| -> Result<Point, PlanError> {
                    let equals = arguments.equals.with_operators(shards)?;
                    let plan = plan(&equals)?;
                    point(&plan, machines.scenario(&plan, users))
                };
                SHARDS.iter().map(|&shards| of(shards)).collect()
            }
        };
        let points = points?;
        // Only what differs from the curve in nothing but the system.
        let comparable = |published: &Published| match over {
            CurveOver::Users => points.iter().all(|point| point.shards == published.shards),
            CurveOver::Shards => points.iter().all(|point| point.users == published.users),
            // How long messages were under way is not said.
            CurveOver::Delay => false,
        };
        let karaoke = KARAOKE.into_iter().filter(comparable).collect();
        let over = match over {
            CurveOver::Users => "users",
            CurveOver::Shards => "shards",
            CurveOver::Delay => "delay",
        };
        let others = if over == "users" { OTHERS.to_vec() } else { Vec::new() };
        Ok(Self { over, karaoke, others, points, assumptions: machines.assumptions })
    }

    /// A table for people.
    pub(super) fn render(&self) -> String {
        let mut text = format!(
            "{:>11} {:>7} {:>8} {:>9} {:>9} {:>10} {:>8} {:>8} {:>8}\n",
            "users", "shards", "delay ms", "round s", "beat s", "Karaoke s", "load", "Gbit/s", "GB"
        );
        for Point { users, shards, delay_ms, round, beat, .. } in &self.points {
            let published = self.karaoke.iter().find(|p| p.users == *users && p.shards == *shards);
            let or_nothing = |ms: Option<f64>, digits: usize| {
                ms.map_or_else(String::new, |ms| format!("{:.digits$}", ms * 1e-3))
            };
            text += &format!(
                "{users:>11} {shards:>7} {delay_ms:>8} {:>9.2} {:>9} {:>10} {:>7.1}% {:>8.2} {:>8.2}\n",
                round.latency_ms * 1e-3,
                or_nothing(beat.as_ref().map(|beat| beat.latency_ms), 2),
                or_nothing(published.map(|p| p.latency_ms), 1),
                100.0 * (round.load + beat.as_ref().map_or(0.0, |beat| beat.beat_load)),
                round.bandwidth_per_shard_gbps
                    + beat.as_ref().map_or(0.0, |beat| beat.beat_bandwidth_per_shard_gbps),
                (round.memory_per_shard_bytes
                    + beat.as_ref().map_or(0.0, |beat| beat.beat_memory_per_shard_bytes))
                    * 1e-9,
            );
        }
        for Other { system, users, latency_ms, conditions } in &self.others {
            text +=
                &format!("{system}: {:.2} s for {users} users, {conditions}\n", latency_ms * 1e-3);
        }
        if !self.others.is_empty() {
            text += TRELLIS;
            text += "\n";
        }
        text + "\n" + &self.about() + "\n"
    }

    /// Assumptions of the curve, in a line or two.
    fn about(&self) -> String {
        let assumed = &self.assumptions;
        let links = match (assumed.link_gbps, assumed.delay_ms) {
            (Some(gbps), Some(delay)) => match self.over {
                "delay" => format!("{gbps} Gbit/s a machine, "),
                _ => format!("{gbps} Gbit/s, {delay} ms from machine to machine, "),
            },
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
