//! One round as its clients live it: the prepared onions, and the state of each client.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use antiphon_onion::CircuitKeys;
use antiphon_routing::VerifiedEpoch;
use antiphon_wire::Round;
use bytes::Bytes;
use tokio::time::Instant;

use crate::population::Population;
use crate::prepared::{CHUNK, Prepared};

/// State of one client in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fate {
    /// It has heard nothing of the round.
    Absent = 0,
    /// It heard of the round, and its onions were not there in time.
    Unprepared = 1,
    /// Its onions are on their way.
    Submitted = 2,
    /// All replies are as they have to be.
    Intact = 3,
    /// One reply is not.
    OneLost = 4,
    /// More replies are not, or have the wrong size.
    MoreLost = 5,
    /// It was told that the round was aborted.
    Aborted = 6,
    /// Its onions were not taken.
    Refused = 7,
}

impl Fate {
    const ALL: [Self; 8] = [
        Self::Absent,
        Self::Unprepared,
        Self::Submitted,
        Self::Intact,
        Self::OneLost,
        Self::MoreLost,
        Self::Aborted,
        Self::Refused,
    ];

    fn from_u8(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Absent)
    }

    /// Returns `true` if its onions were handed in and not refused.
    fn took_part(self) -> bool {
        !matches!(self, Self::Absent | Self::Unprepared | Self::Refused)
    }

    fn lost(self) -> u64 {
        match self {
            Self::OneLost => 1,
            Self::MoreLost | Self::Submitted => 2,
            _ => 0,
        }
    }
}

/// A round: opened by whoever hears of it first.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) epoch: Arc<VerifiedEpoch>,
    pub(crate) round: Round,
    /// The round at which each client's number came into use; empty without churn.
    pub(crate) born: Arc<[u64]>,
    chunks: Vec<OnceLock<Prepared>>,
    fates: Vec<AtomicU8>,
    /// Microseconds from when onions may leave to a client's replies, plus one; 0 while there are none.
    answered: Vec<AtomicU64>,
    opened: OnceLock<Opening>,
}

/// When a round was open, as the first client heard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) at: Instant,
    /// For how long from then on clients hold their onions back.
    pub(crate) held: Duration,
    /// Until when gateways take onions for it.
    pub(crate) closes: Instant,
}

impl Opening {
    /// From when on onions may leave.
    fn leaving(&self) -> Instant {
        self.at + self.held
    }
}

/// Counts of a round over all clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Clients whose onions were handed in and not refused.
    pub(crate) submitted: u64,
    /// Clients that were not linked, or whose onions were not there in time, or refused.
    pub(crate) late: u64,
    /// Those of them that heard nothing of the round: they had no link.
    pub(crate) absent: u64,
    /// Those of them whose onions a gateway did not take.
    pub(crate) refused: u64,
    /// Clients that were answered with replies.
    pub(crate) answered: u64,
    /// Clients that were told that the round was aborted.
    pub(crate) aborted: u64,
    /// Bodies between partners who both took part, not counting aborted rounds.
    pub(crate) messages: u64,
    /// Those of them that did not arrive as they were sent.
    pub(crate) lost: u64,
    /// Idle clients whose replies were not their own bodies, or did not come.
    pub(crate) idle_disturbed: u64,
}

impl Book {
    pub(crate) fn new(
        epoch: Arc<VerifiedEpoch>,
        round: Round,
        born: Arc<[u64]>,
        clients: u32,
    ) -> Self {
        let mut book = Self {
            epoch,
            round,
            born,
            chunks: Vec::new(),
            fates: Vec::new(),
            answered: Vec::new(),
            opened: OnceLock::new(),
        };
        book.chunks.resize_with(clients.div_ceil(CHUNK) as usize, OnceLock::new);
        book.fates.resize_with(clients as usize, AtomicU8::default);
        book.answered.resize_with(clients as usize, AtomicU64::default);
        book
    }

    pub(crate) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Notes the onions of a run of clients.
    pub(crate) fn fill(&self, chunk: usize, prepared: Prepared) {
        // Each is built once.
        let _ = self.chunks[chunk].set(prepared);
    }

    fn chunk_of(&self, client: u32) -> Option<(&Prepared, usize)> {
        let chunk = self.chunks.get((client / CHUNK) as usize)?.get()?;
        Some((chunk, (client % CHUNK) as usize))
    }

    /// Message that a client sends to its gateway, if it is built.
    pub(crate) fn frame(&self, client: u32) -> Option<Bytes> {
        let (chunk, position) = self.chunk_of(client)?;
        chunk.frames.get(position).cloned()
    }

    /// The keys of a client's circuits, for whoever asks first; none in a classic network.
    pub(crate) fn take_circuits(&self, client: u32) -> Option<CircuitKeys> {
        let (chunk, position) = self.chunk_of(client)?;
        chunk.take_circuits(position)
    }

    /// A client hears that the round is open.
    pub(crate) fn open(&self, opening: Opening) {
        // Whoever hears of it first is right.
        let _ = self.opened.set(opening);
    }

    pub(crate) fn opened(&self) -> Option<Opening> {
        self.opened.get().copied()
    }

    pub(crate) fn fate(&self, client: u32) -> Fate {
        Fate::from_u8(self.fates[client as usize].load(Ordering::Relaxed))
    }

    pub(crate) fn set_fate(&self, client: u32, fate: Fate) {
        self.fates[client as usize].store(fate as u8, Ordering::Release);
    }

    /// Takes a client's replies, which came at `at`.
    pub(crate) fn answer(
        &self,
        population: &Population,
        client: u32,
        mut replies: Vec<u8>,
        at: Instant,
    ) {
        let Some((chunk, position)) = self.chunk_of(client) else { return };
        // Replies that come twice, or after the round was given up, change nothing.
        if self.fate(client) != Fate::Submitted {
            return;
        }
        let since =
            at.saturating_duration_since(self.opened().map_or(at, |opening| opening.leaving()));
        let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX - 1) + 1;
        self.answered[client as usize].store(micros, Ordering::Relaxed);
        let lost = chunk.check(self, population, (client, position), &mut replies);
        let fate = match lost {
            0 => Fate::Intact,
            1 => Fate::OneLost,
            _ => Fate::MoreLost,
        };
        self.set_fate(client, fate);
    }

    /// Microseconds from when onions might leave to each client's replies, of those that have any.
    pub(crate) fn answered_us(&self) -> impl Iterator<Item = u64> {
        self.answered.iter().filter_map(|micros| micros.load(Ordering::Relaxed).checked_sub(1))
    }

    /// Number of clients that wait for an answer.
    pub(crate) fn waiting(&self) -> usize {
        self.count(Fate::Submitted)
    }

    /// Number of clients that have not heard of the round.
    pub(crate) fn absent(&self) -> usize {
        self.count(Fate::Absent)
    }

    fn count(&self, fate: Fate) -> usize {
        self.fates.iter().filter(|of| of.load(Ordering::Acquire) == fate as u8).count()
    }

    /// Counts the clients. One that still waits for an answer has waited in vain.
    pub(crate) fn totals(&self, population: &Population) -> Totals {
        let mut totals = Totals::default();
        for client in 0..population.clients() {
            let fate = self.fate(client);
            totals.submitted += u64::from(fate.took_part());
            totals.late += u64::from(!fate.took_part());
            totals.absent += u64::from(fate == Fate::Absent);
            totals.refused += u64::from(fate == Fate::Refused);
            totals.aborted += u64::from(fate == Fate::Aborted);
            totals.answered +=
                u64::from(matches!(fate, Fate::Intact | Fate::OneLost | Fate::MoreLost));
            match population.partner(client) {
                None => totals.idle_disturbed += u64::from(fate.took_part() && fate.lost() > 0),
                // Nothing was sent by one who took no part, and nothing could be read.
                Some(partner) => {
                    let met = fate.took_part() && self.fate(partner).took_part();
                    if met && fate != Fate::Aborted {
                        totals.messages += 2;
                        totals.lost += fate.lost();
                    }
                }
            }
        }
        totals
    }
}
