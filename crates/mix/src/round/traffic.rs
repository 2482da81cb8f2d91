//! Replies, headers and batches of several layers, which overlap: they outlast the phase that sends them or
//! hears of them first.

use antiphon_wire::{BatchHeader, Direction, Layer, PROTOCOL_VERSION, ShardIndex, SignedHeader};
use bytes::Bytes;

use crate::Output;
use crate::layer::answering::Answering;
use crate::layer::origin::Origin;
use crate::layer::routes::{Batch, Routes, Slot};
use crate::round::cx::Cx;
use crate::round::headers::Headers;
use crate::round::inbound::BatchFault;
use crate::round::returning::Returning;
use crate::work::{Departing, HeadersJob, LeaveJob, Left, ReplyJob, Step};

use antiphon_onion::ReplyKey;

/// Replies on their way back, headers that are to be verified, and batches that are not sent yet.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) headers: Headers,
    /// The replies for onions that have gone on: for the gateway's, for layer 1's, and so on.
    returning: Vec<Returning>,
    /// Jobs at work whose batches of onions or replies are to be sent.
    pub(super) unsent: usize,
}

impl Traffic {
    /// The replies for the onions of `layer`. The layer before collects them, from when the onions have
    /// left it until it answers its own.
    fn returning(&mut self, layer: Layer) -> Option<&mut Returning> {
        self.returning.get_mut(usize::from(layer.0).checked_sub(1)?)
    }

    /// Starts a batch of replies. `None` if nobody waits for it.
    pub(super) fn open_replies(&mut self, header: &BatchHeader) -> Option<Result<(), BatchFault>> {
        Some(self.returning(header.layer)?.open(header))
    }

    /// Takes in part of a batch of replies. `None` if nobody waits for it.
    pub(super) fn take_replies(
        &mut self,
        sender: ShardIndex,
        layer: Layer,
        bytes: &[u8],
    ) -> Option<Result<(), BatchFault>> {
        Some(self.returning(layer)?.take(sender, bytes))
    }

    /// The layer that is to answer its onions next, and the replies that it has to go by. `None` once
    /// the gateway's have been taken.
    pub(super) fn next_to_answer(&self) -> Option<(Origin, &Returning)> {
        let returning = self.returning.last()?;
        Some((Origin::after(self.returning.len() - 1), returning))
    }

    /// Takes out the replies of the layer that is to answer next.
    pub(super) fn take_next_to_answer(&mut self) -> Option<(Origin, Returning)> {
        let returning = self.returning.pop()?;
        Some((Origin::after(self.returning.len()), returning))
    }

    /// A job whose batches are to be sent is done.
    pub(super) fn part_done(&mut self) {
        debug_assert!(self.unsent > 0, "batches come from jobs that were counted");
        self.unsent -= 1;
    }
}

/// Sending onions on.
impl Cx<'_> {
    /// Has onions shuffled and gathered into batches.
    pub(super) fn depart(&mut self, departing: Departing) {
        let job = LeaveJob {
            departing,
            geometry: self.geometry(),
            shards: self.context.shards(),
            circuits: self.has_beats(),
            rng: self.rng.fork(),
            pool: self.pool.clone(),
        };
        self.work(Step::Leave(Box::new(job)));
    }

    /// Onions have been shuffled: expects the replies for them, and has the rest of them gathered.
    /// Returns where they come from, and the first batches.
    pub(super) fn departed(&mut self, left: Left) -> (Origin, Vec<Batch>) {
        let Left { origin, routes, reply_keys, starts, table, batches, rest } = left;
        table.into_iter().for_each(|table| self.shared.circuits.pass(table));
        self.expect_replies(origin, routes, reply_keys, starts);
        self.shared.traffic.unsent += rest.len();
        for job in rest {
            self.work(Step::Gather(job));
        }
        (origin, batches)
    }

    /// Expects replies for the onions that `origin` has sent on.
    pub(super) fn expect_replies(
        &mut self,
        origin: Origin,
        routes: Routes,
        keys: Vec<ReplyKey>,
        starts: Vec<Slot>,
    ) {
        debug_assert_eq!(self.shared.traffic.returning.len(), usize::from(origin.layers_passed()));
        let (body_bytes, shards) = (self.geometry().body_bytes(), self.context.shards());
        let pool = self.pool.clone();
        let returning = Returning::new(routes, keys, starts, body_bytes, shards, pool);
        self.shared.traffic.returning.push(returning);
    }

    /// Sends the batches of `origin`'s onions, and returns what of it is for this shard itself.
    pub(super) fn send_onions(&mut self, origin: Origin, batches: Vec<Batch>) -> Option<Bytes> {
        let layer = origin.next_layer();
        let onion_bytes = self.geometry().onion_bytes(layer);
        self.send(batches, layer, Direction::Forward, onion_bytes)
    }

    /// Has the onions of `origin` answered.
    pub(super) fn answer_onions(&mut self, origin: Origin, answering: Answering) {
        let jobs = ReplyJob::all(origin, answering, self.rng);
        self.shared.traffic.unsent += jobs.len();
        for job in jobs {
            self.work(Step::Reply(Box::new(job)));
        }
    }

    /// Sends back replies for the onions of `layer`, and takes in what of it is for this shard itself.
    pub(super) fn send_replies(&mut self, layer: Layer, batches: Vec<Batch>) {
        let body_bytes = self.geometry().body_bytes();
        let own = self.send(batches, layer, Direction::Reply, body_bytes);
        if let Some(own) = own {
            let Some(returning) = self.shared.traffic.returning(layer) else {
                unreachable!("no layer answers before all replies of the layer after it are sent");
            };
            returning.take_own(self.context.me, own);
        }
    }

    /// Sends batches under one signature: to sign each would cost more than all else that is done for
    /// a batch. Returns what is for this shard itself.
    fn send(
        &mut self,
        mut batches: Vec<Batch>,
        layer: Layer,
        direction: Direction,
        item_bytes: usize,
    ) -> Option<Bytes> {
        let me = self.context.me;
        // A shard's batch to itself takes no link.
        let own = batches.iter().position(|batch| batch.to == me);
        let own = own.map(|position| batches.remove(position).bytes);
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
        // All headers of the layer share one signature.
        let headers = batches.iter().map(header).collect();
        let headers = SignedHeader::sign_all(headers, &self.context.identity);
        for (header, Batch { to, bytes, .. }) in headers.into_iter().zip(batches) {
            let to = self.context.identities[to.position()];
            self.outputs.queue.push_back(Output::Batch { to, header, bytes, item_bytes });
        }
        own
    }

    /// Has the headers verified that have come since the last time; returns in how many portions.
    pub(super) fn check_headers(&mut self, step: fn(HeadersJob) -> Step) -> usize {
        let portions = self.shared.traffic.headers.due();
        let count = portions.len();
        for headers in portions {
            let identities = self.context.identities.clone();
            let keys = self.context.keys.clone();
            self.work(step(HeadersJob { identities, keys, headers }));
        }
        count
    }
}
