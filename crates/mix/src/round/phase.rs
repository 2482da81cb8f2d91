//! The phases of a round. Each owns what it needs, and returns the phase that follows from an event.

mod aborting;
mod exchange;
mod layers;
mod replies;
mod sealing;
mod submissions;

use std::cmp::Ordering;
use std::mem;

use antiphon_wire::{
    BatchHeader, Direction, Layer, PROTOCOL_VERSION, PeerMessage, ShardIndex, SignedHeader,
    Timestamp,
};
use bytes::Bytes;

use crate::layer::origin::Origin;
use crate::layer::routes::Batch;
use crate::round::arriving::Arriving;
use crate::round::cx::{Cx, Shared};
use crate::round::inbound::BatchFault;
use crate::work::{Gathered, PeelJob, PeeledBlock, StepResult};
pub(super) use aborting::Ended;
pub(super) use sealing::{Statements, Undecided};
pub(super) use submissions::Early;

use aborting::Aborting;
use exchange::{Deposits, Exchanging};
use layers::{Leaving, Mixing, Opening, Unsealed};
use replies::Replying;
use sealing::{Asked, Filtering, Filters, Judging, Keys, Own, SealLayers, Verdicts};
use submissions::Submitting;

/// A phase of a round, named for what the round is waiting for.
#[derive(Debug)]
pub(super) enum Phase {
    /// The coordinator's word. What peers send before it is taken in, but nothing leaves and no clock
    /// runs: otherwise a peer could have rounds time out before they begin.
    Early(Early),
    /// Clients' onions, and this shard's noise.
    Submitting(Submitting),
    /// Onions to be shuffled, on their way to a layer below L.
    Leaving(Leaving),
    /// Every shard's batch for a layer below L.
    Mixing(Mixing),
    /// This shard's filter to be built.
    Filtering(Filtering),
    /// Every shard's filter.
    Filters(Filters),
    /// The filters to be tested.
    Judging(Judging),
    /// Every shard's verdict.
    Verdicts(Verdicts),
    /// Every shard's seal key. This shard's own has been released.
    Keys(Keys),
    /// Seal keys that the others have been asked for.
    Asked(Asked),
    /// The sealed onions to be peeled.
    Opening(Opening),
    /// The onions of the seal layer to be shuffled.
    Unsealed(Unsealed),
    /// Every shard's batch for layer L.
    Deposits(Deposits),
    /// The deposits to be exchanged.
    Exchanging(Exchanging),
    /// The replies for the onions of each layer, from the seal layer back to the gateway.
    Replying(Replying),
    /// The other shards' statements about an aborted round.
    Aborting(Aborting),
    /// Nothing.
    Ended(Ended),
}

/// The place of a layer's onions in a phase.
enum Place<'a> {
    /// They are taken in.
    Here(&'a mut Arriving),
    /// The layer has gone on.
    Gone,
    /// Nobody who keeps to the rules sends for it yet.
    Ahead,
}

impl Phase {
    /// Goes on from phase to phase until something is missing that may still come.
    pub(super) fn on_time(self, cx: &mut Cx<'_>) -> Self {
        let mut phase = self;
        loop {
            let before = mem::discriminant(&phase);
            phase = phase.go_on(cx);
            if mem::discriminant(&phase) == before {
                return phase;
            }
        }
    }

    /// Goes on to the next phase if nothing is missing, or the time for it has passed.
    fn go_on(self, cx: &mut Cx<'_>) -> Self {
        match self {
            Self::Submitting(phase) => phase.on_time(cx),
            Self::Mixing(phase) => phase.on_time(cx),
            Self::Filters(phase) => phase.on_time(cx),
            Self::Verdicts(phase) => phase.on_time(cx),
            Self::Keys(phase) => phase.on_time(cx),
            Self::Asked(phase) => phase.on_time(cx),
            Self::Opening(phase) => phase.on_time(cx),
            Self::Deposits(phase) => phase.on_time(cx),
            Self::Replying(phase) => phase.on_time(cx),
            Self::Aborting(phase) => phase.on_time(cx),
            // The coordinator's word or finished work ends these.
            Self::Early(_)
            | Self::Leaving(_)
            | Self::Filtering(_)
            | Self::Judging(_)
            | Self::Unsealed(_)
            | Self::Exchanging(_)
            | Self::Ended(_) => self,
        }
    }

    /// The next moment at which [`Phase::on_time`] may change something by itself.
    pub(super) fn deadline(&self, shared: &Shared) -> Option<Timestamp> {
        // While work goes on that the phase needs, its end is what comes next.
        match self {
            Self::Submitting(phase) => Some(phase.deadline(shared)),
            Self::Mixing(phase) => phase.deadline(shared),
            Self::Filters(phase) => phase.deadline(shared),
            Self::Verdicts(phase) => Some(phase.deadline()),
            Self::Keys(phase) => Some(phase.deadline()),
            Self::Asked(phase) => Some(phase.deadline(shared)),
            Self::Deposits(phase) => phase.deadline(shared),
            Self::Replying(phase) => phase.deadline(shared),
            Self::Aborting(phase) => Some(phase.deadline()),
            Self::Early(_)
            | Self::Leaving(_)
            | Self::Filtering(_)
            | Self::Judging(_)
            | Self::Opening(_)
            | Self::Unsealed(_)
            | Self::Exchanging(_)
            | Self::Ended(_) => None,
        }
    }

    /// The moment the round was opened, if it has been.
    pub(super) fn opened(&self) -> Option<Timestamp> {
        match self {
            Self::Early(_) => None,
            Self::Submitting(Submitting { deadlines, .. })
            | Self::Leaving(Leaving { deadlines, .. })
            | Self::Mixing(Mixing { deadlines, .. })
            | Self::Filtering(Filtering { deadlines, .. })
            | Self::Filters(Filters { deadlines, .. })
            | Self::Judging(Judging { deadlines, .. })
            | Self::Verdicts(Verdicts { deadlines, .. })
            | Self::Keys(Keys { deadlines, .. })
            | Self::Asked(Asked { deadlines, .. })
            | Self::Opening(Opening { deadlines, .. })
            | Self::Unsealed(Unsealed { deadlines, .. })
            | Self::Deposits(Deposits { deadlines, .. })
            | Self::Exchanging(Exchanging { deadlines, .. })
            | Self::Replying(Replying { deadlines, .. })
            | Self::Aborting(Aborting { deadlines, .. }) => Some(deadlines.opened()),
            Self::Ended(Ended { opened }) => Some(*opened),
        }
    }

    /// Applies another shard's message about the round.
    pub(super) fn on_peer(self, cx: &mut Cx<'_>, from: ShardIndex, message: PeerMessage) -> Self {
        match message {
            PeerMessage::Batch { header } => self.on_header(cx, from, header),
            PeerMessage::Filter { filter } => self.on_filter(cx, from, &filter),
            PeerMessage::Verdict { verdict } => self.on_verdict(cx, from, &verdict),
            PeerMessage::Statements { statements } => self.on_statements(cx, from, &statements),
            // The shard has answered these.
            PeerMessage::AskContribution { .. }
            | PeerMessage::Contribution { .. }
            | PeerMessage::NoContribution
            | PeerMessage::Cells { .. }
            | PeerMessage::Box { .. } => self,
            PeerMessage::AskStatements { .. } => {
                cx.answer_with_statements(from);
                self
            }
        }
    }

    /// Applies the result of work that the round handed out.
    pub(super) fn on_work(self, cx: &mut Cx<'_>, result: StepResult) -> Self {
        match (self, result) {
            // It was handed out before the round was given up, or headers are evidence only.
            (phase @ (Self::Aborting(_) | Self::Ended(_)), _) => phase,
            (phase, StepResult::Peeled(block)) => phase.on_peeled(cx, block),
            (phase, StepResult::Gathered(gathered)) => phase.on_gathered(cx, gathered),
            (phase, StepResult::Checked(unsigned)) => phase.on_checked(cx, &unsigned),
            (Self::Leaving(phase), StepResult::Left(left)) => phase.on_left(cx, *left),
            (Self::Filtering(phase), StepResult::Filtered(built)) => phase.on_built(cx, built),
            (Self::Judging(phase), StepResult::Judged(judged)) => phase.on_judged(cx, judged),
            (Self::Unsealed(phase), StepResult::Left(left)) => phase.on_left(cx, *left),
            (Self::Exchanging(phase), StepResult::Exchanged(done)) => phase.on_done(cx, *done),
            (Self::Replying(phase), StepResult::Replied(replied)) => phase.on_replied(cx, replied),
            _ => unreachable!("the phase that hands out work waits for its end"),
        }
    }
}

/// Batches of onions and replies, which are taken in alike whatever the phase.
impl Phase {
    /// The header of another shard's batch.
    fn on_header(mut self, cx: &mut Cx<'_>, from: ShardIndex, header: SignedHeader) -> Self {
        let claimed = *header.claimed();
        let expected = claimed.version == PROTOCOL_VERSION
            && claimed.epoch == cx.context.epoch.epoch()
            && claimed.round == cx.round
            && claimed.sender == from
            && claimed.receiver == cx.context.me;
        // About something else: it opens nothing here.
        if !expected {
            return self;
        }
        if claimed.direction == Direction::Forward {
            cx.shared.tracer.first_bytes(claimed.layer);
        }
        if self.open_batch(cx, &claimed) {
            cx.shared.traffic.headers.take(header);
        }
        self
    }

    /// Starts a batch. Returns whether it is wanted.
    fn open_batch(&mut self, cx: &mut Cx<'_>, header: &BatchHeader) -> bool {
        let opened = match header.direction {
            Direction::Forward => match self.place_of(header.layer) {
                Place::Here(arriving) => arriving.open(header),
                Place::Gone => return false,
                Place::Ahead => Err(BatchFault::Early),
            },
            Direction::Reply => match cx.shared.traffic.open_replies(header) {
                Some(opened) => opened.map(|()| Vec::new()),
                None => return false,
            },
        };
        let wanted = opened.is_ok();
        self.taken(cx, (header.sender, header.layer, header.direction), opened);
        wanted
    }

    /// Part of another shard's batch.
    pub(super) fn on_chunk(
        mut self,
        cx: &mut Cx<'_>,
        from: ShardIndex,
        layer: Layer,
        direction: Direction,
        bytes: &[u8],
    ) -> Self {
        let taken = match direction {
            Direction::Forward => match self.place_of(layer) {
                Place::Here(arriving) => Some(arriving.take(from, bytes)),
                // From a sender that is late, which changes nothing any more.
                Place::Gone => None,
                Place::Ahead => Some(Err(BatchFault::NoHeader)),
            },
            Direction::Reply => {
                let taken = cx.shared.traffic.take_replies(from, layer, bytes);
                taken.map(|taken| taken.map(|()| Vec::new()))
            }
        };
        if let Some(taken) = taken {
            self.taken(cx, (from, layer, direction), taken);
        }
        self
    }

    /// Does what follows from something that a peer has sent for a batch.
    fn taken(
        &mut self,
        cx: &mut Cx<'_>,
        (sender, layer, direction): (ShardIndex, Layer, Direction),
        result: Result<Vec<PeelJob>, BatchFault>,
    ) {
        match result {
            Ok(jobs) => cx.peel(jobs),
            Err(fault) => cx.fault(sender, &fault),
        }
        if direction == Direction::Forward {
            self.note_received(cx, layer);
        }
    }

    /// Notes when the last batch of a layer is in.
    fn note_received(&mut self, cx: &mut Cx<'_>, layer: Layer) {
        if let Place::Here(arriving) = self.place_of(layer)
            && arriving.is_received()
        {
            cx.shared.tracer.complete(layer);
        }
    }

    /// Sends the batches of `origin`'s onions, and takes in what is for this shard itself.
    fn send_onions(&mut self, cx: &mut Cx<'_>, origin: Origin, batches: Vec<Batch>) {
        if let Some(own) = cx.send_onions(origin, batches) {
            self.take_own(cx, origin.next_layer(), &own);
        }
    }

    /// The same for batches that a job has gathered.
    fn pass_on(&mut self, cx: &mut Cx<'_>, origin: Origin, batches: Vec<Batch>) {
        self.send_onions(cx, origin, batches);
        if cx.shared.traffic.unsent == 0 {
            cx.shared.tracer.sent(origin);
        }
    }

    /// Takes in this shard's own batch. Layer L may have gone on without it, at its deadline.
    fn take_own(&mut self, cx: &mut Cx<'_>, layer: Layer, onions: &Bytes) {
        if let Place::Here(arriving) = self.place_of(layer) {
            let jobs = arriving.take_own(cx.context.me, onions);
            cx.peel(jobs);
        } else {
            debug_assert_eq!(layer, cx.geometry().last_layer(), "others wait for every batch");
        }
        self.note_received(cx, layer);
    }

    fn on_gathered(mut self, cx: &mut Cx<'_>, Gathered { origin, batches }: Gathered) -> Self {
        cx.shared.traffic.part_done();
        if origin.next_layer() == cx.geometry().seal_layer() {
            self.keep_sent(&batches);
        }
        self.pass_on(cx, origin, batches);
        self
    }

    fn on_peeled(mut self, cx: &mut Cx<'_>, PeeledBlock { layer, block }: PeeledBlock) -> Self {
        debug_assert!(layer <= cx.geometry().last_layer());
        match self.place_of(layer) {
            Place::Here(arriving) => arriving.peeled(block),
            Place::Gone | Place::Ahead => unreachable!("layer {layer} waits for its blocks"),
        }
        self
    }

    /// The place of the onions of `layer`.
    fn place_of(&mut self, layer: Layer) -> Place<'_> {
        let taken_in = match self {
            Self::Early(Early { first, .. }) | Self::Submitting(Submitting { first, .. }) => {
                [Some(first), None]
            }
            Self::Leaving(Leaving { next, .. }) => [Some(next), None],
            Self::Mixing(Mixing { onions, next, .. }) => [Some(onions), Some(next)],
            Self::Filtering(Filtering { layers, .. })
            | Self::Filters(Filters { layers, .. })
            | Self::Judging(Judging { layers, .. })
            | Self::Verdicts(Verdicts { layers, .. })
            | Self::Keys(Keys { layers, .. })
            | Self::Asked(Asked { layers, .. })
            | Self::Opening(Opening { layers, .. }) => {
                [Some(&mut layers.sealed), Some(&mut layers.last)]
            }
            Self::Unsealed(Unsealed { last, .. }) | Self::Deposits(Deposits { last, .. }) => {
                [Some(last), None]
            }
            Self::Exchanging(_) | Self::Replying(_) | Self::Aborting(_) | Self::Ended(_) => {
                [None, None]
            }
        };
        let mut ahead = false;
        for arriving in taken_in.into_iter().flatten() {
            match layer.cmp(&arriving.layer()) {
                Ordering::Equal => return Place::Here(arriving),
                order => ahead = order == Ordering::Greater,
            }
        }
        if ahead { Place::Ahead } else { Place::Gone }
    }
}
