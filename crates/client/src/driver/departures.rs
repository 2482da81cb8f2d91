//! Frames that leave at their time.

use std::collections::BTreeMap;

use antiphon_wire::Round;
use bytes::Bytes;
use tokio::time::Instant;

/// A frame that waits for its moment.
pub(super) enum Departure {
    /// Onions, for the gateway in use.
    Onions(Bytes),
    /// Cells, for the gateway that has the round's onions.
    Cells(Round, Bytes),
}

/// Frames by the moments at which they leave.
#[derive(Default)]
pub(super) struct Departures {
    /// Those of one moment in the order in which they came.
    waiting: BTreeMap<(Instant, u64), Departure>,
    came: u64,
}

impl Departures {
    pub(super) fn add(&mut self, at: Instant, departure: Departure) {
        self.came += 1;
        self.waiting.insert((at, self.came), departure);
    }

    /// The earliest moment at which one leaves.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the first out.
    pub(super) fn pop(&mut self) -> Option<Departure> {
        self.waiting.pop_first().map(|(_, departure)| departure)
    }

    /// Takes out all onions, in their order.
    pub(super) fn take_onions(&mut self) -> Vec<Bytes> {
        let is_onions = |departure: &Departure| matches!(departure, Departure::Onions(_));
        let onions = self.waiting.extract_if(.., |_, departure| is_onions(departure));
        let frames = onions.filter_map(|(_, departure)| match departure {
            Departure::Onions(frame) => Some(frame),
            Departure::Cells(..) => None,
        });
        frames.collect()
    }

    /// Drops all that wait.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn whatever_came_first_the_earliest_leaves_first() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut departures = Departures::default();
        departures.add(at(50), Departure::Onions(Bytes::from_static(b"onions")));
        departures.add(at(20), Departure::Cells(Round(7), Bytes::from_static(b"cells")));
        departures.add(at(50), Departure::Onions(Bytes::from_static(b"more")));
        assert_eq!(departures.next(), Some(at(20)));
        assert!(matches!(departures.pop(), Some(Departure::Cells(Round(7), _))));
        departures.add(at(90), Departure::Cells(Round(7), Bytes::from_static(b"cells")));
        assert_eq!(departures.take_onions(), [&b"onions"[..], b"more"]);
        assert_eq!(departures.next(), Some(at(90)));
    }
}
