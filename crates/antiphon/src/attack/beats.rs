//! `antiphon attack --beats`: adversaries against the beats of rounds.

use antiphon_attack::beats::{Act, Flaw, Played, every_play, play};
use serde::Serialize;

use super::AttackCommandError;
use crate::cli::json::JsonArguments;

/// Rounds of each measurement, unless it is said.
const ROUNDS: u64 = 20;

/// A strategy on one network, as JSON has it.
#[derive(Clone, Copy, Debug, Serialize)]
struct BeatReport {
    strategy: &'static str,
    does: &'static str,
    network: &'static str,
    rounds: u64,
    /// Rounds in which the adversary saw something that a simulator does not show it.
    told_apart: u64,
    as_it_should_be: bool,
}

impl From<Played> for BeatReport {
    fn from(played: Played) -> Self {
        Self {
            strategy: played.act.name(),
            does: played.act.does(),
            network: played.flaw.map_or("intact", Flaw::name),
            rounds: played.rounds,
            told_apart: played.told_apart,
            as_it_should_be: played.as_it_should_be(),
        }
    }
}

/// Plays every strategy on the intact network and on those that it has to notice.
pub(super) fn run(
    rounds: Option<u64>,
    seed: u64,
    json: &JsonArguments,
) -> Result<(), AttackCommandError> {
    json.print(&format!(
        "{:<12} {:<22} {:>7} {:>11}  {}\n",
        "strategy", "network", "rounds", "told apart", "verdict"
    ))?;
    let mut reports = Vec::new();
    for (act, flaw) in every_play() {
        let report = BeatReport::from(play(act, flaw, rounds.unwrap_or(ROUNDS), seed));
        json.print(&row(&report))?;
        reports.push(report);
    }
    json.write(&reports)?;
    let wrong: Vec<_> = reports.iter().filter(|report| !report.as_it_should_be).map(row).collect();
    if wrong.is_empty() {
        return Ok(json.print(
            "Beats show nothing that their round did not, and every rule that is broken is noticed.\n",
        )?);
    }
    Err(AttackCommandError::NotAsTheyShouldBe { wrong, of: reports.len() })
}

fn row(report: &BeatReport) -> String {
    let verdict = match (report.network, report.told_apart) {
        ("intact", 0) => "as the simulator",
        ("intact", _) => "TOLD APART",
        (_, 0) => "NOT NOTICED",
        _ => "caught",
    };
    format!(
        "{:<12} {:<22} {:>7} {:>11}  {verdict}\n",
        report.strategy, report.network, report.rounds, report.told_apart
    )
}

/// The strategies and the broken networks that each has to notice, for people.
pub(super) fn list() -> String {
    let mut text =
        "\nWith --beats, on the beats of rounds: what is seen against what a simulator shows\n"
            .to_owned();
    for act in Act::ALL {
        let names: Vec<_> = act.notices().iter().map(|flaw| flaw.name()).collect();
        let names = if act == Act::Everything { "all".to_owned() } else { names.join(", ") };
        text += &format!("  {:<12} {}; has to notice: {names}\n", act.name(), act.does());
    }
    text
}
