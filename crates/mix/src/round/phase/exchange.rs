//! Layer L: every shard's deposits, and what the service makes of them.

use std::sync::Arc;

use antiphon_wire::{Blob, BoxStatement, PeerMessage, RoundOutcome, Signed, Timestamp};

use crate::layer::origin::Origin;
use crate::round::arriving::Arriving;
use crate::round::cx::{Cx, Shared};
use crate::round::deadlines::Deadlines;
use crate::round::phase::{Phase, Replying};
use crate::service::PublishedBox;
use crate::work::{ExchangeJob, Exchanged, Step};

/// Layer L's onions come in. Nothing aborts the round any more: what is missing counts as empty.
#[derive(Debug)]
pub(in crate::round) struct Deposits {
    pub(super) deadlines: Deadlines,
    pub(super) last: Arriving,
    pub(super) outcome: RoundOutcome,
}

/// The service is at work.
#[derive(Debug)]
pub(in crate::round) struct Exchanging {
    pub(super) deadlines: Deadlines,
    pub(super) outcome: RoundOutcome,
}

impl Deposits {
    pub(super) fn on_time(mut self, cx: &mut Cx<'_>) -> Phase {
        if !self.last.is_received() {
            if cx.now < self.deadlines.dead_drops() {
                return Phase::Deposits(self);
            }
            // From here on nothing can be taken back: whoever is late gets no reply, and the others do.
            cx.peel(self.last.cut_off());
        }
        if !self.last.is_idle() {
            return Phase::Deposits(self);
        }
        let Self { deadlines, last, outcome } = self;
        let layer = last.layer();
        let closed = last.close();
        cx.shared.tracer.peeled(layer, closed.slots());
        let (service, geometry, pool) = (Arc::clone(cx.service), cx.geometry(), cx.pool.clone());
        cx.work(Step::Exchange(Box::new(ExchangeJob { service, closed, geometry, pool })));
        Phase::Exchanging(Exchanging { deadlines, outcome })
    }

    /// `None` while the end of peeling or of gathering comes first.
    pub(super) fn deadline(&self, shared: &Shared) -> Option<Timestamp> {
        let waits = !self.last.is_peeling() && shared.traffic.unsent == 0;
        waits.then(|| self.deadlines.dead_drops())
    }
}

impl Exchanging {
    /// Layer L has its replies.
    pub(super) fn on_done(self, cx: &mut Cx<'_>, exchanged: Exchanged) -> Phase {
        let Self { deadlines, outcome } = self;
        let Exchanged { answering, table, counts, boxes } = exchanged;
        table.into_iter().for_each(|table| cx.shared.circuits.exchange(table));
        cx.shared.counts.pairs = counts.pairs;
        cx.shared.counts.singles = counts.singles;
        cx.answer_onions(Origin::Layer(cx.geometry().last_layer()), answering);
        boxes.into_iter().for_each(|filled| cx.publish_box(filled));
        Phase::Replying(Replying { deadlines, outcome })
    }
}

impl Cx<'_> {
    /// Signs a box and sends it to all: from here on nobody can be shown another.
    fn publish_box(&mut self, PublishedBox { number, content }: PublishedBox) {
        let document = self.context.epoch.document();
        let statement = BoxStatement {
            network: document.network,
            epoch: document.epoch,
            round: self.round,
            shard: self.context.me,
            number,
            content: Blob(content),
        };
        let published = Signed::new(statement, &self.context.identity);
        self.tell_all(&PeerMessage::Box { published: published.clone() });
        self.outputs.published.push(published);
    }
}
