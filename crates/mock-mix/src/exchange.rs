//! A round: every onion peeled by itself, swapped with the one that it meets, and answered.

use antiphon_onion::{
    CircuitKey, PeelKey, Peeled, ReplyKey, RoundContext, apply_reply_stream, inner_offset,
    peel_batch,
};
use antiphon_wire::{DEAD_DROP_BYTES, Entry, Round};

use crate::Mix;

/// A deposit at the end of its path.
pub(crate) struct Opened {
    pub(crate) client: usize,
    pub(crate) dead_drop: [u8; DEAD_DROP_BYTES],
    pub(crate) body: Vec<u8>,
    /// Of the layers, in their order.
    reply_keys: Vec<ReplyKey>,
    /// Of the layers, in their order.
    pub(crate) circuit_keys: Vec<CircuitKey>,
}

impl Opened {
    /// The deposit among `all` that this one, the one at `at`, is swapped with: itself if it is alone, or one of
    /// more than two.
    pub(crate) fn meets(&self, at: usize, all: &[Self]) -> usize {
        let is_there = |other: &usize| *other != at && all[*other].dead_drop == self.dead_drop;
        let mut others = (0..all.len()).filter(is_there);
        match (others.next(), others.next()) {
            (Some(partner), None) => partner,
            _ => at,
        }
    }
}

impl Mix {
    /// Runs a round over what each client submitted; returns each one's replies.
    ///
    /// # Panics
    /// If an onion cannot be opened, or the round is not the epoch's.
    pub fn exchange(&self, round: Round, submissions: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let opened = self.open_all(round, submissions);
        let mut replies = vec![Vec::new(); submissions.len()];
        for (at, deposit) in opened.iter().enumerate() {
            let mut reply = opened[deposit.meets(at, &opened)].body.clone();
            // Layer L adds its stream first: the client removes them in the order of the path.
            for key in deposit.reply_keys.iter().rev() {
                apply_reply_stream(key, &mut reply);
            }
            replies[deposit.client].extend(reply);
        }
        replies
    }

    /// Every onion that clients submitted, client by client.
    pub(crate) fn open_all(&self, round: Round, submissions: &[Vec<u8>]) -> Vec<Opened> {
        let geometry = self.epoch.geometry();
        let each = submissions.iter().enumerate().flat_map(|(client, submission)| {
            Entry::all(submission, geometry).map(move |entry| self.open(round, client, entry))
        });
        each.collect()
    }

    fn open(&self, round: Round, client: usize, entry: Entry<'_>) -> Opened {
        let geometry = self.epoch.geometry();
        let context = RoundContext { geometry, epoch: self.epoch.epoch(), round };
        let offset = self.offset(round);
        let (mut shard, mut onion) = (entry.first, entry.onion.to_vec());
        let (mut reply_keys, mut circuit_keys) = (Vec::new(), Vec::new());
        for layer in geometry.all_layers() {
            let secret = &self.shards[shard.position()].onion;
            let key = if layer == geometry.seal_layer() {
                PeelKey::sealed(secret, self.shards.iter().map(|shard| &shard.seals[offset]))
                    .unwrap()
            } else {
                PeelKey::plain(secret)
            };
            let mut peeled = Peeled::default().with_circuits();
            peel_batch(&key, context, layer, &mut onion, &mut peeled).unwrap();
            assert!(peeled.opened(0));
            reply_keys.push(peeled.reply_key(0).unwrap().clone());
            circuit_keys.push(peeled.circuit_key(0).unwrap().clone());
            shard = peeled.next_hop(0).unwrap_or(shard);
            onion.drain(..inner_offset(geometry, layer));
        }
        let (dead_drop, body) = onion.split_first_chunk().unwrap();
        assert_eq!(shard, self.epoch.paths().dead_drop_shard(dead_drop));
        Opened { client, dead_drop: *dead_drop, body: body.to_vec(), reply_keys, circuit_keys }
    }
}
