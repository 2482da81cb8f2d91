//! The time of day, for the binaries to pass into the protocol.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use antiphon_wire::Timestamp;

/// The latest time handed out, in milliseconds since the Unix epoch.
static LATEST: AtomicU64 = AtomicU64::new(0);

/// The operating system's clock, never running backwards within a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The time now. If the system's clock is set back, this stands still until it has caught up.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn now() -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        Timestamp(LATEST.fetch_max(millis, Ordering::Relaxed).max(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_runs_backwards() {
        let mut last = SystemClock::now();
        assert!(last.0 > 1_600_000_000_000, "milliseconds since 1970");
        for _ in 0..1000 {
            let next = SystemClock::now();
            assert!(next >= last);
            last = next;
        }
    }
}
