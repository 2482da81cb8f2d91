//! The shard's part in beats: rounds hand their circuits over, peers and clients their cells.

use antiphon_canaries::CanaryMessage;
use antiphon_wire::{
    Announcement, Blob, CellBatch, Decode as _, Digest, Encode as _, Epoch, IdentityKey, Round,
    Timestamp, ToCoordinator,
};

use crate::beats::{LeaveError, Parcel, Place};
use crate::circuits::Circuits;
use crate::io::{ClientId, Output};
use crate::shard::Shard;

impl Shard {
    /// A round has left circuits: its beats follow, and all clients get the evidence.
    pub(super) fn begin_beats(&mut self, now: Timestamp, circuits: Circuits) {
        let Announcement { epoch, round, .. } = circuits.announcement;
        let Some(machine) = self.rounds.get(&round) else { return };
        let context = machine.context();
        debug_assert_eq!(context.epoch.epoch(), epoch, "circuits are of their round's epoch");
        let place = Place {
            identities: context.identities.clone(),
            me: context.me,
            identity: context.identity.clone(),
            cells_per_client: 2 * u32::from(context.epoch.parameters().pairs_per_client),
            layers: context.epoch.geometry().layers(),
        };
        let rng = self.entropy.generator();
        let evidence = self.beats.begin(circuits, place, self.pool.clone(), rng);
        for to in self.clients.links() {
            let message = evidence.clone();
            self.outputs.push_back(Output::Client { to, message });
        }
        self.beats.on_time(now, &mut self.outputs);
    }

    /// Memory of the tables that rounds left for their beats, in bytes.
    pub fn circuit_bytes(&self) -> usize {
        self.beats.table_bytes()
    }

    /// Another shard announces cells.
    pub(super) fn cell_batch(&mut self, now: Timestamp, from: &IdentityKey, batch: &CellBatch) {
        self.beats.on_batch(now, from, batch);
    }

    /// Part of another shard's cells.
    pub(super) fn peer_cells(
        &mut self,
        now: Timestamp,
        from: &IdentityKey,
        batch: &CellBatch,
        bytes: &[u8],
    ) {
        self.beats.on_cells(now, from, batch, bytes);
    }

    /// A client's cells of a beat. Where the round has no circuits they are for nothing, and no answer says so: which
    /// rounds have circuits is public.
    pub(super) fn client_cells(
        &mut self,
        now: Timestamp,
        from: ClientId,
        beat: (Epoch, Round, u64),
        cells: &[u8],
    ) {
        self.beats.on_client(now, from, beat, cells);
    }

    /// A client leaves a round, with ticket, onions and cells, as it will sleep in it.
    pub(super) fn leave_round(
        &mut self,
        from: ClientId,
        (epoch, round): (Epoch, Round),
        (ticket, onions, cells): (Digest, Vec<u8>, Vec<u8>),
    ) -> Result<(), LeaveError> {
        let keys = self.epochs.get(&epoch).ok_or(LeaveError::Round)?;
        let document = &keys.context.epoch;
        let is_to_come = round > self.opened && self.epoch_of(round) == Some(epoch);
        if !is_to_come || !document.has_beats(round) {
            return Err(LeaveError::Round);
        }
        let (geometry, beats) = (document.geometry(), document.parameters().beats);
        let each = document.onions_per_client(round);
        let beat_bytes = each * usize::from(beats.cell_bytes);
        if onions.len() != each * geometry.entry_bytes()
            || cells.len() != usize::from(beats.beats) * beat_bytes
        {
            return Err(LeaveError::Size);
        }
        let reply_bytes = each * geometry.body_bytes();
        let expires_at = document.document().expires_at;
        let parcel =
            Parcel { epoch, round, ticket, onions, cells, beat_bytes, reply_bytes, expires_at };
        self.beats.sleepers.leave(from, parcel)
    }

    /// Bytes of all that is kept for clients that sleep.
    pub fn sleeper_bytes(&self) -> usize {
        self.beats.sleepers.bytes()
    }

    /// The coordinator hands on what a shard has said about cells. It is believed for nothing of it.
    pub(super) fn hear_of_cells(&mut self, message: &Blob) {
        if let Ok(message) = CanaryMessage::from_bytes(&message.0) {
            self.beats.hear(&message);
        }
    }

    /// Tells the coordinator what all others are to hear about cells. Without one it is lost, and with it what would
    /// have come of it.
    pub(super) fn speak_of_cells(&mut self) {
        for message in self.beats.say() {
            let message = Blob(message.to_bytes());
            self.say(ToCoordinator::Canary { message });
        }
    }

    /// Tells a client that has just linked whose beats run.
    pub(super) fn show_evidence(&mut self, to: ClientId) {
        let evidence = self.beats.evidence().cloned();
        self.outputs.extend(evidence.map(|message| Output::Client { to, message }));
    }
}
