//! What a process has to tell of a round.

use std::time::Duration;

use antiphon_wire::{Round, Timestamp};

/// What one process has to tell of one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundSpans {
    /// The round.
    pub round: Round,
    /// When it was over, by this machine's clock.
    pub ended: Timestamp,
    /// The round as a whole, with its phases.
    pub whole: Span,
    /// Why it failed, in one word; `None` if it did not.
    pub failed: Option<&'static str>,
}

/// Something that took time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its name.
    pub name: &'static str,
    /// The time that it took.
    pub took: Duration,
    /// What was counted in it, by name.
    pub counts: Vec<(&'static str, u64)>,
    /// Its parts, one after the other.
    pub parts: Vec<Span>,
}

impl Span {
    /// A span in which nothing is counted, without parts.
    pub const fn new(name: &'static str, took: Duration) -> Self {
        Self { name, took, counts: Vec::new(), parts: Vec::new() }
    }

    /// A span of these parts, which takes as long as they do.
    pub fn of(name: &'static str, parts: Vec<Self>) -> Self {
        let took = parts.iter().map(|part| part.took).sum();
        Self { name, took, counts: Vec::new(), parts }
    }

    /// The same span with a count.
    #[must_use]
    pub fn with(mut self, name: &'static str, count: u64) -> Self {
        self.counts.push((name, count));
        self
    }
}
