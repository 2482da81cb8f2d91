//! The shard: epochs come and go, rounds run, clients and peers are served.

mod allegiance;
mod beats;
mod boxes;
mod clients;
mod epochs;
mod fetch;
mod kept;
mod lists;
mod membership;
mod patience;
mod proposals;
mod rounds;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use antiphon_onion::EntropySource;
use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{
    Addresses, Epoch, IdentityKey, NetworkFile, OperatorList, Round, Signed, Timestamp,
    ToCoordinator, ToShard,
};
use ed25519_dalek::SigningKey;

use crate::beats::Beats;
use crate::buffers::BufferPool;
use crate::epoch_keys::{EpochKeys, OfferedKeys};
use crate::io::{Input, Notice, Output};
use crate::noise::NoiseBatch;
use crate::round::RoundMachine;
use crate::work::{Done, StepResult, WorkDone};
use crate::{Limits, SignerState};
use allegiance::Allegiance;
use boxes::Boxes;
use clients::Clients;
use kept::Kept;
use lists::Lists;
use proposals::Proposal;

pub use membership::{Departure, Membership};

/// Identity, network and limits of a shard.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// The network it belongs to.
    pub network: Arc<NetworkFile>,
    /// Long-term identity of the shard.
    pub identity: SigningKey,
    /// Its operator's newest list, which it is on, with a valid signature.
    pub list: Signed<OperatorList>,
    /// Addresses at which other shards reach it.
    pub peer_addresses: Addresses,
    /// Addresses at which clients reach it.
    pub client_addresses: Addresses,
    /// The coordinators that may lead it. One alone leads without being elected.
    pub coordinators: Vec<IdentityKey>,
    /// Upper bounds on what it takes from others.
    pub limits: Limits,
}

/// A shard as a state machine: put in what happens, do what comes out.
#[derive(Debug)]
pub struct Shard {
    config: ShardConfig,
    /// Addresses for shards and for clients that it registered before those it has.
    former: Option<(Addresses, Addresses)>,
    lists: Lists,
    allegiance: Allegiance,
    me: IdentityKey,
    entropy: EntropySource,
    state: SignerState,
    departure: Departure,
    /// The operator's newest list has it.
    is_on_list: bool,
    /// The last round that the coordinator opened.
    opened: Round,
    /// When it was opened, if this process has opened one.
    opened_at: Option<Timestamp>,
    /// Keys offered for epochs to come; few, and replaced by newer ones.
    offered: BTreeMap<Epoch, OfferedKeys>,
    /// The newest proposal.
    proposal: Option<Proposal>,
    /// Number of proposals so far.
    proposals: u64,
    epochs: BTreeMap<Epoch, EpochKeys>,
    /// The newest epoch that this shard is not part of: its clients need to know.
    elsewhere: Option<Arc<VerifiedEpoch>>,
    rounds: BTreeMap<Round, RoundMachine>,
    /// Noise that was built ahead, with its epoch.
    noise: BTreeMap<Round, (Epoch, NoiseBatch)>,
    /// Epochs of the noise that is being built.
    building: BTreeMap<Round, Epoch>,
    /// Circuits of rounds that opened, and the beats that follow them.
    beats: Beats,
    clients: Clients,
    kept: Kept,
    boxes: Boxes,
    outputs: VecDeque<Output>,
    pool: BufferPool,
    /// The clock that traces are measured with.
    clock: Duration,
}

impl Shard {
    /// A shard that has just started. `state` is what it persisted before, or the default if it
    /// never ran; secrets do not survive, so it waits for the next epoch. All secrets of an epoch or a
    /// round come from what `entropy` gives for it.
    pub fn new(config: ShardConfig, state: SignerState, entropy: EntropySource) -> Self {
        let mut shard = Self {
            former: None,
            lists: Lists::new(config.list.clone()),
            allegiance: Allegiance::new(&config.coordinators),
            me: IdentityKey::of(&config.identity),
            entropy,
            departure: Departure::Staying,
            is_on_list: true,
            opened: state.served_round,
            opened_at: None,
            state,
            offered: BTreeMap::new(),
            proposal: None,
            proposals: 0,
            epochs: BTreeMap::new(),
            elsewhere: None,
            rounds: BTreeMap::new(),
            noise: BTreeMap::new(),
            building: BTreeMap::new(),
            beats: Beats::new(config.limits.kept_sleeper_bytes),
            clients: Clients::default(),
            kept: Kept::new(config.limits.kept_answer_bytes),
            boxes: Boxes::new(config.limits.kept_box_bytes),
            outputs: VecDeque::new(),
            pool: BufferPool::default(),
            clock: Duration::ZERO,
            config,
        };
        // One that must not be taken is signed by nobody: every proposal with it is refused.
        if let Err(error) = shard.remember(&shard.lists.in_use().clone()) {
            shard.notice(Notice::ListRefused { why: error.to_string() });
        }
        shard
    }

    /// Identity by which others know the shard.
    pub fn identity(&self) -> IdentityKey {
        self.me
    }

    /// Takes in something that happened at `now`.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        self.handle_at(now, Duration::from_millis(now.0), input);
    }

    /// The same with the time by a finer clock that never goes back, which counts from wherever it
    /// likes: traces are measured with it, and nothing else.
    pub fn handle_at(&mut self, now: Timestamp, clock: Duration, input: Input) {
        self.clock = clock;
        match input {
            Input::CoordinatorLinked(coordinator) => self.coordinator_linked(now, coordinator),
            Input::Coordinator { from, message } => self.hear(now, from, message),
            Input::CoordinatorLost(coordinator) => self.coordinator_lost(now, coordinator),
            Input::Peer { from, message } => self.peer(now, from, message),
            Input::PeerChunk { from, batch, bytes } => self.chunk(now, from, batch, &bytes),
            Input::PeerCells { from, batch, bytes } => self.peer_cells(now, &from, &batch, &bytes),
            Input::ClientJoined(client) => self.client_joined(now, client),
            Input::Client { from, message } => self.client(now, from, message),
            Input::ClientLeft(client) => self.client_left(now, client),
            Input::WorkDone(done) => self.work_done(now, done),
            Input::Leave => self.leave(),
            Input::Stay => self.stay(),
            Input::List(list) => self.take_list(now, list),
            Input::Addresses { peers, clients } => self.move_to(now, peers, clients),
            Input::Tick => {}
        }
        // Every input tells the time as well.
        self.tick(now);
    }

    /// The next thing to do, until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The next moment at which to put in [`Input::Tick`].
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let rounds = self.rounds.values().filter_map(RoundMachine::next_deadline);
        let expiries = self.epochs.values().map(|keys| keys.context.epoch.document().expires_at);
        let deadlines = rounds.chain(expiries).chain(self.allegiance.deadline());
        deadlines.chain(self.fetch_deadline()).chain(self.beats.next_deadline()).min()
    }

    /// Bytes of the buffers that hold onions and replies, in use or to be used again.
    pub fn buffer_bytes(&self) -> usize {
        self.pool.bytes()
    }

    /// Returns true while a round is running, or beats of one: a process that has to stop waits for it, since circuits
    /// through it are cut with its end.
    pub fn is_busy(&self) -> bool {
        let rounds = self.rounds.values().any(|round| round.is_open() && !round.has_ended());
        rounds || self.beats.are_running()
    }

    /// Returns true while a coordinator leads this shard.
    pub fn is_led(&self) -> bool {
        self.allegiance.leader().is_some()
    }

    /// Tells the coordinator that leads. Without one it is told when one does, as far as it has to know.
    fn say(&mut self, message: ToCoordinator) {
        if let Some(leader) = self.allegiance.leader() {
            self.say_to(leader, message);
        }
    }

    fn say_to(&mut self, to: IdentityKey, message: ToCoordinator) {
        self.outputs.push_back(Output::Coordinator { to, message });
    }

    fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }

    fn coordinator(&mut self, now: Timestamp, message: ToShard) {
        match message {
            ToShard::Call { epoch, first_round, last_round } => {
                self.advance_lists(now, epoch);
                self.call(epoch, first_round, last_round);
            }
            ToShard::Propose { document, contributions, spread } => {
                self.propose(now, document, contributions, spread);
            }
            ToShard::Contribution { contribution } => self.handed(now, contribution),
            ToShard::Publish { document } => self.publish(now, document),
            ToShard::Open { announcement } => self.open(now, announcement),
            ToShard::Reject { reason } => {
                let why = String::from_utf8_lossy(&reason.0).into_owned();
                self.notice(Notice::Rejected { why });
            }
            ToShard::Release => self.depart(Departure::Released),
            ToShard::Needed { reason } => self.depart(Self::needed(&reason)),
            ToShard::Canary { message } => self.hear_of_cells(&message),
            ToShard::Beat { number } => self.say(ToCoordinator::Beat { number }),
            ToShard::AskClock
            | ToShard::Campaign { .. }
            | ToShard::Resign
            | ToShard::Show { .. } => {
                unreachable!("heard from any coordinator")
            }
        }
    }

    fn tick(&mut self, now: Timestamp) {
        self.miss_leader(now);
        self.expire(now);
        self.fetch_on_time(now);
        for round in self.running() {
            self.with_round(now, round, |machine, outputs| machine.on_time(now, outputs));
        }
        self.beats.on_time(now, &mut self.outputs);
        self.speak_of_cells();
    }

    fn work_done(&mut self, now: Timestamp, WorkDone { done, took }: WorkDone) {
        match done {
            Done::Round { epoch, round, result } => {
                // Also of a round that is forgotten.
                if let StepResult::Checked(unsigned) = &result {
                    self.report_unsigned(unsigned);
                }
                self.with_round(now, round, |machine, outputs| {
                    if machine.context().epoch.epoch() == epoch {
                        machine.on_work(now, result, took, outputs);
                    }
                });
            }
            Done::Cells(moved) => self.beats.on_moved(*moved, took, &mut self.outputs),
            Done::NoiseGoesOn(mut job) => {
                job.add_time(took);
                self.build_noise(job);
            }
            Done::Noise { epoch, round, mut noise } => {
                if let Some(noise) = &mut noise {
                    noise.took += took;
                }
                self.noise_built(now, epoch, round, noise);
            }
            Done::Keys(epoch, keys) => self.keys_made(epoch, keys.map(|keys| *keys)),
            Done::Proposal(number, checked) => self.proposal_checked(now, number, checked),
            Done::Document(epoch, verified) => self.document_verified(now, epoch, verified),
        }
    }
}
