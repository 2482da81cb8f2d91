//! Processor time of threads: the network's apart from the harness's.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use antiphon_testnet::THREAD_NAMES;

/// Interval in which threads are looked at. What a thread does between the last look and its end is not seen;
/// threads of the network and of the harness live as long as they do.
const EVERY: Duration = Duration::from_millis(200);

/// Names of the network's threads that serve its links; all others of its threads compute.
const LINK_THREADS: &str = "antiphon-net";

/// Seconds of processor time, by who used it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CpuSeconds {
    /// Seconds of the network's threads.
    pub(crate) server: f64,
    /// Those of them that the links took.
    pub(crate) links: f64,
    /// Seconds of all other threads.
    pub(crate) client: f64,
}

/// What was used between the marks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CpuUse {
    /// Over the whole time.
    pub(crate) all: CpuSeconds,
    /// Beats that began in that time.
    pub(crate) beats: u64,
    /// Seconds of the network's links in those of them during which no round ran.
    pub(crate) quiet_links: f64,
    /// Number of those.
    pub(crate) quiet_beats: u64,
}

/// Reason for which processor time is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this system does not say what each thread costs (/proc/self/task/*/schedstat: {0})")]
pub(crate) struct NoCpuTimes(String);

/// Whose thread it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Client = 0,
    Links = 1,
    Work = 2,
}

/// One thread as the system shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Thread {
    part: Part,
    /// Nanoseconds on a processor so far.
    ran_ns: u64,
}

/// Sums over threads, those that have ended included.
#[derive(Debug, Default)]
struct Tally {
    /// By thread number: what it had used when first seen, and at the last look.
    threads: BTreeMap<u64, (Thread, u64)>,
    ended: [u64; 3],
    looked: bool,
}

impl Tally {
    /// Takes a look. A thread that is new since the first one counts from zero.
    fn look(&mut self, now: BTreeMap<u64, Thread>) {
        let first = !std::mem::replace(&mut self.looked, true);
        for (number, thread) in now {
            let start = if first { thread.ran_ns } else { 0 };
            match self.threads.get_mut(&number) {
                // A smaller count is another thread under the same number.
                Some((before, start)) if thread.ran_ns < before.ran_ns => {
                    self.ended[before.part as usize] += before.ran_ns - *start;
                    (*before, *start) = (thread, 0);
                }
                Some((before, _)) => *before = thread,
                None => {
                    self.threads.insert(number, (thread, start));
                }
            }
        }
    }

    fn seconds(&self) -> CpuSeconds {
        let mut sums = self.ended;
        for (thread, start) in self.threads.values() {
            sums[thread.part as usize] += thread.ran_ns - start;
        }
        let [client, links, work] = sums.map(|ns| ns as f64 / 1e9);
        CpuSeconds { server: links + work, links, client }
    }
}

/// Message to a meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Count from here on.
    Begin,
    /// Count no further from here on.
    End,
    /// A round has opened.
    Round,
    /// No round runs any more.
    Quiet,
    /// A beat begins.
    Beat,
}

/// What is counted from one mark to the next.
#[derive(Debug, Default)]
struct Counts {
    tally: Tally,
    counts: bool,
    quiet: bool,
    /// Seconds of links up to the beginning of a beat, if no round has run since.
    since: Option<f64>,
    so_far: CpuUse,
}

impl Counts {
    /// Takes a mark, or a look without one.
    fn take(
        &mut self,
        mark: Option<Mark>,
        now: impl FnOnce() -> Result<BTreeMap<u64, Thread>, NoCpuTimes>,
    ) -> Result<(), NoCpuTimes> {
        self.counts |= mark == Some(Mark::Begin);
        // Also at the end, so that what ran since the last look counts.
        if self.counts {
            self.tally.look(now()?);
            self.so_far.all = self.tally.seconds();
        }
        match mark {
            Some(Mark::Round) => (self.quiet, self.since) = (false, None),
            Some(Mark::Quiet) => (self.quiet, self.since) = (true, None),
            Some(Mark::Beat) if self.counts => self.beat(),
            _ => {}
        }
        Ok(())
    }

    fn beat(&mut self) {
        self.so_far.beats += 1;
        let links = self.so_far.all.links;
        if let Some(before) = self.since {
            self.so_far.quiet_links += links - before;
            self.so_far.quiet_beats += 1;
        }
        self.since = self.quiet.then_some(links);
    }
}

/// Measures from one mark to the other.
#[derive(Debug)]
pub(crate) struct CpuMeter {
    marks: Sender<Mark>,
    thread: JoinHandle<Result<CpuUse, NoCpuTimes>>,
}

impl CpuMeter {
    pub(crate) fn start() -> io::Result<Self> {
        let (marks, marked) = mpsc::channel();
        let meter = thread::Builder::new().name("load-meter".to_owned());
        let thread = meter.spawn(move || {
            let mut counts = Counts::default();
            loop {
                let mark = marked.recv_timeout(EVERY);
                counts.take(mark.ok(), threads)?;
                if matches!(mark, Ok(Mark::End) | Err(RecvTimeoutError::Disconnected)) {
                    return Ok(counts.so_far);
                }
            }
        })?;
        Ok(Self { marks, thread })
    }

    /// Where to send marks.
    pub(crate) fn marks(&self) -> Sender<Mark> {
        self.marks.clone()
    }

    /// What was used between the marks.
    pub(crate) fn finish(self) -> Result<CpuUse, NoCpuTimes> {
        // It may have ended already.
        let _ = self.marks.send(Mark::End);
        self.thread.join().unwrap_or_else(|_| Err(NoCpuTimes("the meter failed".to_owned())))
    }
}

/// Seconds that the calling thread has used, if the system says.
pub(crate) fn this_thread() -> Option<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(ran_ns(&text)? as f64 / 1e9)
}

fn threads() -> Result<BTreeMap<u64, Thread>, NoCpuTimes> {
    let entries = fs::read_dir("/proc/self/task").map_err(|error| NoCpuTimes(error.to_string()))?;
    let mut threads = BTreeMap::new();
    for entry in entries.flatten() {
        let number = entry.file_name().to_string_lossy().parse();
        // A thread may end while it is looked at.
        if let (Ok(number), Some(thread)) = (number, look_at(&entry.path())) {
            threads.insert(number, thread);
        }
    }
    if threads.is_empty() {
        return Err(NoCpuTimes("there is nothing to read".to_owned()));
    }
    Ok(threads)
}

fn look_at(task: &Path) -> Option<Thread> {
    let name = fs::read_to_string(task.join("comm")).ok()?;
    let ran_ns = ran_ns(&fs::read_to_string(task.join("schedstat")).ok()?)?;
    let part = match name.starts_with(THREAD_NAMES) {
        _ if name.starts_with(LINK_THREADS) => Part::Links,
        true => Part::Work,
        false => Part::Client,
    };
    Some(Thread { part, ran_ns })
}

/// The first figure of a `schedstat` file.
fn ran_ns(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Part = Part::Client;
    const WORK: Part = Part::Work;

    fn look(threads: &[(u64, Part, u64)]) -> BTreeMap<u64, Thread> {
        threads.iter().map(|&(number, part, ran_ns)| (number, Thread { part, ran_ns })).collect()
    }

    #[test]
    fn threads_that_end_or_begin_are_counted() {
        let mut tally = Tally::default();
        let s = 1_000_000_000;
        tally.look(look(&[(1, CLIENT, 5 * s), (2, WORK, s)]));
        assert_eq!(tally.seconds(), CpuSeconds::default());
        // 2 ends after another second, 3 begins and ends, 4 gets the number 3 again.
        tally.look(look(&[(1, CLIENT, 6 * s), (2, WORK, 2 * s), (3, WORK, 7 * s)]));
        tally.look(look(&[(1, CLIENT, 6 * s), (3, CLIENT, 4 * s)]));
        let used = CpuSeconds { server: 1.0 + 7.0, links: 0.0, client: 1.0 + 4.0 };
        assert_eq!(tally.seconds(), used);
    }

    #[test]
    fn links_are_counted_for_beats_during_which_no_round_ran() {
        let mut counts = Counts::default();
        let s = 1_000_000_000;
        let mut mark = |mark, links: u64| {
            counts.take(Some(mark), || Ok(look(&[(1, Part::Links, links * s)]))).unwrap();
            counts.so_far
        };
        mark(Mark::Beat, 1);
        mark(Mark::Round, 2);
        mark(Mark::Begin, 3);
        mark(Mark::Beat, 10);
        mark(Mark::Quiet, 20);
        // In part, the beat before was a round's.
        mark(Mark::Beat, 30);
        mark(Mark::Beat, 31);
        mark(Mark::Beat, 33);
        mark(Mark::Round, 34);
        let used = mark(Mark::Beat, 90);
        assert_eq!((used.beats, used.quiet_beats, used.quiet_links), (5, 2, 3.0));
        assert_eq!(used.all.links, 90.0 - 3.0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn work_is_charged_to_the_part_whose_thread_does_it() {
        let mut tally = Tally::default();
        tally.look(threads().unwrap());
        let (done, all_done) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let builder = thread::Builder::new().name(format!("{THREAD_NAMES}test"));
        let worker = builder.spawn(move || {
            let mut x = 1_u64;
            while this_thread().unwrap() < 0.05 {
                x = (0..10_000).fold(x, |x, i| x.wrapping_mul(i | 1));
            }
            done.send(std::hint::black_box(x)).unwrap();
            // Lives until it has been seen.
            let _ = gone.recv();
        });
        all_done.recv().unwrap();
        tally.look(threads().unwrap());
        let used = tally.seconds();
        drop(go);
        worker.unwrap().join().unwrap();
        assert!(used.server >= 0.05, "{used:?}");
    }
}
