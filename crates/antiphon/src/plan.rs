//! `antiphon plan`: what a network costs and what it promises.

mod beat_arguments;
mod beats;
mod beats_text;
mod curve;
mod error;
mod figures;
mod mailboxes;
mod outlook;
mod possible;
mod scale;
mod scale_arguments;
mod scale_text;
mod solved;
mod text;

use std::path::PathBuf;

use antiphon_model::{AtInterval, SpeedReport};
use antiphon_wire::NetworkFile;
use clap::Args;
use serde::Serialize;

use crate::cli::json::JsonArguments;
use crate::cli::network::NetworkArguments;
use crate::cli::network_file;
use crate::cli::values;
use crate::exit::EXIT_CODES;

use beats::{BeatFigures, Planned};
use curve::Curve;
pub(crate) use error::PlanError;
pub(crate) use figures::Figures;
use mailboxes::MailboxFigures;
use outlook::Outlook;
use scale::{Machines, ScaleFigures};
use scale_arguments::{CurveOver, ScaleArguments};
use solved::Solved;
pub(crate) use text::short;

/// Show what a network costs and what it promises
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Show what a network costs and what it promises: hops, noise, and what an adversary learns at most.

The noise is the least that keeps epsilon and delta over the disturbed rounds of one conversation, \
counting the honest operators alone, whichever ones those are. delta_mix says how far from \
perfectly mixed the onions of a conversation are in a round, and `peek` how often one of them has \
malicious hops alone, so that whoever looks first can drop another and know. Both come beside epsilon and \
delta. The total is all of it in one figure, over the policy's time at its least round interval. All \
operators are counted as present: an epoch from which some are absent has a higher f, and with it more \
hops and noise.

With --users, it also predicts how long a round takes and what it needs, by simulating its batches on \
machines and links that you describe.

Examples:
  antiphon plan
      five operators, one of them malicious, with the default guarantee
  antiphon plan --shards 100 --epsilon ln4 --delta 1e-4 --disturbed 245
      a large network with a guarantee like that of Karaoke's paper
  antiphon plan --shards 5 --mix-target 1e-12
      as many mixing hops as it takes to prove that delta_mix and peek come to 1e-12 a round at most
  antiphon plan --total-delta 1e-3
      as many as it takes for everything together to add 1e-3 to delta in a year at most
  antiphon plan --network network.toml --json -
      the operators and policy of a network file, as JSON
  antiphon plan --users 2000000 --shards 100 --cores 36 --link-gbps 10 --delay-ms 50
      how long a round of two million users takes
  antiphon plan --users 10000 --shards 5 --this-machine
      the same for a test on this machine, as `antiphon load` makes it
  antiphon plan --users 2000000 --shards 100 --beats --mailboxes --delay-ms 25
      rounds five minutes apart and the beats that follow them: latency of both, bytes of a month, memory
  antiphon plan --shards 100 --curve users --plot users.svg
      latency from 0.1 to 100 million users, beside what others published"
)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    equals: NetworkArguments,
    /// Shards that each operator runs
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=64)
    )]
    shards_per_operator: u16,
    /// Take operators, weights and policy from this network file
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "shards", "malicious", "epsilon", "delta", "disturbed", "total_delta", "pairs"
        ]
    )]
    network: Option<PathBuf>,
    /// Raise the mixing hops until delta_mix and peek of a round are proven to be at most this together
    #[arg(long, value_name = "PROBABILITY", value_parser = values::probability)]
    mix_target: Option<f64>,
    #[command(flatten)]
    scale: ScaleArguments,
    #[command(flatten)]
    json: JsonArguments,
}

/// All that a plan hands over.
#[derive(Debug, Serialize)]
struct Plan {
    #[serde(flatten)]
    figures: Figures,
    #[serde(flatten)]
    outlook: Outlook,
    #[serde(flatten)]
    mailboxes: Option<MailboxFigures>,
    #[serde(flatten)]
    scale: Option<ScaleFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    beats: Option<BeatFigures>,
}

/// Makes the plan and prints it.
pub(crate) fn run(arguments: &PlanArguments) -> Result<(), PlanError> {
    if let Some(over) = arguments.scale.curve {
        arguments.check_curve(over)?;
        let curve = Curve::of(over, arguments)?;
        if let Some(path) = &arguments.scale.plot {
            curve.plot(path)?;
        }
        arguments.json.deliver(&curve, &curve.render())?;
        return Ok(());
    }
    let network = arguments.network_file()?;
    let solved = Solved::of(&network, arguments.shards_per_operator)?;
    let figures = Figures::of_solved(&solved, &network, arguments.mix_target)?;
    let outlook = Outlook::of(&solved, figures.hops)?;
    let mailboxes = MailboxFigures::of(&solved, &network, figures.hops);
    let wanted = &arguments.scale;
    let machines = wanted.is_wanted().then(|| Machines::of(wanted, &network)).transpose()?;
    let scale = machines.as_ref();
    let scale = scale.map(|machines| ScaleFigures::of(&figures, machines, wanted)).transpose()?;
    let beats = match (&machines, wanted.users) {
        (Some(machines), Some(users)) => {
            let interval_ms = machines.assumptions.interval_s * 1e3;
            let planned = Planned {
                network: &network,
                solved: &solved,
                figures: &figures,
                outlook: &outlook,
                mailboxes: mailboxes.as_ref(),
                machines,
                users,
            };
            let beats = wanted.beats.of(&network, interval_ms)?;
            beats.map(|beats| BeatFigures::of(&planned, &beats)).transpose()?
        }
        _ => None,
    };
    let plan = Plan { figures, outlook, mailboxes, scale, beats };
    arguments.json.deliver(&plan, &plan.render())?;
    Ok(())
}

impl Plan {
    fn render(&self) -> String {
        let mut text = text::render(&self.figures, &self.outlook);
        let mailboxes = self.mailboxes.as_ref().map(MailboxFigures::render);
        let scale = self.scale.as_ref().map(scale_text::render);
        let beats = self.beats.as_ref().map(beats_text::render);
        for part in [mailboxes, scale, beats].into_iter().flatten() {
            text += "\n";
            text += &part;
        }
        text
    }
}

/// The users that a machine serves as one of the shards of `network`, with rounds at the interval.
pub(crate) fn carried(
    report: &SpeedReport,
    network: &Figures,
    interval_s: f64,
) -> Result<AtInterval, PlanError> {
    scale::carried(report, network, interval_s)
}

impl PlanArguments {
    /// Refuses what a curve varies by itself.
    fn check_curve(&self, over: CurveOver) -> Result<(), PlanError> {
        match over {
            CurveOver::Users if self.scale.users.is_some() => Err(PlanError::Arguments(
                "--curve users goes from 0.1 to 100 million users by itself: leave --users out",
            )),
            CurveOver::Shards if self.network.is_some() => Err(PlanError::Arguments(
                "--curve shards goes from 10 to 1000 equal operators by itself: leave --network out",
            )),
            _ => Ok(()),
        }
    }

    fn network_file(&self) -> Result<NetworkFile, PlanError> {
        match &self.network {
            Some(path) => Ok(network_file::read(path)?),
            None => {
                let NetworkFile { operators, policy, .. } = self.equals.file()?;
                let scale = &self.scale;
                let mut policy = scale.beats.policy(scale.interval, policy);
                policy.suite = scale.suite.unwrap_or(policy.suite);
                Ok(NetworkFile::new(operators, policy)?)
            }
        }
    }
}
