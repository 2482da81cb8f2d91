//! Gauges of the shard, read when somebody asks for metrics.

use antiphon_process::metrics::labels::{Queue, ShardEndpoint, Urgency};
use antiphon_process::metrics::shard::{
    CIRCUIT_BYTES, CLIENTS, COORDINATORS, EPOCH, EPOCH_END, LIST_END, LIST_NUMBER, LISTED,
    PEER_LINKS, PEER_QUEUED, READY, ROUND, SLEEPER_BYTES, WORK_QUEUED,
};

use super::EventLoop;
use crate::metrics;
use crate::outbound::Outbound;

impl<T> EventLoop<T> {
    pub(super) fn set_gauges(&self) {
        self.set_standing();
        self.set_links();
        let (urgent, background) = self.hands.workers.waiting();
        WORK_QUEUED.set_count(Urgency::Urgent, urgent);
        WORK_QUEUED.set_count(Urgency::Background, background);
    }

    fn set_standing(&self) {
        READY.set_whether((), self.part.readiness().is_ready());
        ROUND.set((), self.served.0 as f64);
        CIRCUIT_BYTES.set_count((), self.machine.circuit_bytes());
        SLEEPER_BYTES.set_count((), self.machine.sleeper_bytes());
        let newest = self.rosters.newest();
        EPOCH.set((), newest.map_or(0.0, |(epoch, _)| epoch.0 as f64));
        EPOCH_END.set((), newest.map_or(0.0, |(_, expires_at)| expires_at.0 as f64 / 1000.0));
        let list = self.machine.list();
        // The newest that was taken, which may be the end of the one in use: whoever hands lists out waits for it.
        LIST_NUMBER.set((), f64::from(self.machine.list_number()));
        LIST_END.set((), list.last_epoch.0 as f64);
        LISTED.set_whether((), self.machine.is_on_list());
    }

    fn set_links(&self) {
        COORDINATORS.set_count((), self.coordinators.len());
        CLIENTS.set_count((), self.clients.len());
        PEER_LINKS.set_count((), self.hands.links.peers());
        let queued = self.outbound.values().map(Outbound::queued);
        let (messages, batches) = queued.fold((0, 0), |sum, (m, b)| (sum.0 + m, sum.1 + b));
        PEER_QUEUED.set_count(Queue::Messages, messages);
        PEER_QUEUED.set_count(Queue::Batches, batches);
        metrics::endpoint(ShardEndpoint::Peers, &self.hands.doors.peers.stats());
        metrics::endpoint(ShardEndpoint::Clients, &self.hands.doors.clients.stats());
    }
}
