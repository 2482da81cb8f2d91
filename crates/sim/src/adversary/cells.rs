//! Cells that are spoilt: on links, where they can be lost or held, and by a shard, which can change its own.

use std::collections::BTreeMap;

use antiphon_wire::{Direction, FromClient, Layer, Round, Timestamp, ToClient};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use crate::adversary::{Adversary, Keys};
use crate::party::{Party, Payload, Sent};

/// Something that is done to cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellPlay {
    /// One batch in so many does not come. Anyone on the link can do this.
    Drop(u32),
    /// One batch in so many comes so many milliseconds later. So can this.
    Late(u32, u64),
    /// One cell in so many is random bytes.
    Garble(u32),
    /// A batch has the cells of the one before it on its link, under its own number.
    Replay,
    /// A batch comes when the next one of its link leaves, together with it.
    Hold,
    /// A batch comes a second time, with a bit of every cell flipped.
    Again,
    /// A batch is a cell short.
    Short,
    /// As a gateway, it says that no cells have come from its clients, and brings them none.
    Fill,
}

/// A place at which batches follow each other beat by beat.
type Link = (Party, Round, Layer, Direction);

/// Plays with the cells that one shard sends.
#[derive(Debug)]
pub struct SpoiltCells {
    from: usize,
    play: CellPlay,
    cell_bytes: usize,
    rng: ChaCha20Rng,
    /// The last batch of each link.
    kept: BTreeMap<Link, Sent>,
}

impl SpoiltCells {
    /// What the shard at position `from` does to cells of so many bytes.
    pub fn new(from: usize, play: CellPlay, cell_bytes: usize, seed: u64) -> Self {
        let rng = ChaCha20Rng::seed_from_u64(seed);
        Self { from, play, cell_bytes, rng, kept: BTreeMap::new() }
    }

    fn one_in(&mut self, many: u32) -> bool {
        self.rng.next_u32().is_multiple_of(many.max(1))
    }

    /// Turns a batch of the shard into what arrives in its place.
    fn batch(&mut self, link: Link, mut sent: Sent) -> Vec<(u64, Sent)> {
        let cell_bytes = self.cell_bytes;
        let before = match self.play {
            CellPlay::Replay | CellPlay::Hold => self.kept.insert(link, sent.clone()),
            _ => None,
        };
        let Payload::Cells { batch, bytes } = &mut sent.payload else { return vec![(0, sent)] };
        let play = self.play;
        match play {
            CellPlay::Drop(one_in) if self.one_in(one_in) => return vec![],
            CellPlay::Late(one_in, ms) if self.one_in(one_in) => return vec![(ms, sent)],
            CellPlay::Garble(one_in) => {
                for cell in bytes.chunks_exact_mut(cell_bytes) {
                    if self.rng.next_u32().is_multiple_of(one_in.max(1)) {
                        self.rng.fill_bytes(cell);
                    }
                }
            }
            CellPlay::Replay => {
                if let Some(Sent { payload: Payload::Cells { bytes: old, .. }, .. }) = before {
                    *bytes = old;
                }
            }
            CellPlay::Hold => return before.map(|before| (0, before)).into_iter().collect(),
            CellPlay::Again => {
                let mut again = sent.clone();
                if let Payload::Cells { bytes, .. } = &mut again.payload {
                    bytes.chunks_exact_mut(cell_bytes).for_each(|cell| cell[0] ^= 1);
                }
                return vec![(0, sent), (0, again)];
            }
            CellPlay::Short if batch.count > 0 => {
                batch.count -= 1;
                bytes.truncate(bytes.len() - cell_bytes);
            }
            _ => {}
        }
        vec![(0, sent)]
    }
}

impl Adversary for SpoiltCells {
    fn on_message(&mut self, _: Timestamp, sent: Sent, _: &Keys) -> Vec<(u64, Sent)> {
        let me = Party::Shard(self.from);
        let of_gateway = match &sent.payload {
            Payload::Cells { batch, .. } if sent.from == me => {
                let link = (sent.to, batch.round, batch.layer, batch.direction);
                return self.batch(link, sent);
            }
            Payload::FromClient(FromClient::Cells { .. }) => sent.to == me,
            Payload::ToClient(ToClient::Cells { .. }) => sent.from == me,
            _ => false,
        };
        if of_gateway && self.play == CellPlay::Fill { vec![] } else { vec![(0, sent)] }
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{CellBatch, Digest, Epoch};

    use super::*;

    const CELL: usize = 16;

    fn batch(beat: u64) -> Sent {
        let (layer, direction) = (Layer(1), Direction::Forward);
        let batch =
            CellBatch { epoch: Epoch(1), round: Round(1), beat, layer, direction, count: 2 };
        let bytes = vec![beat as u8; 2 * CELL];
        let payload = Payload::Cells { batch, bytes };
        Sent { from: Party::Shard(0), to: Party::Shard(1), payload }
    }

    /// What arrives of two beats: the number of each batch, its cells' count, and their bytes.
    fn arrives(play: CellPlay) -> Vec<(u64, u32, Vec<u8>)> {
        let mut adversary = SpoiltCells::new(0, play, CELL, 1);
        let keys = Keys { shards: Vec::new(), network: Digest::default() };
        let sent = (1..=2).flat_map(|beat| {
            adversary.on_message(Timestamp(0), batch(beat), &keys).into_iter().map(|(_, sent)| sent)
        });
        let batches = sent.filter_map(|sent| match sent.payload {
            Payload::Cells { batch, bytes } => Some((batch.beat, batch.count, bytes)),
            _ => None,
        });
        batches.collect()
    }

    #[test]
    fn each_play_does_to_batches_what_it_says() {
        let as_sent = |beat: u64| (beat, 2, vec![beat as u8; 2 * CELL]);
        assert_eq!(arrives(CellPlay::Fill), [as_sent(1), as_sent(2)], "other shards get theirs");
        assert_eq!(arrives(CellPlay::Drop(1)), []);
        assert_eq!(arrives(CellPlay::Late(1, 50)), [as_sent(1), as_sent(2)]);
        assert_eq!(arrives(CellPlay::Hold), [as_sent(1)]);
        assert_eq!(arrives(CellPlay::Replay), [as_sent(1), (2, 2, vec![1; 2 * CELL])]);
        assert_eq!(arrives(CellPlay::Short)[1], (2, 1, vec![2; CELL]));
        let again: Vec<_> = arrives(CellPlay::Again).into_iter().map(|(beat, _, _)| beat).collect();
        assert_eq!(again, [1, 1, 2, 2]);
        let garbled = arrives(CellPlay::Garble(1));
        assert!(garbled.iter().all(|(beat, _, bytes)| *bytes != as_sent(*beat).2));
    }
}
