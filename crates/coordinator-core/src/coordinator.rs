//! The three machines together: what comes in goes to those it concerns, and what one of them finds
//! is told to the others.

mod consequences;
mod shards;
mod standing;

use std::collections::VecDeque;
use std::sync::Arc;

use antiphon_wire::{
    IdentityKey, NetworkFile, Round, SignedDocument, Timestamp, ToCoordinator, ToShard,
};

use super::course::Conduct;
use super::faults::{Faults, Lineup};
use super::notice::Notice;
use super::planner::{Planner, Work, WorkDone};
use super::round_clock::RoundClock;
use super::rules::Rules;
use super::settings::CoordinatorConfig;
use super::state::State;

/// A deadline that is noticed this many milliseconds late was not looked for: the process stood still.
const STOOD_STILL_MS: u64 = 2000;
/// Time in which a coordinator that stood still hears what became of its links, in milliseconds.
const SETTLE_MS: u64 = 300;

/// Input of the machine: something that happened.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are messages")]
pub enum Input {
    /// A link to a shard is up, and the other side proved this identity. Another link of the same
    /// shard is gone with it.
    Connected {
        /// Identity that the other side proved.
        identity: IdentityKey,
    },
    /// A message came over a shard's link.
    Message {
        /// Identity of the shard.
        identity: IdentityKey,
        /// The message.
        message: ToCoordinator,
    },
    /// A shard's link is gone.
    Disconnected {
        /// Identity of the shard.
        identity: IdentityKey,
    },
    /// Result of an [`Output::Work`].
    WorkDone(WorkDone),
    /// Time passed.
    Tick,
}

/// Something to do, in the order given.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send a message to a shard, if its link is still there.
    Send {
        /// Identity of the shard.
        to: IdentityKey,
        /// The message; one allocation for all shards that are sent the same.
        message: Arc<ToShard>,
    },
    /// Make this state durable before doing anything that comes after.
    Persist(State),
    /// Hand this document to all clients. The one handed out before stays of use to new clients
    /// until its rounds are over.
    Publish(Arc<SignedDocument>),
    /// Compute this beside everything else, and bring what comes of it as [`Input::WorkDone`].
    /// There is never more than one that has not been brought.
    Work(Work),
    /// Tell those who watch.
    Notice(Notice),
}

/// Plans epochs and opens rounds. Trusted for liveness only: shards and clients check every
/// document themselves.
pub struct Coordinator {
    rules: Arc<Rules>,
    now: Timestamp,
    /// Until when nothing is decided, since what became of the links is still to be heard.
    settle_until: Timestamp,
    planner: Planner,
    clock: RoundClock,
    faults: Faults,
    /// The state that was given out last to be kept.
    kept: State,
    outputs: VecDeque<Output>,
}

impl Coordinator {
    /// A coordinator for `network` that continues from `state`, at the time `now`.
    pub fn new(
        config: CoordinatorConfig,
        network: NetworkFile,
        state: State,
        now: Timestamp,
    ) -> Self {
        let kept = state.clone();
        let mut state = state;
        let notices = state.refresh(&network, now);
        let (planned, opened, judged) = state.parts();
        // Clients are handed the saved documents again, the running epoch's first.
        let documents = [&opened.current, &opened.next].into_iter().flatten();
        let documents = documents.map(|signed| Output::Publish(Arc::clone(signed)));
        let outputs = notices.into_iter().map(Output::Notice).chain(documents).collect();
        let rules = Arc::new(Rules { config, network });
        let mut coordinator = Self {
            now,
            settle_until: now,
            planner: Planner::new(Arc::clone(&rules), planned, now),
            clock: RoundClock::new(Arc::clone(&rules), opened, now),
            faults: Faults::new(Arc::clone(&rules), judged),
            rules,
            kept,
            outputs,
        };
        // Those who talk over circuits that are cut wait for the epoch that follows: its shards link within moments.
        let has_beats = coordinator.rules.config.beats > 0;
        if has_beats && coordinator.clock.conduct() == Conduct::Resuming {
            coordinator.planner.await_shards(now);
        }
        coordinator.finish();
        coordinator
    }

    /// A coordinator that leads from `now` on in the place of another, and continues from what shards say.
    pub(crate) fn take_over(
        config: CoordinatorConfig,
        network: NetworkFile,
        state: State,
        now: Timestamp,
    ) -> Self {
        let mut coordinator = Self::new(config, network, state, now);
        coordinator.planner.await_followers(now);
        coordinator
    }

    /// Takes an input at the time `now`. A time before that of an earlier input counts as that one.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        let late_ms = self.next_deadline().map_or(0, |due| now.ms_since(due));
        // Time never runs backwards here, whatever the caller's clock does.
        self.now = self.now.max(now);
        if late_ms >= STOOD_STILL_MS {
            self.stood_still(late_ms);
        }
        match input {
            Input::Connected { identity } => {
                // A new link of a shard that was here is a loss of the one before.
                if let Some(member) = self.planner.connect(identity) {
                    self.lost(identity, &member);
                }
            }
            Input::Disconnected { identity } => {
                if let Some(member) = self.planner.disconnect(&identity) {
                    self.lost(identity, &member);
                }
            }
            Input::Message { identity, message } => self.message(identity, message),
            Input::WorkDone(done) => {
                self.planner.work_done(self.now, &self.clock.course(), done);
                self.follow_planner();
            }
            Input::Tick => {}
        }
        self.finish();
    }

    /// The next thing to do, if any.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due if nothing else comes first.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let course = self.clock.course();
        let planner = self.planner.deadlines(&course, self.faults.suspensions());
        let others = self.clock.deadlines().chain(self.faults.deadlines());
        let all = planner.chain(others).chain([self.settle_until]);
        all.filter(|at| *at > self.now).min()
    }

    /// Opens no more rounds and plans no more epochs. What goes wrong from now on is nobody's fault.
    pub fn stop(&mut self) {
        self.planner.stop();
        self.clock.stop();
        self.faults.forgive_all();
    }

    /// The rounds that are open, the oldest first.
    pub fn open_rounds(&self) -> impl Iterator<Item = Round> {
        self.clock.open_rounds()
    }

    /// Acts on everything that is due.
    fn finish(&mut self) {
        while self.now >= self.settle_until && self.step() {}
        let Self { planner, clock, faults, .. } = self;
        let conduct = clock.conduct();
        planner.release(faults.suspensions(), conduct, |shard| clock.needs(shard));
        self.follow_planner();
        if self.state() != self.kept {
            self.persist();
        }
    }

    fn step(&mut self) -> bool {
        debug_assert!(!self.planner.is_urgent() || !self.clock.opens_rounds());
        let now = self.now;
        if self.faults.step(now, || lineup(&self.clock)) {
            self.follow_faults();
        } else if self.clock.step(now) {
            self.follow_clock();
        } else if self.planner.step(now, &self.clock.course(), self.faults.suspensions()) {
            self.follow_planner();
        } else {
            // What a machine said without having moved, such as that it waits for a quorum.
            self.follow_planner();
            return false;
        }
        true
    }

    /// The process stood still, as when its machine was suspended. Shards may have gone on all the
    /// while, and what they said waits to be heard: nothing is their fault.
    fn stood_still(&mut self, late_ms: u64) {
        self.notice(Notice::StoodStill { late_ms });
        self.settle_until = self.now.plus_ms(SETTLE_MS);
        self.faults.forgive_all();
        self.await_shards();
    }

    /// Goes on with the epoch once its shards are here.
    fn await_shards(&mut self) {
        self.clock.await_shards();
        self.planner.await_shards(self.now);
    }

    /// The shards of the epoch that runs and of the one that is to follow.
    fn lineup(&self) -> Lineup {
        lineup(&self.clock)
    }

    /// Returns `true` once the process stops, and nothing has consequences any more.
    fn is_stopping(&self) -> bool {
        self.clock.conduct() == Conduct::Stopped
    }

    /// State that has to outlive the process.
    fn state(&self) -> State {
        State::of(self.planner.marks(), self.clock.marks(), self.faults.marks())
    }

    fn persist(&mut self) {
        self.kept = self.state();
        self.outputs.push_back(Output::Persist(self.kept.clone()));
    }

    fn send(&mut self, to: &[IdentityKey], message: ToShard) {
        let message = Arc::new(message);
        let outputs = to.iter().map(|&to| Output::Send { to, message: Arc::clone(&message) });
        self.outputs.extend(outputs);
    }

    fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator")
            .field("last_epoch", &self.planner.marks().last_epoch)
            .field("last_round", &self.clock.marks().last_round)
            .field("open", &self.open_rounds().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn lineup(clock: &RoundClock) -> Lineup {
    let marks = clock.marks();
    Lineup::new(marks.current.as_deref(), marks.next.as_deref())
}
