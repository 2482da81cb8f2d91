//! Threads that build the onions of rounds to come, a bounded number of rounds ahead.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use antiphon_routing::VerifiedEpoch;
use antiphon_wire::Round;

use crate::cpu;
use crate::population::Population;
use crate::prepared::{PrepareError, Prepared};
use crate::round_book::Book;

/// Progress of building.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Built {
    /// Runs of clients built, of all rounds.
    pub(crate) runs: usize,
    /// Runs that may be built before a round has to end first.
    pub(crate) room: usize,
}

#[derive(Debug)]
pub(crate) struct Builder {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    population: Population,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    epochs: Vec<Arc<VerifiedEpoch>>,
    /// The first round that has no book yet, and the last that gets one.
    plan: Option<(Round, Round)>,
    /// Rounds that have not been released.
    books: BTreeMap<Round, Arc<Book>>,
    /// Most rounds whose onions are in memory at the same time.
    ahead: usize,
    /// The book being built, and its next run.
    building: Option<(Arc<Book>, usize)>,
    /// For each client, the round at which its number came into use; empty without churn.
    born: Vec<u64>,
    runs: usize,
    cpu_s: Option<f64>,
    failed: Option<PrepareError>,
    stopped: bool,
}

impl Builder {
    /// Starts the threads. They build up to `ahead` rounds before one has to be released.
    pub(crate) fn start(
        threads: NonZeroUsize,
        population: Population,
        ahead: usize,
        churns: bool,
    ) -> io::Result<Self> {
        let born = if churns { vec![0; population.clients() as usize] } else { Vec::new() };
        let state = State {
            epochs: Vec::new(),
            plan: None,
            books: BTreeMap::new(),
            ahead,
            building: None,
            born,
            runs: 0,
            cpu_s: Some(0.0),
            failed: None,
            stopped: false,
        };
        let shared =
            Arc::new(Shared { population, state: Mutex::new(state), changed: Condvar::new() });
        let threads = (0..threads.get())
            .map(|number| {
                let shared = Arc::clone(&shared);
                let name = format!("load-build-{number}");
                thread::Builder::new().name(name).spawn(move || shared.work())
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { shared, threads })
    }

    /// Takes a document for the rounds that are not open yet.
    pub(crate) fn add_epoch(&self, epoch: Arc<VerifiedEpoch>) {
        self.change(|state| state.take(epoch));
    }

    /// Builds the rounds from `first` to `last`.
    pub(crate) fn plan(&self, first: Round, last: Round) {
        self.change(|state| state.plan = Some((first, last)));
    }

    /// The book of a round, if it is planned.
    pub(crate) fn book(&self, round: Round) -> Option<Arc<Book>> {
        self.shared.lock().books.get(&round).cloned()
    }

    /// Forgets a round, which makes room for another.
    pub(crate) fn release(&self, round: Round) {
        self.change(|state| drop(state.books.remove(&round)));
    }

    pub(crate) fn built(&self) -> Built {
        let state = self.shared.lock();
        let runs_each = self.shared.population.clients().div_ceil(crate::prepared::CHUNK) as usize;
        let unplanned = state.plan.map_or(0, |(next, last)| (last.0 + 1).saturating_sub(next.0));
        let rounds = state.books.len().saturating_add(unplanned as usize).min(state.ahead);
        Built { runs: state.runs, room: rounds * runs_each }
    }

    /// Reason for which building has ended, if it has.
    pub(crate) fn failed(&self) -> Option<PrepareError> {
        self.shared.lock().failed.clone()
    }

    /// Ends the threads. Returns the processor time they took, in seconds, if the system says.
    pub(crate) fn finish(mut self) -> Option<f64> {
        self.stop();
        for thread in self.threads.drain(..) {
            // It has told its panic already.
            let _ = thread.join();
        }
        self.shared.lock().cpu_s
    }

    fn stop(&self) {
        self.change(|state| state.stopped = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.lock());
        self.shared.changed.notify_all();
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some((book, run)) = self.next() {
            // Without the lock: this is what takes the time.
            let prepared = Prepared::build(&book, &self.population, run);
            let mut state = self.lock();
            match prepared {
                Ok(prepared) => {
                    book.fill(run, prepared);
                    state.runs += 1;
                }
                Err(error) => {
                    state.failed = Some(error);
                    state.stopped = true;
                    self.changed.notify_all();
                }
            }
        }
        let mut state = self.lock();
        state.cpu_s = state.cpu_s.zip(cpu::this_thread()).map(|(sum, mine)| sum + mine);
    }

    /// The next run to build; `None` when there will be none.
    fn next(&self) -> Option<(Arc<Book>, usize)> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some((book, run)) = &mut state.building {
                let job = (Arc::clone(book), *run);
                *run += 1;
                if *run >= book.chunks() {
                    state.building = None;
                }
                return Some(job);
            }
            if !state.begin(&self.population) {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl State {
    /// Takes a document. It may be for rounds that an older one was for, as when a shard joins or leaves: what was built
    /// for those is of no use, and they are begun again.
    fn take(&mut self, epoch: Arc<VerifiedEpoch>) {
        let is_outdated = |book: &&Arc<Book>| {
            epoch.document().covers(book.round)
                && book.epoch.epoch() < epoch.epoch()
                && book.opened().is_none()
        };
        let outdated = self.books.values().find(is_outdated).map(Arc::clone);
        if let (Some(first), Some((_, last))) = (outdated, self.plan) {
            self.books.retain(|round, _| *round < first.round);
            self.building = self.building.take().filter(|(book, _)| book.round < first.round);
            self.plan = Some((first.round, last));
            // As it was: beginning a round again finds the same clients gone.
            self.born = first.born.to_vec();
        }
        self.epochs.push(epoch);
    }

    /// Begins the next book, if there is one to begin and room for it.
    fn begin(&mut self, population: &Population) -> bool {
        let Some((round, last)) = self.plan else { return false };
        if round > last || self.books.len() >= self.ahead {
            return false;
        }
        let covering = self.epochs.iter().filter(|epoch| epoch.document().covers(round));
        let Some(epoch) = covering.max_by_key(|epoch| epoch.epoch()).cloned() else {
            return false;
        };
        // Books begin in the order of rounds, so that each leaving is seen once.
        for (client, born) in (0..).zip(&mut self.born) {
            if population.leaves_before(client, round) {
                *born = round.0;
            }
        }
        let born = self.born.clone().into();
        let book = Arc::new(Book::new(epoch, round, born, population.clients()));
        self.books.insert(round, Arc::clone(&book));
        self.building = Some((book, 0));
        self.plan = Some((round.next(), last));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;
    use std::time::Duration;

    use antiphon_fixture::{Scripted, Setup};
    use antiphon_wire::Epoch;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    use super::*;

    /// The epochs that these rounds are built for, once all of them are.
    async fn built(builder: &Builder, rounds: RangeInclusive<u64>) -> Vec<Epoch> {
        let all = async {
            let mut epochs = Vec::new();
            for round in rounds {
                let book = loop {
                    match builder.book(Round(round)).filter(|book| book.frame(0).is_some()) {
                        Some(book) => break book,
                        None => yield_now().await,
                    }
                };
                epochs.push(book.epoch.epoch());
            }
            epochs
        };
        timeout(Duration::from_secs(60), all).await.expect("the rounds are built")
    }

    #[tokio::test]
    async fn rounds_built_for_an_epoch_that_is_handed_over_early_are_built_anew() {
        let setup = Setup::small(5, 0).with_little_noise();
        let network = setup.network();
        let mut shards = Scripted::new(setup);
        let mut epoch = |number, rounds| {
            let verified = VerifiedEpoch::verify(shards.signed(number, rounds), &network).unwrap();
            Arc::new(verified.with_tables())
        };
        let (first, second) = (epoch(1, (1, 20)), epoch(2, (4, 23)));
        let population = Population::new(2, 1.0, 0.5, 7);
        let builder = Builder::start(NonZeroUsize::MIN, population, 6, true).unwrap();
        builder.add_epoch(first);
        builder.plan(Round(1), Round(9));
        assert_eq!(built(&builder, 1..=6).await, [Epoch(1); 6]);
        let born = |round| builder.book(Round(round)).unwrap().born.to_vec();
        let before: Vec<_> = (1..=6).map(born).collect();

        builder.add_epoch(second);
        let [old, new] = [Epoch(1), Epoch(2)];
        assert_eq!(built(&builder, 1..=6).await, [old, old, old, new, new, new]);
        assert_eq!((1..=6).map(born).collect::<Vec<_>>(), before, "other clients came and went");
        (1..=3).for_each(|round| builder.release(Round(round)));
        assert_eq!(built(&builder, 4..=9).await, [new; 6]);
    }
}
