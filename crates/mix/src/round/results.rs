//! What a round does with the results of work that it handed out.

use std::sync::Arc;
use std::time::Duration;

use antiphon_verify::SealFilter;
use antiphon_wire::{
    Blob, FilterSalt, Finding, PeerMessage, Reason, RoundOutcome, Signed, Timestamp, ToClient,
    Verdict,
};

use crate::layer::block::Block;
use crate::layer::origin::Origin;
use crate::layer::routes::Batch;
use crate::round::{Effects, RoundMachine, Stage};
use crate::work::{
    Exchanged, Filtered, Gathered, Judged, Left, PeeledBlock, Replied, Step, StepResult,
};

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
            StepResult::Peeled(PeeledBlock { layer, block }) => {
                self.tracer.peeling_took(layer, took);
                if let Some(arriving) = self.layer_mut(layer) {
                    arriving.peeled(block);
                }
            }
            StepResult::Left(left) => {
                self.tracer.shuffling_took(left.origin, took);
                self.left(*left, effects);
            }
            StepResult::Gathered(Gathered { origin, batches }) => {
                self.tracer.shuffling_took(origin, took);
                if self.take_part() {
                    self.pass_on(origin, batches, effects);
                }
            }
            StepResult::Filtered(Filtered { blocks, salt, filter }) => {
                let filter = filter.map(|filter| (salt, filter));
                self.filtered(now, blocks, filter, effects);
            }
            StepResult::Judged(judged) => self.judged(now, &judged, effects),
            StepResult::Exchanged(exchanged) => self.exchanged(*exchanged, effects),
            StepResult::Replied(Replied { layer, batches }) => {
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
        let Left { origin, routes, reply_keys, starts, batches, rest } = left;
        if self.stage != Stage::Leaving(origin) {
            return;
        }
        let seal = self.context.epoch.geometry().seal_layer();
        self.stage = if origin == Origin::Layer(seal) {
            Stage::DeadDrops
        } else {
            Stage::Batches(origin.next_layer())
        };
        self.expect_replies(origin, routes, reply_keys, starts);
        self.parts += rest.len();
        for job in rest {
            self.work(Step::Gather(job), effects);
        }
        self.pass_on(origin, batches, effects);
    }

    fn pass_on(&mut self, origin: Origin, batches: Vec<Batch>, effects: &mut Effects) {
        self.send_onions(origin.next_layer(), batches, effects);
        if self.parts == 0 {
            self.tracer.sent(origin);
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
        let geometry = self.context.epoch.geometry();
        self.stage = Stage::Replies(Origin::Layer(geometry.seal_layer()));
        self.answer(Origin::Layer(geometry.last_layer()), answering, effects);
    }

    /// Replies are in order, under their streams.
    fn replied(
        &mut self,
        now: Timestamp,
        origin: Origin,
        batches: Vec<Batch>,
        effects: &mut Effects,
    ) {
        let Origin::Layer(layer) = origin else {
            self.answer_clients(&batches, effects);
            let outcome = self.outcome.unwrap_or(RoundOutcome::Delivered);
            return self.end(now, outcome, effects);
        };
        self.send_replies(layer, batches, effects);
        if self.parts == 0 && layer == self.context.epoch.geometry().last_layer() {
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
