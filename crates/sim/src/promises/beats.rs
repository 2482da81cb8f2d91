//! Rules of beats that no honest process breaks: what is made once only, and what never changes its size.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{CellBatch, Digest, Direction, Epoch, FromClient, Layer, Round};

/// A link in one direction of one layer, in all beats of a round.
type Link = (usize, usize, Epoch, Round, Layer, Direction);

/// Record of the cells that were sent.
#[derive(Debug, Default)]
pub(super) struct BeatPromises {
    /// The cells of each client in each beat.
    of_clients: BTreeMap<(usize, Epoch, Round, u64), Digest>,
    /// Bytes of every client's cells in a beat of a round.
    client_bytes: BTreeMap<(Epoch, Round), usize>,
    /// Rounds that clients left to their gateways.
    left: BTreeMap<(usize, Round), Digest>,
    /// The cells that each shard sent over a link in each beat.
    of_shards: BTreeMap<(Link, u64), Digest>,
    /// Cells that a link carries in every beat.
    sizes: BTreeMap<Link, (u32, usize)>,
    /// Last beat that was sent over each link.
    last: BTreeMap<Link, u64>,
}

impl BeatPromises {
    /// Takes note of what a client sends. Returns a rule that it breaks, in words.
    pub(super) fn of_client(&mut self, client: usize, message: &FromClient) -> Option<String> {
        match message {
            FromClient::Cells { epoch, round, beat, cells } => {
                let digest = Digest::of(&cells.0);
                let known =
                    self.of_clients.entry((client, *epoch, *round, *beat)).or_insert(digest);
                if *known != digest {
                    return Some(format!(
                        "client {client} made two cells for beat {beat} of {round}"
                    ));
                }
                if self.left.contains_key(&(client, *round)) {
                    return Some(format!(
                        "client {client} left round {round} and sends cells of it"
                    ));
                }
                let usual = *self.client_bytes.entry((*epoch, *round)).or_insert(cells.0.len());
                let is_usual = usual == cells.0.len();
                (!is_usual).then(|| {
                    format!("client {client} sends {} bytes, and others {usual}", cells.0.len())
                })
            }
            FromClient::Leave { epoch, round, onions, .. } => {
                let digest = Digest::of(&onions.0);
                let known = *self.left.entry((client, *round)).or_insert(digest);
                let beats = (client, *epoch, *round, 0)..=(client, *epoch, *round, u64::MAX);
                if known != digest {
                    return Some(format!("client {client} left round {round} twice"));
                }
                self.of_clients.range(beats).next().map(|_| {
                    format!("client {client} leaves round {round}, of which it has sent cells")
                })
            }
            _ => None,
        }
    }

    /// Takes note of the cells that shard `from` sends to shard `to`. Returns a rule that it breaks, in words.
    pub(super) fn of_shard(
        &mut self,
        (from, to): (usize, usize),
        batch: &CellBatch,
        bytes: &[u8],
    ) -> Option<String> {
        let CellBatch { epoch, round, beat, layer, direction, count } = *batch;
        let link = (from, to, epoch, round, layer, direction);
        let digest = Digest::of(bytes);
        match self.of_shards.entry((link, beat)) {
            Entry::Occupied(known) if *known.get() != digest => {
                return Some(format!("shard {from} processed {batch:?} twice"));
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(new) => {
                new.insert(digest);
                let last = self.last.insert(link, beat);
                if last.is_some_and(|last| last > beat) {
                    return Some(format!("shard {from} sent {batch:?} after beat {last:?}"));
                }
            }
        }
        let size = (count, bytes.len());
        let usual = *self.sizes.entry(link).or_insert(size);
        (usual != size).then(|| {
            format!("shard {from} sent {batch:?} of {} bytes, and {usual:?} before", size.1)
        })
    }

    /// Beats in which `client` sent cells of its own, with their rounds.
    pub(super) fn sent_by(&self, client: usize) -> BTreeSet<(Round, u64)> {
        let all =
            (client, Epoch(0), Round(0), 0)..=(client, Epoch(u64::MAX), Round(u64::MAX), u64::MAX);
        self.of_clients.range(all).map(|((_, _, round, beat), _)| (*round, *beat)).collect()
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::Blob;

    use super::*;

    const PLACE: (Epoch, Round) = (Epoch(1), Round(2));

    fn cells(beat: u64, bytes: Vec<u8>) -> FromClient {
        FromClient::Cells { epoch: PLACE.0, round: PLACE.1, beat, cells: Blob(bytes) }
    }

    fn left() -> FromClient {
        FromClient::Leave {
            epoch: PLACE.0,
            round: PLACE.1,
            ticket: Digest::default(),
            onions: Blob(vec![1]),
            cells: Blob(vec![2]),
        }
    }

    fn batch(beat: u64, count: u32) -> CellBatch {
        let (epoch, round) = PLACE;
        CellBatch { epoch, round, beat, layer: Layer(1), direction: Direction::Forward, count }
    }

    fn is_kept(messages: &[FromClient]) -> bool {
        let mut promises = BeatPromises::default();
        messages.iter().all(|message| promises.of_client(0, message).is_none())
    }

    #[test]
    fn a_client_makes_one_set_of_cells_for_a_beat_and_all_of_one_size() {
        assert!(is_kept(&[cells(1, vec![1]), cells(1, vec![1]), cells(2, vec![2])]));
        assert!(!is_kept(&[cells(1, vec![1]), cells(1, vec![2])]));
        assert!(!is_kept(&[cells(1, vec![1]), cells(2, vec![1, 2])]));
    }

    #[test]
    fn a_beat_with_cells_that_were_left_gets_none_of_another_kind() {
        assert!(is_kept(&[left(), left()]));
        assert!(!is_kept(&[left(), cells(1, vec![1])]));
        assert!(!is_kept(&[cells(1, vec![1]), left()]));
    }

    #[test]
    fn a_shard_sends_a_batch_once_in_rising_beats_and_always_of_one_size() {
        let is_kept = |batches: &[(CellBatch, &[u8])]| {
            let mut promises = BeatPromises::default();
            batches.iter().all(|(batch, bytes)| promises.of_shard((0, 1), batch, bytes).is_none())
        };
        assert!(is_kept(&[(batch(1, 1), &[1]), (batch(1, 1), &[1]), (batch(2, 1), &[5])]));
        assert!(!is_kept(&[(batch(1, 1), &[1]), (batch(1, 1), &[2])]));
        assert!(!is_kept(&[(batch(1, 1), &[1]), (batch(2, 2), &[1, 2])]));
        assert!(!is_kept(&[(batch(2, 1), &[1]), (batch(1, 1), &[2])]));
    }
}
