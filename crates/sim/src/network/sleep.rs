//! Clients that sleep: their links go, and are there again at their time.

use antiphon_client_core::{Input as ClientInput, SleepError};
use antiphon_mix::{ClientId, Input as ShardInput};
use antiphon_wire::Timestamp;

use super::{Happening, Network};
use crate::party::Party;

impl Network {
    /// A client's user has it sleep for `ms` milliseconds, about.
    ///
    /// # Errors
    /// If it cannot.
    ///
    /// # Panics
    /// If it is down.
    pub fn sleep(&mut self, client: usize, ms: u64) -> Result<(), SleepError> {
        let now = self.clock(Party::Client(client));
        self.client(client).sleep(now, ms)?;
        // A turn to another gateway waits until it is back: what is left stays where it was left.
        self.hang_up_next(client);
        // What it asks for is carried out with the next event.
        self.tell_client(client, ClientInput::Tick);
        Ok(())
    }

    /// Returns `true` while a client has no link, as it sleeps.
    pub fn is_asleep(&self, client: usize) -> bool {
        self.asleep.contains(&client)
    }

    /// A client's link goes until its time comes. What is under way over it is lost.
    pub(super) fn fall_asleep(&mut self, client: usize, until: Timestamp) {
        self.hang_up_others(client);
        self.asleep.insert(client);
        self.client_links[client] += 1;
        let gateway = self.gateways[client];
        self.tell_shard(gateway, ShardInput::ClientLeft(ClientId(client as u64)));
        let at = self.by_true_time(Party::Client(client), until).max(self.now);
        self.schedule(at, Happening::WakesUp(client));
    }

    /// A client links again, to its gateway if that runs.
    pub(super) fn wake_up(&mut self, client: usize) {
        if !self.asleep.remove(&client) || self.clients[client].running.is_none() {
            return;
        }
        let gateway = self.gateways[client];
        if self.is_up(Party::Shard(gateway)) {
            self.join(client, gateway);
            self.tell_client(client, ClientInput::Linked);
        } else {
            self.lose_gateway(client);
        }
    }
}
