//! Clients' gateways, as their policies have them.

use std::sync::Arc;

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

    /// Moves a client to the gateway that its policy says: at once from one that is at fault, and
    /// between rounds at the beginning of an epoch, since a client has one link here and would lose
    /// the rounds under way.
    pub(super) fn follow_gateway_policy(&mut self, client: usize) {
        let Some(machine) = &self.clients[client].running else { return };
        let now = self.clock(Party::Client(client));
        let Some(epoch) = machine.epoch_at(now).map(Arc::clone) else { return };
        let rounds_under_way = machine.next_deadline().is_some();
        let policy = &mut self.policies[client];
        let at_fault = policy.fault(now).is_some();
        if at_fault {
            policy.lost();
        } else if rounds_under_way {
            return;
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
