//! The endpoints that this shard listens on: their counts, and their bounds.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use antiphon_transport::Endpoint;
use tokio::sync::watch;
use tokio::time::interval;

use crate::metrics;
use crate::phase::Phase;

/// Interval at which counts are taken over into metrics.
const COUNT_EVERY: Duration = Duration::from_secs(2);

/// Handles to both endpoints.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    /// Endpoint for other shards.
    pub(crate) peers: Endpoint,
    /// Endpoint for clients.
    pub(crate) clients: Endpoint,
}

impl Doors {
    /// Takes the endpoints' counts over into metrics for as long as the shard runs.
    pub(crate) async fn count(self, mut phase: watch::Receiver<Phase>) {
        let mut ticks = interval(COUNT_EVERY);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    metrics::endpoint("peers", &self.peers.stats());
                    metrics::endpoint("clients", &self.clients.stats());
                }
                _ = phase.wait_for(|phase| *phase == Phase::Closed) => return,
            }
        }
    }

    /// Expects dials from these addresses: those of the shards of the epochs that are not over.
    pub(crate) fn expect_peers(&self, addresses: HashSet<IpAddr>) {
        self.peers.reserve(addresses);
    }

    /// Bounds the frames of clients: none of their messages is longer.
    pub(crate) fn expect_submissions(&self, bytes: usize) {
        self.clients.accept_up_to(bytes);
    }
}
