//! One round at one shard, from the first onion to the last reply.

mod arriving;
mod cx;
mod deadlines;
mod gateway;
mod headers;
mod inbound;
mod phase;
mod returning;
mod traffic;

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use antiphon_onion::{ErasingRng, SealSecretKey};
use antiphon_verify::{SealBoard, SealKeeper};
use antiphon_wire::{
    Announcement, Digest, Layer, PeerMessage, Round, RoundCounts, ShardIndex, Timestamp,
};

use crate::beats::LeftOnions;
use crate::buffers::BufferPool;
use crate::circuits::Making;
use crate::epoch_context::EpochContext;
use crate::io::BatchKey;
use crate::noise::NoiseBatch;
use crate::service::{self, Service};
use crate::trace::{RoundTrace, Tracer};
use crate::work::{Gathered, StepResult};
use crate::{ClientId, Limits};

use arriving::Arriving;
pub(crate) use cx::Outputs;
use cx::{Cx, Shared};
use gateway::Submissions;
pub(crate) use gateway::SubmitError;
use phase::{Early, Ended, Phase, Statements, Undecided};
use traffic::Traffic;

/// One round at one shard: the phase that it is in, and what the phases share.
#[derive(Debug)]
pub(crate) struct RoundMachine {
    context: Arc<EpochContext>,
    round: Round,
    service: Arc<dyn Service>,
    limits: Limits,
    pool: BufferPool,
    rng: ErasingRng,
    shared: Shared,
    phase: Phase,
}

impl RoundMachine {
    /// A round of which something has been heard. `None` if the epoch does not cover it, or asks for a
    /// service that this program does not have.
    pub(crate) fn new(
        context: Arc<EpochContext>,
        round: Round,
        seal: SealSecretKey,
        limits: Limits,
        pool: BufferPool,
        rng: ErasingRng,
    ) -> Option<Self> {
        let document = context.epoch.document();
        let (network, epoch) = (document.network, document.epoch);
        let layers = context.epoch.geometry().layers();
        let published = context.published(round)?;
        let service = service::of_round(&context.epoch, round, context.me)?;
        let keeper = SealKeeper::new(network, epoch, round, context.me, seal);
        let undecided = Undecided::new(keeper, context.shards());
        let shared = Shared {
            submissions: Submissions::new(pool.clone()),
            statements: Statements::new(SealBoard::new(network, epoch, round, published)),
            traffic: Traffic::default(),
            counts: RoundCounts::default(),
            circuits: Making::default(),
            canaries: Vec::new(),
            tracer: Tracer::new(epoch, round, layers),
        };
        let first = Arriving::new(&context, round, Layer::FIRST, limits, pool.clone());
        let phase = Phase::Early(Early::new(first, undecided));
        Some(Self { context, round, service, limits, pool, rng, shared, phase })
    }

    /// Applies an event to the phase, and goes on as far as that allows.
    fn apply(
        &mut self,
        now: Timestamp,
        outputs: &mut Outputs,
        event: impl FnOnce(Phase, &mut Cx<'_>) -> Phase,
    ) {
        let Self { context, round, service, limits, pool, rng, shared, phase } = self;
        let mut cx = Cx {
            now,
            round: *round,
            context,
            service,
            limits: *limits,
            pool,
            rng,
            shared,
            outputs,
        };
        // A phase is consumed by its event, and nobody sees what stands in for it meanwhile.
        let before = mem::replace(phase, Phase::Ended(Ended::PLACEHOLDER));
        // The event may have been the last that its phase waited for.
        *phase = event(before, &mut cx).on_time(&mut cx);
    }

    pub(crate) fn context(&self) -> &Arc<EpochContext> {
        &self.context
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// Returns true once the coordinator has opened it.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::Early(_))
    }

    /// Returns true if a shard has said that it withholds its key, so that the round cannot be opened.
    pub(crate) fn is_given_up(&self) -> bool {
        self.shared.statements.is_withheld()
    }

    /// For how many milliseconds clients may still hand in onions; `None` if they may not.
    pub(crate) fn open_for_ms(&self, now: Timestamp) -> Option<u32> {
        match &self.phase {
            Phase::Submitting(phase) => phase.open_for_ms(now),
            _ => None,
        }
    }

    /// Milliseconds since the round was opened, and those for which it takes onions at most.
    pub(crate) fn opened_ms_ago(&self, now: Timestamp) -> Option<(u64, u64)> {
        let opened = self.phase.opened()?;
        Some((now.ms_since(opened), self.context.epoch.parameters().submit_ms.into()))
    }

    /// The next moment at which time alone may change something.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.phase.deadline(&self.shared)
    }

    /// Sets the clock that the round's trace is measured with.
    pub(crate) fn set_clock(&mut self, clock: Duration) {
        self.shared.tracer.set_clock(clock);
    }

    /// The time that each step of a round that has ended took.
    pub(crate) fn trace(&mut self) -> RoundTrace {
        self.shared.tracer.finish()
    }

    /// Applies the passing of time.
    pub(crate) fn on_time(&mut self, now: Timestamp, outputs: &mut Outputs) {
        self.apply(now, outputs, |phase, _| phase);
    }

    /// Applies another shard's message.
    pub(crate) fn on_peer(
        &mut self,
        now: Timestamp,
        from: ShardIndex,
        message: PeerMessage,
        outputs: &mut Outputs,
    ) {
        if from != self.context.me {
            self.apply(now, outputs, |phase, cx| phase.on_peer(cx, from, message));
        }
    }

    /// Applies part of another shard's batch.
    pub(crate) fn on_chunk(
        &mut self,
        now: Timestamp,
        from: ShardIndex,
        BatchKey { layer, direction, .. }: BatchKey,
        bytes: &[u8],
        outputs: &mut Outputs,
    ) {
        if from != self.context.me {
            self.apply(now, outputs, |phase, cx| phase.on_chunk(cx, from, layer, direction, bytes));
        }
    }

    /// Applies a finished job. `took` is its CPU time. Results for an aborted round are ignored.
    pub(crate) fn on_work(
        &mut self,
        now: Timestamp,
        result: StepResult,
        took: Duration,
        outputs: &mut Outputs,
    ) {
        let tracer = &mut self.shared.tracer;
        match &result {
            StepResult::Peeled(block) => tracer.peeling_took(block.layer, took),
            StepResult::Left(left) => tracer.shuffling_took(left.origin, took),
            StepResult::Gathered(Gathered { origin, .. }) => tracer.shuffling_took(*origin, took),
            _ => {}
        }
        self.apply(now, outputs, |phase, cx| phase.on_work(cx, result));
    }

    /// Ends an open round whose epoch has expired.
    pub(crate) fn expire(&mut self, now: Timestamp, outputs: &mut Outputs) {
        self.apply(now, outputs, Phase::expire);
    }
}

/// The gateway's part.
impl RoundMachine {
    /// The coordinator opens the round with `announcement`; clients of this gateway are being told. It waits for the
    /// onions of those awaited, but for so many milliseconds at most, and has those that were `left` for it.
    pub(crate) fn open(
        &mut self,
        now: Timestamp,
        announcement: Announcement,
        awaited: (Vec<ClientId>, u64),
        left: Vec<LeftOnions>,
        outputs: &mut Outputs,
    ) {
        self.apply(now, outputs, |phase, cx| match phase {
            Phase::Early(early) => early.open(cx, announcement, awaited, left),
            _ => unreachable!("a shard opens a round once"),
        });
    }

    pub(crate) fn has_noise(&self) -> bool {
        match &self.phase {
            Phase::Early(phase) => phase.has_noise(),
            Phase::Submitting(phase) => phase.has_noise(),
            _ => true,
        }
    }

    /// This shard's noise for the round. A round that has been given up needs none.
    pub(crate) fn add_noise(&mut self, now: Timestamp, noise: NoiseBatch, outputs: &mut Outputs) {
        match &mut self.phase {
            Phase::Early(phase) => phase.add_noise(noise),
            Phase::Submitting(phase) => phase.add_noise(noise),
            _ => {}
        }
        self.on_time(now, outputs);
    }

    /// A client's onions.
    pub(crate) fn submit(
        &mut self,
        now: Timestamp,
        client: ClientId,
        ticket: Digest,
        onions: &[u8],
        outputs: &mut Outputs,
    ) -> Result<(), SubmitError> {
        let submissions = &mut self.shared.submissions;
        if !matches!(&self.phase, Phase::Submitting(phase) if phase.open_for_ms(now).is_some()) {
            // The same onions again are no second submission, however late they come.
            let again = submissions.has(&ticket, onions);
            return if again { Ok(()) } else { Err(SubmitError::Closed) };
        }
        let epoch = &self.context.epoch;
        submissions.take(
            (client, ticket),
            onions,
            epoch.geometry(),
            epoch.onions_per_client(self.round),
            self.context.shards(),
            self.limits.submissions,
        )?;
        self.on_time(now, outputs);
        Ok(())
    }

    /// Waits for a client's onions.
    pub(crate) fn await_client(&mut self, client: ClientId) {
        self.shared.submissions.await_client(client);
    }

    /// Gives those whose onions are waited for all the time for which the round takes any.
    pub(crate) fn give_all_time(&mut self) {
        if let Phase::Submitting(phase) = &self.phase {
            self.shared.submissions.wait_until(phase.closes());
        }
    }

    /// Waits for a client's onions no longer.
    pub(crate) fn forget_client(&mut self, client: ClientId) {
        self.shared.submissions.forget_client(client);
    }

    /// A client is at another link now. Returns whether its onions for the round were handed in here,
    /// or can be yet.
    pub(crate) fn resume(&mut self, now: Timestamp, client: ClientId, ticket: &Digest) -> bool {
        self.shared.submissions.resume(client, ticket) || self.open_for_ms(now).is_some()
    }

    /// A client that has gone will send none.
    pub(crate) fn client_left(&mut self, now: Timestamp, client: ClientId, outputs: &mut Outputs) {
        self.shared.submissions.forget_client(client);
        self.on_time(now, outputs);
    }
}
