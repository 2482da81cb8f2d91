//! Counters that run from the opening of the first measured round to the end of the last.

use std::sync::OnceLock;
use std::sync::mpsc::Sender;

use antiphon_wire::Round;

use crate::cpu::Mark;

/// Bytes on the wire, everything counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WireBytes {
    pub(crate) up: u64,
    pub(crate) down: u64,
}

/// Opens with the first measured round and closes with the last, or with the opening of the one after
/// it. Rounds follow each other so closely that this is done where their opening is heard.
#[derive(Debug)]
pub(crate) struct Window {
    marks: Sender<Mark>,
    measured: OnceLock<(Round, Round)>,
    opened: OnceLock<WireBytes>,
    closed: OnceLock<WireBytes>,
}

impl Window {
    /// `marks` go to the meter of processor time.
    pub(crate) fn new(marks: Sender<Mark>) -> Self {
        let (opened, closed) = (OnceLock::new(), OnceLock::new());
        Self { marks, measured: OnceLock::new(), opened, closed }
    }

    /// Where to send marks.
    pub(crate) fn marks(&self) -> Sender<Mark> {
        self.marks.clone()
    }

    /// The rounds from `first` to `last` are those to be measured.
    pub(crate) fn measure(&self, first: Round, last: Round) {
        // Said once.
        let _ = self.measured.set((first, last));
    }

    /// A round has been opened, by when `bytes` had gone over the wire.
    pub(crate) fn heard(&self, round: Round, bytes: impl Fn() -> WireBytes) {
        // Fails only if the meter is gone, which it says itself.
        let _ = self.marks.send(Mark::Round);
        let Some((first, last)) = self.measured.get() else { return };
        if round >= *first && self.opened.get().is_none() && self.opened.set(bytes()).is_ok() {
            // Fails only if the meter is gone, which it says itself.
            let _ = self.marks.send(Mark::Begin);
        }
        if round > *last {
            self.close(bytes);
        }
    }

    /// No round runs.
    pub(crate) fn quiet(&self) {
        // Fails only if the meter is gone, which it says itself.
        let _ = self.marks.send(Mark::Quiet);
    }

    /// The last round is over.
    pub(crate) fn close(&self, bytes: impl Fn() -> WireBytes) {
        if self.closed.get().is_none() && self.closed.set(bytes()).is_ok() {
            let _ = self.marks.send(Mark::End);
        }
    }

    /// Bytes that went over the wire within the window.
    pub(crate) fn bytes(&self) -> WireBytes {
        let (Some(opened), Some(closed)) = (self.opened.get(), self.closed.get()) else {
            return WireBytes::default();
        };
        WireBytes { up: closed.up - opened.up, down: closed.down - opened.down }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn only_what_measured_rounds_send_is_counted() {
        let (marks, marked) = mpsc::channel();
        let window = Window::new(marks);
        let bytes = |up| move || WireBytes { up, down: 2 * up };
        window.heard(Round(3), bytes(1));
        window.measure(Round(5), Round(6));
        let marks = || marked.try_iter().filter(|mark| *mark != Mark::Round).collect::<Vec<_>>();
        window.heard(Round(4), bytes(10));
        assert_eq!(marks(), []);
        window.heard(Round(5), bytes(100));
        window.heard(Round(6), bytes(1000));
        assert_eq!(marks(), [Mark::Begin]);
        window.heard(Round(7), bytes(5000));
        window.close(bytes(9000));
        assert_eq!(marks(), [Mark::End]);
        assert_eq!(window.bytes(), WireBytes { up: 4900, down: 9800 });
    }
}
