//! The circuits that a round leaves behind, and the beats that follow it.

use antiphon_onion::{BeatContext, CellBytes, CircuitKey, backward_cells, forward_cells};
use antiphon_wire::{
    Announcement, Epoch, Layer, Round, RoundKind, SealAct, SealSecret, SealStatement, Signed,
    Timestamp, ToClient,
};

use crate::Mix;

/// A round's circuits, with the keys of all their hops.
#[derive(Debug)]
pub struct Circuits {
    epoch: Epoch,
    round: Round,
    cell: CellBytes,
    circuits: Vec<Circuit>,
    clients: usize,
}

#[derive(Debug)]
struct Circuit {
    client: usize,
    /// Circuit that it is swapped with at layer L: itself if it met none, or more than one.
    partner: usize,
    /// Of the layers, in their order.
    keys: Vec<CircuitKey>,
}

impl Mix {
    /// The announcement of `round`, whose first beat is to begin at `first_beat`.
    pub fn announce(&self, round: Round, first_beat: Timestamp) -> Announcement {
        let document = &self.signed.document;
        document.parameters.announce(document.epoch, round, RoundKind::DeadDrops, first_beat)
    }

    /// Evidence that the announced round has opened: every shard's release of its seal key.
    ///
    /// # Panics
    /// If the round is not the epoch's.
    pub fn evidence(&self, announcement: Announcement) -> ToClient {
        let statements = (0..).zip(&self.shards).map(|(index, _)| {
            let secret = SealSecret(self.seal_of(announcement.round, index).to_bytes());
            let act = SealAct::Released { secret, announcement: announcement.digest() };
            self.stated(announcement.round, index, act)
        });
        let statements: Vec<Signed<SealStatement>> = statements.collect();
        ToClient::Circuits { announcement, statements }
    }

    /// The circuits that a round leaves behind in which each client submitted its part of `submissions`.
    ///
    /// # Panics
    /// If an onion cannot be opened, or the epoch's rounds have no beats.
    pub fn circuits(&self, round: Round, submissions: &[Vec<u8>]) -> Circuits {
        let opened = self.open_all(round, submissions);
        let circuits = opened.iter().enumerate().map(|(at, deposit)| Circuit {
            client: deposit.client,
            partner: deposit.meets(at, &opened),
            keys: deposit.circuit_keys.clone(),
        });
        let cell_bytes = self.signed.document.parameters.beats.cell_bytes;
        Circuits {
            epoch: self.signed.document.epoch,
            round,
            cell: CellBytes::new(cell_bytes).unwrap(),
            circuits: circuits.collect(),
            clients: submissions.len(),
        }
    }
}

impl Circuits {
    /// Passes a beat's cells of all clients on to layer L and back; returns what comes back to each.
    ///
    /// # Panics
    /// If a client's cells are not as many as its circuits.
    pub fn pass(&self, beat: u64, cells: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let context = BeatContext { epoch: self.epoch, round: self.round, beat, cell: self.cell };
        let bytes = self.cell.bytes();
        // Circuits stand client by client.
        let mut all = cells.concat();
        assert_eq!(all.len(), self.circuits.len() * bytes, "a cell for each circuit");
        for (circuit, cell) in self.circuits.iter().zip(all.chunks_exact_mut(bytes)) {
            for (key, layer) in circuit.keys.iter().zip(1..) {
                forward_cells(std::slice::from_ref(key), context, Layer(layer), cell);
            }
        }
        let mut replies = vec![Vec::new(); self.clients];
        let layers = self.circuits.first().map_or(0, |circuit| circuit.keys.len() as u8);
        for circuit in &self.circuits {
            let mut cell = all[circuit.partner * bytes..][..bytes].to_vec();
            for (key, layer) in circuit.keys.iter().rev().zip((1..=layers).rev()) {
                backward_cells(std::slice::from_ref(key), context, Layer(layer), &mut cell);
            }
            replies[circuit.client].extend(cell);
        }
        replies
    }
}
