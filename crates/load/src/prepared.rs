//! Onions of a run of clients, built before their round opens.

use std::sync::{Mutex, PoisonError};

use antiphon_client_core::BareMeeting;
use antiphon_onion::{BuildError, CircuitKeys, Keep, KeyError, ReplyKeys};
use antiphon_wire::{Blob, DEAD_DROP_BYTES, Digest, Encode as _, FromClient, Geometry};
use bytes::Bytes;

use crate::population::Population;
use crate::round_book::Book;

/// Clients whose onions are built in one go.
pub(crate) const CHUNK: u32 = 64;

/// Reason for which onions cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// The document does not cover the round.
    #[error("the round is not one of the epoch's")]
    OutsideEpoch,
    /// A key of the epoch is unusable.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The onions cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Messages of a run of clients in one round, and the replies that each expects.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// A message to the gateway for each client.
    pub(crate) frames: Vec<Bytes>,
    replies: ReplyKeys,
    /// The meeting of each client that talks.
    meetings: Vec<Option<BareMeeting>>,
    /// The keys of each client's circuits, until it takes them; nothing in a classic network.
    circuits: Mutex<Vec<Option<CircuitKeys>>>,
}

impl Prepared {
    /// Builds the onions of the clients of run number `chunk`.
    pub(crate) fn build(
        book: &Book,
        population: &Population,
        chunk: usize,
    ) -> Result<Self, PrepareError> {
        let keys = book.epoch.round_keys(book.round).ok_or(PrepareError::OutsideEpoch)??;
        let geometry = book.epoch.geometry();
        let (first, last) = run(chunk, population.clients());
        let onions_each = onions_each(book);
        let deposits_each = onions_each * geometry.deposit_bytes();
        let mut deposits = vec![0; (last - first) as usize * deposits_each];
        let meetings = (first..last)
            .zip(deposits.chunks_exact_mut(deposits_each))
            .map(|(client, deposits)| deposit(book, population, client, geometry, deposits))
            .collect();

        // Of its own for each run, so that onions do not depend on which thread builds them.
        let mut rng = population.onions(first, book.round);
        let is_classic = book.epoch.parameters().beats.is_classic();
        let keep = if is_classic { Keep::NOTHING } else { Keep::CIRCUITS };
        let (entries, built) = keys.entries_keeping(&deposits, keep, &mut rng)?;
        let circuits = built.circuits.map(|all| each(&all, geometry, onions_each));
        let (epoch, round) = (book.epoch.epoch(), book.round);
        let frames = entries
            .chunks_exact(onions_each * geometry.entry_bytes())
            .map(|entries| {
                // It never comes back over another link, so that no ticket has to fit.
                let ticket = Digest::of(entries);
                let onions = Blob(entries.to_vec());
                FromClient::Submit { epoch, round, ticket, onions }.to_bytes().into()
            })
            .collect();
        let circuits = Mutex::new(circuits.unwrap_or_default());
        Ok(Self { frames, replies: built.replies, meetings, circuits })
    }

    /// The keys of the circuits of the client at `position` in the run, for whoever asks first.
    pub(crate) fn take_circuits(&self, position: usize) -> Option<CircuitKeys> {
        // Nothing panics while holding it.
        let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        circuits.get_mut(position)?.take()
    }

    /// Number of a client's replies, reply streams still on, that are not what has to come back. `client`
    /// comes with its position in the run.
    pub(crate) fn check(
        &self,
        book: &Book,
        population: &Population,
        (client, position): (u32, usize),
        replies: &mut [u8],
    ) -> usize {
        let geometry = book.epoch.geometry();
        let onions_each = onions_each(book);
        if replies.len() != onions_each * geometry.body_bytes() {
            return onions_each;
        }
        // All of them: the pairs that are compared below are in the clear then.
        for (onion, body) in replies.chunks_exact_mut(geometry.body_bytes()).enumerate() {
            self.replies.open(position * onions_each + onion, body);
        }
        let meeting = self.meetings[position].as_ref().zip(population.partner(client));
        let mut pairs = replies.chunks_exact_mut(2 * geometry.body_bytes());
        let mut lost = 0;
        if let Some((meeting, partner)) = meeting
            && let Some(pair) = pairs.next()
        {
            for (reply, body) in pair.chunks_exact_mut(geometry.body_bytes()).enumerate() {
                let sent = population.payload(partner, book.round, reply, geometry);
                lost += usize::from(meeting.open(reply, body) != Some(&sent[..]));
            }
        }
        let first_idle = u8::from(meeting.is_some());
        let mut deposits = vec![0; 2 * geometry.deposit_bytes()];
        for (pair, replies) in (first_idle..).zip(pairs) {
            population.idle(client, book.round, pair, &mut deposits);
            let sent = deposits.chunks_exact(geometry.deposit_bytes()).rev();
            for (sent, got) in sent.zip(replies.chunks_exact(geometry.body_bytes())) {
                lost += usize::from(sent[DEAD_DROP_BYTES..] != *got);
            }
        }
        lost
    }
}

/// The keys of all circuits by the client that they are of.
fn each(all: &CircuitKeys, geometry: Geometry, onions_each: usize) -> Vec<Option<CircuitKeys>> {
    let layers = usize::from(geometry.layers());
    let clients = 0..all.len() / onions_each;
    let of = |client: usize| {
        let circuits = client * onions_each..(client + 1) * onions_each;
        CircuitKeys::of_circuits(layers, circuits.flat_map(|it| all.of(it)).cloned().collect())
    };
    clients.map(|client| Some(of(client))).collect()
}

/// The clients of run number `chunk`: from the first to before the last.
fn run(chunk: usize, clients: u32) -> (u32, u32) {
    let first = chunk as u32 * CHUNK;
    (first, clients.min(first + CHUNK))
}

fn onions_each(book: &Book) -> usize {
    book.epoch.onions_per_client(book.round)
}

/// Writes one client's deposits: a talking client's first pair meets its partner's, all others are
/// idle.
fn deposit(
    book: &Book,
    population: &Population,
    client: u32,
    geometry: Geometry,
    deposits: &mut [u8],
) -> Option<BareMeeting> {
    if book.epoch.kind_of(book.round).has_boxes() {
        // One random deposit, as of a client that calls nobody.
        let mut pair = vec![0; 2 * geometry.deposit_bytes()];
        population.idle(client, book.round, 0, &mut pair);
        deposits.copy_from_slice(&pair[..geometry.deposit_bytes()]);
        return None;
    }
    let mut pairs = deposits.chunks_exact_mut(2 * geometry.deposit_bytes());
    let talks = population.partner(client).is_some();
    let met = if talks { pairs.next() } else { None };
    let meeting = met.map(|pair| {
        let born = book.born.get(client as usize).copied().unwrap_or_default();
        let at = (book.epoch.epoch(), book.round);
        let said = [0, 1].map(|body| population.payload(client, book.round, body, geometry));
        let secret = population.secret(client, born);
        let role = Population::role(client);
        BareMeeting::deposit(&secret, role, at, geometry, [&said[0], &said[1]], pair)
    });
    for (number, pair) in (u8::from(talks)..).zip(pairs) {
        population.idle(client, book.round, number, pair);
    }
    meeting
}
