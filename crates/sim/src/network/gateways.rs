//! Clients' gateways, as their policies have them.

use std::sync::Arc;

use antiphon_wire::ToClient;

use super::Network;
use crate::party::Party;

impl Network {
    /// A client has a link to its gateway.
    pub(super) fn note_link(&mut self, client: usize) {
        let Some(machine) = &self.clients[client].running else { return };
        let interval_ms = machine.newest_epoch().map_or(0, |epoch| epoch.parameters().interval_ms);
        let gateway = self.identity(self.gateways[client]);
        let now = self.clock(Party::Client(client));
        self.policies[client].linked(gateway, now, interval_ms);
    }

    /// Looks after a client, as the program around it does when its time has come: asks a coordinator for
    /// documents if the client has none that holds, and follows its policy.
    pub fn look_after(&mut self, client: usize) {
        let Some(machine) = &self.clients[client].running else { return };
        let now = self.clock(Party::Client(client));
        let holds = machine.epoch_at(now).is_some_and(|it| now < it.document().expires_at);
        let mut coordinators = 0..self.setup.coordinators;
        // One after the other, as clients do, until one has something to show.
        let asked = coordinators.find(|&i| {
            let has_one = self.saved_coordinators[i].current().is_some();
            has_one && self.is_up(Party::Coordinator(i))
        });
        if let Some(asked) = asked.filter(|_| !holds) {
            let saved = &self.saved_coordinators[asked];
            let published = [saved.current(), saved.next()].map(Option::<&Arc<_>>::cloned);
            for document in published.into_iter().flatten() {
                let document = (*document).clone();
                self.tell_client(client, ToClient::Document { document }.into());
            }
        }
        self.follow_gateway_policy(client);
    }

    /// A client gives up its gateway as one at fault, and goes to its epoch's other one.
    pub fn lose_gateway(&mut self, client: usize) {
        let before = self.gateways[client];
        self.leave(client);
        self.policies[client].lost();
        self.follow_gateway_policy(client);
        // The other one is down, or not known yet: a client without a link hears of no epoch.
        if self.gateways[client] == before {
            self.join(client, before);
        }
    }

    /// Moves a client to the gateway that its policy says: at once from one that is at fault, and
    /// between rounds at the beginning of an epoch, since a client has one link here and would lose
    /// the rounds under way.
    pub(super) fn follow_gateway_policy(&mut self, client: usize) {
        // One that sleeps looks for no other.
        if self.asleep.contains(&client) {
            return;
        }
        let Some(machine) = &self.clients[client].running else { return };
        let now = self.clock(Party::Client(client));
        let Some(epoch) = machine.epoch_at(now).map(Arc::clone) else { return };
        let rounds_under_way = machine.next_deadline().is_some();
        let policy = &mut self.policies[client];
        let at_fault = policy.fault(now).is_some();
        if at_fault {
            if self.turned_at_once(client) {
                return;
            }
            self.policies[client].lost();
        } else if rounds_under_way {
            return self.turn_if_due(client);
        }
        // Of the two draws of an epoch, one that runs; of none, neither.
        for _ in 0..2 {
            let policy = &mut self.policies[client];
            let gateway = policy.gateway(&epoch, &mut self.choices);
            let Some(shard) = gateway.and_then(|gateway| self.position(&gateway)) else { return };
            if self.shards[shard].running.is_some() {
                if shard != self.gateways[client] {
                    self.move_client(client, shard);
                }
                return;
            }
            self.policies[client].lost();
        }
    }
}
