//! A job's progress on standard error: a bar for a person, a line for each new stage elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::commands::say;
use super::durations::about;
use super::jobs::SendProgress;

pub(super) struct Progress {
    bar: ProgressBar,
    last: SendProgress,
}

impl Progress {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, last: SendProgress::default() }
    }

    pub(super) fn show(&mut self, news: SendProgress) {
        let line = line(&news);
        if !self.bar.is_hidden() {
            self.bar.set_message(line);
        } else if news.stage != self.last.stage {
            say(&line);
        }
        self.last = news;
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.last.acknowledged
    }

    /// Last progress of the job, for whoever leaves it.
    pub(super) fn left(&self) -> String {
        match self.last.stage.as_str() {
            "" => "nothing has happened yet".to_owned(),
            _ => line(&SendProgress { seconds_left: None, ..self.last.clone() }),
        }
    }
}

fn line(progress: &SendProgress) -> String {
    let SendProgress { stage, acknowledged, bytes, seconds_left } = progress;
    let mut line = stage.clone();
    if *bytes > 0 {
        line += &format!("; {acknowledged} of {bytes} bytes are there");
    }
    if let Some(seconds) = seconds_left {
        line += &format!(", at least {} left", about(Duration::from_secs(*seconds)));
    }
    line
}
