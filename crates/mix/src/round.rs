//! One round at one shard, from the first onion to the last reply.

mod arriving;
mod deadlines;
mod gateway;
mod headers;
mod inbound;
mod links;
mod results;
mod returning;
mod sealing;
mod steps;

use std::collections::VecDeque;
use std::sync::Arc;

use antiphon_onion::{ErasingRng, RoundContext, SealSecretKey};
use antiphon_verify::{SealBoard, SealKeeper};
use antiphon_wire::{Digest, Layer, Reason, Round, RoundCounts, RoundOutcome, Timestamp, ToClient};

use crate::buffers::BufferPool;
use crate::epoch_context::EpochContext;
use crate::layer::origin::Origin;
use crate::noise::NoiseBatch;
use crate::service::{self, Service};
use crate::trace::Tracer;
use crate::{ClientId, Limits, Output};

use arriving::Arriving;
use deadlines::Deadlines;
use gateway::Submissions;
pub(crate) use gateway::SubmitError;
use headers::Headers;
#[cfg(test)]
pub(crate) use headers::tests::header;
use returning::Returning;
use sealing::Sealing;

/// What the round is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Clients' onions, and this shard's noise.
    Submissions,
    /// The onions of a layer to be shuffled.
    Leaving(Origin),
    /// Every shard's batch for a mixing layer or the seal layer.
    Batches(Layer),
    /// This shard's filter to be built.
    Filtering,
    /// Every shard's filter.
    Filters,
    /// The filters to be tested.
    Judging,
    /// Every shard's verdict.
    Verdicts,
    /// Every shard's seal key. This shard's own has been released.
    Keys,
    /// The sealed onions to be peeled.
    Opening,
    /// Every shard's batch for layer L.
    DeadDrops,
    /// The deposits to be exchanged.
    Exchanging,
    /// The replies for the onions of a layer.
    Replies(Origin),
    /// The clients' replies to be put in order.
    Answering,
    /// The other shards' statements about an aborted round, until a moment.
    Aborting(Timestamp),
    /// Nothing.
    Ended,
}

/// One round at one shard.
#[derive(Debug)]
pub(crate) struct RoundMachine {
    context: Arc<EpochContext>,
    round: Round,
    service: &'static dyn Service,
    limits: Limits,
    pool: BufferPool,
    rng: ErasingRng,
    /// From when the coordinator opens the round. What peers send before that is taken in, but
    /// nothing leaves and no clock runs: or a peer could have rounds time out before they begin.
    opened: Option<(Timestamp, Deadlines)>,
    stage: Stage,
    submissions: Submissions,
    noise: Option<NoiseBatch>,
    /// Layers 1 to L, by layer less one; `None` once they have gone on.
    arriving: Vec<Option<Arriving>>,
    /// Layers 0 to L, from when their onions have gone on until their replies have.
    returning: Vec<Option<Returning>>,
    headers: Headers,
    /// Parts of a layer's onions or replies that are still to be sent.
    parts: usize,
    sealing: Sealing,
    /// When the others were asked for seal keys that had not come.
    asked_for_keys: Option<Timestamp>,
    outcome: Option<RoundOutcome>,
    counts: RoundCounts,
    pub(crate) tracer: Tracer,
}

/// What the round asks of its shard, beside what it sends.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) outputs: VecDeque<Output>,
    /// Clients whose onions were awaited in vain.
    pub(crate) missed: Vec<ClientId>,
    /// What clients were told of the round's end, by the hashes of their tickets.
    pub(crate) answers: Vec<(Digest, Arc<ToClient>)>,
    /// Set when the round has ended.
    pub(crate) ended: Option<(RoundOutcome, RoundCounts, u64)>,
}

impl Effects {
    /// Tells a client how the round ended for it.
    fn answer(&mut self, to: ClientId, ticket: Digest, message: Arc<ToClient>) {
        self.answers.push((ticket, Arc::clone(&message)));
        self.outputs.push_back(Output::Client { to, message });
    }
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
        let epoch = &context.epoch;
        let document = epoch.document();
        let geometry = epoch.geometry();
        let shards = context.shards();
        let published = context.published(round)?;
        let onions = RoundContext { geometry, epoch: document.epoch, round };
        let seals = SealBoard::new(document.network, document.epoch, round, published);
        let keeper = SealKeeper {
            network: document.network,
            epoch: document.epoch,
            round,
            shard: context.me,
            secret: seal,
        };
        let arriving = geometry
            .all_layers()
            .map(|layer| {
                let key = (layer != geometry.seal_layer()).then(|| Arc::clone(&context.peel));
                let most = limits.onions_per_batch;
                Some(Arriving::new(onions, layer, shards, most, key, pool.clone()))
            })
            .collect();
        Some(Self {
            round,
            service: service::named(epoch.parameters().service)?,
            limits,
            rng,
            opened: None,
            stage: Stage::Submissions,
            submissions: Submissions::new(pool.clone()),
            pool,
            noise: None,
            arriving,
            returning: (0..=geometry.layers()).map(|_| None).collect(),
            headers: Headers::default(),
            parts: 0,
            sealing: Sealing::new(keeper, seals, shards),
            asked_for_keys: None,
            outcome: None,
            counts: RoundCounts::default(),
            tracer: Tracer::new(document.epoch, round, geometry.layers()),
            context,
        })
    }

    pub(crate) fn context(&self) -> &Arc<EpochContext> {
        &self.context
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// Whether the coordinator has opened it.
    pub(crate) fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    /// The coordinator opens the round; clients of this gateway are being told. It waits for the
    /// onions of those `awaited`, but for `wait_ms` at most.
    pub(crate) fn announce(
        &mut self,
        now: Timestamp,
        awaited: Vec<ClientId>,
        wait_ms: u64,
        effects: &mut Effects,
    ) {
        let epoch = &self.context.epoch;
        let deadlines = Deadlines::new(now, *epoch.parameters(), epoch.geometry());
        self.opened.get_or_insert((now, deadlines));
        self.tracer.opened();
        self.submissions.expect(awaited, now.plus_ms(wait_ms));
        self.heed_withheld(now, effects);
        self.advance(now, effects);
    }

    /// Whether clients may still hand in onions, and for how many milliseconds.
    pub(crate) fn open_for_ms(&self, now: Timestamp) -> Option<u32> {
        let (_, deadlines) = self.opened.filter(|_| self.stage == Stage::Submissions)?;
        // Both are at most the epoch's u32 of milliseconds apart.
        Some(deadlines.submissions().ms_since(now) as u32).filter(|&left| left > 0)
    }

    /// How many milliseconds ago the round was opened, and for how many it takes onions at most.
    pub(crate) fn opened_ms_ago(&self, now: Timestamp) -> Option<(u64, u64)> {
        let (opened, _) = self.opened?;
        Some((now.ms_since(opened), self.context.epoch.parameters().submit_ms.into()))
    }

    pub(crate) fn has_noise(&self) -> bool {
        self.noise.is_some() || self.stage != Stage::Submissions
    }

    /// This shard's noise for the round.
    pub(crate) fn add_noise(&mut self, now: Timestamp, noise: NoiseBatch, effects: &mut Effects) {
        if self.stage == Stage::Submissions {
            self.noise = Some(noise);
            self.advance(now, effects);
        }
    }

    /// A client's onions.
    pub(crate) fn submit(
        &mut self,
        now: Timestamp,
        client: ClientId,
        ticket: Digest,
        onions: &[u8],
        effects: &mut Effects,
    ) -> Result<(), SubmitError> {
        if self.open_for_ms(now).is_none() {
            // The same onions again are no second submission, however late they come.
            let again = self.submissions.has(&ticket, onions);
            return if again { Ok(()) } else { Err(SubmitError::Closed) };
        }
        let epoch = &self.context.epoch;
        self.submissions.take(
            (client, ticket),
            onions,
            epoch.geometry(),
            epoch.parameters().pairs_per_client,
            self.context.shards(),
            self.limits.submissions,
        )?;
        self.advance(now, effects);
        Ok(())
    }

    /// Waits for a client's onions.
    pub(crate) fn await_client(&mut self, client: ClientId) {
        self.submissions.await_client(client);
    }

    /// Waits for a client's onions no longer.
    pub(crate) fn forget_client(&mut self, client: ClientId) {
        self.submissions.forget_client(client);
    }

    /// A client is at another link now. Returns whether its onions for the round were handed in here,
    /// or can be yet.
    pub(crate) fn resume(&mut self, now: Timestamp, client: ClientId, ticket: &Digest) -> bool {
        self.submissions.resume(client, ticket) || self.open_for_ms(now).is_some()
    }

    /// A client that has gone will send none.
    pub(crate) fn client_left(&mut self, now: Timestamp, client: ClientId, effects: &mut Effects) {
        self.submissions.forget_client(client);
        self.advance(now, effects);
    }

    /// Does whatever is due.
    pub(crate) fn tick(&mut self, now: Timestamp, effects: &mut Effects) {
        self.advance(now, effects);
    }

    /// When to tick at the latest.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        if let Stage::Aborting(until) = self.stage {
            return Some(until);
        }
        let deadlines = &self.opened.as_ref()?.1;
        Some(match self.stage {
            Stage::Submissions => {
                if self.noise.is_some() {
                    self.submissions.awaited_until().min(deadlines.submissions())
                } else {
                    deadlines.batches(Layer::FIRST)
                }
            }
            // The end of peeling wakes the round by itself, and until then nothing can be done.
            Stage::Batches(layer) if self.is_peeling(layer) => return None,
            Stage::DeadDrops if self.is_peeling(self.context.epoch.geometry().last_layer()) => {
                return None;
            }
            _ if self.parts > 0 => return None,
            Stage::Batches(layer) => deadlines.batches(layer),
            Stage::Filters if self.headers.is_checking() => return None,
            Stage::Filters => deadlines.filters(),
            Stage::Verdicts => deadlines.verdicts(),
            Stage::Keys => match self.asked_for_keys {
                None => deadlines.ask_for_keys(),
                Some(asked) => self.give_up_keys(asked).min(deadlines.keys()),
            },
            Stage::DeadDrops => deadlines.dead_drops(),
            Stage::Replies(layer) => deadlines.replies(layer),
            // Work ends by itself.
            Stage::Leaving(_)
            | Stage::Filtering
            | Stage::Judging
            | Stage::Opening
            | Stage::Exchanging
            | Stage::Answering
            | Stage::Aborting(_)
            | Stage::Ended => return None,
        })
    }

    fn is_peeling(&self, layer: Layer) -> bool {
        self.layer(layer).is_some_and(Arriving::is_peeling)
    }

    /// Withholds the seal key, unless it has been released, and gives up the round. Not before it
    /// is open: its coordinator would wait in vain for a report of a round that ended early.
    pub(crate) fn withhold(&mut self, now: Timestamp, reason: Reason, effects: &mut Effects) {
        if !self.is_open() {
            return;
        }
        let Some(keeper) = self.sealing.keeper.take() else { return };
        let statement = keeper.withhold(reason, &self.context.identity);
        self.outcome = Some(RoundOutcome::Withheld { reason });
        self.publish_statement(statement, effects);
        self.abort(now);
    }

    /// Frees what an aborted round holds and waits for the others' statements.
    fn abort(&mut self, now: Timestamp) {
        self.arriving.iter_mut().for_each(|layer| *layer = None);
        self.returning.iter_mut().for_each(|layer| *layer = None);
        self.noise = None;
        // Unchecked: they would be evidence, and whoever is shown evidence checks it.
        self.headers = Headers::default();
        self.parts = 0;
        self.sealing.forget();
        let wait = u64::from(self.context.epoch.parameters().verify_ms);
        self.stage = Stage::Aborting(now.plus_ms(wait));
    }
}
