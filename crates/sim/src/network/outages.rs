//! Processes that are away, clocks that are wrong, and what an onlooker may ask of the whole.

use antiphon_client_core::Input as ClientInput;
use antiphon_coordinator_core::Input as CoordinatorInput;
use antiphon_mix::Input as ShardInput;
use antiphon_wire::Timestamp;

use super::{Network, Process, entropy, new_client};
use crate::LinkModel;
use crate::party::Party;

impl Network {
    /// Returns `true` while the process of `party` runs.
    pub fn is_up(&self, party: Party) -> bool {
        match party {
            Party::Coordinator => self.coordinator.running.is_some(),
            Party::Shard(i) => self.shards[i].running.is_some(),
            Party::Client(i) => self.clients[i].running.is_some(),
        }
    }

    /// Stops the coordinator without warning, until [`restart_coordinator`](Self::restart_coordinator).
    /// What is under way to it is lost.
    pub fn stop_coordinator(&mut self) {
        self.coordinator.running = None;
        self.coordinator.life += 1;
    }

    /// A shard and the coordinator lose the link between them, and what is under way over it, until
    /// [`relink_coordinator`](Self::relink_coordinator).
    pub fn unlink_coordinator(&mut self, i: usize) {
        if self.unlinked.insert(i) {
            self.links[i] += 1;
            let identity = self.identity(i);
            self.tell_coordinator(CoordinatorInput::Disconnected { identity });
        }
    }

    /// A shard and the coordinator have a link again.
    pub fn relink_coordinator(&mut self, i: usize) {
        if self.unlinked.remove(&i) {
            self.links[i] += 1;
            if self.is_up(Party::Shard(i)) {
                self.link_to_coordinator(i);
            }
        }
    }

    /// Stops a client without warning, until [`start_client`](Self::start_client).
    pub fn stop_client(&mut self, i: usize) {
        let gateway = self.gateways[i];
        self.tell_shard(gateway, ShardInput::ClientLeft(antiphon_mix::ClientId(i as u64)));
        self.clients[i].running = None;
        self.clients[i].life += 1;
    }

    /// Starts a client that was stopped, with what it had persisted, at a gateway.
    pub fn start_client(&mut self, i: usize, gateway: usize) {
        let client = new_client(&self.file, self.saved_clients[i], entropy(&mut self.rng));
        let life = self.clients[i].life;
        self.clients[i] = Process { running: Some(client), wake: None, life };
        self.join(i, gateway);
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
            Party::Coordinator => self.tell_coordinator(CoordinatorInput::Tick),
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

    /// The rounds that are open by the coordinator, if it is up.
    pub fn open_rounds(&self) -> usize {
        self.coordinator.running.as_ref().map_or(0, |running| running.open_rounds().count())
    }
}
