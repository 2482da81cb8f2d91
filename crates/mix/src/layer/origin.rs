//! The gateway or the layer that onions leave from, and their replies go back to.

use antiphon_wire::Layer;

/// A place whose onions go on to the next layer: this shard as a gateway, or as a shard of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// Clients' onions and this shard's noise, on their way to layer 1.
    Gateway,
    /// A layer's onions.
    Layer(Layer),
}

impl Origin {
    /// The layer that its onions go on to.
    pub(crate) fn next_layer(self) -> Layer {
        match self {
            Self::Gateway => Layer::FIRST,
            Self::Layer(layer) => layer.next(),
        }
    }

    /// The place of onions that have passed so many layers.
    pub(crate) fn after(layers_passed: usize) -> Self {
        debug_assert!(layers_passed <= u8::MAX.into());
        if layers_passed == 0 { Self::Gateway } else { Self::Layer(Layer(layers_passed as u8)) }
    }

    /// Number of layers that its onions have passed.
    pub(crate) fn layers_passed(self) -> u8 {
        match self {
            Self::Gateway => 0,
            Self::Layer(layer) => layer.0,
        }
    }
}
