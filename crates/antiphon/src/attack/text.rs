//! Measurements for people.

use std::fmt::Write as _;

use antiphon_sim::attack::{self, Against, Measurement, Strategy};
use antiphon_sim::ideal::Broken;

/// The heading of a table.
pub(super) fn head() -> String {
    format!(
        "{:<16} {:<16} {:>7} {:>6} {:>10} {:>18} {:>8}\n",
        "strategy", "network", "trials", "rounds", "advantage", "99 % interval", "bound"
    )
}

/// One row of it.
pub(super) fn row(measured: &Measurement) -> String {
    format!(
        "{:<16} {:<16} {:>7} {:>6} {:>10.4} {:>8.4} to {:>6.4} {:>8.4}{}\n",
        measured.strategy,
        measured.broken.map_or("intact", Broken::name),
        measured.trials,
        measured.rounds,
        measured.advantage,
        measured.ci_low,
        measured.ci_high,
        measured.bound.total(),
        if measured.caught() { "  caught" } else { "" },
    )
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
    format!(
        "{}: {}\n\
         told apart: {worlds}; {} trials of {} rounds\n\n\
         {}{}\n\
         The bound is {:.4} for the noise over the charged rounds, and {:.4} for mixing (proven).\n\
         {verdict}\n",
        strategy.name(),
        strategy.about(),
        measured.trials,
        measured.rounds,
        head(),
        row(measured),
        measured.bound.noise,
        measured.bound.mixing,
    )
}

/// Strategies and broken networks.
pub(super) fn list() -> String {
    let mut text = "Strategies\n".to_owned();
    for strategy in attack::all() {
        let variants: Vec<&str> = strategy.notices().iter().map(|broken| broken.name()).collect();
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {:<16} {}", strategy.name(), strategy.about());
        let _ = writeln!(text, "  {:<16} has to notice: {}", "", variants.join(", "));
    }
    text += "\nBroken networks\n";
    for broken in Broken::ALL {
        let _ = writeln!(text, "  {:<16} {}", broken.name(), broken.about());
    }
    text
}
