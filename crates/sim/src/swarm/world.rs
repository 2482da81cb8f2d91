//! A network of the swarm with its users, and those who run its processes.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use antiphon_client_core::{Event, Outcome, hold_ms};
use antiphon_coordinator_core::{Notice, RoundReport, RoundResult, State};
use antiphon_wire::{Digest, Round, Timestamp};

use super::calm;
use super::draw::Draw;
use super::fault::{Fault, Kept};
use super::flaw::Flaw;
use super::plan::Plan;
use super::play::Plays;
use super::talk::Talk;
use super::trace::Traced;
use super::watch::{Broken, Watch};
use super::{Run, Totals};
use crate::adversary::Honest;
use crate::party::Party;
use crate::{LinkModel, Network, START};

/// Interval in which those who run processes, and programs around clients, look after them.
const TURN_MS: u64 = 500;
/// How long a shard that has left is away.
const AWAY_MS: u64 = 2000;
/// How soon after all trouble rounds have to go through again.
const RESUMES_MS: u64 = 60_000;
/// Longest wait for the last message, in intervals of rounds. It is long because a conversation that was
/// spoilt for long meets in one round of 128 at first.
const DELIVERS_ROUNDS: u64 = 3000;
/// Longest wait until all shards are in an epoch again, in epochs. Those that failed time and again sit out
/// up to 64.
const SITS_OUT_EPOCHS: u64 = 80;
/// Rounds without trouble that are looked at then.
const CALM_ROUNDS: usize = 6;

/// A network, who uses it, and who looks on.
pub(super) struct World<'a> {
    plan: &'a Plan,
    network: Network,
    talks: Vec<Talk>,
    watch: Watch,
    draw: Draw,
    digest: Rc<Cell<Digest>>,
    /// Shards that were asked to leave.
    leaving: BTreeSet<usize>,
    /// Shards that have left, and when they are started again.
    away: BTreeMap<usize, Timestamp>,
    /// States of the coordinators as of backups, the oldest first.
    backups: Vec<Vec<State>>,
    charged: u64,
}

/// Step of the time of trouble: a fault, or something that a user says.
#[derive(Clone, Copy)]
enum Next {
    Fault(Fault),
    Say { talk: usize, end: usize },
}

impl<'a> World<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        let digest = Rc::new(Cell::new(Digest::default()));
        let next = Plays::new(START, &plan.plays);
        let adversary = Traced { digest: Rc::clone(&digest), next };
        let talks = plan.talks.iter().enumerate().map(|(i, (a, b, _))| Talk::new(i, *a, *b));
        Self {
            network: Network::with_adversary(plan.setup.clone(), adversary),
            talks: talks.collect(),
            watch: Watch::new(&plan.setup, plan.malicious),
            // Another stream than the one that the plan was drawn from.
            draw: Draw::new(plan.seed.wrapping_add(1)),
            digest,
            leaving: BTreeSet::new(),
            away: BTreeMap::new(),
            backups: vec![vec![State::default(); plan.setup.coordinators]],
            charged: 0,
            plan,
        }
    }

    pub(super) fn set_flaw(&mut self, flaw: Flaw) {
        self.network.set_flaw(flaw);
    }

    /// Everything that the plan has in store.
    pub(super) fn trouble(&mut self) -> Result<(), Broken> {
        let mut timeline: Vec<(u64, Next)> =
            self.plan.faults.iter().map(|(at, fault)| (*at, Next::Fault(*fault))).collect();
        // Each message at a random time, from the two ends in turn.
        for (talk, (.., messages)) in self.plan.talks.iter().enumerate() {
            for message in 0..2 * messages {
                let at = self.draw.between(0, self.plan.trouble_ms);
                timeline.push((at, Next::Say { talk, end: message % 2 }));
            }
        }
        timeline.sort_by_key(|(at, _)| *at);
        for (at, next) in timeline {
            self.run_to(at.min(self.plan.trouble_ms))?;
            match next {
                Next::Fault(fault) => self.fault(fault)?,
                Next::Say { talk, end } => self.say(talk, end),
            }
        }
        self.run_to(self.plan.trouble_ms)
    }

    /// Ends all trouble: everybody is honest and up, no message is lost, and clocks are right.
    pub(super) fn heal(&mut self) {
        let digest = Rc::clone(&self.digest);
        self.network.set_adversary(Traced { digest, next: Honest });
        self.network.set_link(LinkModel { loss_ppm: 0, ..self.plan.setup.link });
    }

    fn start_all(&mut self) -> Result<(), Broken> {
        // A clock that is ahead is set right while its process is down: one that runs is never set back.
        for i in 0..self.plan.setup.coordinators {
            if self.set_right(Party::Coordinator(i)) {
                self.network.stop_coordinator(i);
                self.network.set_clock(Party::Coordinator(i), 0);
            }
            if !self.network.is_up(Party::Coordinator(i)) || self.network.is_stopping(i) {
                self.fault(Fault::CoordinatorStarts(i, Kept::All))?;
            }
        }
        for i in 0..self.plan.setup.shards {
            if self.set_right(Party::Shard(i)) {
                self.fault(Fault::Crash(i))?;
                self.network.set_clock(Party::Shard(i), 0);
            }
            self.fault(Fault::Restart(i))?;
            for coordinator in 0..self.plan.setup.coordinators {
                self.fault(Fault::Links(coordinator, i))?;
            }
        }
        for i in 0..self.plan.setup.clients {
            if self.set_right(Party::Client(i)) {
                self.fault(Fault::ClientStops(i))?;
                self.network.set_clock(Party::Client(i), 0);
            }
            self.fault(Fault::ClientStarts(i))?;
            // A spent ledger would keep its conversations at rest, so users go on at a price.
            let client = self.network.client(i);
            client.continue_at_a_price(1000);
            client.continue_after_aborts(1000);
        }
        for talk in &self.talks {
            talk.meet_now(&mut self.network);
        }
        Ok(())
    }

    /// Sets a clock that is behind right. Returns whether it is ahead: then its process has to stop.
    fn set_right(&mut self, party: Party) -> bool {
        let ahead = self.network.clock(party) > self.network.now();
        if !ahead {
            self.network.set_clock(party, 0);
        }
        ahead
    }

    /// Rounds go on, and all that was said arrives.
    pub(super) fn recover(&mut self) -> Result<(), Broken> {
        self.start_all()?;
        // In the order in which one needs the other: rounds, messages, shards.
        let before = self.delivered();
        self.until(RESUMES_MS, "no rounds", |world| world.delivered() >= before + 3)?;
        let interval = u64::from(self.plan.setup.coordinator.interval_ms);
        self.until(DELIVERS_ROUNDS * interval, "messages are missing", |world| {
            world.talks.iter().all(Talk::is_done)
        })?;
        self.until(RESUMES_MS, "shards that leave are not let go", |world| {
            world.leaving.is_empty() && world.away.is_empty()
        })?;
        if self.plan.leaves.is_some() {
            let coordinator = &self.plan.setup.coordinator;
            let epoch_ms = interval * u64::from(coordinator.epoch_rounds);
            self.until(SITS_OUT_EPOCHS * epoch_ms, "shards are missing", Self::is_whole)?;
        }
        Ok(())
    }

    /// Returns `true` if all shards are in the newest epoch.
    fn is_whole(&self) -> bool {
        let newest = self.network.record.epochs().last();
        newest.is_some_and(|(.., shards)| shards == self.plan.setup.shards)
    }

    /// Some rounds more, in which nothing goes wrong.
    pub(super) fn calm(&mut self) -> Result<(), Broken> {
        // What was on its way when the last shard came back.
        self.until(RESUMES_MS, "no rounds", {
            let before = self.delivered();
            move |world| world.delivered() >= before + 3
        })?;
        let reported = self.network.record.rounds().count();
        // A round from the time of trouble may be reported of later, once nobody can say more of it.
        let through = self.network.record.rounds().map(|report| report.round).max();
        let in_calm = |report: &&RoundReport| Some(report.round) > through;
        let told: Vec<_> = self.network.record.events.iter().map(Vec::len).collect();
        if let Some(shard) = self.plan.leaves {
            self.fault(Fault::Leave(shard))?;
        }
        let client = self.draw.below(self.plan.setup.clients);
        let handed_in = self.rounds_handed_in();
        self.fault(Fault::ClientRelinks(client))?;
        self.until(RESUMES_MS, "no rounds in calm", |world| {
            let ended = world.network.record.rounds().count() - reported;
            ended >= CALM_ROUNDS && world.leaving.is_empty()
        })?;
        let reports = || self.network.record.rounds().skip(reported).filter(in_calm);
        let first = reports().next().map(|report| report.round);
        for report in reports() {
            if report.result != RoundResult::Delivered {
                return Err(self.broken(format!("with nothing amiss: {report:?}")));
            }
        }
        // The two ends of a conversation that was disturbed may try at different paces for a while.
        let talks = |client| self.plan.talks.iter().any(|(a, b, _)| [*a, *b].contains(&client));
        let idle = told.into_iter().enumerate().filter(|(client, _)| !talks(*client));
        for (client, told) in idle {
            let looked_at = |round: &Round| Some(*round) >= first && !handed_in.contains(round);
            if let Some(round) = self.disturbed_since(client, told, looked_at) {
                return Err(self.broken(format!("with nothing amiss: client {client}, {round}")));
            }
        }
        self.beats_of(first, client).map_err(|what| self.broken(what))?;
        self.charged = self.watch.compare_ledgers(&mut self.network)?;
        Ok(())
    }

    /// Sees that beats of rounds from `first` on were as they are when nothing is amiss, but for the client that `relinked`.
    fn beats_of(&self, first: Option<Round>, relinked: usize) -> Result<(), String> {
        let Some(first) = first else { return Ok(()) };
        let setup = &self.plan.setup;
        let clients: Vec<_> = (0..setup.clients).filter(|client| *client != relinked).collect();
        calm::all_send_the_same(&self.network, first, &clients)?;
        let talks = |client| self.plan.talks.iter().any(|(a, b, _)| [*a, *b].contains(&client));
        let mut idle = clients.into_iter().filter(|client| !talks(*client));
        if calm::is_in_time(setup) {
            idle.try_for_each(|client| calm::all_come_back(&self.network, first, client))?;
        }
        Ok(())
    }

    /// Rounds whose onions may be on their way to a gateway now. A link that breaks takes them with it,
    /// which costs the client and who talks to it such a round.
    fn rounds_handed_in(&self) -> BTreeSet<Round> {
        let LinkModel { delay_ms, jitter_ms, .. } = self.plan.setup.link;
        // An opening takes two messages to reach a client, and the onions one more.
        let held_ms = u64::from(hold_ms(self.plan.setup.coordinator.submit_ms));
        let within_ms = 3 * (delay_ms + jitter_ms) + held_ms;
        let now = self.network.now();
        let notices = self.network.record.coordinator.iter().rev();
        let young = notices.take_while(|(at, _)| now.ms_since(*at) <= within_ms);
        let opened = young.filter_map(|(_, notice)| match notice {
            Notice::RoundOpened { round, .. } => Some(*round),
            _ => None,
        });
        opened.collect()
    }

    /// The first round that was disturbed for a client, of those looked at.
    fn disturbed_since(
        &self,
        client: usize,
        told: usize,
        looked_at: impl Fn(&Round) -> bool,
    ) -> Option<Round> {
        self.network.record.events[client][told..].iter().find_map(|(_, event)| match event {
            Event::RoundEnded { round, outcome } if *outcome != Outcome::Undisturbed => {
                Some(*round).filter(&looked_at)
            }
            _ => None,
        })
    }

    pub(super) fn run(&self) -> Run {
        let record = &self.network.record;
        let totals = Totals {
            networks: 1,
            virtual_seconds: self.network.now().ms_since(START) / 1000,
            steps: self.network.steps(),
            rounds: record.rounds().count() as u64,
            delivered: self.delivered() as u64,
            epochs: record.epochs().count() as u64,
            faults: self.plan.faults.len() as u64,
            messages: self.watch.messages,
            charged: self.charged,
        };
        Run { digest: self.digest.get(), totals }
    }

    fn delivered(&self) -> usize {
        let rounds = self.network.record.rounds();
        rounds.filter(|report| report.result == RoundResult::Delivered).count()
    }

    /// Reports of the coordinator and of shards, merged by time with the rounds that did not go well for
    /// clients.
    pub(super) fn log(&self) -> String {
        let of_shards = crate::scenario::log(&self.network);
        let told = self.network.record.events.iter().enumerate().flat_map(|(client, events)| {
            let rounds = events.iter().filter(|(_, event)| match event {
                Event::RoundEnded { outcome, .. } => *outcome != Outcome::Undisturbed,
                Event::RoundRefused { .. } | Event::DocumentRefused { .. } => true,
                _ => false,
            });
            rounds.map(move |(at, event)| {
                format!("{} client {client}: {event:?}", at.ms_since(START))
            })
        });
        let mut lines: Vec<_> = of_shards.lines().map(str::to_owned).chain(told).collect();
        // Lines begin with their time, by which the two sources are merged.
        let at = |line: &String| line.split(' ').next().and_then(|at| at.parse::<u64>().ok());
        lines.sort_by_key(at);
        lines.join("\n")
    }

    pub(super) fn broken(&self, what: String) -> Broken {
        Broken { at_ms: self.network.now().ms_since(START), what }
    }

    /// Runs until a moment, in milliseconds from the start, and looks after everybody on the way.
    fn run_to(&mut self, at_ms: u64) -> Result<(), Broken> {
        loop {
            let now = self.network.now().ms_since(START);
            let turn = (now / TURN_MS + 1) * TURN_MS;
            self.advance(turn.min(at_ms).saturating_sub(now))?;
            if turn > at_ms {
                return Ok(());
            }
            self.turn()?;
        }
    }

    fn until(
        &mut self,
        ms: u64,
        otherwise: &str,
        done: impl Fn(&Self) -> bool,
    ) -> Result<(), Broken> {
        let last = self.network.now().ms_since(START) + ms;
        while !done(self) {
            let now = self.network.now().ms_since(START);
            if now >= last {
                return Err(self.broken(format!("{otherwise}, {ms} ms after all trouble")));
            }
            self.run_to(now + TURN_MS)?;
        }
        Ok(())
    }

    fn advance(&mut self, ms: u64) -> Result<(), Broken> {
        let Self { network, watch, talks, .. } = self;
        let mut result = Ok(());
        network.run_until(ms, |network| {
            result = watch.step(network, talks);
            result.is_err()
        });
        result
    }

    /// Those who run processes, and the programs around clients, look after them.
    fn turn(&mut self) -> Result<(), Broken> {
        for shard in self.leaving.clone() {
            if self.network.is_released(shard) {
                self.network.crash(shard);
                self.leaving.remove(&shard);
                self.away.insert(shard, self.network.now().plus_ms(AWAY_MS));
            }
        }
        let now = self.network.now();
        let back: Vec<_> =
            self.away.iter().filter(|(_, at)| **at <= now).map(|(shard, _)| *shard).collect();
        for shard in back {
            self.fault(Fault::Restart(shard))?;
        }
        // A backup of the coordinator now and then, which a later fault may bring back.
        if now.ms_since(START).is_multiple_of(10 * TURN_MS) {
            let coordinators = 0..self.plan.setup.coordinators;
            self.backups.push(coordinators.map(|i| self.network.coordinator_state(i)).collect());
        }
        for client in 0..self.plan.setup.clients {
            self.network.look_after(client);
        }
        for talk in &mut self.talks {
            talk.turn(&mut self.network);
        }
        Ok(())
    }

    fn say(&mut self, talk: usize, end: usize) {
        let bytes = self.draw.between(0, 600) as usize;
        let mut message = vec![0; bytes + 8];
        message[..8].copy_from_slice(&self.draw.seed().to_be_bytes());
        self.talks[talk].say(&mut self.network, end, message);
    }

    /// Lets a fault strike, and what it sets off happen. Long, because it is one table: what each fault is
    /// in terms of the network. One that means nothing at the time, such as a start of what runs, is none.
    fn fault(&mut self, fault: Fault) -> Result<(), Broken> {
        let network = &mut self.network;
        match fault {
            Fault::Crash(i) => {
                network.crash(i);
                self.leaving.remove(&i);
            }
            Fault::Restart(i) => {
                self.away.remove(&i);
                if !network.is_up(Party::Shard(i)) {
                    network.restart(i);
                }
            }
            Fault::Leave(i) if network.is_up(Party::Shard(i)) => {
                network.ask_to_leave(i);
                self.leaving.insert(i);
            }
            Fault::Leave(_) => {}
            Fault::CoordinatorStops(i) => network.stop_coordinator(i),
            Fault::CoordinatorLeaves(i) => network.ask_coordinator_to_stop(i),
            Fault::CoordinatorStarts(i, kept) => {
                // One that was asked to stop has ended, or is made to.
                if !network.is_up(Party::Coordinator(i)) || network.is_stopping(i) {
                    match kept {
                        Kept::All => {}
                        Kept::Old => {
                            let old = self.draw.below(self.backups.len());
                            network.replace_coordinator_state(i, self.backups[old][i].clone());
                        }
                        Kept::Nothing => network.replace_coordinator_state(i, State::default()),
                    }
                    network.restart_coordinator(i);
                }
            }
            Fault::Unlinks(coordinator, i) => network.unlink_coordinator(coordinator, i),
            Fault::Links(coordinator, i) => network.relink_coordinator(coordinator, i),
            Fault::Power => {
                network.cut_power();
                self.leaving.clear();
                self.away.clear();
            }
            Fault::ClientStops(i) => {
                if network.is_up(Party::Client(i)) {
                    network.stop_client(i);
                    self.talks.iter_mut().for_each(|talk| talk.restarted(i));
                }
            }
            Fault::ClientStarts(i) => return self.start_client(i),
            Fault::ClientRelinks(i) => {
                if network.is_up(Party::Client(i)) {
                    network.relink_client(i);
                }
            }
            Fault::ClientMoves(i) => {
                if network.is_up(Party::Client(i)) {
                    network.lose_gateway(i);
                }
            }
            Fault::Silence(i) => network.link_silently(i),
            Fault::Clock(party, ahead_ms) => self.set_clock(party, ahead_ms),
        }
        // Time stands still, but what the fault set off is worked through.
        self.advance(0)
    }

    fn start_client(&mut self, i: usize) -> Result<(), Broken> {
        if self.network.is_up(Party::Client(i)) {
            return Ok(());
        }
        // What it was told before it stopped.
        self.advance(0)?;
        let kept = self.network.record.persisted[i].last().map(|(_, kept)| *kept);
        self.watch.restarted(i, kept, self.network.now())?;
        self.network.start_client(i);
        self.advance(0)
    }

    /// Sets a clock. One that runs is never set back.
    fn set_clock(&mut self, party: Party, ahead_ms: i64) {
        let now = self.network.now();
        let wanted = Timestamp(now.0.saturating_add_signed(ahead_ms));
        if !self.network.is_up(party) || wanted >= self.network.clock(party) {
            self.network.set_clock(party, ahead_ms);
        }
    }
}
