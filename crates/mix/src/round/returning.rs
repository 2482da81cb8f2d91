//! One layer's replies on their way back.

use antiphon_onion::ReplyKey;
use antiphon_wire::{BatchHeader, ShardIndex};
use bytes::Bytes;

use crate::buffers::{Buffer, BufferPool};
use crate::layer::answering::Answering;
use crate::layer::routes::{Routes, Slot};
use crate::round::inbound::{BatchFault, Inbound};

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

/// Replies of one shard, as far as they have come.
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
        let wanted = self.routes.to(header.sender).len() as u32;
        let inbound = &mut self.inbound[header.sender.position()];
        inbound.open(header, wanted)?;
        if header.count == wanted { Ok(()) } else { inbound.refuse(BatchFault::OtherCount) }
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

    /// Takes in what this very shard answers.
    pub(crate) fn take_own(&mut self, me: ShardIndex, bytes: Bytes) {
        self.inbound[me.position()].take_own((bytes.len() / self.body_bytes) as u32);
        self.bodies[me.position()] = Bodies::All(bytes);
    }

    /// Returns true if there is nothing to wait for: every shard that onions went to has answered, or
    /// has sent what cannot become an answer.
    pub(crate) fn is_settled(&self) -> bool {
        self.inbound.iter().all(Inbound::is_settled)
    }

    /// Closes the layer's way back. A batch that never came complete counts as empty.
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

#[cfg(test)]
mod tests {
    use antiphon_wire::{Digest, Direction, Epoch, Layer, Round};
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::layer::routes::Leaving;

    const BODY: usize = 16;

    fn header(sender: u16, bodies: &[u8]) -> BatchHeader {
        BatchHeader {
            version: 1,
            epoch: Epoch(1),
            round: Round(1),
            layer: Layer(2),
            direction: Direction::Reply,
            sender: ShardIndex(sender),
            receiver: ShardIndex(9),
            count: (bodies.len() / BODY) as u32,
            hash: Digest::of(bodies),
        }
    }

    /// Two onions went to shard 0, one to shard 1.
    fn returning(rng: &mut ChaCha20Rng) -> Returning {
        let leaving = [0, 0, 1].into_iter().zip(0..).map(|(next, slot)| Leaving {
            slot,
            next: ShardIndex(next),
            source: 0,
            at: 0,
        });
        let (routes, _) = Routes::draw(leaving.collect(), 2, vec![[0; BODY]], BODY, rng);
        Returning::new(routes, Vec::new(), vec![0, 3], BODY, 2, BufferPool::default())
    }

    #[test]
    fn nothing_is_waited_for_that_cannot_become_an_answer() {
        let spoilt: [(&[u8], &[u8]); 4] = [
            (&[1; BODY], &[]),                // Too few bodies.
            (&[1; 3 * BODY], &[]),            // Too many.
            (&[1; 2 * BODY], &[2; 2 * BODY]), // Other ones than were hashed.
            (&[1; 2 * BODY], &[1; BODY - 1]), // No whole ones.
        ];
        for (said, sent) in spoilt {
            let mut rng = ChaCha20Rng::seed_from_u64(1);
            let mut returning = returning(&mut rng);
            let opened = returning.open(&header(0, said));
            assert!(opened.is_err() || returning.take(ShardIndex(0), sent).is_err());
            assert!(!returning.is_settled(), "the other shard may still answer");
            returning.open(&header(1, &[3; BODY])).unwrap();
            returning.take(ShardIndex(1), &[3; BODY]).unwrap();
            // A second try does not make it better.
            assert!(returning.take(ShardIndex(0), &[1; 2 * BODY]).is_err());
            assert!(returning.open(&header(0, &[1; 2 * BODY])).is_err());
            assert!(returning.is_settled());
            let answer = returning.close().answer(0..1, &mut rng).remove(0);
            assert_eq!(answer.bytes.len(), 3 * BODY);
            let bodies: Vec<_> = answer.bytes.chunks(BODY).collect();
            assert_eq!(bodies[2], [3; BODY]);
            for filled in &bodies[..2] {
                assert!([1, 2, 3].iter().all(|byte| *filled != [*byte; BODY]));
            }
        }
    }
}
