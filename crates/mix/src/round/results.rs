//! What a round does with the results of work that it handed out.

use std::sync::Arc;
use std::time::Duration;

use antiphon_verify::SealFilter;
use antiphon_wire::{
    Blob, FilterSalt, Finding, Layer, PeerMessage, Reason, RoundOutcome, Signed, Timestamp,
    ToClient, Verdict,
};

use crate::round::{Block, Effects, RoundMachine, Stage};
use crate::routed::Batch;
use crate::work::{Exchanged, Judged, Left, Step, StepResult};

impl RoundMachine {
    /// Work is done, and took its thread so long. What comes after the round was given up is dropped.
    pub(crate) fn work_done(
        &mut self,
        now: Timestamp,
        result: StepResult,
        took: Duration,
        effects: &mut Effects,
    ) {
        match result {
            StepResult::Checked(unsigned) => self.headers_checked(now, &unsigned, effects),
            StepResult::Peeled { layer, block } => {
                let layer = Layer(layer);
                self.tracer.peeling_took(layer, took);
                if let Some(arriving) = self.layer_mut(layer) {
                    arriving.peeled(block);
                }
            }
            StepResult::Left(left) => {
                self.tracer.shuffling_took(Layer(left.layer), took);
                self.left(*left, effects);
            }
            StepResult::Gathered { layer, batches } => {
                self.tracer.shuffling_took(Layer(layer), took);
                if self.take_part() {
                    self.pass_on(layer, batches, effects);
                }
            }
            StepResult::Filtered { blocks, salt, filter } => {
                let filter = filter.map(|filter| (salt, filter));
                self.filtered(now, blocks, filter, effects);
            }
            StepResult::Judged(judged) => self.judged(now, &judged, effects),
            StepResult::Exchanged(exchanged) => self.exchanged(*exchanged, effects),
            StepResult::Replied { layer, batches } => {
                if self.take_part() {
                    self.replied(now, layer, batches, effects);
                }
            }
        }
        self.advance(now, effects);
    }

    /// Counts a part of a layer that has come. Whether it is still wanted.
    fn take_part(&mut self) -> bool {
        let wanted = self.parts > 0;
        self.parts = self.parts.saturating_sub(1);
        wanted
    }

    /// The onions of a layer are on their way.
    fn left(&mut self, left: Left, effects: &mut Effects) {
        let Left { layer, routes, reply_keys, starts, batches, rest } = left;
        if self.stage != Stage::Leaving(layer) {
            return;
        }
        let seal = self.context.epoch.geometry().seal_layer();
        self.stage =
            if layer == seal.0 { Stage::DeadDrops } else { Stage::Batches(Layer(layer).next()) };
        self.expect_replies(layer, routes, reply_keys, starts);
        self.parts += rest.len();
        for job in rest {
            self.work(Step::Gather(job), effects);
        }
        self.pass_on(layer, batches, effects);
    }

    fn pass_on(&mut self, layer: u8, batches: Vec<Batch>, effects: &mut Effects) {
        self.send_onions(Layer(layer).next(), batches, effects);
        if self.parts == 0 {
            self.tracer.sent(layer);
        }
    }

    /// This shard's filter is built: all others get it.
    fn filtered(
        &mut self,
        now: Timestamp,
        blocks: Vec<Block>,
        filter: Option<(FilterSalt, SealFilter)>,
        effects: &mut Effects,
    ) {
        if self.stage != Stage::Filtering {
            return;
        }
        let seal = self.context.epoch.geometry().seal_layer();
        if let Some(arriving) = self.layer_mut(seal) {
            arriving.take_back_sealed(blocks);
        }
        let Some((salt, filter)) = filter else {
            return self.withhold(now, Reason::NotPrepared, effects);
        };
        let statement = self.sealing.take_own_filter(&self.context, self.round, salt, filter);
        let filter = Signed::new(statement, &self.context.identity);
        self.tell_all(&PeerMessage::Filter { filter }, effects);
        self.stage = Stage::Filters;
    }

    /// The filters are tested: all others get the verdict.
    fn judged(&mut self, now: Timestamp, judged: &Judged, effects: &mut Effects) {
        if self.stage != Stage::Judging {
            return;
        }
        let finding = self.sealing.judged(&self.context, judged);
        self.stage = Stage::Verdicts;
        let verdict = Signed::new(
            Verdict {
                epoch: self.context.epoch.epoch(),
                round: self.round,
                shard: self.context.me,
                finding,
            },
            &self.context.identity,
        );
        self.tell_all(&PeerMessage::Verdict { verdict: verdict.clone() }, effects);
        if let Finding::Complaint { at, missing } = finding {
            let reason = Reason::MissingOnions { complainant: self.context.me, at, missing };
            return self.withhold(now, reason, effects);
        }
        let early = self.sealing.early_verdicts();
        for verdict in early.iter().chain([&verdict]) {
            self.count_verdict(now, verdict, effects);
        }
    }

    /// Layer L has its replies.
    fn exchanged(&mut self, exchanged: Exchanged, effects: &mut Effects) {
        if self.stage != Stage::Exchanging {
            return;
        }
        let Exchanged { answering, counts } = exchanged;
        self.counts.pairs = counts.pairs;
        self.counts.singles = counts.singles;
        let last = self.context.epoch.geometry().layers();
        self.stage = Stage::Replies(last - 1);
        self.answer(last, answering, effects);
    }

    /// Replies are in order, under their streams.
    fn replied(&mut self, now: Timestamp, layer: u8, batches: Vec<Batch>, effects: &mut Effects) {
        if layer == 0 {
            self.answer_clients(&batches, effects);
            let outcome = self.outcome.unwrap_or(RoundOutcome::Delivered);
            return self.end(now, outcome, effects);
        }
        self.send_replies(Layer(layer), batches, effects);
        if self.parts == 0 && layer == self.context.epoch.geometry().layers() {
            self.tracer.answered();
        }
    }

    fn answer_clients(&mut self, batches: &[Batch], effects: &mut Effects) {
        let pairs = self.context.epoch.parameters().pairs_per_client;
        let each = 2 * usize::from(pairs) * self.context.epoch.geometry().body_bytes();
        let (epoch, round) = (self.context.epoch.epoch(), self.round);
        // Clients' slots come first; what follows are the replies to this shard's own noise.
        let replies = batches.iter().flat_map(|batch| batch.bytes.chunks_exact(each));
        for ((to, ticket), replies) in self.submissions.clients().zip(replies) {
            let message = ToClient::Replies { epoch, round, replies: Blob(replies.to_vec()) };
            effects.answer(to, ticket, Arc::new(message));
        }
    }
}
