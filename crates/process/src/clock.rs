//! The time of day, for the binaries to pass into the protocol.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use antiphon_wire::Timestamp;

/// A difference from the system's clock that is worth a word, in milliseconds.
const STEP_MS: i64 = 1000;
/// The time given out runs faster or slower than the monotonic clock by at most one part in this
/// many, until it agrees with the system's clock again.
const SLEW: i64 = 16;
/// Time for which the system's clock has to be ahead before the time given out jumps there. A glitch is
/// shorter; a machine that was asleep, or whose clock was never set before, has to know the time.
const LASTING: Duration = Duration::from_secs(30);

/// The operating system's time of day when the process began, and from then on the monotonic clock:
/// whoever sets the system's clock sets no deadline.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

static READER: Mutex<Option<(Instant, Reader)>> = Mutex::new(None);

impl SystemClock {
    /// The time now. It never runs backwards, and passes about as time does, whatever happens to the
    /// system's clock; what that is off is made up for slowly, and said if it is more than a second.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clocks")]
    pub fn now() -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_ms = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        let mut kept = READER.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, reader) = kept.get_or_insert_with(|| (Instant::now(), Reader::new(wall_ms)));
        let (now, step) = reader.read(began.elapsed(), wall_ms);
        drop(kept);
        match step {
            Some(Step::Moved(ms)) => tracing::warn!(
                "this machine's clock was set {} by {} s; rounds go on as before",
                if ms > 0 { "forward" } else { "back" },
                seconds(ms)
            ),
            Some(Step::TakenOver(ms)) => tracing::warn!(
                "this machine's clock stays {} s ahead of what it was (the machine may have been \
                 asleep): going by it from now on",
                seconds(ms)
            ),
            None => {}
        }
        now
    }
}

fn seconds(ms: i64) -> String {
    format!("{}.{}", ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000 / 100)
}

/// A change of the system's clock that is worth a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It was set, by so many milliseconds.
    Moved(i64),
    /// It has been ahead by this for so long that the time given out was set to it.
    TakenOver(i64),
}

/// The time that is given out, as it follows two clocks.
#[derive(Debug)]
struct Reader {
    /// The monotonic clock, when it was read last.
    elapsed: Duration,
    /// The time given out last, in microseconds.
    time_us: i64,
    /// Milliseconds by which the system's clock was ahead of that.
    ahead_ms: i64,
    ahead_since: Option<Duration>,
}

impl Reader {
    fn new(wall_ms: i64) -> Self {
        let time_us = wall_ms.saturating_mul(1000);
        Self { elapsed: Duration::ZERO, time_us, ahead_ms: 0, ahead_since: None }
    }

    fn read(&mut self, elapsed: Duration, wall_ms: i64) -> (Timestamp, Option<Step>) {
        let passed = elapsed.saturating_sub(self.elapsed);
        self.elapsed = self.elapsed.max(elapsed);
        let passed_us = i64::try_from(passed.as_micros()).unwrap_or(i64::MAX);
        self.time_us = self.time_us.saturating_add(passed_us);
        let ahead_us = wall_ms.saturating_mul(1000).saturating_sub(self.time_us);
        let most = passed_us / SLEW;
        // Slewed, so that no two readings are out of order and no deadline jumps.
        self.time_us = self.time_us.saturating_add(ahead_us.clamp(-most, most));

        let ahead_ms = ahead_us / 1000;
        let moved = ahead_ms.saturating_sub(self.ahead_ms);
        self.ahead_ms = ahead_ms;
        let mut step = (moved.saturating_abs() > STEP_MS).then_some(Step::Moved(moved));
        if ahead_ms <= STEP_MS {
            self.ahead_since = None;
        } else if elapsed.saturating_sub(*self.ahead_since.get_or_insert(elapsed)) >= LASTING {
            self.ahead_since = None;
            self.ahead_ms = 0;
            self.time_us = wall_ms.saturating_mul(1000);
            step = Some(Step::TakenOver(ahead_ms));
        }
        (Timestamp(u64::try_from(self.time_us / 1000).unwrap_or(0)), step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_700_000_000_000;

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

    /// Reads both clocks ten times a second, the system's being off by what `off` says. Returns the
    /// steps told, and by how much the time given out came to differ from the monotonic clock.
    fn run(seconds: u64, off: impl Fn(u64) -> i64) -> (Vec<Step>, i64) {
        let mut reader = Reader::new(START);
        let (mut steps, mut last) = (Vec::new(), START);
        for tenth in 0..=10 * seconds {
            let passed = 100 * tenth as i64;
            let elapsed = Duration::from_millis(100 * tenth);
            let (now, step) = reader.read(elapsed, START + passed + off(tenth / 10));
            let now = now.0 as i64;
            let slow = 100 - 100 / SLEW - 1;
            assert!(tenth == 0 || now - last >= slow, "it stands still at {tenth}");
            steps.extend(step);
            last = now;
        }
        (steps, last - START - 1000 * seconds as i64)
    }

    #[test]
    fn a_clock_that_steps_back_stops_nothing_and_is_made_up_for_slowly() {
        let (steps, drift) = run(100, |second| if second < 10 { 0 } else { -120_000 });
        assert_eq!(steps, [Step::Moved(-120_000)]);
        assert!((-6000..-5000).contains(&drift), "{drift}");
        let (_, drift) = run(3000, |second| if second < 10 { 0 } else { -120_000 });
        assert!((drift + 120_000).abs() < 100, "{drift}");
    }

    #[test]
    fn a_glitch_of_a_day_changes_next_to_nothing() {
        let day = 86_400_000;
        let (steps, drift) = run(60, |second| if second == 10 { day } else { 0 });
        // What was made up for in that second comes back with the step.
        assert!(
            matches!(steps[..], [Step::Moved(ahead), Step::Moved(back)]
                if ahead == day && (ahead + back).abs() < 100),
            "{steps:?}"
        );
        assert!(drift < 100, "{drift}");
        let (_, drift) = run(60, |second| if (10..25).contains(&second) { 3_600_000 } else { 0 });
        assert!(drift < 1000, "{drift}");
    }

    #[test]
    fn a_clock_that_stays_ahead_is_believed() {
        let hour = 3_600_000;
        let (steps, drift) = run(60, |second| if second < 10 { 0 } else { hour });
        assert!(matches!(steps[..], [Step::Moved(_), Step::TakenOver(_)]), "{steps:?}");
        assert!((drift - hour).abs() < 100, "{drift}");
    }

    #[test]
    fn a_clock_that_is_kept_right_is_followed_without_a_word() {
        // 200 parts in a million.
        let (steps, drift) = run(600, |second| second as i64 / 5);
        assert_eq!(steps, []);
        assert!((100..=130).contains(&drift), "{drift}");
    }
}
