//! Measurements for people.

use std::fmt::Write as _;

use antiphon_sim::attack::{self, Against, Measurement, Strategy};
use antiphon_sim::ideal::Broken;

/// The heading of a table.
pub(super) fn head() -> String {
    format!(
        "{:<16} {:<16} {:<8} {:>6} {:>6} {:>6} {:>7} {:>10} {:>18} {:>8}\n",
        "strategy",
        "network",
        "worlds",
        "shards",
        "users",
        "rounds",
        "trials",
        "advantage",
        "interval",
        "bound"
    )
}

/// One row of it.
pub(super) fn row(measured: &Measurement) -> String {
    format!(
        "{:<16} {:<16} {:<8} {:>6} {:>6} {:>6} {:>7} {:>10.4} {:>8.4} to {:>6.4} {:>8.4}{}\n",
        measured.strategy,
        network(measured),
        measured.against.to_string(),
        measured.shards,
        measured.users,
        measured.rounds,
        measured.trials,
        measured.advantage,
        measured.ci_low,
        measured.ci_high,
        measured.bound.total(),
        if measured.caught() { "  caught" } else { "" },
    )
}

fn network(measured: &Measurement) -> &'static str {
    measured.broken.map_or("intact", Broken::name)
}

/// One measurement, in words.
pub(super) fn one(strategy: &dyn Strategy, measured: &Measurement) -> String {
    let worlds = match measured.against {
        Against::Idle => "A talks to B / both are idle",
        Against::Pattern => "A-B and C-D / A-C and B-D",
    };
    let verdict = match (measured.caught(), measured.broken) {
        (true, Some(_)) => "The attack exceeds what the intact network guarantees: caught.",
        (true, None) => "The attack exceeds the guarantee. One of them is wrong.",
        (false, Some(_)) => "The attack stays within what the intact network guarantees.",
        (false, None) => "The guarantee holds against this attack.",
    };
    let profile = strategy.profile();
    format!(
        "{}: {}\n\
         told apart: {worlds}; {} mixing hops; seed {}\n\n\
         {}{}\n\
         By its own likelihoods the adversary expects {:.4}.\n\
         The bound is {:.2e} for the noise over the charged rounds, and {:.2e} for mixing (proven).\n\
         {verdict}\n",
        profile.name,
        profile.about,
        measured.mixing_hops,
        measured.seed,
        head(),
        row(measured),
        measured.expected,
        measured.bound.noise,
        measured.bound.mixing,
    )
}

/// What is not as it should be, one measurement a line.
pub(super) fn complaint(measured: &Measurement) -> String {
    let what = if measured.broken.is_some() { "does not exceed" } else { "exceeds" };
    format!(
        "{} on {} ({}, {} shards, seed {}): from {:.4} to {:.4}, {what} the bound of {:.4}",
        measured.strategy,
        network(measured),
        measured.against,
        measured.shards,
        measured.seed,
        measured.ci_low,
        measured.ci_high,
        measured.bound.total(),
    )
}

/// What came of many.
pub(super) fn summary(all: usize) -> String {
    format!(
        "\nAll {all} are as they should be: intact networks keep their bounds, broken ones are caught.\n\
         The intervals hold all at once with a confidence of 99 %.\n"
    )
}

/// Strategies and broken networks.
pub(super) fn list() -> String {
    let mut text = "Strategies\n".to_owned();
    for strategy in attack::all() {
        let profile = strategy.profile();
        let variants: Vec<&str> = profile.notices.iter().map(|broken| broken.name()).collect();
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {:<16} {}", profile.name, profile.about);
        let _ = writeln!(text, "  {:<16} has to notice: {}", "", variants.join(", "));
    }
    text += "\nBroken networks\n";
    for broken in Broken::ALL {
        let _ = writeln!(text, "  {:<16} {}", broken.name(), broken.about());
    }
    text
}
