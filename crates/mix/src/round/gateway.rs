//! The gateway's part of a round: its clients' onions in, their replies out.

use std::collections::BTreeMap;

use antiphon_wire::{Digest, Geometry, NEXT_HOP_BYTES, ShardIndex};

use crate::ClientId;
use crate::noise::NoiseBatch;
use crate::routed::{Leaving, Slot};

/// Why onions were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SubmitError {
    #[error("the round is not open for onions")]
    Closed,
    #[error("a submission has two onions per pair, each of the epoch's size")]
    Size,
    #[error("an onion is for a shard that is not in the epoch document")]
    FirstHop,
    #[error("another submission for this round was taken already")]
    Second,
    #[error("this gateway has as many submissions as it can carry; use another one")]
    Full,
}

/// The submissions of a round, one for each client.
#[derive(Debug, Default)]
pub(crate) struct Submissions {
    clients: Vec<ClientId>,
    /// The submission of each client, by its hash: sending the same again, even over another link,
    /// is no second submission.
    by_digest: BTreeMap<Digest, usize>,
    by_client: BTreeMap<ClientId, usize>,
    /// All entries, one after the other.
    entries: Vec<u8>,
}

impl Submissions {
    pub(crate) fn take(
        &mut self,
        client: ClientId,
        onions: &[u8],
        geometry: Geometry,
        pairs: u8,
        shards: usize,
        most: usize,
    ) -> Result<(), SubmitError> {
        let entry_bytes = geometry.entry_bytes();
        if onions.len() != 2 * usize::from(pairs) * entry_bytes {
            return Err(SubmitError::Size);
        }
        let mut entries = onions.chunks_exact(entry_bytes);
        if entries.any(|entry| first_hop(entry).position() >= shards) {
            return Err(SubmitError::FirstHop);
        }
        let digest = Digest::of(onions);
        if let Some(&position) = self.by_digest.get(&digest) {
            // The link it came over now is the one to answer on.
            self.clients[position] = client;
            self.by_client.insert(client, position);
            return Ok(());
        }
        if self.by_client.contains_key(&client) {
            return Err(SubmitError::Second);
        }
        if self.clients.len() >= most {
            return Err(SubmitError::Full);
        }
        self.by_client.insert(client, self.clients.len());
        self.by_digest.insert(digest, self.clients.len());
        self.clients.push(client);
        self.entries.extend_from_slice(onions);
        Ok(())
    }

    /// Whether every one of `clients` has handed in its onions.
    pub(crate) fn has_all<'a>(&self, mut clients: impl Iterator<Item = &'a ClientId>) -> bool {
        clients.all(|client| self.by_client.contains_key(client))
    }

    /// Clients with a submission, in the order of their onions.
    pub(crate) fn clients(&self) -> &[ClientId] {
        &self.clients
    }

    /// How many onions clients handed in.
    pub(crate) fn onions(&self, geometry: Geometry) -> usize {
        self.entries.len() / geometry.entry_bytes()
    }

    /// The clients' onions and the noise, as they go to layer 1. Clients' slots come first.
    pub(crate) fn leaving<'a>(
        &'a self,
        noise: &'a NoiseBatch,
        geometry: Geometry,
    ) -> Vec<Leaving<'a>> {
        let users = self.entries.chunks_exact(geometry.entry_bytes());
        let onion_bytes = geometry.entry_bytes() - NEXT_HOP_BYTES;
        let noise = noise.entries.iter().zip(noise.onions.chunks_exact(onion_bytes));
        users
            .map(|entry| (first_hop(entry), &entry[NEXT_HOP_BYTES..]))
            .chain(noise.map(|(&next, onion)| (next, onion)))
            .enumerate()
            .map(|(slot, (next, bytes))| Leaving { slot: slot as Slot, next, bytes })
            .collect()
    }
}

fn first_hop(entry: &[u8]) -> ShardIndex {
    ShardIndex(u16::from_be_bytes([entry[0], entry[1]]))
}
