//! Messages that come late, or never.

use antiphon_wire::Timestamp;

use crate::adversary::{Adversary, Keys, Target};
use crate::party::Sent;

/// Holds up the target's messages. Anyone on a link can.
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    /// Messages that are held up.
    pub target: Target,
    /// For how many milliseconds; for ever if `None`.
    pub ms: Option<u64>,
}

impl Delay {
    /// Takes the messages away.
    pub fn forever(target: Target) -> Self {
        Self { target, ms: None }
    }
}

impl Adversary for Delay {
    fn on_message(&mut self, _: Timestamp, sent: Sent, _: &Keys) -> Vec<(u64, Sent)> {
        if self.target.takes(&sent) {
            self.ms.map(|ms| (ms, sent)).into_iter().collect()
        } else {
            vec![(0, sent)]
        }
    }
}
