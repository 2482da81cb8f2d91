//! The machine: what comes in, what goes out, and in which order.

mod epochs;
mod hand_over;
mod members;
mod proposals;
mod rounds;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use antiphon_wire::{
    Blob, Epoch, IdentityKey, NetworkFile, Round, SignedDocument, Timestamp, ToCoordinator, ToShard,
};

use super::attempt::Attempt;
use super::documents::{Work, WorkDone};
use super::faults::Faults;
use super::notice::Notice;
use super::open_round::OpenRound;
use super::pace::Pace;
use super::quorum::Presence;
use super::roster::Roster;
use super::settings::CoordinatorConfig;
use super::state::State;

/// The longest text of a shard that is passed on, in characters.
const LONGEST_TEXT: usize = 200;
/// A deadline that is noticed this many milliseconds late was not looked for: the process stood still.
const STOOD_STILL_MS: u64 = 2000;

/// Something that happened.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are messages")]
pub enum Input {
    /// A link to a shard is up, and the other side proved this identity. Another link of the same
    /// shard is gone with it.
    Connected {
        /// The shard.
        identity: IdentityKey,
    },
    /// A message came over a shard's link.
    Message {
        /// The shard.
        identity: IdentityKey,
        /// The message.
        message: ToCoordinator,
    },
    /// A shard's link is gone.
    Disconnected {
        /// The shard.
        identity: IdentityKey,
    },
    /// What came of an [`Output::Work`].
    WorkDone(WorkDone),
    /// Time passed.
    Tick,
}

/// Something to do, in the order given.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send a message to a shard, if its link is still there.
    Send {
        /// The shard.
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
    config: CoordinatorConfig,
    network: NetworkFile,
    state: State,
    now: Timestamp,
    roster: Roster,
    outputs: VecDeque<Output>,
    /// Whether the state differs from what was last given out to be kept.
    unsaved: bool,
    stopping: bool,

    attempt: Option<Attempt>,
    /// Whether work is being done, for the attempt or for one before it.
    working: bool,
    /// The number of the newest work.
    works: u64,
    /// Attempts that failed in a row.
    failures: u32,
    retry_at: Timestamp,
    gather_until: Timestamp,
    /// Whether a quorum will do, since all shards have had time to come.
    gathered: bool,
    /// What the last notice about a missing quorum said.
    waiting: Option<Presence>,

    /// Whether an epoch came about since the process started: its numbers are right then.
    settled: bool,
    /// Whether the shards of a restored epoch are still to come back.
    resuming: bool,
    /// Until when nothing is decided, since what became of the links is still to be heard.
    settle_until: Timestamp,
    /// Whether the running epoch needs a successor before another round.
    broken: bool,
    /// The last epoch that was broken. What else goes wrong in it decides nothing any more.
    broken_last: Option<Epoch>,
    /// Epochs that opened their last round, with their shards, until no round of theirs is open.
    ending: BTreeMap<Epoch, Vec<IdentityKey>>,
    open: BTreeMap<Round, OpenRound>,
    pace: Pace,
    /// From when on the next round only waits for its interval and for shards to be ready.
    idle_since: Timestamp,
    faults: Faults,
    /// When the running epoch began.
    epoch_began: Timestamp,
    /// Epochs in a row that took over from one before its end.
    handed_over: u32,
    /// What planning an epoch takes, in milliseconds.
    planning_ms: u64,
    /// By how much this machine's clock is behind those of most shards, in milliseconds, if it is so
    /// far away that documents have to go by theirs.
    behind_ms: i64,
}

impl Coordinator {
    /// A coordinator for `network` that continues from `state`, at the time `now`.
    pub fn new(
        config: CoordinatorConfig,
        network: NetworkFile,
        mut state: State,
        now: Timestamp,
    ) -> Self {
        state.clamp_to(now);
        let mut coordinator = Self {
            gather_until: now.plus_ms(config.gather_ms.into()),
            pace: Pace::new(config.in_flight()),
            faults: Faults::new(Arc::new(network.clone()), state.suspensions.clone()),
            config,
            network,
            state,
            now,
            roster: Roster::default(),
            outputs: VecDeque::new(),
            unsaved: false,
            stopping: false,
            attempt: None,
            working: false,
            works: 0,
            failures: 0,
            retry_at: now,
            gathered: false,
            waiting: None,
            settled: false,
            resuming: false,
            settle_until: now,
            broken: false,
            broken_last: None,
            ending: BTreeMap::new(),
            open: BTreeMap::new(),
            idle_since: now,
            epoch_began: now,
            handed_over: 0,
            planning_ms: hand_over::PLANNING_MS,
            behind_ms: 0,
        };
        coordinator.restore();
        coordinator.finish();
        coordinator
    }

    /// Takes an input at the time `now`. A time before that of an earlier input counts as that one.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        let late_ms = self.next_deadline().map_or(0, |due| now.ms_since(due));
        self.now = self.now.max(now);
        if late_ms >= STOOD_STILL_MS {
            self.stood_still(late_ms);
        }
        match input {
            Input::Connected { identity } => {
                if let Some(member) = self.roster.connect(identity) {
                    self.lost(identity, &member);
                }
            }
            Input::Disconnected { identity } => {
                if let Some(member) = self.roster.disconnect(&identity) {
                    self.lost(identity, &member);
                }
            }
            Input::Message { identity, message } => self.message(identity, message),
            Input::WorkDone(done) => self.work_done(done),
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
        self.epoch_deadlines().chain(self.round_deadlines()).filter(|at| *at > self.now).min()
    }

    /// Opens no more rounds and plans no more epochs.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.faults.forgive_all();
        self.attempt = None;
    }

    /// The rounds that are open, the oldest first.
    pub fn open_rounds(&self) -> impl Iterator<Item = Round> {
        self.open.keys().copied()
    }

    /// What has to outlive the process.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Acts on everything that is due.
    fn finish(&mut self) {
        while self.now >= self.settle_until && self.step() {}
        self.release();
        if self.unsaved {
            self.persist();
        }
    }

    fn step(&mut self) -> bool {
        self.step_faults() || self.step_round() || self.step_attempt() || self.step_plan()
    }

    fn step_faults(&mut self) -> bool {
        let acted = self.faults.step(self.now, &self.lineup());
        self.follow_faults();
        acted
    }

    fn message(&mut self, identity: IdentityKey, message: ToCoordinator) {
        if let ToCoordinator::Register { registration, standing } = message {
            return self.register(identity, registration, standing);
        }
        if !self.roster.is_registered(&identity) {
            return;
        }
        let attempt_at = |epoch: Epoch| move |attempt: &&mut Attempt| attempt.epoch == epoch;
        match message {
            ToCoordinator::Register { .. } => {}
            ToCoordinator::Contribute { contribution } => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.contribute(identity, contribution);
                }
            }
            ToCoordinator::Endorse { epoch, document, signature } => {
                if let Some(attempt) = self.attempt.as_mut().filter(attempt_at(epoch)) {
                    attempt.endorse(identity, document, signature);
                }
            }
            ToCoordinator::Refuse { epoch, reason } => {
                if let Some(attempt) = self.attempt.as_mut().filter(attempt_at(epoch)) {
                    attempt.refuse(identity, printable(&reason));
                }
            }
            ToCoordinator::Ready { epoch, round } => {
                if round > self.state.last_round() {
                    self.roster.set_ready(&identity, epoch, round);
                }
            }
            ToCoordinator::Ended { epoch, round, outcome, counts } => {
                if let Some(open) = self.open.get_mut(&round)
                    && open.epoch == epoch
                {
                    open.report(identity, outcome, counts, self.now);
                }
                self.faults.reported(identity, round);
            }
            ToCoordinator::Leaving => self.leaving(identity),
            ToCoordinator::Clock { now } => self.clock(identity, now),
        }
    }

    fn send(&mut self, to: IdentityKey, message: ToShard) {
        self.send_all(&[to], message);
    }

    fn send_all(&mut self, to: &[IdentityKey], message: ToShard) {
        let message = Arc::new(message);
        let outputs = to.iter().map(|&to| Output::Send { to, message: Arc::clone(&message) });
        self.outputs.extend(outputs);
    }

    fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }

    fn persist(&mut self) {
        self.unsaved = false;
        self.state.suspensions.clone_from(self.faults.suspensions());
        self.outputs.push_back(Output::Persist(self.state.clone()));
    }
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator")
            .field("last_epoch", &self.state.last_epoch())
            .field("last_round", &self.state.last_round())
            .field("open", &self.open_rounds().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn lists(signed: &SignedDocument, identity: &IdentityKey) -> bool {
    signed.document.shards.iter().any(|shard| shard.identity == *identity)
}

fn identities(signed: &SignedDocument) -> Vec<IdentityKey> {
    signed.document.shards.iter().map(|shard| shard.identity).collect()
}

/// A shard's text, fit for a log.
fn printable(text: &Blob) -> String {
    let text = String::from_utf8_lossy(&text.0);
    text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect()
}
