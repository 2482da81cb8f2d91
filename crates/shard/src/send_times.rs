//! Times until the operating system has the onions of a layer, measured by when the links let go of their
//! bytes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use antiphon_mix::RoundTrace;
use antiphon_wire::{BatchHeader, Direction, Layer, Round};
use bytes::Bytes;
use tokio::time::Instant;

/// Rounds whose times are kept, beyond those that overlap.
const ROUNDS: u64 = 16;

/// The times of the rounds that run, by the layer that the onions leave.
#[derive(Debug, Default)]
pub(crate) struct SendTimes {
    layers: BTreeMap<(Round, Layer), Arc<Sending>>,
}

#[derive(Debug)]
struct Sending {
    /// Moment at which the first batch was handed out.
    since: Instant,
    /// Nanoseconds until the last one was let go.
    took_ns: AtomicU64,
}

/// The bytes of a batch; dropped when they are written.
struct Sent {
    bytes: Bytes,
    sending: Arc<Sending>,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let took = u64::try_from(self.sending.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.sending.took_ns.fetch_max(took, Ordering::Relaxed);
    }
}

impl SendTimes {
    /// Notes that a batch is handed out. Send what this returns instead of `bytes`.
    pub(crate) fn hand_out(&mut self, header: &BatchHeader, bytes: Bytes) -> Bytes {
        if header.direction != Direction::Forward || bytes.is_empty() {
            return bytes;
        }
        // A header names the layer that onions enter: they leave the one before.
        let left = Layer(header.layer.0.saturating_sub(1));
        let sending = self.layers.entry((header.round, left)).or_insert_with(|| {
            Arc::new(Sending { since: Instant::now(), took_ns: AtomicU64::new(0) })
        });
        let sending = Arc::clone(sending);
        Bytes::from_owner(Sent { bytes, sending })
    }

    /// Fills in the times of a round that has ended, and forgets it.
    pub(crate) fn fill(&mut self, trace: &mut RoundTrace) {
        for layer in &mut trace.layers {
            if let Some(sending) = self.layers.get(&(trace.round, layer.layer)) {
                layer.send = Duration::from_nanos(sending.took_ns.load(Ordering::Relaxed));
            }
        }
        let round = trace.round;
        let oldest = Round(round.0.saturating_sub(ROUNDS));
        self.layers.retain(|(of, _), _| *of != round && *of > oldest);
    }
}

#[cfg(test)]
mod tests {
    use antiphon_mix::LayerTrace;

    use super::*;
    use crate::test_header::header;

    fn trace(round: u64) -> RoundTrace {
        let layer = |layer| LayerTrace { layer: Layer(layer), ..LayerTrace::default() };
        RoundTrace {
            round: Round(round),
            layers: (1..=3).map(layer).collect(),
            ..RoundTrace::default()
        }
    }

    #[test]
    fn a_layer_takes_until_its_last_batch_is_let_go() {
        let mut times = SendTimes::default();
        let onions = || Bytes::from_static(b"onions");
        let send = |times: &SendTimes, round: u64| {
            times.layers[&(Round(round), Layer(1))].took_ns.load(Ordering::Relaxed)
        };
        let first = times.hand_out(&header(1, 2, Direction::Forward), onions());
        assert_eq!(first, onions());
        let second = times.hand_out(&header(1, 2, Direction::Forward), onions());
        let reply = times.hand_out(&header(1, 2, Direction::Reply), onions());
        let other = times.hand_out(&header(2, 2, Direction::Forward), onions());
        drop((first, reply));
        let one = send(&times, 1);
        assert!(one > 0);
        // As long as a part of it is waiting, it is not written.
        let part = second.slice(2..);
        drop(second);
        assert_eq!(send(&times, 1), one);
        drop(part);
        let both = send(&times, 1);
        assert!(both > one);
        assert_eq!(send(&times, 2), 0);

        let mut found = trace(1);
        times.fill(&mut found);
        let sends: Vec<_> = found.layers.iter().map(|layer| layer.send).collect();
        assert_eq!(sends, [Duration::from_nanos(both), Duration::ZERO, Duration::ZERO]);
        times.fill(&mut trace(2));
        assert!(times.layers.is_empty());
        drop(other);
    }
}
