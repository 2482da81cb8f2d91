//! CPU time of this thread, best of several repetitions that take turns: other load on the machine
//! then spoils neither the figures nor their ratios.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// One step to measure. Runs the step once on its items, and returns the CPU time that took.
pub(crate) type Step<'a> = Box<dyn FnMut() -> Result<Duration, Failure> + 'a>;

/// Why a step could not be measured.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// A step under measurement.
pub(crate) struct Contender<'a> {
    items: usize,
    step: Step<'a>,
    best: Duration,
}

impl<'a> Contender<'a> {
    /// A step that treats `items` items at a time.
    pub(crate) fn new(items: usize, step: Step<'a>) -> Self {
        Self { items, step, best: Duration::MAX }
    }

    /// Microseconds per item in the best repetition.
    pub(crate) fn best_us(&self) -> f64 {
        self.best.as_secs_f64() * 1e6 / self.items.max(1) as f64
    }

    fn repeat(&mut self) -> Result<(), Failure> {
        self.best = self.best.min((self.step)()?);
        Ok(())
    }
}

/// Lets the contenders take turns for `budget` of CPU time, at least three times each after one
/// that does not count. Returns how many turns counted.
pub(crate) fn take_turns(
    contenders: &mut [Contender<'_>],
    budget: Duration,
) -> Result<u32, Failure> {
    for contender in contenders.iter_mut() {
        contender.repeat()?;
        contender.best = Duration::MAX;
    }
    let start = cpu_time();
    let mut turns = 0;
    while turns < 3 || cpu_time() - start < budget {
        for contender in contenders.iter_mut() {
            contender.repeat()?;
        }
        turns += 1;
    }
    Ok(turns)
}

/// The CPU time that `step` takes, and what it returns.
pub(crate) fn timed<T>(step: impl FnOnce() -> T) -> (Duration, T) {
    let start = cpu_time();
    let result = step();
    (cpu_time() - start, result)
}

/// CPU time of this thread so far.
fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    // Neither is negative: it is a time since the thread started.
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}
