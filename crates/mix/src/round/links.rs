//! What a round sends to and takes from the other shards.

use std::sync::Arc;

use antiphon_wire::{
    BatchHeader, Direction, FilterStatement, Layer, PROTOCOL_VERSION, PeerMessage, Reason,
    SealStatement, ShardIndex, Signed, SignedHeader, Timestamp, Verdict,
};

use bytes::Bytes;

use crate::layer::routes::Batch;
use crate::round::arriving::Arriving;
use crate::round::inbound::BatchFault;
use crate::round::{Effects, RoundMachine, Stage};
use crate::work::{HeadersJob, Job, PeelJob, Step, UnsignedHeader, Work};
use crate::{Notice, Output};

impl RoundMachine {
    pub(super) fn layer(&self, layer: Layer) -> Option<&Arriving> {
        self.arriving.get(usize::from(layer.0).checked_sub(1)?)?.as_ref()
    }

    pub(super) fn layer_mut(&mut self, layer: Layer) -> Option<&mut Arriving> {
        self.arriving.get_mut(usize::from(layer.0).checked_sub(1)?)?.as_mut()
    }

    pub(super) fn take_layer(&mut self, layer: Layer) -> Option<Arriving> {
        self.arriving.get_mut(usize::from(layer.0).checked_sub(1)?)?.take()
    }

    /// Hands out a piece of work.
    pub(super) fn work(&self, step: Step, effects: &mut Effects) {
        let (epoch, round) = (self.context.epoch.epoch(), self.round);
        effects.outputs.push_back(Output::Work(Work(Job::Round { epoch, round, step })));
    }

    pub(super) fn peel(&self, jobs: Vec<PeelJob>, effects: &mut Effects) {
        for job in jobs {
            self.work(Step::Peel(Box::new(job)), effects);
        }
    }

    /// Sends batches of onions for `layer`.
    pub(super) fn send_onions(&mut self, layer: Layer, batches: Vec<Batch>, effects: &mut Effects) {
        let geometry = self.context.epoch.geometry();
        if layer == geometry.seal_layer() {
            self.sealing.sent(&batches);
        }
        let item_bytes = geometry.onion_bytes(layer);
        self.send_batches(batches, layer, Direction::Forward, item_bytes, effects);
    }

    /// Sends back replies for the onions of `layer`.
    pub(super) fn send_replies(
        &mut self,
        layer: Layer,
        batches: Vec<Batch>,
        effects: &mut Effects,
    ) {
        let item_bytes = self.context.epoch.geometry().body_bytes();
        self.send_batches(batches, layer, Direction::Reply, item_bytes, effects);
    }

    /// Sends batches under one signature: to sign each would cost more than all else that is done for
    /// a batch.
    fn send_batches(
        &mut self,
        mut batches: Vec<Batch>,
        layer: Layer,
        direction: Direction,
        item_bytes: usize,
        effects: &mut Effects,
    ) {
        let me = self.context.me;
        let own = batches.iter().position(|batch| batch.to == me);
        let own = own.map(|position| batches.remove(position));
        let header = |batch: &Batch| BatchHeader {
            version: PROTOCOL_VERSION,
            epoch: self.context.epoch.epoch(),
            round: self.round,
            layer,
            direction,
            sender: me,
            receiver: batch.to,
            count: (batch.bytes.len() / item_bytes) as u32,
            hash: batch.hash,
        };
        let headers = batches.iter().map(header).collect();
        let headers = SignedHeader::sign_all(headers, &self.context.identity);
        for (header, Batch { to, bytes, .. }) in headers.into_iter().zip(batches) {
            let to = self.context.identities[to.position()];
            effects.outputs.push_back(Output::Batch { to, header, bytes, item_bytes });
        }
        if let Some(own) = own {
            self.accept_own(layer, direction, own.bytes, effects);
        }
    }

    fn accept_own(
        &mut self,
        layer: Layer,
        direction: Direction,
        bytes: Bytes,
        effects: &mut Effects,
    ) {
        let me = self.context.me;
        match direction {
            Direction::Forward => {
                let jobs = self.layer_mut(layer).map(|arriving| arriving.take_own(me, &bytes));
                self.peel(jobs.unwrap_or_default(), effects);
            }
            Direction::Reply => {
                if let Some(returning) = self.returning_mut(layer) {
                    returning.take_own(me, bytes);
                }
            }
        }
        self.note_received(layer, direction);
    }

    /// Sends `message` to every other shard.
    pub(super) fn tell_all(&self, message: &PeerMessage, effects: &mut Effects) {
        for (position, &to) in self.context.identities.iter().enumerate() {
            if position != self.context.me.position() {
                effects.outputs.push_back(Output::Peer { to, message: message.clone() });
            }
        }
    }

    pub(super) fn publish_statement(
        &mut self,
        statement: Signed<SealStatement>,
        effects: &mut Effects,
    ) {
        // Its own statement is in order: the board takes it.
        let _ = self.sealing.seals.record(&statement, &self.context.identities);
        self.tell_all(&PeerMessage::Statements { statements: vec![statement] }, effects);
    }

    /// Reports that a peer broke the rules. It costs that peer's batch or message, nothing else.
    pub(super) fn fault(
        &self,
        peer: ShardIndex,
        what: &dyn std::error::Error,
        effects: &mut Effects,
    ) {
        if let Some(&peer) = self.context.identities.get(peer.position()) {
            let notice = Notice::PeerFault { peer, what: what.to_string() };
            effects.outputs.push_back(Output::Notice(notice));
        }
    }

    /// Whether it starts a batch that is wanted.
    fn accept_header(&mut self, header: &BatchHeader, effects: &mut Effects) -> bool {
        let opened = match header.direction {
            // Whoever keeps to the rules needs this shard's batch for the layer before.
            Direction::Forward if header.layer.0 > self.layer_reached() + 1 => {
                Some(Err(BatchFault::Early))
            }
            Direction::Forward => self.layer_mut(header.layer).map(|layer| layer.open(header)),
            Direction::Reply => self
                .returning_mut(header.layer)
                .map(|layer| layer.open(header).map(|()| Vec::new())),
        };
        let wanted = matches!(opened, Some(Ok(_)));
        self.accepted(opened, header.sender, header.layer, header.direction, effects);
        wanted
    }

    /// The layer whose onions this shard waits for or works on.
    fn layer_reached(&self) -> u8 {
        match self.stage {
            Stage::Submissions => 0,
            Stage::Leaving(origin) => origin.layers_passed(),
            Stage::Batches(layer) => layer.0,
            _ => self.context.epoch.geometry().seal_layer().0,
        }
    }

    fn accept_chunk(
        &mut self,
        sender: ShardIndex,
        layer: Layer,
        direction: Direction,
        bytes: &[u8],
        effects: &mut Effects,
    ) {
        let taken = match direction {
            Direction::Forward => self.layer_mut(layer).map(|layer| layer.take(sender, bytes)),
            Direction::Reply => self
                .returning_mut(layer)
                .map(|layer| layer.take(sender, bytes).map(|()| Vec::new())),
        };
        self.accepted(taken, sender, layer, direction, effects);
    }

    fn accepted(
        &mut self,
        result: Option<Result<Vec<PeelJob>, BatchFault>>,
        sender: ShardIndex,
        layer: Layer,
        direction: Direction,
        effects: &mut Effects,
    ) {
        match result {
            Some(Ok(jobs)) => self.peel(jobs, effects),
            Some(Err(error)) => self.fault(sender, &error, effects),
            // The layer has gone on.
            None => {}
        }
        self.note_received(layer, direction);
    }

    /// Notes when the last batch of a layer is in.
    fn note_received(&mut self, layer: Layer, direction: Direction) {
        if direction == Direction::Forward && self.layer(layer).is_some_and(Arriving::is_received) {
            self.tracer.complete(layer);
        }
    }

    /// Where replies that leave `layer` are collected: at the layer before.
    fn returning_mut(&mut self, layer: Layer) -> Option<&mut super::Returning> {
        self.returning.get_mut(usize::from(layer.0).checked_sub(1)?)?.as_mut()
    }

    /// The header of another shard's batch.
    pub(crate) fn batch_header(
        &mut self,
        now: Timestamp,
        from: ShardIndex,
        header: SignedHeader,
        effects: &mut Effects,
    ) {
        let claimed = header.claimed();
        let expected = claimed.version == PROTOCOL_VERSION
            && claimed.epoch == self.context.epoch.epoch()
            && claimed.round == self.round
            && claimed.sender == from
            && claimed.receiver == self.context.me
            && from != self.context.me;
        if !expected {
            return;
        }
        if claimed.direction == Direction::Forward {
            self.tracer.first_bytes(claimed.layer);
        }
        if self.accept_header(claimed, effects) {
            self.headers.take(header);
        }
        self.advance(now, effects);
    }

    /// Has the headers checked that have come since the last time; returns in how many portions.
    pub(super) fn check_headers(
        &mut self,
        step: fn(HeadersJob) -> Step,
        effects: &mut Effects,
    ) -> usize {
        let portions = self.headers.due();
        let count = portions.len();
        for headers in portions {
            let identities = Arc::clone(&self.context.identities);
            let keys = Arc::clone(&self.context.keys);
            self.work(step(HeadersJob { identities, keys, headers }), effects);
        }
        count
    }

    /// Signatures of headers have been checked. Before the seal, a batch whose header its sender has
    /// not signed counts as missing: nobody could be blamed for what it held.
    pub(super) fn headers_checked(
        &mut self,
        now: Timestamp,
        unsigned: &[UnsignedHeader],
        effects: &mut Effects,
    ) {
        self.headers.checked();
        let seal = self.context.epoch.geometry().seal_layer();
        let headers = unsigned.iter().map(|unsigned| &unsigned.header);
        let missing = headers
            .filter(|header| header.direction == Direction::Forward && header.layer <= seal)
            .min_by_key(|header| (header.layer, header.sender));
        if let Some(&BatchHeader { layer, sender, .. }) = missing {
            self.withhold(now, Reason::MissingBatch { layer, sender }, effects);
        }
    }

    /// Part of another shard's batch.
    pub(crate) fn batch_chunk(
        &mut self,
        now: Timestamp,
        from: ShardIndex,
        layer: Layer,
        direction: Direction,
        bytes: &[u8],
        effects: &mut Effects,
    ) {
        if from == self.context.me {
            return;
        }
        self.accept_chunk(from, layer, direction, bytes, effects);
        self.advance(now, effects);
    }

    /// Another shard's filter.
    pub(crate) fn filter(
        &mut self,
        now: Timestamp,
        from: ShardIndex,
        signed: &Signed<FilterStatement>,
        effects: &mut Effects,
    ) {
        let claimed = signed.claimed();
        let expected = claimed.shard == from
            && claimed.epoch == self.context.epoch.epoch()
            && claimed.round == self.round;
        if !expected || from == self.context.me || self.sealing.has_filter_of(from) {
            return;
        }
        let most = self.limits.onions_per_batch.saturating_mul(self.context.shards() as u32);
        match signed.verify(&self.context.identities[from.position()]) {
            Ok(statement) => {
                if let Err(reason) = self.sealing.take_filter(&self.context, statement, most) {
                    self.withhold(now, reason, effects);
                }
            }
            Err(error) => self.fault(from, &error, effects),
        }
        self.advance(now, effects);
    }

    /// Another shard's verdict.
    pub(crate) fn verdict(
        &mut self,
        now: Timestamp,
        from: ShardIndex,
        verdict: &Signed<Verdict>,
        effects: &mut Effects,
    ) {
        if verdict.claimed().shard == from && from != self.context.me {
            self.count_verdict(now, verdict, effects);
            self.advance(now, effects);
        }
    }

    /// Statements about seal keys: the sender's own, or others' that it passes on.
    pub(crate) fn statements(
        &mut self,
        now: Timestamp,
        from: ShardIndex,
        statements: &[Signed<SealStatement>],
        effects: &mut Effects,
    ) {
        for statement in statements.iter().take(2 * self.context.shards()) {
            let recorded = self.sealing.seals.record(statement, &self.context.identities);
            if let Err(error) = recorded {
                self.fault(from, &error, effects);
            }
        }
        self.heed_withheld(now, effects);
        self.advance(now, effects);
    }

    /// Whether a shard has said that it withholds its key, so that the round cannot be opened.
    pub(crate) fn is_given_up(&self) -> bool {
        self.sealing.seals.first_withheld().is_some()
    }

    /// Withholds this shard's seal key if another shard has.
    pub(super) fn heed_withheld(&mut self, now: Timestamp, effects: &mut Effects) {
        if let Some((shard, _)) = self.sealing.seals.first_withheld() {
            self.withhold(now, Reason::Follows { shard }, effects);
        }
    }

    /// Another shard asks what statements this one has.
    pub(crate) fn asked_for_statements(&mut self, from: ShardIndex, effects: &mut Effects) {
        if let Some(statements) = self.sealing.answer(from) {
            let to = self.context.identities[from.position()];
            let message = PeerMessage::Statements { statements };
            effects.outputs.push_back(Output::Peer { to, message });
        }
    }
}
