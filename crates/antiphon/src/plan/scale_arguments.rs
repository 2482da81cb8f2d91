//! Arguments of a prediction: machines, links and load.

use std::path::PathBuf;

use antiphon_wire::{NetworkFile, Suite};
use clap::{ArgGroup, Args, ValueEnum};

use super::beat_arguments::BeatArguments;
use super::figures::ROUND;
use crate::cli::values;

/// The load, the machines and the links.
#[derive(Clone, Debug, Args)]
#[command(
    group(ArgGroup::new("prediction").multiple(true).args(["users", "target_latency_s", "curve"])),
    next_help_heading = "How long a round takes"
)]
pub(crate) struct ScaleArguments {
    /// Predict the round of so many users
    #[arg(long, value_name = "N", value_parser = values::users)]
    pub(crate) users: Option<u64>,
    /// Cores of each shard's machine [default: 36, or this machine's with --this-machine]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=4096),
        requires = "prediction"
    )]
    pub(crate) cores: Option<u32>,
    /// Each shard's link, in each direction, in gigabits a second
    #[arg(
        long,
        value_name = "GBPS",
        default_value = "10",
        value_parser = values::gbps,
        requires = "prediction",
        conflicts_with = "this_machine"
    )]
    pub(crate) link_gbps: f64,
    /// How long every message between two machines is under way, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        default_value = "50",
        value_parser = values::delay_ms,
        requires = "prediction",
        conflicts_with = "this_machine"
    )]
    pub(crate) delay_ms: f64,
    /// Seconds between the starts of two rounds [default: 5, or the least that the policy allows with --beats]
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = values::seconds,
        requires = "prediction"
    )]
    pub(crate) interval: Option<f64>,
    /// Cryptographic suite of the onions: 1 is X25519, 2 is X25519 and ML-KEM-768 [default: the network file's, or
    /// 1, or 2 with --beats]
    #[arg(long, value_name = "N", requires = "prediction", conflicts_with = "network")]
    pub(crate) suite: Option<Suite>,
    /// What the machines can do: the file of `antiphon speed --json FILE` [default: a core of an AMD
    /// EPYC (Zen 4) at 2.6 GHz]
    #[arg(long, value_name = "FILE", requires = "prediction", conflicts_with = "this_machine")]
    pub(crate) speed: Option<PathBuf>,
    /// Measure this machine first, and put all shards, the coordinator and the clients on it
    #[arg(long, requires = "prediction")]
    pub(crate) this_machine: bool,
    /// Find the most users whose rounds take at most so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    pub(crate) target_latency_s: Option<f64>,
    /// Predict a row of rounds in place of one, and of beats with --beats, beside what was published of other systems
    #[arg(long, value_name = "OVER", conflicts_with_all = ["this_machine", "target_latency_s"])]
    pub(crate) curve: Option<CurveOver>,
    /// Draw the curve: a file that ends in .svg
    #[arg(long, value_name = "FILE", requires = "curve", value_parser = values::svg_file)]
    pub(crate) plot: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) beats: BeatArguments,
}

/// Quantity that varies along a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CurveOver {
    /// From 0.1 to 100 million users
    Users,
    /// Links with delays of 1 to 200 ms
    Delay,
    /// From 10 to 1000 shards
    Shards,
}

impl ScaleArguments {
    /// Seconds between the starts of two rounds of `network`.
    pub(super) fn interval_s(&self, network: &NetworkFile) -> f64 {
        let usual = match self.beats.are_wanted() {
            true => f64::from(network.policy.least_round_interval_ms) * 1e-3,
            false => ROUND.as_secs_f64(),
        };
        self.interval.unwrap_or(usual)
    }

    /// Returns `true` if a round is to be predicted.
    pub(crate) fn is_wanted(&self) -> bool {
        self.users.is_some() || self.target_latency_s.is_some()
    }
}
