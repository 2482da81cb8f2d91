//! Onions of another time or place.

use antiphon_wire::{Digest, Round, SignedHeader, Timestamp};

use crate::adversary::{Adversary, Keys, Target, round_of};
use crate::party::{Payload, Sent};

/// In what a replayed batch is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// As it was sent first, header and all.
    AsItWas,
    /// Its onions instead of the batch's own, under a header of the round.
    NewHeader,
    /// Its onions behind the batch's own, under a header of the round.
    Added,
}

/// Keeps what `source` takes in one round, and replays it on the target in that or a later one.
/// Onions that are too long for the layer are cut, ones too short are filled up.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Batches that are kept.
    pub source: Target,
    /// The round in which it is kept.
    pub round: Round,
    /// Batches that are replaced or added to.
    pub target: Target,
    /// The round in which it is replayed.
    pub at: Round,
    /// Form in which the kept onions are sent again.
    pub wrapping: Wrapping,
    kept: Option<Payload>,
}

impl Replay {
    /// A replay of what `source` takes in one round on what `target` takes in another.
    pub fn new(source: (Target, Round), target: (Target, Round), wrapping: Wrapping) -> Self {
        let ((source, round), (target, at)) = (source, target);
        Self { source, round, target, at, wrapping, kept: None }
    }
}

impl Adversary for Replay {
    fn on_message(&mut self, _: Timestamp, mut sent: Sent, keys: &Keys) -> Vec<(u64, Sent)> {
        // Looked at before anything is kept, so that no batch is replayed on itself.
        if let Some(Payload::Batch { bytes: old, item_bytes: old_item, .. }) = &self.kept
            && self.target.takes(&sent)
            && round_of(&sent.payload) == Some(self.at)
        {
            match (&sent.payload, self.wrapping) {
                (
                    Payload::Batch { header, bytes, item_bytes },
                    Wrapping::NewHeader | Wrapping::Added,
                ) => {
                    let mut onions = match self.wrapping {
                        Wrapping::Added => bytes.clone(),
                        _ => Vec::new(),
                    };
                    for onion in old.chunks_exact(*old_item) {
                        let end = onions.len() + item_bytes;
                        // Cut or filled up to the length of this layer, or the batch would be refused for its
                        // length alone.
                        onions.extend_from_slice(&onion[..(*old_item).min(*item_bytes)]);
                        onions.resize(end, 0);
                    }
                    let mut claims = *header.claimed();
                    claims.count = (onions.len() / item_bytes) as u32;
                    claims.hash = Digest::of(&onions);
                    let header = SignedHeader::new(claims, keys.shard(self.target.from));
                    sent.payload =
                        Payload::Batch { header, bytes: onions, item_bytes: *item_bytes };
                }
                _ => sent.payload = self.kept.clone().unwrap_or(sent.payload),
            }
        }
        if self.source.takes(&sent) && round_of(&sent.payload) == Some(self.round) {
            self.kept.get_or_insert_with(|| sent.payload.clone());
        }
        vec![(0, sent)]
    }
}
