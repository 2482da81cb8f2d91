//! The threads that peel and build noise.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use antiphon_mix::{Priority, Work, WorkDone};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc;

/// A fixed number of threads over one queue, for one shard or for all of a process: beats first, then the rounds that
/// are waiting, the earlier before the later, then noise, then work for epochs to come.
///
/// Neither the queue nor the way back has a bound of its own, on purpose: with bounds on both, the
/// machine's task waiting to hand out work and the threads waiting to hand in results could wait for
/// each other for ever. What is outstanding is bounded all the same, by the machine: each piece of
/// peeling holds onions that it has accepted, at most one batch of at most
/// [`onions_per_batch`](antiphon_mix::Limits::onions_per_batch) per peer and layer of a running
/// round, and noise is built for each round once, a few rounds ahead at most.
#[derive(Debug)]
pub struct Workers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

/// Work, and where its result goes.
type Piece = (Work, mpsc::UnboundedSender<WorkDone>);

/// Held for well below a microsecond, while pieces of work take about a millisecond.
#[derive(Debug)]
struct Queue {
    waiting: BTreeMap<Priority, VecDeque<Piece>>,
    /// Threads that may take work for epochs now, which is long: one stays free for rounds, if there
    /// is more than one.
    epoch_slots: usize,
    /// Threads that wait for work.
    idle: usize,
    closed: bool,
}

impl Queue {
    /// Takes out the most urgent piece that may be done now.
    fn pop(&mut self) -> Option<Piece> {
        let mut first = self.waiting.first_entry()?;
        if *first.key() == Priority::Epoch {
            // Nothing is less urgent.
            self.epoch_slots = self.epoch_slots.checked_sub(1)?;
        }
        let work = first.get_mut().pop_front();
        if first.get().is_empty() {
            first.remove();
        }
        work
    }

    /// Numbers of jobs that wait, for beats and rounds, and for later.
    fn lengths(&self) -> (usize, usize) {
        self.waiting.iter().fold((0, 0), |(urgent, later), (priority, work)| match priority {
            Priority::Beat | Priority::Round(_) => (urgent + work.len(), later),
            Priority::Noise(_) | Priority::Epoch => (urgent, later + work.len()),
        })
    }
}

impl Workers {
    /// Starts the threads. They end when this is dropped.
    ///
    /// # Errors
    /// If the system gives no threads.
    pub fn start(threads: NonZeroUsize) -> io::Result<Self> {
        let queue = Queue {
            waiting: BTreeMap::new(),
            epoch_slots: (threads.get() - 1).max(1),
            idle: 0,
            closed: false,
        };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), wake: Condvar::new() });
        let workers = Self { shared };
        for number in 0..threads.get() {
            let shared = Arc::clone(&workers.shared);
            thread::Builder::new()
                .name(format!("antiphon-work-{number}"))
                .spawn(move || shared.serve())?;
        }
        Ok(workers)
    }

    /// Queues a job.
    pub(crate) fn submit(&self, work: Work, results: mpsc::UnboundedSender<WorkDone>) {
        let mut queue = self.shared.lock();
        queue.waiting.entry(work.priority()).or_default().push_back((work, results));
        self.shared.wake_one(queue);
    }

    /// Numbers of jobs that wait, for beats and rounds, and for later.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        self.shared.lock().lengths()
    }
}

impl Drop for Workers {
    /// Ends the threads after the job they are at.
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.waiting.clear();
        drop(queue);
        self.shared.wake.notify_all();
    }
}

/// Computing time of this thread so far.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // Never negative, by what it counts.
    Duration::try_from(time).unwrap_or_default()
}

/// Ends the process if `work` panics. The round that waits for it would hang otherwise, and keys might
/// be used by a machine that is not what it was checked to be.
fn or_abort<T>(work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        tracing::error!(
            "a thread that peels onions failed, which is a bug: the shard ends at once"
        );
        std::process::abort()
    })
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while holding it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        while let Some((work, results)) = self.next() {
            let long = work.priority() == Priority::Epoch;
            let started = thread_time();
            let done = or_abort(|| work.run()).taking(thread_time().saturating_sub(started));
            if long {
                let mut queue = self.lock();
                queue.epoch_slots += 1;
                // What waits for a slot may go on now.
                self.wake_one(queue);
            }
            // Fails only if the shard is gone, and nobody misses it.
            let _ = results.send(done);
        }
    }

    /// The next job; `None` when there will be none.
    fn next(&self) -> Option<Piece> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(work) = queue.pop() {
                return Some(work);
            }
            // Counted, so that `wake_one` makes no system call while all threads work.
            queue.idle += 1;
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    /// Lets go of the queue and wakes a thread, if one waits: a thread that works looks by itself, and
    /// waking nobody is a system call all the same.
    fn wake_one(&self, queue: MutexGuard<'_, Queue>) {
        let waiting = queue.idle > 0;
        drop(queue);
        if waiting {
            self.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHILD: &str = "ANTIPHON_TEST_PANICS";

    #[test]
    fn work_that_panics_ends_its_process() {
        if std::env::var_os(CHILD).is_some() {
            or_abort(|| panic!("as a test"));
            return;
        }
        let name = "workers::tests::work_that_panics_ends_its_process";
        let program = std::env::current_exe().unwrap();
        let status = std::process::Command::new(program)
            .args([name, "--exact"])
            .env(CHILD, "1")
            .output()
            .unwrap()
            .status;
        // Neither success nor the code of a failed test.
        assert_eq!(status.code(), None, "{status}");
    }
}
