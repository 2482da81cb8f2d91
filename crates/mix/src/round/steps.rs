//! What a round does when it has what it was waiting for, or has waited long enough.

use std::sync::Arc;

use antiphon_onion::PeelKey;
use antiphon_verify::Standing;
use antiphon_wire::{
    Finding, Layer, PeerMessage, Reason, RoundOutcome, ShardIndex, Signed, Timestamp, ToClient,
    Verdict,
};

use crate::Output;
use crate::round::arriving::Arriving;
use crate::round::deadlines::Deadlines;
use crate::round::{Effects, Returning, RoundMachine, Stage};
use crate::routed::Routes;

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
                Stage::Ended => {}
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
        let all_in = self.submissions.has_all(self.expected.iter());
        if !self.is_open() || (!all_in && !self.past(now, Deadlines::submissions)) {
            return;
        }
        let Some(noise) = self.noise.take() else {
            if self.past(now, |deadlines| deadlines.batches(Layer::FIRST)) {
                self.withhold(now, Reason::NotPrepared, effects);
            }
            return;
        };
        let geometry = self.context.epoch.geometry();
        let shards = self.context.shards();
        self.counts.user_onions = self.submissions.onions(geometry) as u32;
        self.counts.noise_onions = noise.entries.len() as u32;
        let mut leaving = self.submissions.leaving(&noise, geometry);
        let slots = leaving.len() as u32;
        let onion_bytes = geometry.onion_bytes(Layer::FIRST);
        let (routes, batches) = Routes::draw(&mut leaving, shards, onion_bytes, &mut self.rng);
        drop(leaving);
        self.sealing.checked = Some(noise.checked);
        self.expect_replies(0, routes, Vec::new(), &[0, slots]);
        self.stage = Stage::Batches(Layer::FIRST);
        self.send_onions(Layer::FIRST, batches, effects);
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
            self.publish_filter(now, layer, effects);
        } else {
            self.send_on(layer, effects);
            self.stage = Stage::Batches(layer.next());
        }
    }

    /// Shuffles a closed layer's onions and sends them to the next.
    fn send_on(&mut self, layer: Layer, effects: &mut Effects) {
        let Some(arriving) = self.arriving[usize::from(layer.0) - 1].take() else { return };
        let geometry = self.context.epoch.geometry();
        let shards = self.context.shards();
        let mut closed = arriving.close();
        let next = layer.next();
        let mut leaving = closed.leaving(shards);
        let item_bytes = geometry.onion_bytes(next);
        let (routes, batches) = Routes::draw(&mut leaving, shards, item_bytes, &mut self.rng);
        drop(leaving);
        let keys = std::mem::take(&mut closed.reply_keys);
        self.expect_replies(layer.0, routes, keys, closed.starts());
        if next == geometry.seal_layer() {
            self.sealing.sent.clone_from(&batches);
        }
        self.send_onions(next, batches, effects);
    }

    fn expect_replies(
        &mut self,
        layer: u8,
        routes: Routes,
        keys: Vec<antiphon_onion::ReplyKey>,
        starts: &[u32],
    ) {
        let body = self.context.epoch.geometry().body_bytes();
        let shards = self.context.shards();
        let returning = Returning::new(routes, keys, starts, body, shards, &mut self.rng);
        self.returning[usize::from(layer)] = Some(returning);
    }

    fn publish_filter(&mut self, now: Timestamp, seal: Layer, effects: &mut Effects) {
        let Some(arriving) = self.layer(seal) else { return };
        let sealed = arriving.sealed_onions();
        let onion_bytes = self.context.epoch.geometry().onion_bytes(seal);
        let own = self.sealing.own_filter(&self.context, self.round, &sealed, onion_bytes);
        let Some(statement) = own else {
            return self.withhold(now, Reason::NotPrepared, effects);
        };
        let filter = Signed::new(statement, &self.context.identity);
        self.tell_all(&PeerMessage::Filter { filter }, effects);
        self.stage = Stage::Filters;
    }

    fn close_filters(&mut self, now: Timestamp, effects: &mut Effects) {
        if let Some(shard) = self.sealing.first_missing_filter() {
            if self.past(now, Deadlines::filters) {
                self.withhold(now, Reason::MissingFilter { shard }, effects);
            }
            return;
        }
        let geometry = self.context.epoch.geometry();
        let onion_bytes = geometry.onion_bytes(geometry.seal_layer());
        self.counts.filters_checked = self.context.shards() as u32;
        self.counts.filter_bytes = self.sealing.filter_bytes() as u32;
        let finding = self.sealing.judge(&self.context, onion_bytes);
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
            if let Some(arriving) = self.layer_mut(seal) {
                let work = arriving.unseal(key);
                effects.outputs.extend(work.into_iter().map(Output::Work));
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
        if let Some(arriving) = self.arriving[usize::from(seal.0) - 1].take() {
            let closed = arriving.close();
            let keys = vec![antiphon_onion::ReplyKey::default(); closed.slots()];
            self.expect_replies(seal.0, Routes::none(self.context.shards()), keys, closed.starts());
        }
        let nothing = vec![Vec::new(); self.context.shards()];
        self.stage = Stage::DeadDrops;
        self.send_onions(geometry.last_layer(), nothing, effects);
    }

    fn close_opening(&mut self, effects: &mut Effects) {
        let seal = self.context.epoch.geometry().seal_layer();
        if self.layer(seal).is_some_and(Arriving::is_idle) {
            self.stage = Stage::DeadDrops;
            self.send_on(seal, effects);
        }
    }

    fn close_dead_drops(&mut self, now: Timestamp, effects: &mut Effects) {
        let geometry = self.context.epoch.geometry();
        let last = geometry.last_layer();
        let Some(arriving) = self.layer(last) else { return };
        let late = self.past(now, Deadlines::dead_drops) && arriving.is_idle();
        if !arriving.is_complete() && !late {
            return;
        }
        let Some(arriving) = self.arriving[usize::from(last.0) - 1].take() else { return };
        let mut closed = arriving.close();
        let mut deposits = Vec::with_capacity(closed.slots() * geometry.deposit_bytes());
        let mut slots = Vec::with_capacity(closed.slots());
        for (slot, deposit) in closed.inner() {
            slots.push(slot);
            deposits.extend_from_slice(deposit);
        }
        let (bodies, counts) = self.service.exchange(&deposits, geometry.body_bytes());
        self.counts.pairs = counts.pairs;
        self.counts.singles = counts.singles;
        let keys = std::mem::take(&mut closed.reply_keys);
        let shards = self.context.shards();
        self.expect_replies(last.0, Routes::none(shards), keys, closed.starts());
        if let Some(returning) = &mut self.returning[usize::from(last.0)] {
            returning.answer_all(slots.into_iter(), &bodies);
        }
        self.stage = Stage::Replies(last.0 - 1);
        self.send_replies(last.0, effects);
    }

    fn close_replies(&mut self, now: Timestamp, layer: u8, effects: &mut Effects) {
        let complete =
            self.returning[usize::from(layer)].as_ref().is_none_or(Returning::is_complete);
        if !complete && !self.past(now, |deadlines| deadlines.replies(layer)) {
            return;
        }
        if layer > 0 {
            self.stage = Stage::Replies(layer - 1);
            self.send_replies(layer, effects);
        } else {
            self.answer_clients(effects);
            let outcome = self.outcome.unwrap_or(RoundOutcome::Delivered);
            self.end(now, outcome, effects);
        }
    }

    fn answer_clients(&mut self, effects: &mut Effects) {
        let Some(returning) = self.returning[0].take() else { return };
        let pairs = self.context.epoch.parameters().pairs_per_client;
        let each = 2 * usize::from(pairs) * self.context.epoch.geometry().body_bytes();
        let (epoch, round) = (self.context.epoch.epoch(), self.round);
        // Clients' slots come first; what follows are the replies to this shard's own noise.
        let replies = returning.for_sender(ShardIndex(0)).chunks_exact(each);
        for (&to, replies) in self.submissions.clients().iter().zip(replies) {
            let replies = antiphon_wire::Blob(replies.to_vec());
            let message = Arc::new(ToClient::Replies { epoch, round, replies });
            effects.outputs.push_back(Output::Client { to, message });
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
        for &to in self.submissions.clients() {
            effects.outputs.push_back(Output::Client { to, message: Arc::clone(&message) });
        }
        let fallback = RoundOutcome::Withheld { reason: Reason::NotPrepared };
        let outcome = self.outcome.unwrap_or(fallback);
        self.end(now, outcome, effects);
    }

    fn end(&mut self, now: Timestamp, outcome: RoundOutcome, effects: &mut Effects) {
        self.stage = Stage::Ended;
        self.arriving.clear();
        self.returning.clear();
        self.sealing.seals.erase_secrets();
        effects.ended =
            Some((outcome, self.counts, self.opened.map_or(0, |(opened, _)| now.ms_since(opened))));
    }
}
