//! The threads that peel and build noise.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use antiphon_mix::{Work, WorkDone};
use tokio::sync::mpsc;

/// A fixed number of threads over two queues: what a round waits for goes first.
///
/// Neither queue nor the way back has a bound of its own, on purpose: with bounds on both, the
/// machine's task waiting to hand out work and the threads waiting to hand in results could wait for
/// each other for ever. What is outstanding is bounded all the same, by the machine: each piece of
/// peeling holds onions that it has accepted, at most one batch of at most
/// [`onions_per_batch`](antiphon_mix::Limits::onions_per_batch) per peer and layer of a running
/// round, and noise is built for each round once, two rounds ahead at most.
#[derive(Debug)]
pub(crate) struct Workers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queues: Mutex<Queues>,
    wake: Condvar,
}

#[derive(Debug)]
struct Queues {
    urgent: VecDeque<Work>,
    background: VecDeque<Work>,
    /// Threads that may take background work now: one stays free for what is urgent, if there is
    /// more than one.
    background_slots: usize,
    closed: bool,
}

impl Workers {
    /// Starts the threads. Results go to `results`.
    pub(crate) fn start(
        threads: NonZeroUsize,
        results: &mpsc::UnboundedSender<WorkDone>,
    ) -> io::Result<Self> {
        let queues = Queues {
            urgent: VecDeque::new(),
            background: VecDeque::new(),
            background_slots: (threads.get() - 1).max(1),
            closed: false,
        };
        let shared = Arc::new(Shared { queues: Mutex::new(queues), wake: Condvar::new() });
        let workers = Self { shared };
        for number in 0..threads.get() {
            let (shared, results) = (Arc::clone(&workers.shared), results.clone());
            thread::Builder::new()
                .name(format!("antiphon-work-{number}"))
                .spawn(move || shared.serve(&results))?;
        }
        Ok(workers)
    }

    /// Queues a piece of work.
    pub(crate) fn submit(&self, work: Work) {
        let mut queues = self.shared.lock();
        if work.is_urgent() {
            queues.urgent.push_back(work);
        } else {
            queues.background.push_back(work);
        }
        let (urgent, background) = (queues.urgent.len(), queues.background.len());
        drop(queues);
        self.shared.wake.notify_one();
        crate::metrics::work_queued(urgent, background);
    }
}

impl Drop for Workers {
    /// The threads end after the piece they are at.
    fn drop(&mut self) {
        let mut queues = self.shared.lock();
        queues.closed = true;
        queues.urgent.clear();
        queues.background.clear();
        drop(queues);
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        // Nothing panics while holding it.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, results: &mpsc::UnboundedSender<WorkDone>) {
        while let Some(work) = self.next() {
            let urgent = work.is_urgent();
            let done = work.run();
            if !urgent {
                self.lock().background_slots += 1;
                // What waits in the background may go on now.
                self.wake.notify_one();
            }
            if results.send(done).is_err() {
                return;
            }
        }
    }

    /// The next piece of work; `None` when there will be none.
    fn next(&self) -> Option<Work> {
        let mut queues = self.lock();
        loop {
            if queues.closed {
                return None;
            }
            if let Some(work) = queues.urgent.pop_front() {
                return Some(work);
            }
            if queues.background_slots > 0
                && let Some(work) = queues.background.pop_front()
            {
                queues.background_slots -= 1;
                return Some(work);
            }
            queues = self.wake.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
