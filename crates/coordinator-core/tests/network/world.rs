//! A coordinator and its shards on a virtual clock, with the promises that always hold checked at
//! every step.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_coordinator_core::{
    Coordinator, CoordinatorConfig, Input, Notice, Output, RoundReport, State, Work,
};
use antiphon_wire::{
    Announcement, Decode as _, Encode as _, Epoch, IdentityKey, NetworkFile, Operator,
    OperatorIndex, OperatorList, Policy, Round, ShardIndex, Signed, SignedDocument, Timestamp,
    ToCoordinator, ToShard,
};
use ed25519_dalek::SigningKey;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use crate::shard::FakeShard;

/// Milliseconds that a message takes.
const LINK_MS: u64 = 20;
/// Milliseconds that a round takes.
const ROUND_MS: u64 = 700;

pub(crate) const START: Timestamp = Timestamp(1_000_000_000);

pub(crate) fn config() -> CoordinatorConfig {
    CoordinatorConfig {
        epoch_rounds: 6,
        interval_ms: 1000,
        prepare_ahead_rounds: 3,
        submit_ms: 200,
        layer_ms: 100,
        verify_ms: 100,
        reply_ms: 100,
        contribute_ms: 500,
        endorse_ms: 500,
        ready_ms: 1500,
        gather_ms: 5000,
        retry_ms: 400,
        hand_over_ms: 1_000_000,
        ..CoordinatorConfig::default()
    }
}

pub(crate) struct World {
    pub(crate) config: CoordinatorConfig,
    pub(crate) network: NetworkFile,
    pub(crate) coordinator: Coordinator,
    pub(crate) shards: Vec<FakeShard>,
    pub(crate) now: Timestamp,
    pub(crate) notices: Vec<(Timestamp, Notice)>,
    pub(crate) published: Vec<Arc<SignedDocument>>,
    pub(crate) opened: Vec<(Epoch, Round, Timestamp)>,
    pub(crate) called: Vec<Epoch>,
    pub(crate) saved: State,
    /// How long work takes, in milliseconds; without, it is done at once.
    pub(crate) work_ms: Option<u64>,
    /// The work that is being done, and when it will be.
    pub(crate) work: Option<(Timestamp, Work)>,
    mail: BTreeMap<(Timestamp, u64), (IdentityKey, ToCoordinator)>,
    sent: u64,
    rng: ChaCha20Rng,
}

impl World {
    /// One shard for each operator of weight 1, all connected.
    pub(crate) fn new(operators: usize) -> Self {
        let mut world = Self::unconnected(operators, config());
        world.connect_all();
        world
    }

    pub(crate) fn unconnected(operators: usize, config: CoordinatorConfig) -> Self {
        let keys: Vec<_> =
            (0..operators).map(|i| SigningKey::from_bytes(&[100 + i as u8; 32])).collect();
        let listed = keys.iter().enumerate().map(|(i, key)| Operator {
            name: format!("operator {i}"),
            key: IdentityKey::of(key),
            weight: 1,
        });
        let policy = Policy {
            epsilon: 8.0,
            delta: 0.01,
            disturbed_rounds: 1,
            least_mixing_hops: 2,
            total_delta: 1.0,
            trusts_heavy_operators: true,
            ..Policy::default()
        };
        let network = NetworkFile::new(listed.collect(), policy).unwrap();
        let shards = keys.iter().enumerate().map(|(i, operator)| {
            let key = SigningKey::from_bytes(&[1 + i as u8; 32]);
            let list = OperatorList {
                network: network.id(),
                operator: OperatorIndex(i as u16),
                number: 1,
                first_epoch: Epoch(1),
                last_epoch: Epoch(1_000_000),
                shards: vec![IdentityKey::of(&key)],
            };
            FakeShard::new(key, Signed::new(list, operator))
        });
        Self {
            shards: shards.collect(),
            coordinator: Coordinator::new(config.clone(), network.clone(), State::default(), START),
            config,
            network,
            now: START,
            notices: Vec::new(),
            published: Vec::new(),
            opened: Vec::new(),
            called: Vec::new(),
            saved: State::default(),
            work_ms: None,
            work: None,
            mail: BTreeMap::new(),
            sent: 0,
            rng: ChaCha20Rng::seed_from_u64(7),
        }
    }

    pub(crate) fn connect_all(&mut self) {
        (0..self.shards.len()).for_each(|shard| self.connect(shard));
    }

    pub(crate) fn connect(&mut self, shard: usize) {
        self.shards[shard].connected = true;
        let identity = self.shards[shard].identity();
        self.input(Input::Connected { identity });
        let registration = self.shards[shard].registration();
        let standing = self.shards[shard].standing(self.now);
        self.message(identity, ToCoordinator::Register { registration, standing });
    }

    /// The shard's process dies, which its link tells at once.
    pub(crate) fn crash(&mut self, shard: usize) {
        self.shards[shard].forget();
        let identity = self.shards[shard].identity();
        self.input(Input::Disconnected { identity });
    }

    /// The coordinator's process is replaced by one that knows only what was saved.
    pub(crate) fn restart_coordinator(&mut self) {
        self.mail.clear();
        self.work = None;
        // Through text and bytes, as files would hold them.
        let text = serde_json::to_string(self.saved.marks()).unwrap();
        let documents = [self.saved.current(), self.saved.next()].map(|signed| {
            signed.map(|signed| Arc::new(SignedDocument::from_bytes(&signed.to_bytes()).unwrap()))
        });
        let [current, next] = documents;
        let state = State::new(serde_json::from_str(&text).unwrap(), current, next);
        self.coordinator =
            Coordinator::new(self.config.clone(), self.network.clone(), state, self.now);
        self.drain();
    }

    pub(crate) fn message(&mut self, identity: IdentityKey, message: ToCoordinator) {
        self.input(Input::Message { identity, message });
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.coordinator.handle(self.now, input);
        self.drain();
    }

    pub(crate) fn run_ms(&mut self, ms: u64) {
        let until = self.now.plus_ms(ms);
        loop {
            let mail = self.mail.keys().next().map(|(at, _)| *at);
            let tick = self.coordinator.next_deadline();
            assert!(tick.is_none_or(|at| at > self.now), "a deadline in the past");
            let work = self.work.as_ref().map(|(at, _)| *at);
            let next = mail.into_iter().chain(tick).chain(work).min();
            let Some(at) = next.filter(|at| *at <= until) else { break };
            // Mail can be overdue after a jump of the clock.
            self.now = self.now.max(at);
            if let Some((_, work)) = self.work.take_if(|(done, _)| *done == at) {
                self.input(Input::WorkDone(work.run()));
                continue;
            }
            match self.mail.first_entry().filter(|entry| entry.key().0 == at) {
                Some(entry) => {
                    let (from, message) = entry.remove();
                    self.message(from, message);
                }
                None => self.input(Input::Tick),
            }
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(output) = self.coordinator.poll() {
            match output {
                Output::Persist(state) => self.saved = state,
                Output::Publish(document) => self.published.push(document),
                Output::Notice(notice) => self.notices.push((self.now, notice)),
                Output::Send { to, message } => self.deliver(to, Arc::unwrap_or_clone(message)),
                Output::Work(work) => match self.work_ms {
                    None => self.coordinator.handle(self.now, Input::WorkDone(work.run())),
                    Some(ms) => {
                        let before = self.work.replace((self.now.plus_ms(ms), work));
                        assert!(before.is_none(), "two works at a time");
                    }
                },
            }
        }
    }

    fn deliver(&mut self, to: IdentityKey, message: ToShard) {
        match &message {
            ToShard::Call { epoch, .. } => {
                assert!(self.saved.last_epoch() >= *epoch, "called before it was saved");
                if self.called.last() != Some(epoch) {
                    assert!(self.called.iter().all(|called| called < epoch), "a number used twice");
                    self.called.push(*epoch);
                }
            }
            ToShard::Open { announcement: Announcement { epoch, round, .. } } => {
                self.note_open(*epoch, *round);
            }
            _ => {}
        }
        let Some(position) = self.shards.iter().position(|s| s.identity() == to && s.connected)
        else {
            return;
        };
        if let ToShard::Open { announcement: Announcement { epoch, round, .. } } = message {
            if !self.shards[position].serve(round) {
                return;
            }
            let missing = self.missing(epoch, position);
            let shard = &self.shards[position];
            let clock = ToCoordinator::Clock { now: shard.clock(self.now) };
            let (ended, ready) =
                (shard.end(epoch, round, missing), shard.ready(epoch, round.next()));
            self.post(to, LINK_MS, Some(clock));
            self.post(to, ROUND_MS, ended);
            self.post(to, ROUND_MS, ready);
        } else {
            let answer = self.shards[position].answer(message, &mut self.rng);
            self.post(to, 2 * LINK_MS, answer);
        }
    }

    fn note_open(&mut self, epoch: Epoch, round: Round) {
        assert!(self.saved.last_round() >= round, "opened before it was saved");
        let Some(&(last_epoch, last_round, at)) = self.opened.last() else {
            return self.opened.push((epoch, round, self.now));
        };
        if (last_epoch, last_round) == (epoch, round) {
            return;
        }
        assert!(round > last_round && epoch >= last_epoch, "a number used twice");
        let least = u64::from(self.network.policy.least_round_interval_ms);
        assert!(self.now.ms_since(at) >= least, "rounds too close");
        self.opened.push((epoch, round, self.now));
    }

    /// The first shard other than `position` that does not take part.
    fn missing(&self, epoch: Epoch, position: usize) -> Option<ShardIndex> {
        let document = self.shards[position].documents.get(&epoch)?;
        let index = document.shards.iter().position(|entry| {
            !self.shards.iter().any(|s| s.identity() == entry.identity && s.works(epoch))
        })?;
        Some(ShardIndex(index as u16))
    }

    fn post(&mut self, from: IdentityKey, after_ms: u64, message: Option<ToCoordinator>) {
        if let Some(message) = message {
            self.sent += 1;
            self.mail.insert((self.now.plus_ms(after_ms), self.sent), (from, message));
        }
    }

    pub(crate) fn reports(&self) -> Vec<&RoundReport> {
        self.notices
            .iter()
            .filter_map(|(_, notice)| match notice {
                Notice::RoundEnded(report) => Some(report),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn newest(&self) -> &SignedDocument {
        self.published.last().expect("an epoch is published")
    }

    /// Whether the newest epoch lists the shard.
    pub(crate) fn is_in(&self, shard: usize) -> bool {
        let identity = self.shards[shard].identity();
        self.newest().document.shards.iter().any(|entry| entry.identity == identity)
    }

    pub(crate) fn told(&self, what: impl Fn(&Notice) -> bool) -> usize {
        self.notices.iter().filter(|(_, notice)| what(notice)).count()
    }
}
