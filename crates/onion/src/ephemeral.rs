//! The ephemeral secrets of built onions.

use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// One ephemeral secret per hop of every onion of a batch, 32 bytes each, onion by onion. Kept for
/// noise onions only: whoever made one can prove what it looked like at every layer.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct EphemeralSecrets {
    #[zeroize(skip)]
    layers: usize,
    secrets: Vec<[u8; 32]>,
}

impl EphemeralSecrets {
    pub(crate) fn generate<R: CryptoRng + ?Sized>(
        layers: usize,
        onions: usize,
        rng: &mut R,
    ) -> Self {
        let mut secrets = vec![[0; 32]; layers * onions];
        rng.fill_bytes(secrets.as_flattened_mut());
        Self { layers, secrets }
    }

    /// The secrets of one onion as it was revealed. Any bytes will do: they are clamped when used.
    pub fn revealed(of_one_onion: &[[u8; 32]]) -> Self {
        Self { layers: of_one_onion.len(), secrets: of_one_onion.to_vec() }
    }

    /// Number of onions.
    pub fn len(&self) -> usize {
        self.secrets.len().checked_div(self.layers).unwrap_or(0)
    }

    /// Returns `true` if there are no onions.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The secrets of onion `onion`, for layers 1 to L.
    ///
    /// # Panics
    /// If there are not that many onions.
    pub fn of(&self, onion: usize) -> &[[u8; 32]] {
        &self.secrets[onion * self.layers..][..self.layers]
    }

    pub(crate) fn layers(&self) -> usize {
        self.layers
    }
}

impl std::fmt::Debug for EphemeralSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EphemeralSecrets").field("onions", &self.len()).finish_non_exhaustive()
    }
}
