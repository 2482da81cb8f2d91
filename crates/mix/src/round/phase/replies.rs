//! The way back: each layer's replies come in, and go on in the order of the layer's onions, down to
//! the gateway's clients.

use std::sync::Arc;

use antiphon_canaries::Canary;
use antiphon_wire::{Announcement, Blob, RoundOutcome, Timestamp, ToClient};

use crate::circuits::Circuits;
use crate::layer::origin::Origin;
use crate::layer::routes::Batch;
use crate::round::cx::{Cx, Shared};
use crate::round::deadlines::Deadlines;
use crate::round::phase::Phase;
use crate::work::Replied;

/// Replies come in for the onions of layers that have not answered yet.
#[derive(Debug)]
pub(in crate::round) struct Replying {
    pub(super) deadlines: Deadlines,
    pub(super) outcome: RoundOutcome,
}

impl Replying {
    pub(super) fn on_time(self, cx: &mut Cx<'_>) -> Phase {
        let due = cx.shared.traffic.next_to_answer().is_some_and(|(origin, returning)| {
            // What is known to be useless is filled at once: that shows no more than its sender knows.
            returning.is_settled() || cx.now >= self.deadlines.replies(origin)
        });
        if due
            && cx.shared.traffic.unsent == 0
            && let Some((origin, returning)) = cx.shared.traffic.take_next_to_answer()
        {
            cx.answer_onions(origin, returning.close());
        }
        Phase::Replying(self)
    }

    /// `None` while replies are being put in order.
    pub(super) fn deadline(&self, shared: &Shared) -> Option<Timestamp> {
        let (origin, _) = shared.traffic.next_to_answer().filter(|_| shared.traffic.unsent == 0)?;
        Some(self.deadlines.replies(origin))
    }

    /// Replies are in order, under their streams.
    pub(super) fn on_replied(self, cx: &mut Cx<'_>, replied: Replied) -> Phase {
        let Replied { layer: origin, batches } = replied;
        cx.shared.traffic.part_done();
        match origin {
            Origin::Gateway => {
                cx.answer_clients(&batches);
                let canaries = cx.prove_canaries(&batches);
                cx.leave_circuits(*self.deadlines.announcement(), self.outcome, canaries);
                cx.end(self.outcome, self.deadlines.opened())
            }
            Origin::Layer(layer) => {
                cx.send_replies(layer, batches);
                // The last layer's replies are all on their way: what follows is the way back.
                if cx.shared.traffic.unsent == 0 && layer == cx.geometry().last_layer() {
                    cx.shared.tracer.answered();
                }
                Phase::Replying(self)
            }
        }
    }
}

impl Cx<'_> {
    /// Hands over what the round leaves behind for its beats, if it has any. They run where all keys were released,
    /// whatever became of the round at this shard.
    fn leave_circuits(
        &mut self,
        announcement: Announcement,
        outcome: RoundOutcome,
        canaries: Vec<Option<Canary>>,
    ) {
        let released = self.shared.statements.released();
        if announcement.beats.is_classic() || released.len() < self.context.shards() {
            debug_assert!(announcement.beats.is_classic() || outcome != RoundOutcome::Delivered);
            return;
        }
        let tables = self.shared.circuits.finish(self.geometry().layers());
        let tables = tables.filter(|_| outcome == RoundOutcome::Delivered);
        let clients = self.shared.submissions.clients().collect();
        let circuits = Circuits { announcement, tables, released, clients, canaries };
        self.outputs.circuits = Some(circuits);
    }

    /// The canaries that the round has answered as it has to: the last replies are theirs. What else of them was
    /// not set up cleanly, and says nothing of anybody.
    fn prove_canaries(&mut self, batches: &[Batch]) -> Vec<Option<Canary>> {
        let canaries = std::mem::take(&mut self.shared.canaries);
        let body_bytes = self.geometry().body_bytes();
        let bodies: usize = batches.iter().map(|batch| batch.bytes.len() / body_bytes).sum();
        let replies = batches.iter().flat_map(|batch| batch.bytes.chunks_exact(body_bytes));
        let theirs: Vec<_> = replies.skip(bodies.saturating_sub(2 * canaries.len())).collect();
        let proven = canaries.into_iter().zip(theirs.chunks(2));
        proven.map(|(canary, replies)| canary.prove(&replies.concat())).collect()
    }

    fn answer_clients(&mut self, batches: &[Batch]) {
        let onions = self.context.epoch.onions_per_client(self.round);
        let each = onions * self.geometry().body_bytes();
        let (epoch, round) = (self.context.epoch.epoch(), self.round);
        // Clients' slots come first; what follows are the replies to this shard's own noise.
        let replies = batches.iter().flat_map(|batch| batch.bytes.chunks_exact(each));
        for ((to, ticket), replies) in self.shared.submissions.clients().zip(replies) {
            let message = ToClient::Replies { epoch, round, replies: Blob(replies.to_vec()) };
            self.outputs.answer(to, ticket, Arc::new(message));
        }
    }
}
