//! Peers that are not waited for.

use std::collections::BTreeMap;

use antiphon_wire::{IdentityKey, Round};

/// Beats in a row that a peer may miss and still be waited for.
const PATIENCE: u32 = 3;

/// Which peers have missed their last beats, by link. Nothing depends on it but how long a stop waits before its
/// time: a peer that is not waited for is heard as any other.
#[derive(Debug, Default)]
pub(crate) struct Lateness(BTreeMap<IdentityKey, Missed>);

#[derive(Debug, Default)]
struct Missed {
    beats: u32,
    last: Option<(Round, u64)>,
}

impl Lateness {
    /// Returns `true` if stops wait for this peer's batches.
    pub(crate) fn awaits(&self, peer: &IdentityKey) -> bool {
        self.0.get(peer).is_none_or(|missed| missed.beats < PATIENCE)
    }

    /// A batch of a beat came in time.
    pub(crate) fn in_time(&mut self, peer: &IdentityKey) {
        self.0.remove(peer);
    }

    /// A batch of a beat had not come when its stop closed at its time.
    pub(crate) fn missed(&mut self, peer: IdentityKey, round: Round, beat: u64) {
        let missed = self.0.entry(peer).or_default();
        // Beats overlap: what is missed of one that began before the last is no news.
        if missed.last < Some((round, beat)) {
            missed.last = Some((round, beat));
            missed.beats = missed.beats.saturating_add(1);
        }
    }

    /// No round has beats any more.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_missed_beats_end_the_wait_and_one_in_time_begins_it_again() {
        let (mut lateness, peer) = (Lateness::default(), IdentityKey([1; 32]));
        for beat in [0, 0, 1, 0, 1, 0] {
            lateness.missed(peer, Round(1), beat);
        }
        assert!(
            lateness.awaits(&peer),
            "several layers of one beat count once, also of two that overlap"
        );
        lateness.missed(peer, Round(1), 2);
        assert!(!lateness.awaits(&peer));
        lateness.in_time(&peer);
        assert!(lateness.awaits(&peer));
    }
}
