//! One layer's replies on their way back.

use antiphon_onion::ReplyKey;
use antiphon_wire::{BatchHeader, ShardIndex};
use bytes::Bytes;

use crate::answering::Answering;
use crate::buffers::{Buffer, BufferPool};
use crate::round::inbound::{BatchFault, Inbound};
use crate::routed::{Routes, Slot};

/// The replies for the onions of one layer, as they come in.
#[derive(Debug)]
pub(crate) struct Returning {
    body_bytes: usize,
    routes: Routes,
    /// For each slot; empty at the gateway, which applies no stream.
    reply_keys: Vec<ReplyKey>,
    starts: Vec<Slot>,
    pool: BufferPool,
    /// From each shard that onions went to.
    inbound: Vec<Inbound>,
    bodies: Vec<Bodies>,
}

/// What a shard has answered.
#[derive(Debug)]
enum Bodies {
    Nothing,
    Some(Buffer),
    All(Bytes),
}

impl Returning {
    pub(crate) fn new(
        routes: Routes,
        reply_keys: Vec<ReplyKey>,
        starts: Vec<Slot>,
        body_bytes: usize,
        shards: usize,
        pool: BufferPool,
    ) -> Self {
        Self {
            body_bytes,
            routes,
            reply_keys,
            starts,
            pool,
            inbound: (0..shards).map(|_| Inbound::default()).collect(),
            bodies: (0..shards).map(|_| Bodies::Nothing).collect(),
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
        let position = sender.position();
        self.inbound[position].take(bytes, self.body_bytes)?;
        if let Bodies::Nothing = self.bodies[position] {
            let all = self.routes.to(sender).len() * self.body_bytes;
            self.bodies[position] = Bodies::Some(self.pool.take(all));
        }
        if let Bodies::Some(bodies) = &mut self.bodies[position] {
            bodies.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Signatures of headers have been checked.
    pub(crate) fn checked(&mut self, sender: ShardIndex, signed: bool) {
        self.inbound[sender.position()].checked(signed);
    }

    /// Takes in what this very shard answers.
    pub(crate) fn take_own(&mut self, me: ShardIndex, bytes: Bytes) {
        self.inbound[me.position()].take_own((bytes.len() / self.body_bytes) as u32);
        self.bodies[me.position()] = Bodies::All(bytes);
    }

    /// Whether every shard that onions went to has answered.
    pub(crate) fn is_complete(&self) -> bool {
        self.inbound.iter().all(Inbound::is_complete)
    }

    /// What is to be sent back; of what never came complete, nothing.
    pub(crate) fn close(self) -> Answering {
        let Self { routes, reply_keys, starts, inbound, bodies, body_bytes, pool } = self;
        let complete = inbound.iter().map(Inbound::is_complete);
        let bodies = bodies.into_iter().zip(complete).enumerate().filter_map(|(i, body)| {
            let bytes = match body {
                (Bodies::Some(buffer), true) => buffer.into_bytes(),
                (Bodies::All(bytes), true) => bytes,
                _ => return None,
            };
            Some((routes.to(ShardIndex(i as u16)), bytes))
        });
        Answering::new(reply_keys, starts, body_bytes, bodies, pool)
    }
}
