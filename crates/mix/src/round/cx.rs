//! The context in which a phase handles an event.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;

use antiphon_onion::ErasingRng;
use antiphon_wire::{
    BoxStatement, Digest, Geometry, Layer, PeerMessage, Round, RoundCounts, RoundOutcome,
    ShardIndex, Signed, Timestamp, ToClient,
};

use crate::buffers::BufferPool;
use crate::circuits::{Circuits, Making};
use crate::epoch_context::EpochContext;
use crate::noise::{BoxedNoise, UnprovenCanary};
use crate::round::arriving::Arriving;
use crate::round::gateway::Submissions;
use crate::round::phase::Statements;
use crate::round::traffic::Traffic;
use crate::service::Service;
use crate::trace::Tracer;
use crate::work::{Job, PeelJob, Step, Work};
use crate::{ClientId, Limits, Notice, Output};

/// Things that a round asks of its shard.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    pub(crate) queue: VecDeque<Output>,
    /// Clients whose onions were awaited in vain.
    pub(crate) missed: Vec<ClientId>,
    /// The messages that told clients of the round's end, by the hashes of their tickets.
    pub(crate) answers: Vec<(Digest, Arc<ToClient>)>,
    /// What a round that opened leaves behind for its beats.
    pub(crate) circuits: Option<Circuits>,
    /// Checked noise that the round's boxes have to hold.
    pub(crate) boxed: Option<BoxedNoise>,
    /// Boxes that this shard has published.
    pub(crate) published: Vec<Signed<BoxStatement>>,
    /// Set when the round has ended: how, what was counted, and the milliseconds since its opening.
    pub(crate) ended: Option<(RoundOutcome, RoundCounts, u64)>,
}

impl Outputs {
    /// Tells a client how the round ended for it.
    pub(super) fn answer(&mut self, to: ClientId, ticket: Digest, message: Arc<ToClient>) {
        self.answers.push((ticket, Arc::clone(&message)));
        self.queue.push_back(Output::Client { to, message });
    }
}

/// Data that several phases share: it is there before the first of them, and after the last.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) submissions: Submissions,
    pub(super) statements: Statements,
    pub(super) traffic: Traffic,
    pub(super) counts: RoundCounts,
    pub(super) circuits: Making,
    pub(super) canaries: Vec<UnprovenCanary>,
    pub(super) tracer: Tracer,
}

/// The time, the epoch, and what the phases share.
pub(super) struct Cx<'a> {
    pub(super) now: Timestamp,
    pub(super) round: Round,
    pub(super) context: &'a EpochContext,
    pub(super) service: &'a Arc<dyn Service>,
    pub(super) limits: Limits,
    pub(super) pool: &'a BufferPool,
    pub(super) rng: &'a mut ErasingRng,
    pub(super) shared: &'a mut Shared,
    pub(super) outputs: &'a mut Outputs,
}

impl Cx<'_> {
    pub(super) fn geometry(&self) -> Geometry {
        self.context.epoch.geometry()
    }

    /// Whether the round sets circuits up.
    pub(super) fn has_beats(&self) -> bool {
        self.context.epoch.has_beats(self.round)
    }

    /// A layer of which nothing is in yet.
    pub(super) fn arriving(&self, layer: Layer) -> Arriving {
        Arriving::new(self.context, self.round, layer, self.limits, self.pool.clone())
    }

    /// Hands out a piece of work.
    pub(super) fn work(&mut self, step: Step) {
        let (epoch, round) = (self.context.epoch.epoch(), self.round);
        self.outputs.queue.push_back(Output::Work(Work(Job::Round { epoch, round, step })));
    }

    pub(super) fn peel(&mut self, jobs: impl IntoIterator<Item = PeelJob>) {
        for job in jobs {
            self.work(Step::Peel(Box::new(job)));
        }
    }

    /// Sends `message` to another shard.
    pub(super) fn tell(&mut self, peer: ShardIndex, message: PeerMessage) {
        let to = self.context.identities[peer.position()];
        self.outputs.queue.push_back(Output::Peer { to, message });
    }

    /// Sends `message` to every other shard.
    pub(super) fn tell_all(&mut self, message: &PeerMessage) {
        for shard in self.context.epoch.shard_indices() {
            if shard != self.context.me {
                self.tell(shard, message.clone());
            }
        }
    }

    /// Reports that a peer broke the rules. It costs that peer's batch or message, nothing else.
    pub(super) fn fault(&mut self, peer: ShardIndex, what: &dyn Error) {
        let peer = self.context.identities[peer.position()];
        let notice = Notice::PeerFault { peer, what: what.to_string() };
        self.outputs.queue.push_back(Output::Notice(notice));
    }
}
