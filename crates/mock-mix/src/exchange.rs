//! A round: every onion peeled by itself, swapped with the one that it meets, and answered.

use antiphon_onion::{
    PeelKey, Peeled, ReplyKey, RoundContext, apply_reply_stream, inner_offset, peel_batch,
};
use antiphon_wire::{DEAD_DROP_BYTES, Entry, Round};

use crate::Mix;

/// A deposit at the end of its path.
struct Opened {
    client: usize,
    dead_drop: [u8; DEAD_DROP_BYTES],
    body: Vec<u8>,
    /// Of the layers, in their order.
    reply_keys: Vec<ReplyKey>,
}

impl Mix {
    /// Runs a round over what each client submitted; returns each one's replies.
    ///
    /// # Panics
    /// If an onion cannot be opened, or the round is not the epoch's.
    pub fn exchange(&self, round: Round, submissions: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let geometry = self.epoch.geometry();
        let mut opened = Vec::new();
        for (client, submission) in submissions.iter().enumerate() {
            let entries = Entry::all(submission, geometry);
            opened.extend(entries.map(|entry| self.open(round, client, entry)));
        }
        let mut replies = vec![Vec::new(); submissions.len()];
        for (at, deposit) in opened.iter().enumerate() {
            let meets =
                |other: &usize| *other != at && opened[*other].dead_drop == deposit.dead_drop;
            let mut others = (0..opened.len()).filter(meets);
            // A deposit that is alone, or one of more than two, comes back as it is.
            let mut reply = match (others.next(), others.next()) {
                (Some(partner), None) => opened[partner].body.clone(),
                _ => deposit.body.clone(),
            };
            // Layer L adds its stream first: the client removes them in the order of the path.
            for key in deposit.reply_keys.iter().rev() {
                apply_reply_stream(key, &mut reply);
            }
            replies[deposit.client].extend(reply);
        }
        replies
    }

    fn open(&self, round: Round, client: usize, entry: Entry<'_>) -> Opened {
        let geometry = self.epoch.geometry();
        let context = RoundContext { geometry, epoch: self.epoch.epoch(), round };
        let offset = (round.0 - self.signed.document.first_round.0) as usize;
        let (mut shard, mut onion) = (entry.first, entry.onion.to_vec());
        let mut reply_keys = Vec::new();
        for layer in geometry.all_layers() {
            let secret = &self.shards[shard.position()].onion;
            let key = if layer == geometry.seal_layer() {
                PeelKey::sealed(secret, self.shards.iter().map(|shard| &shard.seals[offset]))
                    .unwrap()
            } else {
                PeelKey::plain(secret)
            };
            let mut peeled = Peeled::default();
            peel_batch(&key, context, layer, &mut onion, &mut peeled).unwrap();
            assert!(peeled.opened(0));
            reply_keys.push(peeled.reply_key(0).unwrap().clone());
            shard = peeled.next_hop(0).unwrap_or(shard);
            onion.drain(..inner_offset(geometry, layer));
        }
        let (dead_drop, body) = onion.split_first_chunk().unwrap();
        assert_eq!(shard, self.epoch.paths().dead_drop_shard(dead_drop));
        Opened { client, dead_drop: *dead_drop, body: body.to_vec(), reply_keys }
    }
}
