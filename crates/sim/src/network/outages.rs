//! Processes that are away, clocks that are wrong, and what an onlooker may ask of the whole.

use antiphon_client_core::{GatewayPolicy, Input as ClientInput};
use antiphon_coordinator_core::{Input as CoordinatorInput, Replica};
use antiphon_mix::Input as ShardInput;
use antiphon_wire::{Term, Timestamp};

use super::{Network, Process, Turn, entropy, new_client};
use crate::party::Party;
use crate::{LinkModel, Setup};

impl Network {
    /// Returns `true` while the process of `party` runs.
    pub fn is_up(&self, party: Party) -> bool {
        match party {
            Party::Coordinator(i) => self.coordinators[i].running.is_some(),
            Party::Shard(i) => self.shards[i].running.is_some(),
            Party::Client(i) => self.clients[i].running.is_some(),
        }
    }

    /// Stops a coordinator without warning, until [`restart_coordinator`](Self::restart_coordinator).
    /// What is under way to it is lost, and shards are not told: those that have others miss it.
    pub fn stop_coordinator(&mut self, coordinator: usize) {
        self.coordinators[coordinator].running = None;
        self.coordinators[coordinator].life += 1;
    }

    /// Has a shard forget whom it let lead, as one that did not keep it would.
    pub fn forget_grant(&mut self, i: usize) {
        self.saved_signers[i].grant = antiphon_mix::Grant::default();
    }

    /// Has a coordinator stop as one that is asked to: it opens no more rounds.
    pub fn ask_coordinator_to_stop(&mut self, coordinator: usize) {
        if let Some(running) = &mut self.coordinators[coordinator].running {
            running.stop();
            self.stopping.insert(coordinator);
        }
        self.tell_coordinator(coordinator, CoordinatorInput::Tick);
    }

    /// Returns `true` for a coordinator that was asked to stop, until it is started again.
    pub fn is_stopping(&self, coordinator: usize) -> bool {
        self.stopping.contains(&coordinator)
    }

    /// The coordinators that lead, as each of them sees it, with their terms.
    pub fn leaders(&self) -> Vec<(usize, Term)> {
        let running = self.coordinators.iter().map(|process| process.running.as_ref());
        let leads = |(i, running): (usize, Option<&Replica>)| Some((i, running?.leads_in()?));
        running.enumerate().filter_map(leads).collect()
    }

    /// A shard and a coordinator lose the link between them, and what is under way over it, until
    /// [`relink_coordinator`](Self::relink_coordinator).
    pub fn unlink_coordinator(&mut self, coordinator: usize, i: usize) {
        if self.unlinked.insert((coordinator, i)) {
            *self.links.entry((coordinator, i)).or_default() += 1;
            let identity = self.identity(i);
            self.tell_coordinator(coordinator, CoordinatorInput::Disconnected { identity });
            let lost = ShardInput::CoordinatorLost(Setup::coordinator_identity(coordinator));
            self.tell_shard(i, lost);
        }
    }

    /// A shard and a coordinator have a link again.
    pub fn relink_coordinator(&mut self, coordinator: usize, i: usize) {
        if self.unlinked.remove(&(coordinator, i)) {
            *self.links.entry((coordinator, i)).or_default() += 1;
            if self.is_up(Party::Shard(i)) {
                self.link(coordinator, i);
            }
        }
    }

    /// Stops a client without warning, until [`start_client`](Self::start_client).
    pub fn stop_client(&mut self, i: usize) {
        let gateway = self.gateways[i];
        self.tell_shard(gateway, ShardInput::ClientLeft(antiphon_mix::ClientId(i as u64)));
        self.hang_up_others(i);
        self.clients[i].running = None;
        self.clients[i].life += 1;
    }

    /// Starts a client that was stopped, with what it had persisted. It comes to its former gateway first, and
    /// from there to the one that it draws.
    pub fn start_client(&mut self, i: usize) {
        let client = new_client(&self.file, self.saved_clients[i], entropy(&mut self.rng));
        let life = self.clients[i].life;
        self.clients[i] = Process { running: Some(client), wake: None, life };
        self.turns[i] = Turn::default();
        if self.policies[i].pin().is_none() {
            self.policies[i] = GatewayPolicy::default();
        }
        self.join(i, self.gateways[i]);
    }

    /// The gateway of a client, up or not.
    pub fn gateway_of(&self, client: usize) -> usize {
        self.gateways[client]
    }

    /// Has all messages from here on take another time.
    pub fn set_link(&mut self, link: LinkModel) {
        self.setup.link = link;
    }

    /// The time by the clock of a process.
    pub fn clock(&self, party: Party) -> Timestamp {
        let ahead_ms = self.clocks.get(&party).copied().unwrap_or(0);
        Timestamp(self.now.0.saturating_add_signed(ahead_ms))
    }

    /// The moment at which the clock of a process shows `time`.
    pub(super) fn by_true_time(&self, party: Party, time: Timestamp) -> Timestamp {
        let ahead_ms = self.clocks.get(&party).copied().unwrap_or(0);
        Timestamp(time.0.saturating_add_signed(ahead_ms.saturating_neg()))
    }

    /// Sets the clock of a process, by so many milliseconds ahead of the others. A clock that runs is
    /// never set back: the processes take none that does.
    ///
    /// # Panics
    /// If it would be.
    pub fn set_clock(&mut self, party: Party, ahead_ms: i64) {
        let before = self.clocks.insert(party, ahead_ms).unwrap_or(0);
        assert!(ahead_ms >= before || !self.is_up(party), "{party:?} runs");
        match party {
            Party::Coordinator(i) => self.tell_coordinator(i, CoordinatorInput::Tick),
            Party::Shard(i) => self.tell_shard(i, ShardInput::Tick),
            Party::Client(i) => self.tell_client(i, ClientInput::Tick),
        }
    }

    /// Number of messages that are under way on links.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Messages delivered and processes woken so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The rounds that are open by the coordinator that has most, of those that are up.
    pub fn open_rounds(&self) -> usize {
        let running = self.coordinators.iter().filter_map(|process| process.running.as_ref());
        running.map(|running| running.open_rounds().count()).max().unwrap_or(0)
    }
}
