//! The network itself: an event queue, and every process of the product as it is.

mod deliver;
mod gateways;
mod outages;
mod sleep;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use antiphon_client_core::{Checkpoint, Client, ClientConfig, GatewayPolicy, Input as ClientInput};
use antiphon_coordinator_core::{Input as CoordinatorInput, Replica, State};
use antiphon_fixture::{Gateways, START, Setup, entropy, new_shard};
use antiphon_mix::{ClientId, EntropySource, Input as ShardInput, Shard, SignerState};
use antiphon_wire::{FromClient, IdentityKey, NetworkFile, PROTOCOL_VERSION, Timestamp};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use crate::adversary::{Adversary, Honest, Keys};
use crate::party::{Party, Sent};
use crate::record::Record;
use turn::Turn;

/// Tells the seeds of hosts' entropy from that of the links' delays.
const ENTROPY: u64 = 1 << 63;

/// Tells the seed of clients' choices of gateways from that of the links' delays.
const CHOICES: u64 = 1 << 62;

/// A whole network in one thread, on a virtual clock.
pub struct Network {
    setup: Setup,
    file: Arc<NetworkFile>,
    now: Timestamp,
    sequence: u64,
    queue: BTreeMap<(Timestamp, u64), Happening>,
    rng: ChaCha20Rng,
    adversary: Box<dyn Adversary>,
    /// Errors in the code of honest processes, in tests of those who look on.
    flaw: Box<dyn Adversary>,
    keys: Keys,
    /// When the last message of each link arrives: links keep their order.
    arrivals: BTreeMap<(Party, Party), Timestamp>,
    coordinators: Vec<Process<Replica>>,
    saved_coordinators: Vec<State>,
    /// Coordinators that were asked to stop.
    stopping: BTreeSet<usize>,
    shards: Vec<Process<Shard>>,
    saved_signers: Vec<SignerState>,
    clients: Vec<Process<Client>>,
    saved_clients: Vec<Option<Checkpoint>>,
    /// The gateway of each client.
    gateways: Vec<usize>,
    /// By how many milliseconds the clocks of processes are ahead of `now`, of those that are.
    clocks: BTreeMap<Party, i64>,
    /// Coordinators and shards without a link to each other, and how often each two lost or got one on its own.
    unlinked: BTreeSet<(usize, usize)>,
    links: BTreeMap<(usize, usize), u64>,
    /// Messages under way.
    under_way: usize,
    /// Messages delivered and processes woken so far.
    steps: u64,
    /// Choice of a gateway for each client, with its own randomness.
    policies: Vec<GatewayPolicy>,
    choices: ChaCha20Rng,
    /// Counts the links that each client has had: what was to leave over an earlier one does not.
    client_links: Vec<u64>,
    /// Links of each client beside the one to its gateway.
    turns: Vec<Turn>,
    /// Clients that have no link, as they sleep.
    asleep: BTreeSet<usize>,
    /// Everything that happened so far.
    pub record: Record,
}

/// A process, which may be down, and when it has asked to be woken.
struct Process<T> {
    running: Option<T>,
    wake: Option<Timestamp>,
    /// Counts restarts: what was under way to an earlier life does not arrive.
    life: u64,
}

impl<T> Process<T> {
    fn new(process: T) -> Self {
        Self { running: Some(process), wake: None, life: 0 }
    }
}

enum Happening {
    Arrival(Box<Sent>, (u64, u64)),
    Wake(Party),
    /// A client's onions leave, if it still has the link for which they are.
    Leaving {
        client: usize,
        link: u64,
        message: FromClient,
    },
    /// A client that sleeps links again.
    WakesUp(usize),
    /// A client may have to turn to another gateway.
    Turns(usize),
}

impl Network {
    /// A network of honest processes, all started.
    pub fn new(setup: Setup) -> Self {
        Self::with_adversary(setup, Honest)
    }

    /// A network with an adversary.
    pub fn with_adversary(setup: Setup, adversary: impl Adversary + 'static) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(setup.seed ^ ENTROPY);
        Self::with_entropy(setup, adversary, || entropy(&mut rng))
    }

    /// A network with an adversary, whose shards, and then whose clients, take their secrets from what
    /// `entropy` returns one after the other. Those that are restarted do not.
    ///
    /// Long, as it is one list of all that a network has.
    pub fn with_entropy(
        setup: Setup,
        adversary: impl Adversary + 'static,
        mut entropy: impl FnMut() -> EntropySource,
    ) -> Self {
        let file = Arc::new(setup.network());
        let mut setup = setup;
        setup.coordinator.replicas = setup.coordinators as u16;
        let coordinators = (0..setup.coordinators)
            .map(|i| Process::new(new_coordinator(&setup, &file, i, State::default(), START)))
            .collect();
        let shards = (0..setup.shards)
            .map(|i| Process::new(new_shard(&setup, &file, i, SignerState::default(), entropy())))
            .collect();
        let clients =
            (0..setup.clients).map(|_| Process::new(new_client(&file, None, entropy()))).collect();
        let mut network = Self {
            now: START,
            sequence: 0,
            queue: BTreeMap::new(),
            adversary: Box::new(adversary),
            flaw: Box::new(Honest),
            keys: Keys {
                shards: (0..setup.shards).map(Setup::shard_key).collect(),
                network: file.id(),
            },
            arrivals: BTreeMap::new(),
            coordinators,
            saved_coordinators: vec![State::default(); setup.coordinators],
            stopping: BTreeSet::new(),
            shards,
            saved_signers: vec![SignerState::default(); setup.shards],
            clients,
            saved_clients: vec![None; setup.clients],
            gateways: (0..setup.clients).map(|i| i % setup.shards).collect(),
            clocks: BTreeMap::new(),
            unlinked: BTreeSet::new(),
            links: BTreeMap::new(),
            under_way: 0,
            steps: 0,
            policies: vec![GatewayPolicy::default(); setup.clients],
            choices: ChaCha20Rng::seed_from_u64(setup.seed ^ CHOICES),
            client_links: vec![0; setup.clients],
            turns: (0..setup.clients).map(|_| Turn::default()).collect(),
            asleep: BTreeSet::new(),
            record: Record::new(setup.shards, setup.clients),
            rng: ChaCha20Rng::seed_from_u64(setup.seed),
            file,
            setup,
        };
        for i in 0..network.setup.shards {
            network.link_to_coordinators(i);
        }
        for i in 0..network.setup.clients {
            if network.setup.gateways == Gateways::Pinned {
                network.policies[i] = GatewayPolicy::pinned(network.identity(network.gateways[i]));
            }
            network.join(i, network.gateways[i]);
        }
        network
    }

    /// The time by every clock that was not set otherwise.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The network file that all processes pin.
    pub fn file(&self) -> &NetworkFile {
        &self.file
    }

    /// Replaces the adversary.
    pub fn set_adversary(&mut self, adversary: impl Adversary + 'static) {
        self.adversary = Box::new(adversary);
    }

    /// Has honest processes send what `flaw` makes of their messages, as if their code had an error: for tests of those who
    /// look on. Delays mean nothing here.
    pub fn set_flaw(&mut self, flaw: impl Adversary + 'static) {
        self.flaw = Box::new(flaw);
    }

    /// Runs for `ms` milliseconds of virtual time.
    pub fn run_ms(&mut self, ms: u64) {
        let until = self.now.plus_ms(ms);
        while self.step(until) {}
        self.now = until;
    }

    /// Runs until `done`, but for `ms` milliseconds of virtual time at most. Returns whether it is.
    pub fn run_until(&mut self, ms: u64, mut done: impl FnMut(&Self) -> bool) -> bool {
        let until = self.now.plus_ms(ms);
        loop {
            if done(self) {
                return true;
            }
            if !self.step(until) {
                self.now = until;
                return done(self);
            }
        }
    }

    fn step(&mut self, until: Timestamp) -> bool {
        let Some(entry) = self.queue.first_entry() else { return false };
        let (at, _) = *entry.key();
        if at > until {
            return false;
        }
        let happening = entry.remove();
        self.now = at;
        self.steps += 1;
        match happening {
            Happening::Arrival(sent, life) => {
                self.under_way -= 1;
                self.deliver(*sent, life);
            }
            Happening::Wake(party) => self.wake(party),
            Happening::WakesUp(client) => self.wake_up(client),
            Happening::Turns(client) => self.wake_for_turn(client),
            Happening::Leaving { client, link, message } => {
                if self.client_links[client] == link && self.clients[client].running.is_some() {
                    self.send_to_gateway(client, message);
                }
            }
        }
        true
    }

    /// A client, to open conversations on, send with or look at.
    ///
    /// # Panics
    /// If it is down.
    pub fn client(&mut self, i: usize) -> &mut Client {
        self.clients[i].running.as_mut().expect("the client is up")
    }

    /// Stops a shard without warning. What is under way to it is lost; its clients and the
    /// coordinator notice.
    pub fn crash(&mut self, i: usize) {
        if self.shards[i].running.take().is_none() {
            return;
        }
        self.shards[i].life += 1;
        let identity = self.identity(i);
        for coordinator in 0..self.setup.coordinators {
            self.tell_coordinator(coordinator, CoordinatorInput::Disconnected { identity });
        }
        for client in 0..self.setup.clients {
            self.line_lost(client, i);
            let is_in_use = self.gateways[client] == i && !self.asleep.contains(&client);
            if is_in_use && !self.turned_at_once(client) {
                self.leave(client);
                self.policies[client].lost();
                self.follow_gateway_policy(client);
            }
        }
    }

    /// Asks a shard to leave. Its process may end once it is [released](Self::is_released).
    pub fn ask_to_leave(&mut self, i: usize) {
        self.tell_shard(i, ShardInput::Leave);
    }

    /// Asks a shard that was to leave to stay.
    pub fn ask_to_stay(&mut self, i: usize) {
        self.tell_shard(i, ShardInput::Stay);
    }

    /// Returns `true` once a shard that was asked to leave need not wait any longer.
    pub fn is_released(&self, i: usize) -> bool {
        self.shards[i].running.as_ref().is_some_and(|shard| shard.departure().may_stop())
    }

    /// State that a coordinator has persisted, from which it would start again.
    pub fn coordinator_state(&self, coordinator: usize) -> State {
        self.saved_coordinators[coordinator].clone()
    }

    /// Puts another state in the place of what a coordinator has persisted: for its next start.
    pub fn replace_coordinator_state(&mut self, coordinator: usize, state: State) {
        self.saved_coordinators[coordinator] = state;
    }

    /// Starts a shard again with what it had persisted.
    pub fn restart(&mut self, i: usize) {
        let state = self.saved_signers[i];
        let shard = new_shard(&self.setup, &self.file, i, state, entropy(&mut self.rng));
        self.shards[i].running = Some(shard);
        self.shards[i].wake = None;
        self.link_to_coordinators(i);
        for client in 0..self.setup.clients {
            let is_there = self.clients[client].running.is_some() && !self.asleep.contains(&client);
            if self.gateways[client] == i && is_there {
                self.join(client, i);
            }
        }
    }

    /// Stops a coordinator without warning and starts it again with what it had persisted.
    pub fn restart_coordinator(&mut self, coordinator: usize) {
        let state = self.saved_coordinators[coordinator].clone();
        let now = self.clock(Party::Coordinator(coordinator));
        let replica = new_coordinator(&self.setup, &self.file, coordinator, state, now);
        self.stopping.remove(&coordinator);
        let life = self.coordinators[coordinator].life + 1;
        self.coordinators[coordinator] = Process { running: Some(replica), wake: None, life };
        for i in 0..self.setup.shards {
            if self.shards[i].running.is_some() {
                self.link(coordinator, i);
            }
        }
    }

    /// Stops the coordinators and all shards at once without warning, and starts them again with what
    /// they had persisted.
    pub fn cut_power(&mut self) {
        for shard in &mut self.shards {
            shard.running = None;
            shard.life += 1;
        }
        (0..self.setup.clients).for_each(|client| self.hang_up_others(client));
        (0..self.setup.coordinators).for_each(|i| self.restart_coordinator(i));
        (0..self.setup.shards).for_each(|i| self.restart(i));
    }

    /// Stops a client and starts it again with what it had persisted. Its conversations are gone:
    /// open them again.
    pub fn restart_client(&mut self, i: usize) {
        self.leave(i);
        let client = new_client(&self.file, self.saved_clients[i], entropy(&mut self.rng));
        let life = self.clients[i].life + 1;
        self.clients[i] = Process { running: Some(client), wake: None, life };
        self.turns[i] = Turn::default();
        self.join(i, self.gateways[i]);
    }

    /// Links somebody to a gateway who never says anything, nor listens.
    pub fn link_silently(&mut self, gateway: usize) {
        let stranger = ClientId(self.setup.clients as u64);
        self.tell_shard(gateway, ShardInput::ClientJoined(stranger));
    }

    /// A client loses its link and has another one to the same gateway at once. What was under way
    /// over the old one is lost.
    pub fn relink_client(&mut self, i: usize) {
        if self.turned_at_once(i) {
            return;
        }
        let gateway = self.gateways[i];
        self.tell_shard(gateway, ShardInput::ClientLeft(ClientId(i as u64)));
        self.join(i, gateway);
        self.tell_client(i, ClientInput::Linked);
    }

    /// Moves a client to another gateway, which it keeps if it kept the one before.
    pub fn move_client(&mut self, i: usize, gateway: usize) {
        self.leave(i);
        self.join(i, gateway);
    }

    /// The identity of the shard at position `shard`.
    pub fn identity(&self, shard: usize) -> IdentityKey {
        IdentityKey::of(&self.keys.shards[shard])
    }

    fn link_to_coordinators(&mut self, i: usize) {
        (0..self.setup.coordinators).for_each(|coordinator| self.link(coordinator, i));
    }

    fn link(&mut self, coordinator: usize, i: usize) {
        let is_up = self.coordinators[coordinator].running.is_some();
        if !is_up || self.unlinked.contains(&(coordinator, i)) {
            return;
        }
        let identity = self.identity(i);
        self.tell_coordinator(coordinator, CoordinatorInput::Connected { identity });
        self.tell_shard(i, ShardInput::CoordinatorLinked(Setup::coordinator_identity(coordinator)));
    }

    fn join(&mut self, client: usize, gateway: usize) {
        if self.gateways[client] != gateway {
            self.hang_up_others(client);
        }
        self.gateways[client] = gateway;
        if self.policies[client].pin().is_some() {
            self.policies[client] = GatewayPolicy::pinned(self.identity(gateway));
        }
        self.client_links[client] += 1;
        self.note_link(client);
        let from = ClientId(client as u64);
        self.tell_shard(gateway, ShardInput::ClientJoined(from));
        let message = FromClient::Hello { version: PROTOCOL_VERSION };
        self.tell_shard(gateway, ShardInput::Client { from, message });
        self.plan_turn(client);
    }

    fn leave(&mut self, client: usize) {
        let gateway = self.gateways[client];
        self.tell_shard(gateway, ShardInput::ClientLeft(ClientId(client as u64)));
        self.hang_up_others(client);
        self.has_its_rounds_elsewhere(client);
        self.tell_client(client, ClientInput::LinkLost);
    }
}

fn new_coordinator(
    setup: &Setup,
    file: &NetworkFile,
    i: usize,
    state: State,
    now: Timestamp,
) -> Replica {
    let me = Setup::coordinator_identity(i);
    Replica::new(setup.coordinator.clone(), file.clone(), me, state, now)
}

fn new_client(
    file: &NetworkFile,
    checkpoint: Option<Checkpoint>,
    entropy: EntropySource,
) -> Client {
    Client::new(ClientConfig::new(file.clone()), checkpoint, entropy)
}
