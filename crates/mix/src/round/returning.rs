//! One layer's replies on their way back.

use antiphon_onion::{ReplyKey, apply_reply_stream};
use antiphon_wire::{BatchHeader, ShardIndex};
use rand::CryptoRng;

use crate::round::inbound::{BatchFault, Inbound};
use crate::routed::{Routes, Slot};

/// The replies for the onions of one layer. Every one is there from the start, as random bytes:
/// what never comes back must not be visible.
#[derive(Debug)]
pub(crate) struct Returning {
    body_bytes: usize,
    routes: Routes,
    /// For each slot; empty at the gateway, which applies no stream.
    reply_keys: Vec<ReplyKey>,
    starts: Vec<Slot>,
    replies: Vec<u8>,
    /// From each shard that onions went to.
    inbound: Vec<Inbound>,
    arriving: Vec<Vec<u8>>,
}

impl Returning {
    pub(crate) fn new(
        routes: Routes,
        reply_keys: Vec<ReplyKey>,
        starts: &[Slot],
        body_bytes: usize,
        shards: usize,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let slots = starts.last().copied().unwrap_or(0) as usize;
        let mut replies = vec![0; slots * body_bytes];
        rng.fill_bytes(&mut replies);
        Self {
            body_bytes,
            routes,
            reply_keys,
            starts: starts.to_vec(),
            replies,
            inbound: (0..shards).map(|_| Inbound::default()).collect(),
            arriving: vec![Vec::new(); shards],
        }
    }

    /// Starts the batch of a shard that onions went to. It must be as long as what went there.
    pub(crate) fn open(&mut self, header: &BatchHeader) -> Result<(), BatchFault> {
        let most = self.routes.to(header.sender).len() as u32;
        self.inbound[header.sender.position()].open(header, most)?;
        if header.count != most {
            return Err(BatchFault::TooLong);
        }
        Ok(())
    }

    /// Takes in part of a batch.
    pub(crate) fn take(&mut self, sender: ShardIndex, bytes: &[u8]) -> Result<(), BatchFault> {
        let inbound = &mut self.inbound[sender.position()];
        inbound.take(bytes, self.body_bytes)?;
        let arriving = &mut self.arriving[sender.position()];
        arriving.extend_from_slice(bytes);
        if inbound.is_complete() {
            let batch = std::mem::take(arriving);
            for (i, body) in batch.chunks_exact(self.body_bytes).enumerate() {
                self.answer(self.routes.to(sender)[i], body);
            }
        }
        Ok(())
    }

    fn answer(&mut self, slot: Slot, body: &[u8]) {
        let reply = &mut self.replies[slot as usize * self.body_bytes..][..self.body_bytes];
        reply.copy_from_slice(body);
        if let Some(key) = self.reply_keys.get(slot as usize) {
            apply_reply_stream(key, reply);
        }
    }

    /// Answers from this very shard, at layer L: bodies in the order of `slots`.
    pub(crate) fn answer_all(&mut self, slots: impl Iterator<Item = Slot>, bodies: &[u8]) {
        for (slot, body) in slots.zip(bodies.chunks_exact(self.body_bytes)) {
            self.answer(slot, body);
        }
    }

    /// Whether every shard that onions went to has answered.
    pub(crate) fn is_complete(&self) -> bool {
        self.inbound.iter().all(Inbound::is_complete)
    }

    /// The replies for one sender's onions, in their order.
    pub(crate) fn for_sender(&self, sender: ShardIndex) -> &[u8] {
        let start = self.starts[sender.position()] as usize;
        let end = self.starts[sender.position() + 1] as usize;
        &self.replies[start * self.body_bytes..end * self.body_bytes]
    }
}
