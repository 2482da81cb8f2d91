//! Volumes of a round: bytes that travel and bytes that are held. Arithmetic, without randomness.

use antiphon_verify::{FilterPrecision, filter_bytes};
use antiphon_wire::{Geometry, Layer};

use super::{ClientLink, Placement, Scenario, ScenarioError};

/// Bytes of a batch on the wire for each byte of onions: headers of packets of 1,200 to 1,450 bytes.
pub(super) const WIRE_PER_BYTE: f64 = 1.05;
/// Bytes of a signed message between shards on the wire: header or statement, signature, packet.
pub(super) const MESSAGE_BYTES: f64 = 280.0;
/// Bytes of a slot of the way back: reply key, slot number, place in the sender's batch.
const REPLY_SLOT_BYTES: f64 = 40.0;

/// Counts from which the bytes of one round follow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Volumes {
    geometry: Geometry,
    shards: f64,
    pairs: f64,
    noise_per_shard: f64,
    filter_bits: u8,
    together: bool,
    /// Clients of one shard.
    pub(super) users_per_shard: f64,
    /// Onions that one shard holds at each layer.
    pub(super) onions_per_shard: f64,
}

impl Volumes {
    pub(super) fn of(scenario: &Scenario) -> Result<Self, ScenarioError> {
        let geometry = Geometry::new(scenario.layers, scenario.body)?.with_suite(scenario.suite);
        let shards = f64::from(scenario.shards);
        let users_per_shard = scenario.users as f64 / shards;
        let noise_per_shard = f64::from(scenario.noise_per_shard);
        let pairs = f64::from(scenario.pairs);
        let onions_per_shard = 2.0 * pairs * users_per_shard + noise_per_shard;
        if onions_per_shard > f64::from(u32::MAX) {
            return Err(ScenarioError::Onions(onions_per_shard));
        }
        Ok(Self {
            geometry,
            shards,
            pairs,
            noise_per_shard,
            filter_bits: scenario.filter_bits,
            together: matches!(scenario.placement, Placement::Together { .. }),
            users_per_shard,
            onions_per_shard,
        })
    }

    pub(super) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The share of what a shard sends that goes to others.
    pub(super) fn others_share(&self) -> f64 {
        (self.shards - 1.0) / self.shards
    }

    /// Bytes of onions that a shard sends to others for `layer`.
    pub(super) fn forward_bytes(&self, layer: Layer) -> f64 {
        self.onions_per_shard * self.others_share() * self.geometry.onion_bytes(layer) as f64
    }

    /// Bytes of replies that a shard sends to others from any layer.
    pub(super) fn reply_bytes(&self) -> f64 {
        self.onions_per_shard * self.others_share() * self.geometry.body_bytes() as f64
    }

    /// Bytes of one shard's filter.
    pub(super) fn filter_bytes(&self) -> f64 {
        // `of` takes no more than fit.
        let onions = self.onions_per_shard as u32;
        FilterPrecision::new(self.filter_bits)
            .map_or(0.0, |precision| filter_bytes(onions, precision) as f64)
    }

    /// Bytes of a client's onions, without any header.
    fn client_onions(&self) -> f64 {
        2.0 * self.pairs * self.geometry.entry_bytes() as f64
    }

    /// What a client's link carries in a round.
    pub(super) fn client(&self) -> ClientLink {
        ClientLink::of_round(self.geometry, 2.0 * self.pairs)
    }

    /// What a client's link carries in a beat with cells of so many bytes.
    pub(super) fn client_in_beat(&self, cell_bytes: u16) -> ClientLink {
        ClientLink::of_beat(cell_bytes, 2.0 * self.pairs)
    }

    /// Bytes of cells that a shard sends to others from any stop of a beat.
    pub(super) fn cell_bytes(&self, cell_bytes: u16) -> f64 {
        self.onions_per_shard * self.others_share() * f64::from(cell_bytes)
    }

    /// Bytes on the wire that a shard sends in a round, to shards and clients.
    pub(super) fn shard_sends(&self) -> f64 {
        self.between_shards() + self.users_per_shard * self.client().down
    }

    /// Bytes on the wire that a shard receives in a round.
    pub(super) fn shard_receives(&self) -> f64 {
        self.between_shards() + self.users_per_shard * self.client().up
    }

    fn between_shards(&self) -> f64 {
        let others = self.shards - 1.0;
        let layers = f64::from(self.geometry.layers());
        let onions: f64 = self.geometry.all_layers().map(|layer| self.forward_bytes(layer)).sum();
        let filters = others * self.filter_bytes();
        // A header for each batch both ways, and the filter's, the verdict and the seal statement.
        let messages = others * (2.0 * layers + 3.0) * MESSAGE_BYTES;
        WIRE_PER_BYTE * (onions + layers * self.reply_bytes() + filters) + messages
    }

    /// Bytes that a shard holds at the fullest moment of a round, its program and tables apart.
    ///
    /// One layer's onions as they arrive and as they leave; for every layer what the way back needs;
    /// the replies; the noise of the next round; copies of what must be in the filters, and all
    /// filters; and what each client's link takes.
    pub(super) fn memory(&self, client_bytes: f64) -> f64 {
        let size = |layer| self.geometry.onion_bytes(layer) as f64;
        let (first, seal) = (size(Layer::FIRST), size(self.geometry.seal_layer()));
        let layers = f64::from(self.geometry.layers());
        let per_onion = 2.0 * first
            + seal
            + layers * REPLY_SLOT_BYTES
            + 2.0 * self.geometry.body_bytes() as f64;
        let filters = self.shards * self.filter_bytes();
        self.onions_per_shard * per_onion
            + self.noise_per_shard * (first + seal / 2.0)
            + filters
            + self.users_per_shard * (client_bytes + self.client_onions())
    }

    /// Returns `true` if all shards share one machine, with no link between them.
    pub(super) fn is_together(&self) -> bool {
        self.together
    }

    /// Noise onions that a shard adds in a round, V in the documentation.
    pub(super) fn noise_per_shard(&self) -> f64 {
        self.noise_per_shard
    }
}
