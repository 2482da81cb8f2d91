//! The meetings of one kind that are under way.

use std::collections::BTreeMap;

/// The meetings of a conversation in rounds, or in beats, of which it is not known yet what came of them.
#[derive(Default)]
pub(crate) struct UnderWay {
    planned: u64,
    /// For each meeting, the first one that was not over when it was planned.
    meetings: BTreeMap<u64, u64>,
}

impl UnderWay {
    /// Plans a meeting and returns its number.
    pub(crate) fn begin(&mut self) -> u64 {
        let number = self.planned;
        self.planned += 1;
        let settled = self.meetings.keys().next().copied().unwrap_or(number);
        self.meetings.insert(number, settled);
        number
    }

    /// Number of meetings of which nothing is known yet.
    pub(crate) fn len(&self) -> usize {
        self.meetings.len()
    }

    /// Takes note that a meeting is over. Returns the first that was not when it was planned: the partner's
    /// part in it told what had arrived in those before.
    pub(crate) fn end(&mut self, meeting: u64) -> u64 {
        self.meetings.remove(&meeting).unwrap_or(meeting)
    }
}
