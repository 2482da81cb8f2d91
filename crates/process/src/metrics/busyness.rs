//! How much of its processors' time a process needs for its rounds.

use std::collections::VecDeque;
use std::thread::available_parallelism;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Rounds over which computing time is looked at.
const ROUNDS: usize = 20;

/// The computing time of this process, read at the end of each of its last rounds.
#[derive(Debug, Default)]
pub struct Busyness {
    ends: VecDeque<Reading>,
}

/// Two clocks at one moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    time: Duration,
    computed: Duration,
}

impl Busyness {
    /// Nothing has been read yet.
    pub const fn new() -> Self {
        Self { ends: VecDeque::new() }
    }

    /// Reads the clocks at the end of a round.
    pub fn round_ended(&mut self) {
        let read = |clock| since(clock_gettime(clock));
        self.note(Reading {
            time: read(ClockId::Monotonic),
            computed: read(ClockId::ProcessCPUTime),
        });
    }

    fn note(&mut self, reading: Reading) {
        if self.ends.len() > ROUNDS {
            self.ends.pop_front();
        }
        self.ends.push_back(reading);
    }

    /// The share of its processors' time that the process computed over the last rounds; 0 before the second. A limit
    /// that the system sets to its processors is theirs.
    pub fn share(&self) -> f64 {
        self.share_of(available_parallelism().map_or(1, usize::from))
    }

    fn share_of(&self, processors: usize) -> f64 {
        let (Some(first), Some(last)) = (self.ends.front(), self.ends.back()) else { return 0.0 };
        let passed = last.time.saturating_sub(first.time).as_secs_f64() * processors as f64;
        let computed = last.computed.saturating_sub(first.computed).as_secs_f64();
        if passed > 0.0 { computed / passed } else { 0.0 }
    }
}

fn since(time: Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds of five seconds with so many milliseconds of computing in each.
    fn after(computed_ms: impl IntoIterator<Item = u64>) -> Busyness {
        let (mut busyness, mut computed) = (Busyness::new(), Duration::ZERO);
        for (round, ms) in (0..).zip(computed_ms) {
            computed += Duration::from_millis(ms);
            busyness.note(Reading { time: Duration::from_secs(5 * round), computed });
        }
        busyness
    }

    #[test]
    fn the_share_is_of_all_processors_and_of_the_last_rounds_alone() {
        assert_eq!((after([]).share_of(2), after([9000]).share_of(2)), (0.0, 0.0));
        assert!((after([0, 4000, 4000]).share_of(2) - 0.4).abs() < 1e-9);
        let busy_before = [9000; 30].into_iter().chain([1000; 20]);
        assert!((after(busy_before).share_of(2) - 0.1).abs() < 1e-9);
    }

    #[test]
    fn the_clocks_are_those_of_this_process() {
        let mut busyness = Busyness::new();
        busyness.round_ended();
        let mut number = 1_u64;
        while busyness.ends.back().is_none_or(|end| end.computed <= busyness.ends[0].computed) {
            (0..100_000).for_each(|by| number = std::hint::black_box(number.wrapping_mul(by)));
            busyness.round_ended();
        }
        assert!(busyness.share() > 0.0, "{busyness:?} {number}");
    }
}
