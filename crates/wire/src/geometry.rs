//! The sizes of onions, all in bytes. They depend on the epoch's parameters alone.

use crate::{Layer, Suite};

/// Bytes of a dead-drop id.
pub const DEAD_DROP_BYTES: usize = 16;
/// Bytes of the ephemeral X25519 public key that every layer of an onion starts with.
pub const EPHEMERAL_BYTES: usize = 32;
/// Bytes of the authentication tag that follows it.
pub const TAG_BYTES: usize = 16;
/// Bytes of the next hop's index inside a layer.
pub const NEXT_HOP_BYTES: usize = 2;

/// The shape of an epoch's onions: how many layers, how large a body, which suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    layers: u8,
    body: u16,
    suite: Suite,
}

/// Reason why two numbers are no geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// A path needs a mixing hop, a seal layer and a dead-drop shard.
    #[error("{0} layers: a path has at least 3 and at most 100")]
    Layers(u8),
    /// A body holds an end-to-end tag and a header before any content.
    #[error("bodies of {0} bytes: they have at least 64 and at most 16384, in multiples of 16")]
    Body(u16),
}

impl Geometry {
    /// Bytes of the longest onion that any geometry has.
    pub const MOST_ONION_BYTES: usize = {
        let longest = Self { layers: 100, body: 16384, suite: Suite::Hybrid };
        longest.onion_bytes(Layer::FIRST)
    };

    /// A geometry of `layers` = L layers and bodies of `body` bytes, in suite 1.
    ///
    /// # Errors
    /// If L is not in 3..=100, or the body is not a multiple of 16 in 64..=16384.
    pub const fn new(layers: u8, body: u16) -> Result<Self, GeometryError> {
        if layers < 3 || layers > 100 {
            return Err(GeometryError::Layers(layers));
        }
        if body < 64 || body > 16384 || !body.is_multiple_of(16) {
            return Err(GeometryError::Body(body));
        }
        Ok(Self { layers, body, suite: Suite::Classic })
    }

    /// The same layers and bodies in another suite.
    #[must_use]
    pub const fn with_suite(self, suite: Suite) -> Self {
        Self { suite, ..self }
    }

    /// The suite that onions are built in.
    pub const fn suite(self) -> Suite {
        self.suite
    }

    /// L, the number of layers.
    pub const fn layers(self) -> u8 {
        self.layers
    }

    /// L-1, the number of mixing hops.
    pub const fn mixing_hops(self) -> u8 {
        self.layers - 1
    }

    /// Layer L-1, whose onions open only when every shard has released its seal key.
    pub const fn seal_layer(self) -> Layer {
        Layer(self.layers - 1)
    }

    /// Layer L, the dead-drop shard's.
    pub const fn last_layer(self) -> Layer {
        Layer(self.layers)
    }

    /// Every layer, in the order an onion passes them.
    pub fn all_layers(self) -> impl DoubleEndedIterator<Item = Layer> + ExactSizeIterator {
        (1..=self.layers).map(Layer)
    }

    /// Bytes of a body, which is also what a reply has at every layer.
    pub const fn body_bytes(self) -> usize {
        self.body as usize
    }

    /// Bytes of a deposit: a dead-drop id and a body.
    pub const fn deposit_bytes(self) -> usize {
        DEAD_DROP_BYTES + self.body as usize
    }

    /// Bytes of an onion as its client hands it in: its first shard's index, then the onion.
    pub const fn entry_bytes(self) -> usize {
        NEXT_HOP_BYTES + self.onion_bytes(Layer::FIRST)
    }

    /// Bytes before a layer's ciphertext: ephemeral key, in suite 2 an ML-KEM ciphertext, and tag.
    pub const fn header_bytes(self) -> usize {
        EPHEMERAL_BYTES + self.suite.kem_bytes() + TAG_BYTES
    }

    /// Bytes by which peeling one of the layers 1 to L-1 shrinks an onion.
    pub const fn hop_bytes(self) -> usize {
        self.header_bytes() + NEXT_HOP_BYTES
    }

    /// Bytes of an onion as it enters `layer`: 16 + body + 48 (L-l+1) + 2 (L-l), and in suite 2
    /// 1088 (L-l+1) more.
    ///
    /// `layer` must be in 1..=L.
    pub const fn onion_bytes(self, layer: Layer) -> usize {
        debug_assert!(layer.0 >= 1 && layer.0 <= self.layers);
        self.deposit_bytes()
            + self.header_bytes()
            + self.hop_bytes() * (self.layers - layer.0) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_the_formula() {
        let geometry = Geometry::new(15, 256).unwrap();
        for layer in geometry.all_layers() {
            let rest = usize::from(15 - layer.0);
            assert_eq!(geometry.onion_bytes(layer), 16 + 256 + 48 * (rest + 1) + 2 * rest);
        }
        assert_eq!(geometry.onion_bytes(Layer::FIRST), 1020);
        let hybrid = geometry.with_suite(Suite::Hybrid);
        for layer in geometry.all_layers() {
            let more = 1088 * usize::from(15 - layer.0 + 1);
            assert_eq!(hybrid.onion_bytes(layer), geometry.onion_bytes(layer) + more);
        }
        assert_eq!(hybrid.onion_bytes(Layer::FIRST), 17_340);
    }

    #[test]
    fn shapes_that_cannot_hold_a_path_or_a_header_are_refused() {
        assert_eq!(Geometry::new(2, 256), Err(GeometryError::Layers(2)));
        assert_eq!(Geometry::new(15, 48), Err(GeometryError::Body(48)));
        assert_eq!(Geometry::new(15, 257), Err(GeometryError::Body(257)));
    }
}
