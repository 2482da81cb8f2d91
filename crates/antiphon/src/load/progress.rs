//! A bar on standard error, if a person watches it.

use std::time::Duration;

use antiphon_load::{Progress, Stage};
use indicatif::{ProgressBar, ProgressStyle};

/// Interval at which the spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// The bar. Shows nothing where standard error is no terminal.
pub(super) struct Bar {
    bar: ProgressBar,
    rounds: u64,
}

impl Bar {
    pub(super) fn new(rounds: u32) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{bar:30}] {pos}/{len}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Self { bar, rounds: rounds.into() }
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn show(&self, what: String, position: u64, length: u64) {
        self.bar.set_length(length);
        self.bar.set_position(position);
        self.bar.set_message(what);
    }
}

impl Progress for Bar {
    fn stage(&self, stage: Stage<'_>) {
        match stage {
            Stage::Joining => self.show("the network agrees on an epoch".to_owned(), 0, 1),
            Stage::Linking { linked, clients } => {
                self.show("clients link".to_owned(), linked as u64, clients as u64);
            }
            Stage::Building { built, of } => {
                self.show("building onions".to_owned(), built as u64, of as u64);
            }
            Stage::Waiting { round, number } => {
                self.show(format!("round {round}"), number, self.rounds);
            }
            Stage::Beating => {
                self.show("beats of the last round".to_owned(), self.rounds, self.rounds);
            }
            Stage::Round { round, measured } => {
                let latency =
                    round.latency_ms.map_or("-".to_owned(), |ms| format!("{:.2} s", ms / 1000.0));
                let note = if measured { "" } else { " (warm-up)" };
                let line =
                    format!("round {}: {}, {latency}{note}", round.round, round.outcome.name());
                self.bar.println(line);
            }
        }
    }
}
