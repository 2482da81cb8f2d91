//! The ephemeral secrets of built onions.

use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The BLAKE3 context string of what suite 2 makes of an ephemeral secret.
const EXPANSION_CONTEXT: &str = "Antiphon 2026 onion suite 2 ephemeral";

/// What suite 2 makes of an ephemeral secret: a secret for X25519, and coins for ML-KEM.
///
/// Neither tells anything of the other or of what both come of. So a quantum computer that finds the first from
/// an ephemeral key has nothing of the second, as it would if one of them were the ephemeral secret itself.
pub(crate) fn expand(secret: &[u8; 32]) -> Zeroizing<[[u8; 32]; 2]> {
    let mut expanded = Zeroizing::new([[0; 32]; 2]);
    let mut hasher = blake3::Hasher::new_derive_key(EXPANSION_CONTEXT);
    hasher.update(secret);
    let mut output = hasher.finalize_xof();
    output.fill(expanded.as_flattened_mut());
    hasher.zeroize();
    output.zeroize();
    expanded
}

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

    /// The secrets of one onion as it was revealed. Any bytes will do: they are clamped or hashed when used.
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
