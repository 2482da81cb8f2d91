//! The machine's outputs, carried out. Only the disk is waited for.

use std::sync::Arc;
use std::time::Duration;

use antiphon_mix::{ClientId, Notice, Output, SignerState};
use antiphon_process::kept_file::KeptFile;
use antiphon_process::metrics::labels::Dropped;
use antiphon_process::metrics::shard::{CLIENTS_DROPPED, MESSAGES_LOST};
use antiphon_routing::VerifiedEpoch;
use antiphon_transport::CloseReason;
use antiphon_wire::{Encode as _, IdentityKey, PeerMessage, ToClient};
use bytes::Bytes;
use tokio::time::timeout;

use super::{EventLoop, RunError};
use crate::phase::Phase;
use crate::{ShardNotice, StateFileError, metrics, state_file};

/// Pause before another try to keep the state.
const RETRY: Duration = Duration::from_secs(1);
/// Failures in a row for each that is logged.
const SAID_EVERY: u32 = 30;

impl<T> EventLoop<T> {
    /// Does what the machine asks for. Long, as it is one table of outputs.
    pub(super) async fn carry_out(&mut self, output: Output) -> Result<(), RunError> {
        match output {
            Output::Persist(state) => self.persist(state).await?,
            Output::Coordinator { to, message } => {
                let lost = self
                    .coordinators
                    .get(&to)
                    .is_none_or(|queue| queue.try_send(message.to_bytes().into()).is_err());
                if lost {
                    tracing::debug!("no link to the coordinator for a message");
                }
            }
            Output::Peer { to, message } => {
                let frame = Bytes::from(message.to_bytes());
                let sent = self.outbound.get(&to).map(|link| link.send(frame));
                self.count_lost(&to, matches!(sent, Some(Ok(()))));
            }
            Output::Batch { to, header, bytes, item_bytes } => {
                // The links let go of these bytes when the system has them, which is measured.
                let bytes = self.send_times.hand_out(header.claimed(), bytes);
                let header = Bytes::from(PeerMessage::Batch { header }.to_bytes());
                let link = self.outbound.get(&to);
                let sent = link.map(|link| link.send_batch(header, bytes, item_bytes));
                self.count_lost(&to, matches!(sent, Some(Ok(()))));
            }
            Output::Cells { to, batch, bytes, item_bytes } => {
                let header = Bytes::from(PeerMessage::Cells { batch }.to_bytes());
                let link = self.outbound.get(&to);
                let sent = link.map(|link| link.send_batch(header, bytes, item_bytes));
                self.count_lost(&to, matches!(sent, Some(Ok(()))));
            }
            Output::Client { to, message } => self.tell_client(to, message),
            Output::DropClient { client, reason } => {
                self.drop_client(client, CloseReason::Protocol, metrics::dropped(reason));
            }
            Output::Work(work) => {
                self.hands.workers.submit(work, self.hands.results.clone());
            }
            Output::Roster(epoch) => self.take_up(&epoch),
            Output::Proposed { epoch, peers } => {
                self.rosters.propose(epoch, peers);
                self.relink();
            }
            Output::Notice(notice) => self.pass_on(notice),
        }
        Ok(())
    }

    /// Links up with the shards of a new epoch.
    fn take_up(&mut self, epoch: &VerifiedEpoch) {
        let document = epoch.document();
        self.notify(ShardNotice::EpochPublished {
            epoch: document.epoch,
            first_round: document.first_round,
            last_round: document.last_round,
            shards: document.shards.len(),
            layers: document.parameters.layers,
        });
        self.rosters.add(epoch, &self.machine.identity());
        self.relink();
    }

    /// Passes a notice of the machine on to the operator, with what only the loop knows.
    fn pass_on(&mut self, mut notice: Notice) {
        match &mut notice {
            Notice::RoundTraced(trace) => self.send_times.fill(trace),
            Notice::Rejected { why } => self.part.rejected = Some(why.clone()),
            _ => {}
        }
        self.traces.note(&notice);
        self.notify(ShardNotice::Machine(notice));
    }

    pub(super) fn notify(&mut self, notice: ShardNotice) {
        let is_told = self.told.has(&notice, self.machine.is_on_list());
        notice.record(is_told);
        // Fails only when nobody listens.
        let _ = self.hands.notices.send(notice);
    }

    /// Makes the state durable, however long it takes: nothing that depends on it is done before.
    async fn persist(&mut self, state: SignerState) -> Result<(), RunError> {
        if let Some(file) = self.hands.state_file.clone() {
            let mut failures = 0_u32;
            while let Err(error) = store(Arc::clone(&file), state).await? {
                if failures.is_multiple_of(SAID_EVERY) {
                    tracing::error!(%error, "nothing is signed or served before the state is kept");
                }
                failures += 1;
                if self.stops_within(RETRY).await {
                    return Err(error.into());
                }
            }
            if failures > 0 {
                tracing::info!("the state is kept again: going on");
            }
        }
        self.served = state.served_round;
        if self.rosters.prune(self.served) {
            self.relink();
        }
        Ok(())
    }

    /// Waits, and returns `true` if the shard is told to stop meanwhile.
    async fn stops_within(&mut self, wait: Duration) -> bool {
        timeout(wait, self.hands.phase.wait_for(|phase| *phase != Phase::Running)).await.is_ok()
    }

    fn count_lost(&self, to: &IdentityKey, sent: bool) {
        if !sent {
            MESSAGES_LOST.add((), 1);
            tracing::debug!(peer = %to, "no room for a message to a peer");
        }
    }

    fn tell_client(&mut self, to: ClientId, message: Arc<ToClient>) {
        let Some(client) = self.clients.get(&to) else { return };
        let frame = match &self.encoded {
            Some((last, frame)) if Arc::ptr_eq(last, &message) => frame.clone(),
            _ => Bytes::from(message.to_bytes()),
        };
        let sent = client.send(frame.clone());
        self.encoded = Some((message, frame));
        if sent.is_err() {
            self.drop_client(to, CloseReason::Overloaded, Dropped::DoesNotRead);
            self.gone.push(to);
        }
    }

    fn drop_client(&mut self, client: ClientId, close: CloseReason, why: Dropped) {
        if let Some(link) = self.clients.remove(&client) {
            link.close(close);
            CLIENTS_DROPPED.add(why, 1);
        }
    }
}

async fn store(
    file: Arc<KeptFile>,
    state: SignerState,
) -> Result<Result<(), StateFileError>, RunError> {
    let stored = tokio::task::spawn_blocking(move || state_file::store(&file, state)).await;
    stored.map_err(|_| RunError::Panicked)
}
