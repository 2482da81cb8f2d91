//! What a round does when it has what it was waiting for, or has waited long enough.

use std::sync::Arc;

use antiphon_onion::{PeelKey, ReplyKey};
use antiphon_verify::Standing;
use antiphon_wire::{
    FilterSalt, Layer, PeerMessage, Reason, RoundOutcome, Signed, Timestamp, ToClient, Verdict,
};
use rand::Rng as _;

use crate::layer::answering::Answering;
use crate::layer::origin::Origin;
use crate::layer::routes::{Batch, Routes, Slot};
use crate::round::arriving::Arriving;
use crate::round::deadlines::Deadlines;
use crate::round::sealing::filter_key;
use crate::round::{Effects, Returning, RoundMachine, Stage};
use crate::work::{Departing, ExchangeJob, FilterJob, LeaveJob, ReplyJob, Step};

impl RoundMachine {
    /// Goes on until something is missing that may still come.
    pub(super) fn advance(&mut self, now: Timestamp, effects: &mut Effects) {
        loop {
            let before = self.stage;
            match before {
                Stage::Submissions => self.close_submissions(now, effects),
                Stage::Batches(layer) => self.close_batches(now, layer, effects),
                Stage::Filters => self.close_filters(now, effects),
                Stage::Verdicts => self.close_verdicts(now, effects),
                Stage::Keys => self.close_keys(now, effects),
                Stage::Opening => self.close_opening(effects),
                Stage::DeadDrops => self.close_dead_drops(now, effects),
                Stage::Replies(layer) => self.close_replies(now, layer, effects),
                Stage::Aborting(until) => self.close_aborting(now, until, effects),
                // These go on when the work is done.
                Stage::Leaving(_)
                | Stage::Filtering
                | Stage::Judging
                | Stage::Exchanging
                | Stage::Answering
                | Stage::Ended => {}
            }
            if self.stage == before {
                return;
            }
        }
    }

    /// Whether a deadline has passed. None does before the round is open.
    fn past(&self, now: Timestamp, deadline: impl Fn(&Deadlines) -> Timestamp) -> bool {
        self.opened.as_ref().is_some_and(|(_, deadlines)| now >= deadline(deadlines))
    }

    fn close_submissions(&mut self, now: Timestamp, effects: &mut Effects) {
        let waited = self.submissions.is_complete(now) || self.past(now, Deadlines::submissions);
        if !self.is_open() || !waited {
            return;
        }
        let Some(noise) = self.noise.take() else {
            if self.past(now, |deadlines| deadlines.batches(Layer::FIRST)) {
                self.withhold(now, Reason::NotPrepared, effects);
            }
            return;
        };
        effects.missed = self.submissions.missing();
        self.counts.user_onions = self.submissions.onions() as u32;
        self.counts.noise_onions = noise.entries.len() as u32;
        self.tracer.noise_took(noise.took);
        self.sealing.checked = Some(noise.checked);
        let entries = self.submissions.take_entries();
        let (noise_entries, noise) = (noise.entries, noise.onions);
        self.leave(Origin::Gateway, Departing::Gateway { entries, noise_entries, noise }, effects);
    }

    /// Has onions shuffled and gathered that leave `origin`.
    fn leave(&mut self, origin: Origin, departing: Departing, effects: &mut Effects) {
        self.stage = Stage::Leaving(origin);
        let job = LeaveJob {
            departing,
            geometry: self.context.epoch.geometry(),
            shards: self.context.shards(),
            rng: self.rng.fork(),
            pool: self.pool.clone(),
        };
        self.work(Step::Leave(Box::new(job)), effects);
    }

    /// Has a closed layer's onions shuffled and sent to the next.
    fn send_on(&mut self, layer: Layer, effects: &mut Effects) {
        let Some(arriving) = self.take_layer(layer) else { return };
        let closed = arriving.close();
        self.tracer.peeled(layer, closed.slots());
        self.leave(Origin::Layer(layer), Departing::Layer(closed), effects);
    }

    fn close_batches(&mut self, now: Timestamp, layer: Layer, effects: &mut Effects) {
        let Some(arriving) = self.layer(layer) else { return };
        if !arriving.is_complete() {
            if self.past(now, |deadlines| deadlines.batches(layer))
                && let Some(sender) = arriving.first_missing()
            {
                self.withhold(now, Reason::MissingBatch { layer, sender }, effects);
            }
            return;
        }
        if layer == self.context.epoch.geometry().seal_layer() {
            self.build_filter(now, layer, effects);
        } else {
            self.send_on(layer, effects);
        }
    }

    pub(super) fn expect_replies(
        &mut self,
        origin: Origin,
        routes: Routes,
        keys: Vec<ReplyKey>,
        starts: Vec<Slot>,
    ) {
        let body = self.context.epoch.geometry().body_bytes();
        let shards = self.context.shards();
        let returning = Returning::new(routes, keys, starts, body, shards, self.pool.clone());
        self.returning[usize::from(origin.layers_passed())] = Some(returning);
    }

    fn build_filter(&mut self, now: Timestamp, seal: Layer, effects: &mut Effects) {
        let onion_bytes = self.context.epoch.geometry().onion_bytes(seal);
        let Some(arriving) = self.layer_mut(seal) else { return };
        let blocks = arriving.lend_sealed();
        // Not before every onion is in: known earlier, it lets others choose onions by the bits that
        // they set.
        let mut salt = FilterSalt([0; 16]);
        self.rng.fill_bytes(&mut salt.0);
        let Some(key) = filter_key(&self.context, self.round, self.context.me, salt) else {
            return self.withhold(now, Reason::NotPrepared, effects);
        };
        self.stage = Stage::Filtering;
        self.work(Step::Filter(Box::new(FilterJob { salt, key, blocks, onion_bytes })), effects);
        // Meanwhile, and while the others' filters come.
        let portions = self.check_headers(Step::Headers, effects);
        self.headers.wait_for(portions);
    }

    fn close_filters(&mut self, now: Timestamp, effects: &mut Effects) {
        if let Some(shard) = self.sealing.first_missing_filter() {
            if self.past(now, Deadlines::filters) {
                self.withhold(now, Reason::MissingFilter { shard }, effects);
            }
            return;
        }
        if self.parts > 0 || self.headers.is_checking() {
            // Whether the filters hold what is still to be sent has to be tested as well. And nobody is
            // satisfied with batches that no one could be blamed for.
            return;
        }
        let geometry = self.context.epoch.geometry();
        let onion_bytes = geometry.onion_bytes(geometry.seal_layer());
        self.counts.filters_checked = self.context.shards() as u32;
        self.counts.filter_bytes = self.sealing.filter_bytes() as u32;
        if let Some(job) = self.sealing.judge(onion_bytes) {
            self.stage = Stage::Judging;
            self.work(Step::Judge(Box::new(job)), effects);
        }
    }

    /// Counts a verdict. The last one, if all are satisfied over the same filters, is the proof
    /// without which the seal key cannot be released.
    pub(super) fn count_verdict(
        &mut self,
        now: Timestamp,
        verdict: &Signed<Verdict>,
        effects: &mut Effects,
    ) {
        match self.sealing.take_verdict(verdict, &self.context.identities) {
            Ok(Standing::AllSatisfied(proof)) => {
                let Some(keeper) = self.sealing.keeper.take() else { return };
                if let Ok(statement) = keeper.release(proof, &self.context.identity) {
                    self.publish_statement(statement, effects);
                    self.stage = Stage::Keys;
                }
            }
            Ok(Standing::Refused(reason)) => self.withhold(now, reason, effects),
            Ok(Standing::Waiting) => {}
            Err(error) => self.fault(verdict.claimed().shard, &error, effects),
        }
    }

    fn close_verdicts(&mut self, now: Timestamp, effects: &mut Effects) {
        if self.past(now, Deadlines::verdicts)
            && let Some(shard) = self.sealing.first_missing_verdict()
        {
            self.withhold(now, Reason::MissingVerdict { shard }, effects);
        }
    }

    fn close_keys(&mut self, now: Timestamp, effects: &mut Effects) {
        if let Some(secrets) = self.sealing.seals.secrets() {
            let seal = self.context.epoch.geometry().seal_layer();
            // The sum was checked when the document was: it is a key.
            let Ok(key) = PeelKey::sealed(&self.context.onion, secrets) else {
                self.outcome = Some(RoundOutcome::NotOpened { missing: self.context.me });
                return self.skip_opening(effects);
            };
            self.stage = Stage::Opening;
            self.tracer.keys_in();
            if let Some(arriving) = self.layer_mut(seal) {
                let jobs = arriving.unseal(key);
                self.peel(jobs, effects);
            }
            return;
        }
        let missing = self.sealing.seals.first_unreleased().unwrap_or(self.context.me);
        let withheld = self.sealing.seals.first_withheld().is_some();
        let late = self.past(now, Deadlines::keys);
        let Some(asked) = self.asked_for_keys else {
            // Whoever signed that it withheld may have released to others, so they are asked then,
            // too.
            let all_in = withheld && self.sealing.seals.is_complete();
            if all_in || self.past(now, Deadlines::ask_for_keys) {
                self.asked_for_keys = Some(now);
                let (epoch, round) = (self.context.epoch.epoch(), self.round);
                self.tell_all(&PeerMessage::AskStatements { epoch, round }, effects);
            }
            return;
        };
        if withheld && (late || now >= self.give_up_keys(asked)) {
            self.outcome = Some(RoundOutcome::NotOpened { missing });
            self.abort(now);
        } else if late {
            // Others may have opened: this shard counts as empty, and goes on for their sake.
            self.outcome = Some(RoundOutcome::NotOpened { missing });
            self.skip_opening(effects);
        }
    }

    /// When to give up on seal keys that were asked for at `asked`, if some shard has withheld its
    /// own; never otherwise.
    pub(super) fn give_up_keys(&self, asked: Timestamp) -> Timestamp {
        if self.sealing.seals.first_withheld().is_some() {
            asked.plus_ms(self.context.epoch.parameters().verify_ms.into())
        } else {
            Timestamp(u64::MAX)
        }
    }

    fn skip_opening(&mut self, effects: &mut Effects) {
        let geometry = self.context.epoch.geometry();
        let seal = geometry.seal_layer();
        if let Some(arriving) = self.take_layer(seal) {
            let closed = arriving.close();
            let keys = vec![ReplyKey::default(); closed.slots()];
            let routes = Routes::none(self.context.shards());
            self.expect_replies(Origin::Layer(seal), routes, keys, closed.into_starts());
        }
        let nothing = self.context.epoch.shard_indices().map(Batch::empty).collect();
        self.stage = Stage::DeadDrops;
        self.send_onions(geometry.last_layer(), nothing, effects);
    }

    fn close_opening(&mut self, effects: &mut Effects) {
        let seal = self.context.epoch.geometry().seal_layer();
        if self.layer(seal).is_some_and(Arriving::is_idle) {
            self.send_on(seal, effects);
        }
    }

    fn close_dead_drops(&mut self, now: Timestamp, effects: &mut Effects) {
        let geometry = self.context.epoch.geometry();
        let last = geometry.last_layer();
        let Some(arriving) = self.layer(last) else { return };
        if !arriving.is_received() {
            if !self.past(now, Deadlines::dead_drops) {
                return;
            }
            let rest = self.layer_mut(last).and_then(Arriving::cut_off);
            self.peel(rest.into_iter().collect(), effects);
        }
        if !self.layer(last).is_some_and(Arriving::is_idle) {
            return;
        }
        let Some(arriving) = self.take_layer(last) else { return };
        let closed = arriving.close();
        self.tracer.peeled(last, closed.slots());
        self.stage = Stage::Exchanging;
        let (service, pool) = (self.service, self.pool.clone());
        let job = ExchangeJob { service, closed, geometry, pool };
        self.work(Step::Exchange(Box::new(job)), effects);
    }

    fn close_replies(&mut self, now: Timestamp, layer: Origin, effects: &mut Effects) {
        let position = usize::from(layer.layers_passed());
        let returning = self.returning[position].as_ref();
        // What is known to be useless is filled at once: that shows no more than its sender knows.
        let settled = returning.is_none_or(Returning::is_settled);
        let due = settled || self.past(now, |deadlines| deadlines.replies(layer));
        if !due || self.parts > 0 {
            return;
        }
        self.stage = layer.before().map_or(Stage::Answering, Stage::Replies);
        if let Some(returning) = self.returning[position].take() {
            self.answer(layer, returning.close(), effects);
        }
    }

    /// Has the onions of `layer` answered.
    pub(super) fn answer(&mut self, layer: Origin, answering: Answering, effects: &mut Effects) {
        let jobs = ReplyJob::all(layer, answering, &mut self.rng);
        self.parts += jobs.len();
        for job in jobs {
            self.work(Step::Reply(Box::new(job)), effects);
        }
    }

    fn close_aborting(&mut self, now: Timestamp, until: Timestamp, effects: &mut Effects) {
        if now < until && !self.sealing.seals.is_complete() {
            return;
        }
        let message = Arc::new(ToClient::Aborted {
            epoch: self.context.epoch.epoch(),
            round: self.round,
            statements: self.sealing.seals.statements().to_vec(),
        });
        for (to, ticket) in self.submissions.clients() {
            effects.answer(to, ticket, Arc::clone(&message));
        }
        let fallback = RoundOutcome::Withheld { reason: Reason::NotPrepared };
        let outcome = self.outcome.unwrap_or(fallback);
        self.end(now, outcome, effects);
    }

    /// Ends an open round whose epoch has expired. The epoch's keys go now, so that nothing can be
    /// waited for; clients and coordinator learn what is known.
    pub(crate) fn expire(&mut self, now: Timestamp, effects: &mut Effects) {
        if !self.is_open() || self.has_ended() {
            return;
        }
        self.withhold(now, Reason::NotPrepared, effects);
        match self.stage {
            Stage::Aborting(_) => self.close_aborting(now, now, effects),
            _ => {
                let fallback = RoundOutcome::NotOpened { missing: self.context.me };
                self.end(now, self.outcome.unwrap_or(fallback), effects);
            }
        }
    }

    pub(super) fn end(&mut self, now: Timestamp, outcome: RoundOutcome, effects: &mut Effects) {
        self.stage = Stage::Ended;
        self.arriving.clear();
        self.returning.clear();
        self.sealing.seals.erase_secrets();
        // Of what came after the seal: evidence against its senders, which changes nothing here.
        self.check_headers(Step::Evidence, effects);
        effects.ended =
            Some((outcome, self.counts, self.opened.map_or(0, |(opened, _)| now.ms_since(opened))));
    }
}
