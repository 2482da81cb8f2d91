//! The gateway's part of a round: its clients' onions in, their replies out.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{Digest, Geometry, Timestamp};

use crate::ClientId;
use crate::buffers::{Buffer, BufferPool};
use crate::work::first_hop;

/// Bytes of a block of entries, about.
const BLOCK_BYTES: usize = 128 << 10;

/// The reason for which onions were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SubmitError {
    #[error("the round is not open for onions")]
    Closed,
    #[error(
        "a submission has two onions per pair, or one in a mailbox round, each of the epoch's size"
    )]
    Size,
    #[error("an onion is for a shard that is not in the epoch document")]
    FirstHop,
    #[error("another submission for this round was taken already")]
    Second,
    #[error("this gateway has as many submissions as it can carry; use another one")]
    Full,
}

/// The submissions of a round, one for each client.
#[derive(Debug)]
pub(crate) struct Submissions {
    pool: BufferPool,
    clients: Vec<ClientId>,
    /// The hash of each one's ticket.
    tickets: Vec<Digest>,
    /// By that hash, the submission and the hash of its onions: sending the same again, even over
    /// another link, is no second submission.
    by_ticket: BTreeMap<Digest, (usize, Digest)>,
    by_client: BTreeMap<ClientId, usize>,
    /// Clients whose onions are waited for.
    awaited: BTreeSet<ClientId>,
    /// Until when.
    awaited_until: Timestamp,
    /// All entries, one after the other. Only the last block has room.
    entries: Vec<Buffer>,
    entry_count: usize,
}

impl Submissions {
    /// Nothing yet; entries are kept in buffers of `pool`.
    pub(crate) fn new(pool: BufferPool) -> Self {
        Self {
            pool,
            clients: Vec::new(),
            tickets: Vec::new(),
            by_ticket: BTreeMap::new(),
            by_client: BTreeMap::new(),
            awaited: BTreeSet::new(),
            awaited_until: Timestamp(0),
            entries: Vec::new(),
            entry_count: 0,
        }
    }

    pub(crate) fn take(
        &mut self,
        (client, ticket): (ClientId, Digest),
        onions: &[u8],
        geometry: Geometry,
        onions_per_client: usize,
        shards: usize,
        most: usize,
    ) -> Result<(), SubmitError> {
        let entry_bytes = geometry.entry_bytes();
        if onions.len() != onions_per_client * entry_bytes {
            return Err(SubmitError::Size);
        }
        let mut entries = onions.chunks_exact(entry_bytes);
        if entries.any(|entry| first_hop(entry).position() >= shards) {
            return Err(SubmitError::FirstHop);
        }
        let digest = Digest::of(onions);
        // The same onions over another link are answered there; others under the same ticket are none.
        match self.by_ticket.get(&ticket) {
            Some((_, before)) if *before != digest => return Err(SubmitError::Second),
            Some(&(position, _)) => {
                self.answer_on(position, client);
                return Ok(());
            }
            None => {}
        }
        if self.by_client.contains_key(&client) {
            return Err(SubmitError::Second);
        }
        if self.clients.len() >= most {
            return Err(SubmitError::Full);
        }
        self.awaited.remove(&client);
        self.by_client.insert(client, self.clients.len());
        self.by_ticket.insert(ticket, (self.clients.len(), digest));
        self.clients.push(client);
        self.tickets.push(ticket);
        self.keep(onions, entry_bytes);
        Ok(())
    }

    /// Returns true if these onions are in already, under this hash of a ticket.
    pub(crate) fn has(&self, ticket: &Digest, onions: &[u8]) -> bool {
        self.by_ticket.get(ticket).is_some_and(|(_, digest)| *digest == Digest::of(onions))
    }

    /// The client whose ticket has this hash is at another link now. Returns whether there is one.
    pub(crate) fn resume(&mut self, client: ClientId, ticket: &Digest) -> bool {
        let Some(&(position, _)) = self.by_ticket.get(ticket) else { return false };
        self.answer_on(position, client);
        true
    }

    /// The link that a client came over last is the one to answer on.
    fn answer_on(&mut self, position: usize, client: ClientId) {
        self.clients[position] = client;
        self.by_client.insert(client, position);
        self.awaited.remove(&client);
    }

    /// Keeps entries in blocks, which need no copying when there are more than ever before.
    fn keep(&mut self, mut entries: &[u8], entry_bytes: usize) {
        self.entry_count += entries.len() / entry_bytes;
        let block_bytes = (BLOCK_BYTES / entry_bytes).max(1) * entry_bytes;
        while !entries.is_empty() {
            if self.entries.last().is_none_or(|block| block.len() >= block_bytes) {
                self.entries.push(self.pool.take(block_bytes));
            }
            let Some(block) = self.entries.last_mut() else {
                unreachable!("there is a block with room now");
            };
            let (fitting, rest) = entries.split_at(entries.len().min(block_bytes - block.len()));
            block.extend_from_slice(fitting);
            entries = rest;
        }
    }

    /// Waits for the onions of `clients` until `until`. Others may send theirs meanwhile.
    pub(crate) fn expect(&mut self, clients: Vec<ClientId>, until: Timestamp) {
        self.awaited_until = until;
        clients.into_iter().for_each(|client| self.await_client(client));
    }

    /// Waits until then at least.
    pub(crate) fn wait_until(&mut self, until: Timestamp) {
        self.awaited_until = self.awaited_until.max(until);
    }

    /// Expects onions of a client.
    pub(crate) fn await_client(&mut self, client: ClientId) {
        if !self.by_client.contains_key(&client) {
            self.awaited.insert(client);
        }
    }

    /// Expects none of a client that has gone.
    pub(crate) fn forget_client(&mut self, client: ClientId) {
        self.awaited.remove(&client);
    }

    /// Returns true if there is nobody left to wait for.
    pub(crate) fn is_complete(&self, now: Timestamp) -> bool {
        self.awaited.is_empty() || now >= self.awaited_until
    }

    pub(crate) fn awaited_until(&self) -> Timestamp {
        self.awaited_until
    }

    /// Clients that are still waited for.
    pub(crate) fn missing(&self) -> Vec<ClientId> {
        self.awaited.iter().copied().collect()
    }

    /// Clients with a submission and the hashes of their tickets, in the order of their onions.
    pub(crate) fn clients(&self) -> impl Iterator<Item = (ClientId, Digest)> {
        self.clients.iter().copied().zip(self.tickets.iter().copied())
    }

    /// Number of onions that clients handed in.
    pub(crate) fn onions(&self) -> usize {
        self.entry_count
    }

    /// Hands over the clients' entries, in whole ones one after the other: a next hop and an onion
    /// each.
    pub(crate) fn take_entries(&mut self) -> Vec<Buffer> {
        std::mem::take(&mut self.entries)
    }
}
