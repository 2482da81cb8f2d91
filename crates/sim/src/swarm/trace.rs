//! The hash of everything that a network sent.

use std::cell::Cell;
use std::rc::Rc;

use antiphon_wire::{Digest, Encode as _, Timestamp};

use crate::adversary::{Adversary, Keys};
use crate::party::{Payload, Sent};

/// Adds every message to a hash, and hands it on.
pub(super) struct Traced<A> {
    pub(super) digest: Rc<Cell<Digest>>,
    pub(super) next: A,
}

impl<A: Adversary> Adversary for Traced<A> {
    fn on_message(&mut self, now: Timestamp, sent: Sent, keys: &Keys) -> Vec<(u64, Sent)> {
        // A chain of hashes: two runs that differ anywhere end in different digests.
        let mut seen = self.digest.get().0.to_vec();
        seen.extend(now.0.to_be_bytes());
        seen.extend(format!("{:?} {:?}", sent.from, sent.to).into_bytes());
        match &sent.payload {
            Payload::ToCoordinator(message) => message.encode(&mut seen),
            Payload::ToShard(message) => message.encode(&mut seen),
            Payload::Peer(message) => message.encode(&mut seen),
            Payload::Batch { header, bytes, .. } => {
                header.encode(&mut seen);
                seen.extend_from_slice(bytes);
            }
            Payload::Cells { batch, bytes } => {
                batch.encode(&mut seen);
                seen.extend_from_slice(bytes);
            }
            Payload::FromClient(message) => message.encode(&mut seen),
            Payload::ToClient(message) => message.encode(&mut seen),
        }
        self.digest.set(Digest::of(&seen));
        self.next.on_message(now, sent, keys)
    }
}
