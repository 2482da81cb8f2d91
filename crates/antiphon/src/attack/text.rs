//! Measurements as tables for people.

use std::fmt::Write as _;

use antiphon_attack::ideal::Broken;
use antiphon_attack::{self as attack, Against, MAX_TRIALS, Measurement, Strategy, Verdict};

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
        match measured.verdict() {
            Verdict::Exceeded if measured.broken.is_some() => "  caught",
            Verdict::Exceeded => "  exceeded",
            Verdict::Within => "  within",
            Verdict::Undecided { .. } => "  undecided",
        },
    )
}

/// Reason why nothing is decided, and the trials that would decide it.
fn undecided(trials: Option<u64>) -> String {
    let takes = match trials {
        Some(trials) => format!("about {trials} trials would tell"),
        None => format!("the advantage is so near to it that {MAX_TRIALS} trials would not tell"),
    };
    format!("Undecided: the bound lies in the interval, so that nothing is shown; {takes}.")
}

/// Name of a measurement, with its network and seed.
pub(super) fn name(measured: &Measurement) -> String {
    let Measurement { strategy, against, seed, .. } = measured;
    format!("{strategy} on {} ({against}, seed {seed})", network(measured))
}

/// Small ones keep two digits.
pub(super) fn figure(value: f64) -> String {
    if value == 0.0 || value >= 0.001 { format!("{value:.4}") } else { format!("{value:.1e}") }
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
    let verdict = match (measured.verdict(), measured.broken) {
        (Verdict::Exceeded, Some(_)) => {
            "Exceeded: what the intact network guarantees; caught.".to_owned()
        }
        (Verdict::Exceeded, None) => "Exceeded: the guarantee or the attack is wrong.".to_owned(),
        (Verdict::Within, Some(_)) => {
            "Within: the attack gains no more than the intact network guarantees.".to_owned()
        }
        (Verdict::Within, None) => "Within: the guarantee holds against this attack.".to_owned(),
        (Verdict::Undecided { trials }, _) => undecided(trials),
    };
    let profile = strategy.profile();
    format!(
        "{}: {}\n\
         told apart: {worlds}; {} mixing hops; seed {}\n\n\
         {}{}\n\
         By its own likelihoods the adversary expects {:.4}.\n\
         Of the bound, {} is for the noise over the charged rounds, {} for mixing and {} for looking first.\n\
         {verdict}\n",
        profile.name,
        profile.about,
        measured.mixing_hops,
        measured.seed,
        head(),
        row(measured),
        measured.expected,
        figure(measured.bound.noise),
        figure(measured.bound.mixing),
        figure(measured.bound.peek),
    )
}

/// A line on a measurement that is not as it should be.
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

/// Numbers of verdicts among many measurements.
pub(super) fn summary(measured: &[Measurement]) -> String {
    let count = |verdict: fn(&Verdict) -> bool| {
        measured.iter().filter(|measured| verdict(&measured.verdict())).count()
    };
    let undecided = count(|verdict| matches!(verdict, Verdict::Undecided { .. }));
    let rest = match undecided {
        0 => String::new(),
        _ => format!(
            " {undecided} are undecided: the bound lies in the interval, as it does where an attack reaches it."
        ),
    };
    format!(
        "\n{} broken networks are caught; {} intact ones are within their bounds and none exceeds it.{rest}\n\
         The intervals hold all at once with a confidence of 99 %.\n",
        count(|verdict| *verdict == Verdict::Exceeded),
        count(|verdict| *verdict == Verdict::Within),
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
