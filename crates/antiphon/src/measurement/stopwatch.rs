//! Processor time of the thread that measures.

use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Care that a measurement takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch {
    /// Of which the least counts.
    pub(super) repetitions: u32,
    /// Processor time of each repetition, at least.
    pub(super) each: Duration,
}

impl Stopwatch {
    pub(super) const THOROUGH: Self = Self { repetitions: 15, each: Duration::from_millis(30) };
    pub(super) const QUICK: Self = Self { repetitions: 4, each: Duration::from_millis(10) };

    /// The seconds of processor time that one run of `work` takes, the least of all repetitions.
    pub(super) fn seconds<T>(&self, mut work: impl FnMut() -> T) -> f64 {
        self.prepared(|| (), |()| work())
    }

    /// The same, for work on something that is made afresh, in time that does not count.
    pub(super) fn prepared<P, T>(
        &self,
        mut prepare: impl FnMut() -> P,
        mut work: impl FnMut(P) -> T,
    ) -> f64 {
        let mut least = f64::INFINITY;
        // One more, which warms up.
        for repetition in 0..=self.repetitions {
            let mut spent = Duration::ZERO;
            let mut runs = 0;
            while spent < self.each {
                let prepared = prepare();
                let start = thread_time();
                black_box(work(black_box(prepared)));
                spent += thread_time().saturating_sub(start);
                runs += 1;
            }
            if repetition > 0 {
                least = least.min(spent.as_secs_f64() / f64::from(runs));
            }
        }
        least
    }
}

/// Processor time of this thread.
pub(super) fn thread_time() -> Duration {
    time_of(ClockId::ThreadCPUTime)
}

/// Processor time of this process.
pub(super) fn process_time() -> Duration {
    time_of(ClockId::ProcessCPUTime)
}

fn time_of(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    // Processor time is never negative.
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_work_takes_about_twice_as_long() {
        let work = |rounds: u64| {
            move || (0..rounds).fold(1u64, |x, i| black_box(x.wrapping_mul(6_364_136_223) ^ i))
        };
        let (one, two) =
            (Stopwatch::QUICK.seconds(work(200_000)), Stopwatch::QUICK.seconds(work(400_000)));
        assert!((1.5..2.5).contains(&(two / one)), "{one} and {two}");
    }

    #[test]
    fn preparing_does_not_count() {
        let slow = || (0..2_000_000u64).fold(0, |sum, i| black_box(sum ^ i));
        let watch = Stopwatch { repetitions: 1, each: Duration::from_micros(50) };
        assert!(watch.prepared(slow, |x| x) < watch.seconds(slow) / 10.0);
    }
}
