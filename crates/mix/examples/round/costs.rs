//! Thread time by part.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What each part took.
#[derive(Debug, Default)]
pub(crate) struct Costs {
    parts: BTreeMap<&'static str, (u32, Duration)>,
}

impl Costs {
    /// Runs `act` and counts what it took.
    pub(crate) fn count<T>(&mut self, part: &'static str, act: impl FnOnce() -> T) -> T {
        let start = thread_time();
        let result = act();
        let (times, took) = self.parts.entry(part).or_default();
        *times += 1;
        *took += thread_time().saturating_sub(start);
        result
    }

    /// Prints microseconds per onion and hop.
    pub(crate) fn print(&self, hops: usize) {
        println!("  {:<24}{:>9}{:>12}{:>14}", "part", "times", "ms", "us/onion-hop");
        let mut total = Duration::ZERO;
        for (part, (times, took)) in &self.parts {
            print_line(part, *times, *took, hops);
            total += *took;
        }
        print_line("all", 0, total, hops);
    }
}

fn print_line(part: &str, times: u32, took: Duration, hops: usize) {
    let ms = took.as_secs_f64() * 1e3;
    println!("  {part:<24}{times:>9}{ms:>12.1}{:>14.3}", ms * 1e3 / hops as f64);
}

fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Bytes of memory this process has, where the system says so.
pub(crate) fn resident_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: usize = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
