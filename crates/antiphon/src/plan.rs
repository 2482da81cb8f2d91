//! `antiphon plan`: what a network costs and what it promises.

mod axis;
mod calibrate;
mod curve;
mod figures;
mod network;
mod scale;
mod scale_arguments;
mod scale_text;
mod text;
mod worst_case;

use std::io;
use std::path::PathBuf;

use antiphon_dp_noise::{CheckError, ShareError, SolveError};
use antiphon_routing::{PathLengthError, RulesError};
use antiphon_sim::scale::{ScenarioError, SearchError};
use antiphon_wire::{NetworkFile, NetworkFileError, Policy};
use clap::Args;
use serde::Serialize;

use crate::cli::guarantee::GuaranteeArguments;
use crate::cli::values;
use crate::exit::{EXIT_CODES, Exit, Exits};
use crate::output::{self, JsonTarget, OutputError};
use crate::speed::{AtInterval, SpeedError, SpeedReport};

use calibrate::CalibrationError;
use curve::Curve;
pub(crate) use figures::Figures;
use scale::ScaleFigures;
use scale_arguments::ScaleArguments;

/// Show what a network costs and what it promises
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Show what a network costs and what it promises: hops, noise, and what an adversary learns at most.

The noise is the least that keeps epsilon and delta over the disturbed rounds of one conversation, \
counting the honest operators alone, whichever ones those are. delta_mix says how far from \
perfectly mixed the onions of a conversation are in a round; it comes beside epsilon and delta in \
every round, disturbed or not. All operators are counted as present: an epoch from which some are \
absent has a higher f, and with it more hops and noise.

With --users, it also predicts how long a round takes and what it needs, by simulating its batches on \
machines and links that you describe.

Examples:
  antiphon plan
      five operators, one of them malicious, with the default guarantee
  antiphon plan --shards 100 --epsilon ln4 --delta 1e-4 --disturbed 245
      a large network with a guarantee like that of Karaoke's paper
  antiphon plan --shards 5 --mix-target 1e-12
      as many mixing hops as it takes to prove that delta_mix is at most 1e-12 a round
  antiphon plan --network network.toml --json -
      the operators and policy of a network file, as JSON
  antiphon plan --users 2000000 --shards 100 --cores 36 --link-gbps 10 --delay-ms 50
      how long a round of two million users takes
  antiphon plan --users 10000 --shards 5 --this-machine
      the same for a test on this machine, as `antiphon load` makes it
  antiphon plan --shards 100 --curve users --plot users.svg
      latency from 0.1 to 32 million users, beside Karaoke's"
)]
pub(crate) struct PlanArguments {
    /// Operators of equal weight, with one shard each unless --shards-per-operator says more
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..=1000)
    )]
    shards: u16,
    /// Shards that each operator runs
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=64)
    )]
    shards_per_operator: u16,
    #[command(flatten)]
    guarantee: GuaranteeArguments,
    /// Take operators, weights and policy from this network file
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["shards", "malicious", "epsilon", "delta", "disturbed"]
    )]
    network: Option<PathBuf>,
    /// Raise the mixing hops until delta_mix of a round is proven to be at most this
    #[arg(long, value_name = "PROBABILITY", value_parser = values::probability)]
    mix_target: Option<f64>,
    #[command(flatten)]
    scale: ScaleArguments,
    /// Write the figures as JSON to this file, or to standard output in place of the text: -
    #[arg(long, value_name = "PATH")]
    json: Option<JsonTarget>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// The network file cannot be read.
    #[error("cannot read the network file {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The network file makes no sense.
    #[error("network file {path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: NetworkFileError,
    },
    /// The values on the command line make no network.
    #[error(transparent)]
    Policy(#[from] NetworkFileError),
    /// The operators make no epoch.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// No noise is enough.
    #[error(transparent)]
    Noise(#[from] SolveError),
    /// The noise found is refused.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// No path is long enough.
    #[error(transparent)]
    MixTarget(#[from] PathLengthError),
    /// The round cannot be predicted.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// No load is small enough.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// This machine cannot be measured.
    #[error(transparent)]
    Speed(#[from] Box<SpeedError>),
    /// The machine's figures cannot be read.
    #[error("cannot read the speed file {path}: {source}")]
    ReadSpeed {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The machine's figures are none.
    #[error("{path} is not what `antiphon speed --json` writes: {source}")]
    SpeedFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The plot cannot be written.
    #[error("cannot write {path}: {source}")]
    Plot {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The model cannot be compared with runs.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The plan is made but cannot be handed over.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Exits for PlanError {
    fn exit(&self) -> Exit {
        match self {
            Self::Read { .. }
            | Self::File { .. }
            | Self::Policy(_)
            | Self::Scenario(_)
            | Self::Search(SearchError::Scenario(_))
            | Self::ReadSpeed { .. }
            | Self::SpeedFile { .. }
            | Self::Noise(SolveError::Share(ShareError::Empty(_) | ShareError::TooMany(_))) => {
                Exit::Usage
            }
            Self::Rules(_)
            | Self::Noise(_)
            | Self::Check(_)
            | Self::MixTarget(_)
            | Self::Search(SearchError::Unreachable { .. })
            | Self::Plot { .. }
            | Self::Calibration(_) => Exit::Failed,
            Self::Speed(error) => error.exit(),
            Self::Output(error) => error.exit(),
        }
    }
}

/// All that a plan hands over.
#[derive(Debug, Serialize)]
struct Plan {
    #[serde(flatten)]
    figures: Figures,
    #[serde(flatten)]
    scale: Option<ScaleFigures>,
}

/// Makes the plan and prints it.
pub(crate) fn run(arguments: &PlanArguments) -> Result<(), PlanError> {
    if let Some(folder) = &arguments.scale.calibrate {
        return calibrate::run(folder, arguments);
    }
    if let Some(over) = arguments.scale.curve {
        let curve = Curve::of(over, arguments)?;
        if let Some(path) = &arguments.scale.plot {
            curve.plot(path)?;
        }
        output::deliver(arguments.json.as_ref(), &curve, &curve.render())?;
        return Ok(());
    }
    let network = arguments.network_file()?;
    let figures = Figures::of(&network, arguments.shards_per_operator, arguments.mix_target)?;
    let scale = arguments
        .scale
        .is_wanted()
        .then(|| ScaleFigures::of(&figures, &arguments.scale))
        .transpose()?;
    let mut text = text::render(&figures);
    if let Some(scale) = &scale {
        text += "\n";
        text += &scale_text::render(scale);
    }
    output::deliver(arguments.json.as_ref(), &Plan { figures, scale }, &text)?;
    Ok(())
}

/// The users that a machine serves as one of so many shards, each of an operator of its own.
pub(crate) fn carried(
    report: &SpeedReport,
    shards: u16,
    guarantee: &GuaranteeArguments,
    interval_s: f64,
) -> Result<AtInterval, PlanError> {
    let network = network::of_equals(shards, policy(guarantee))?;
    scale::carried(report, &Figures::of(&network, 1, None)?, interval_s)
}

impl PlanArguments {
    fn network_file(&self) -> Result<NetworkFile, PlanError> {
        match &self.network {
            Some(path) => network::read(path),
            None => Ok(network::of_equals(self.shards, policy(&self.guarantee))?),
        }
    }
}

/// The policy that asks for a guarantee. Nothing but the rule for f decides about the hops.
fn policy(guarantee: &GuaranteeArguments) -> Policy {
    guarantee.policy(Policy { least_mixing_hops: 2, ..Policy::default() })
}
