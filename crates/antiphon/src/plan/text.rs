//! A plan for people.

use std::fmt::{Display, Write as _};

use antiphon_routing::{BoundKind, FEW_HONEST_TARGET};

use super::figures::{Figures, ROUND};
use super::outlook::Outlook;

/// An hour's outage at 5-second rounds takes fewer units of a ledger than this.
const UNITS_OF_AN_HOURS_OUTAGE: u32 = 20;
/// Seconds between two rounds, for figures in hours.
const SECONDS_A_ROUND: u32 = ROUND.as_secs() as u32;
/// Rounds of an epoch unless a coordinator's configuration says otherwise.
const USUAL_EPOCH_ROUNDS: u64 = 720;
/// Operators whose noise is listed one by one; beyond it, `--json` has them all.
const OPERATORS_LISTED: usize = 40;

/// The figures with a line of explanation each.
pub(super) fn render(figures: &Figures, outlook: &Outlook) -> String {
    let mut table = Table::default();
    total(figures, outlook, &mut table);
    paths(figures, &mut table);
    noise(figures, &mut table);
    disturbed(figures, outlook, &mut table);
    undisturbed(figures, &mut table);
    let mut text = table.render();
    text += "\nWhat an outage costs\n";
    for line in outage(figures) {
        text += &format!("  {line}\n");
    }
    text
}

/// The guarantee in one figure, and what it is made of.
fn total(figures: &Figures, outlook: &Outlook, table: &mut Table) {
    table.section("In all: what a conversation is promised");
    let Figures { total_over_days: days, disturbed_rounds_budget: k, attempts_budget, .. } =
        figures;
    table.row(
        "epsilon",
        &format!("{:.4}", figures.epsilon_reached),
        format!("over K = {k} disturbed rounds, but for the probability below"),
    );
    let lost = if figures.delta_total >= 1.0 { "; 1 promises nothing" } else { "" };
    table.row(
        "delta in all",
        &short(figures.delta_total),
        format!("proven; over {days} days, the sum of these{lost}:"),
    );
    table.row("  of the noise", &short(figures.delta), format!("over K = {k} disturbed rounds"));
    table.row(
        "  mixing, disturbed",
        &short(figures.delta_total_disturbed),
        format!("over K = {k} of them and {attempts_budget} attempts, dropped half-way"),
    );
    let every = f64::from(figures.total_interval_ms) / 1000.0;
    let rounds = format!("over all rounds, one every {every} s: the least that the policy allows");
    table.row("  mixing, undisturbed", &short(figures.delta_total_undisturbed), rounds.as_str());
    table.row(
        "  peek",
        &short(figures.delta_total_peek),
        "over the same; an onion followed to its end, and another dropped then",
    );
    for (label, each) in ["mixing hops for it to be"]
        .into_iter()
        .chain(std::iter::repeat(""))
        .zip(&outlook.hops_by_total)
    {
        let hops = each.hops.map_or_else(|| "none".to_owned(), |hops| hops.to_string());
        table.row(label, &hops, format!("at most {}", short(each.total)));
    }
}

fn paths(figures: &Figures, table: &mut Table) {
    table.section("Paths");
    let rule = format!(
        "the least with P(fewer than two honest) <= {FEW_HONEST_TARGET:e}, or the policy's own"
    );
    let longer = figures.hops_for_total > figures.hops_by_rule;
    if figures.hops_for_mix_target.is_some() || longer {
        table.row("mixing hops", &figures.hops, "the greatest of those below");
        table.row("  by the rule", &figures.hops_by_rule, rule);
    } else {
        table.row("mixing hops", &figures.hops, rule);
    }
    if longer {
        let why = format!("the least with a delta in all <= {}", figures.delta_total_allowed);
        table.row("  for the total", &figures.hops_for_total, why);
    }
    if let (Some(target), Some(needed)) = (figures.mix_target, figures.hops_for_mix_target) {
        let why = format!("the least with delta_mix and peek a round proven <= {target:e}");
        table.row("  for --mix-target", &needed, why);
    }
    table.row("layers L", &figures.layers, "the mixing hops and the dead-drop shard");
    table.row(
        "P(fewer than two honest)",
        &short(figures.p_fewer_than_two_honest),
        "the chance that one onion passes at most one honest mixing hop",
    );
    table.row(
        "to stop a shard",
        &format!("{} s", figures.termination_grace_s),
        "at most, with the usual deadlines: what a supervisor has to wait for after SIGTERM",
    );
    if figures.most_epoch_rounds < USUAL_EPOCH_ROUNDS {
        table.row(
            "rounds in an epoch",
            &format!("<= {}", figures.most_epoch_rounds),
            "as many as shards check the seal keys of all of them for",
        );
    }
}

fn noise(figures: &Figures, table: &mut Table) {
    table.section("Noise");
    table.row(
        "malicious shards assumed",
        &format!("{} of {}", figures.malicious_shards, figures.shards),
        format!(
            "run by operators of weight {} of {} together, at most; f = {}",
            figures.malicious_weight, figures.total_weight, figures.malicious
        ),
    );
    table.row("honest shards", &figures.honest_shards, "the fewest; only their noise counts");
    if figures.is_uniform() {
        table.row(
            "noise volume V",
            &figures.noise_per_shard,
            "deposits that each shard adds in a round; fixed and public",
        );
        table.row(
            "sigma",
            &format!("{:.2}", figures.sigma),
            "pairs; how widely a shard's secret number of pairs is spread around V/4",
        );
    } else {
        table.row(
            "noise volume V",
            &format!("<= {}", figures.noise_per_shard),
            "deposits that a shard adds in a round; fixed and public",
        );
        for each in figures.noise_by_operator.iter().take(OPERATORS_LISTED) {
            let why = format!("each; sigma {:.2} pairs, weight {}", each.sigma, each.weight);
            table.row(&format!("  {}", each.name), &each.noise_per_shard, why);
        }
    }
    table.row("total noise", &figures.noise_total, "deposits a round in the whole network");
    let why = "pairs that each shard adds to a round with beats, to find who garbles cells";
    table.row("canaries", &figures.canaries, why);
    if figures.malicious_shards == 0 && figures.malicious > 0.0 {
        nobody_malicious(figures, table);
    }
}

/// Says that f covers no operator, and which f would.
fn nobody_malicious(figures: &Figures, table: &mut Table) {
    table.row(
        "  note",
        &"",
        "f is less than any one operator's weight, so all noise is taken for honest",
    );
    if let Some(lightest) = figures.noise_by_operator.iter().map(|each| each.weight).min() {
        let hundredths = (u64::from(lightest) * 100).div_ceil(figures.total_weight);
        let instead = if hundredths < 50 {
            format!("--malicious 0.{hundredths:02} takes one operator for malicious")
        } else {
            "one malicious operator takes three operators at least".to_owned()
        };
        table.row("", &"", instead);
    }
}

fn disturbed(figures: &Figures, outlook: &Outlook, table: &mut Table) {
    let k = figures.disturbed_rounds_budget;
    table.section("Disturbed rounds: differential privacy of whether two users talk");
    if figures.pairs > 1 {
        let why = "of onions a client; a conversation moves the count that is seen by as many";
        table.row("pairs", &figures.pairs, why);
    }
    table.row("epsilon asked for", &format!("{:.4}", figures.epsilon), "the budget");
    table.row(
        "epsilon reached",
        &format!("{:.4}", figures.epsilon_reached),
        format!(
            "over K = {k} disturbed rounds at delta = {:e}, for the worst set of operators",
            figures.delta
        ),
    );
    table.row(
        "epsilon between patterns",
        &format!("{:.4}", figures.epsilon_between_patterns),
        "the same, for telling two ways in which four users may talk apart",
    );
    let epsilon =
        |value: Option<f64>| value.map_or("none".to_owned(), |value| format!("{value:.4}"));
    let in_all = outlook.attempts_in_all.unwrap_or(figures.attempts_budget);
    table.row(
        "epsilon with attempts",
        &epsilon(outlook.epsilon_with_attempts),
        format!("and {in_all} rounds in which noise is dropped or onions left out:"),
    );
    table.row(
        "  left out alone",
        &epsilon(outlook.epsilon_with_left_out),
        format!(
            "half of them go unnoticed, and clients rest after {} that do not",
            figures.attempts_budget
        ),
    );
    mixing_when_disturbed(figures, outlook, in_all, table);
}

/// Rows on what mixing adds to delta in disturbed rounds and attempts.
fn mixing_when_disturbed(figures: &Figures, outlook: &Outlook, in_all: u32, table: &mut Table) {
    let (proven, k) = (BoundKind::Proven.label(), figures.disturbed_rounds_budget);
    table.row(
        "mixing adds, a round",
        &short(figures.delta_mix_disturbed),
        format!("{proven}; to delta, if onions are dropped where they enter"),
    );
    let disturbed = format!("over {k} of them");
    table.row("  in all", &short(figures.delta_mix_disturbed_budget), disturbed.as_str());
    table.row(
        "  dropped half-way",
        &short(figures.delta_mix_halfway),
        format!("{proven}; if onions are dropped by what was seen of their routes"),
    );
    table.row("  the same, in all", &short(figures.delta_mix_halfway_budget), disturbed);
    table.row(
        "  in unnoticed attempts",
        &short(outlook.delta_mix_unnoticed),
        format!("over {} of them; not in the total", in_all - figures.attempts_budget),
    );
    table.row(
        "  chosen after a look",
        &short(outlook.delta_mix_chosen_budget),
        format!(
            "{proven}; of all rounds, dropped where they enter, the peek apart; not in the total"
        ),
    );
}

fn undisturbed(figures: &Figures, table: &mut Table) {
    let (proven, conjectured) = (BoundKind::Proven.label(), BoundKind::Conjectured.label());
    table.section("All rounds: delta_mix, total variation, and peek, a probability");
    table.row(
        "delta_mix a round",
        &short(figures.delta_mix),
        format!("{proven}; of a conversation's four onions among the honest noise alone"),
    );
    table.row("", &short(figures.delta_mix_conjectured), conjectured);
    for (label, figure, guess) in [
        ("delta_mix a week", figures.delta_mix_week, figures.delta_mix_week_conjectured),
        ("delta_mix a year", figures.delta_mix_year, figures.delta_mix_year_conjectured),
    ] {
        let lost = if figure >= 1.0 { "; 1 promises nothing: see --mix-target" } else { "" };
        let why = format!("{proven}; of rounds every {SECONDS_A_ROUND} s{lost}");
        table.row(label, &short(figure), why);
        table.row("", &short(guess), conjectured);
    }
    table.row(
        "peek a round",
        &short(figures.peek_round),
        "one of the four onions has malicious hops alone, and its gateway may drop another",
    );
    for (label, figure) in [("peek a week", figures.peek_week), ("peek a year", figures.peek_year)]
    {
        table.row(label, &short(figure), format!("of rounds every {SECONDS_A_ROUND} s"));
    }
}

/// Rounds of an attack without end that use up so many units: a conversation's debt lets it spend 44 at
/// once, and then one for every 128 rounds.
fn rounds_of_attack(units: u32) -> u64 {
    u64::from(units.min(44)) + u64::from(units.saturating_sub(44)) * 128
}

fn outage(figures: &Figures) -> Vec<String> {
    let ledger = figures.ledger;
    let hours = ledger / UNITS_OF_AN_HOURS_OUTAGE;
    let attacked = rounds_of_attack(ledger) * u64::from(SECONDS_A_ROUND);
    let lasts = match hours {
        0 => "that can be more than a ledger holds.".to_owned(),
        1 => "a ledger lasts for at least one such hour.".to_owned(),
        _ => format!("a ledger lasts for at least {hours} such hours."),
    };
    vec![
        format!(
            "Each client's ledger holds K/2 = {ledger}, since the two ends of a conversation can be"
        ),
        "charged in different rounds. A disturbed or charged round takes one if a conversation"
            .to_owned(),
        "meets in it; a free aborted round takes none, and counts as an attempt.".to_owned(),
        "In a partner's outage a conversation meets ever more rarely: an hour of it, with a round"
            .to_owned(),
        format!(
            "every {SECONDS_A_ROUND} s, takes fewer than {UNITS_OF_AN_HOURS_OUTAGE} units: {lasts}"
        ),
        format!(
            "Attacked without end, as by a gateway that drops onions, it lasts {:.0} h.",
            attacked as f64 / 3600.0
        ),
        "When it is used up, the conversation rests; idle traffic goes on.".to_owned(),
    ]
}

/// Two significant digits; powers of ten where that is shorter.
pub(crate) fn short(value: f64) -> String {
    if value == 0.0 || (0.1..=1.0).contains(&value) {
        format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{value:.1e}")
    }
}

/// Rows in three aligned columns, under headings.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// A label, a value and an explanation; a label alone is a heading.
    rows: Vec<(String, Option<(String, String)>)>,
}

impl Table {
    pub(super) fn section(&mut self, title: &str) {
        self.rows.push((title.to_owned(), None));
    }

    pub(super) fn row(&mut self, label: &str, value: &dyn Display, why: impl Into<String>) {
        self.rows.push((label.to_owned(), Some((value.to_string(), why.into()))));
    }

    pub(super) fn render(&self) -> String {
        let cells = || self.rows.iter().filter_map(|(label, cells)| Some((label, cells.as_ref()?)));
        let labels = cells().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        let values = cells().map(|(_, cells)| cells.0.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for (label, cells) in &self.rows {
            // Writing to a string does not fail.
            let _ = match cells {
                None if text.is_empty() => writeln!(text, "{label}"),
                None => writeln!(text, "\n{label}"),
                Some((value, why)) => {
                    writeln!(text, "  {label:labels$}  {value:>values$}  {why}")
                }
            };
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_stay_short() {
        for (value, text) in
            [(0.0, "0"), (1.0, "1"), (0.25, "0.25"), (0.002_13, "2.1e-3"), (9.4e-9, "9.4e-9")]
        {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::default();
        table.section("Heading");
        table.row("a", &1, "one");
        table.row("longer", &1000, "thousand");
        assert_eq!(table.render(), "Heading\n  a          1  one\n  longer  1000  thousand\n");
    }
}
