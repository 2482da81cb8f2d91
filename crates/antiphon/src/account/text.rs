//! An account for people.

use super::answer::Answer;

/// The figures, one a line.
pub(super) fn render(answer: &Answer) -> String {
    let mut rows = of_noise(answer);
    rows.extend(of_guarantee(answer));
    let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    let mut text: String =
        rows.iter().map(|(label, value)| format!("{label:width$}  {value}\n")).collect();
    text += "\nUpper bounds. Between patterns the count of pairs moves by two instead of one.\n";
    if answer.cut_beyond_four_sigma == Some(false) {
        text += "The cut lies nearer than four sigma, which no epoch document may have.\n";
    }
    text
}

type Row = (&'static str, String);

/// Rows on the noise, and on all that is tried beside counting.
fn of_noise(answer: &Answer) -> Vec<Row> {
    let mut rows = vec![
        ("mechanism", answer.mechanism.name().to_owned()),
        ("honest shards", answer.honest.to_string()),
    ];
    // Figures that do not apply have no row.
    let mut row = |label, value: Option<String>| rows.extend(value.map(|value| (label, value)));
    let found = if answer.computed == "volume" { "  <- computed" } else { "" };
    row("volume of a shard", answer.volume.map(|volume| format!("{volume}{found}")));
    row("sigma of a shard", answer.sigma.map(|sigma| format!("{sigma} pairs")));
    row("mean singles of a shard", answer.mean.map(|mean| mean.to_string()));
    row("mean pairs of a shard", answer.mean_pairs.map(|mean| mean.to_string()));
    row("scale b", answer.scale.map(|scale| scale.to_string()));
    row("honest noise a round", Some(format!("{:.0} deposits", answer.honest_noise)));
    let some = |value: u32| (value > 0).then(|| value.to_string());
    row("pairs a conversation", (answer.pairs > 1).then(|| answer.pairs.to_string()));
    row("lost noise a round", some(answer.lost_noise));
    row("left-out attempts", some(answer.left_out_attempts));
    row(
        "attempts",
        answer
            .false_positive
            .map(|rate| format!("{}, with false positives at {rate:.3e}", answer.attempts)),
    );
    rows
}

/// Rows on disturbed rounds, epsilon and delta.
fn of_guarantee(answer: &Answer) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |label, value: Option<String>| rows.extend(value.map(|value| (label, value)));
    let mark = |name: &str| if answer.computed == name { "  <- computed" } else { "" };
    row("disturbed rounds K", Some(format!("{}{}", answer.disturbed, mark("rounds"))));
    row("epsilon", Some(format!("{:.6}{}", answer.epsilon, mark("epsilon"))));
    row(
        "  of the noise alone",
        answer.epsilon_of_noise.map(|epsilon| format!("{epsilon:.6}, without any attempts")),
    );
    row(
        "  of false positives",
        answer.epsilon_of_false_positives.map(|epsilon| format!("{epsilon:.1e} of epsilon")),
    );
    row("delta", Some(format!("{:.4e}{}", answer.delta, mark("delta"))));
    let patterns = match answer.epsilon_two_step {
        Some(epsilon) => format!("{epsilon:.6} at that delta"),
        None => "none at that delta".to_owned(),
    };
    row("epsilon between patterns", Some(patterns));
    row(
        "delta between patterns",
        Some(format!("{:.4e} at the epsilon above", answer.delta_two_step)),
    );
    row("rounds between patterns", answer.rounds_two_step.map(|rounds| rounds.to_string()));
    row(
        "Vuvuzela's formula",
        answer.vuvuzela_epsilon.zip(answer.vuvuzela_delta).map(|(epsilon, delta)| {
            format!("epsilon {epsilon:.6} at delta {delta:.3e}, for one round")
        }),
    );
    rows
}
