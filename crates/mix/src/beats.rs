//! The beats that follow rounds: cells go the ways that their round's onions went.
//!
//! Nothing here decides anything but when a stop closes, which the schedule says at the latest, and nothing fails:
//! what is missing is filled in. A batch of one round, beat, layer and direction is processed once, and never sent
//! again.

mod inbound;
mod lateness;
mod passage;
mod round_beats;
mod sleepers;
mod stop;
mod watching;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use antiphon_canaries::CanaryMessage;
use antiphon_onion::ErasingRng;
use antiphon_wire::{
    Announcement, BeatParameters, CellBatch, Digest, Epoch, IdentityKey, MOST_ROUNDS_IN_FLIGHT,
    Round, ShardIndex, Timestamp, ToClient,
};
use ed25519_dalek::SigningKey;

use crate::buffers::BufferPool;
use crate::circuits::Circuits;
use crate::io::{ClientId, Output};
use crate::work::MovedCells;
use lateness::Lateness;
use round_beats::{Left, RoundBeats};
pub(crate) use sleepers::{LeaveError, LeftOnions, Parcel, Sleepers};
pub(crate) use stop::Stop;
use watching::Watching;

/// Rounds whose tables are kept at once: the one whose beats run, one of which beats are still under way, and as many as
/// are opened before their first beats.
const MOST_ROUNDS: usize = 2 + MOST_ROUNDS_IN_FLIGHT;

/// The shards of a round's epoch, in their order, and which of them this is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) identities: Arc<[IdentityKey]>,
    pub(crate) me: ShardIndex,
    /// This shard's identity, which signs what it says about cells.
    pub(crate) identity: SigningKey,
    /// Cells of one client in a beat.
    pub(crate) cells_per_client: u32,
    /// L.
    pub(crate) layers: u8,
}

impl Place {
    /// The identity of one of the shards.
    fn identity(&self, shard: ShardIndex) -> &IdentityKey {
        &self.identities[shard.position()]
    }
}

/// The evidence that a round's beats run, and until when it is of use.
#[derive(Debug)]
struct Evidence {
    announcement: Announcement,
    message: Arc<ToClient>,
    ends: Timestamp,
}

/// The beats of all rounds that have left circuits here, and the evidence of these and of those of which this shard
/// has none: clients of its own take part in all of them.
#[derive(Debug)]
pub(crate) struct Beats {
    rounds: BTreeMap<Round, RoundBeats>,
    /// The watches over rounds whose tables are erased.
    watching: BTreeMap<Round, Watching>,
    evidence: BTreeMap<Round, Evidence>,
    lateness: Lateness,
    /// Rounds that clients of this gateway sleep in.
    pub(crate) sleepers: Sleepers,
}

impl Beats {
    /// No beats yet, and never more than `most_left_bytes` for clients that sleep.
    pub(crate) fn new(most_left_bytes: usize) -> Self {
        Self {
            rounds: BTreeMap::new(),
            watching: BTreeMap::new(),
            evidence: BTreeMap::new(),
            lateness: Lateness::default(),
            sleepers: Sleepers::new(most_left_bytes),
        }
    }

    /// The keys of a round were all released, and its beats follow. It takes over from rounds before it, and from
    /// nobody that came after it. Returns the evidence for clients.
    pub(crate) fn begin(
        &mut self,
        circuits: Circuits,
        place: Place,
        pool: BufferPool,
        rng: ErasingRng,
    ) -> Arc<ToClient> {
        let Circuits { announcement, tables, released, clients, canaries } = circuits;
        let message = Arc::new(ToClient::Circuits { announcement, statements: released });
        let (round, ends) = (announcement.round, announcement.ends(place.layers));
        let evidence = Evidence { announcement, message: Arc::clone(&message), ends };
        self.evidence.insert(round, evidence);
        let left = tables.map(|tables| Left { tables, clients, canaries });
        let sleepers = &self.sleepers;
        let beats =
            left.and_then(|left| RoundBeats::new(announcement, left, sleepers, place, pool, rng));
        self.rounds.extend(beats.map(|beats| (round, beats)));
        for (round, beats) in &mut self.rounds {
            let successors = self.evidence.range(round.next()..);
            successors.for_each(|(_, successor)| beats.end_before(&successor.announcement));
        }
        if self.rounds.len() > MOST_ROUNDS
            && let Some((round, beats)) = self.rounds.pop_first()
        {
            self.erase(round, beats);
        }
        if self.evidence.len() > MOST_ROUNDS {
            self.evidence.pop_first();
        }
        message
    }

    /// A round's tables are of no more use. What is said about its cells outlives them.
    fn erase(&mut self, round: Round, beats: RoundBeats) {
        self.watching.extend(beats.erase().map(|watching| (round, watching)));
        if self.watching.len() > MOST_ROUNDS {
            self.watching.pop_first();
        }
    }

    /// Another shard says something about the cells of a round.
    pub(crate) fn hear(&mut self, message: &CanaryMessage) {
        let (_, round) = message.round();
        let running = self.rounds.get_mut(&round).and_then(RoundBeats::watching);
        if let Some(watching) = running.or_else(|| self.watching.get_mut(&round)) {
            watching.hear(message);
        }
    }

    /// Takes what all other shards are to be told about cells.
    pub(crate) fn say(&mut self) -> Vec<CanaryMessage> {
        let running = self.rounds.values_mut().filter_map(RoundBeats::watching);
        running.chain(self.watching.values_mut()).flat_map(Watching::say).collect()
    }

    /// The evidence of all rounds whose beats run or are to run, the oldest first.
    pub(crate) fn evidence(&self) -> impl Iterator<Item = &Arc<ToClient>> {
        self.evidence.values().map(|evidence| &evidence.message)
    }

    /// The beats of each of the rounds.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = BeatParameters> {
        self.evidence.values().map(|evidence| evidence.announcement.beats)
    }

    /// Memory of the tables of all rounds.
    pub(crate) fn table_bytes(&self) -> usize {
        self.rounds.values().map(RoundBeats::table_bytes).sum()
    }

    /// Returns `true` while this shard is needed for beats that run or are to run.
    pub(crate) fn are_running(&self) -> bool {
        !self.rounds.is_empty()
    }

    fn of(&mut self, epoch: Epoch, round: Round) -> Option<(&mut RoundBeats, &mut Lateness)> {
        let beats = self.rounds.get_mut(&round)?;
        (beats.announcement().epoch == epoch).then_some((beats, &mut self.lateness))
    }

    /// Another shard announces a batch of cells.
    pub(crate) fn on_batch(&mut self, now: Timestamp, from: &IdentityKey, batch: &CellBatch) {
        if let Some((beats, lateness)) = self.of(batch.epoch, batch.round) {
            beats.on_batch(now, from, batch, lateness);
        }
    }

    /// Part of another shard's batch.
    pub(crate) fn on_cells(
        &mut self,
        now: Timestamp,
        from: &IdentityKey,
        batch: &CellBatch,
        bytes: &[u8],
    ) {
        if let Some((beats, lateness)) = self.of(batch.epoch, batch.round) {
            beats.on_cells(now, from, batch, bytes, lateness);
        }
    }

    /// A client's cells. They are taken once for a beat, before its gateways close, over the link that the client is
    /// at; all others are nothing.
    pub(crate) fn on_client(
        &mut self,
        now: Timestamp,
        client: ClientId,
        (epoch, round, beat): (Epoch, Round, u64),
        cells: &[u8],
    ) {
        if let Some((beats, _)) = self.of(epoch, round) {
            beats.on_client(now, client, beat, cells);
        }
    }

    /// A client is at another link now: whoever has the ticket gets the round's cells. Returns whether there is one.
    pub(crate) fn resume(
        &mut self,
        client: ClientId,
        (epoch, round): (Epoch, Round),
        ticket: &Digest,
    ) -> bool {
        self.of(epoch, round).is_some_and(|(beats, _)| beats.resume(client, ticket))
    }

    /// A client's link is gone.
    pub(crate) fn client_left(&mut self, client: ClientId) {
        self.rounds.values_mut().for_each(|beats| beats.client_left(client));
        self.sleepers.client_left(client);
    }

    /// Cells have been moved at a stop, which took so much computing time.
    pub(crate) fn on_moved(
        &mut self,
        moved: MovedCells,
        took: Duration,
        out: &mut VecDeque<Output>,
    ) {
        let (epoch, round) = (moved.context.epoch, moved.context.round);
        let beats = self.rounds.get_mut(&round);
        if let Some(beats) = beats.filter(|beats| beats.announcement().epoch == epoch) {
            beats.on_moved(moved, took, &mut self.sleepers, out);
        }
    }

    /// Closes what is due, and erases tables that are of no more use.
    pub(crate) fn on_time(&mut self, now: Timestamp, out: &mut VecDeque<Output>) {
        for beats in self.rounds.values_mut() {
            beats.on_time(now, &mut self.lateness, &mut self.sleepers, out);
        }
        let over: Vec<_> = self.rounds.extract_if(.., |_, beats| beats.is_over(now)).collect();
        over.into_iter().for_each(|(round, beats)| self.erase(round, beats));
        self.watching.values_mut().for_each(|watching| watching.on_time(now));
        self.watching.retain(|_, watching| !watching.is_over(now));
        let begun = |evidence: &Evidence| evidence.announcement.first_beat <= now;
        let newest = self.evidence.iter().rfind(|(_, evidence)| begun(evidence));
        let newest = newest.map_or(Round(0), |(round, _)| *round);
        self.evidence.retain(|round, evidence| *round >= newest && now < evidence.ends);
        if self.rounds.is_empty() {
            self.lateness.forget();
        }
        self.sleepers.on_time(now);
    }

    /// The next moment at which time alone changes something.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let ends = self.evidence.values().map(|evidence| evidence.ends);
        let rounds = self.rounds.values().filter_map(RoundBeats::next_deadline);
        let watching = self.watching.values().map(Watching::next_deadline);
        rounds.chain(ends).chain(watching).chain(self.sleepers.next_deadline()).min()
    }
}
