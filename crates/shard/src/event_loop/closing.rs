//! The end of a shard: all frames that are queued go out first, as far as the others take them.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{EventLoop, Sources};
use crate::phase::Phase;
use crate::server::endpoints::Served;

/// Longest time that the others have to take the frames queued for them.
const GOODBYE: Duration = Duration::from_secs(2);

impl<T> EventLoop<T> {
    pub(super) async fn leave(self, sources: Sources, phase: &watch::Sender<Phase>) {
        let Self { coordinators, clients, outbound, .. } = self;
        let Sources { served, mut coordinator_tasks, results, .. } = sources;
        let Served { peer_messages, peer_chunks, mut writing, tasks, .. } = served;
        let coordinator_events = sources.coordinators;
        let client_events = served.clients;
        // Nobody new comes in, and nothing that comes is taken any more.
        phase.send_replace(Phase::Stopping);
        drop((results, peer_messages, peer_chunks, client_events));

        let mut goodbyes = JoinSet::new();
        for link in outbound.into_values() {
            goodbyes.spawn(link.finish(GOODBYE));
        }
        // Without its queue, each of these ends when all is sent.
        drop((coordinators, clients));
        let _ = timeout(GOODBYE, async {
            // Nothing is ever sent on it: this waits for the last writer.
            let _ = writing.recv().await;
            for task in &mut coordinator_tasks {
                let _ = (&mut task.0).await;
            }
        })
        .await;
        drop(coordinator_events);
        while goodbyes.join_next().await.is_some() {}

        phase.send_replace(Phase::Closed);
        for task in tasks {
            let _ = timeout(GOODBYE, task).await;
        }
    }
}
