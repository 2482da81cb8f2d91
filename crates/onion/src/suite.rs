//! Suite 1: how a shared secret becomes keys, and what is done with them.
//!
//! These are the inner steps of [`build_batch`](crate::build_batch) and
//! [`peel_batch`](crate::peel_batch), one hop at a time, for measuring and checking. A hop's keys come
//! of an ephemeral key that is used once, and so are good for one onion: nonces derive like keys and
//! are not counted.

mod gcm;
pub(crate) mod stream;

use std::sync::LazyLock;

use antiphon_wire::{Layer, TAG_BYTES};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::RoundContext;

/// The BLAKE3 context string of a hop's keys.
const HOP_CONTEXT: &str = "Antiphon 2026 onion suite 1 hop";

static HOP_HASHER: LazyLock<blake3::Hasher> =
    LazyLock::new(|| blake3::Hasher::new_derive_key(HOP_CONTEXT));

/// The keys of one hop of one onion: seal or open one ciphertext with them.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct HopKeys {
    /// AEAD key 32, nonce 12, reply-stream key 32.
    material: [u8; 76],
}

impl HopKeys {
    fn key_and_nonce(&self) -> (&[u8; 32], &[u8; 12]) {
        let (key, rest) =
            self.material.split_first_chunk::<32>().expect("the material has 76 bytes");
        (key, rest.first_chunk().expect("44 bytes follow the key"))
    }

    /// Encrypts `plaintext` in place, AES-256-GCM, and returns the tag.
    pub fn seal(&self, plaintext: &mut [u8]) -> [u8; TAG_BYTES] {
        let (key, nonce) = self.key_and_nonce();
        gcm::seal(key, nonce, plaintext)
    }

    /// Decrypts `ciphertext` in place if the tag holds; leaves it as it is otherwise.
    pub fn open(&self, tag: &[u8; TAG_BYTES], ciphertext: &mut [u8]) -> bool {
        let (key, nonce) = self.key_and_nonce();
        gcm::open(key, nonce, tag, ciphertext)
    }

    /// The key of the hop's reply stream.
    pub(crate) fn reply_key(&self) -> &[u8; 32] {
        self.material.last_chunk().expect("the material has 76 bytes")
    }
}

/// Derives the keys of many hops of one round.
pub struct HopKdf {
    hasher: blake3::Hasher,
    context: RoundContext,
}

impl HopKdf {
    /// Keys of hops in this round.
    pub fn new(context: RoundContext) -> Self {
        Self { hasher: HOP_HASHER.clone(), context }
    }

    /// BLAKE3 over shared secret, epoch, round, layer, the hop's key and the ephemeral key as sent.
    /// `shared` must not be all zeros, which both sides refuse.
    pub fn derive(
        &mut self,
        shared: &[u8; 32],
        layer: Layer,
        hop_u: &[u8; 32],
        ephemeral: &[u8; 32],
    ) -> HopKeys {
        let mut input = [0; 113];
        input[..32].copy_from_slice(shared);
        input[32..40].copy_from_slice(&self.context.epoch.0.to_be_bytes());
        input[40..48].copy_from_slice(&self.context.round.0.to_be_bytes());
        input[48] = layer.0;
        input[49..81].copy_from_slice(hop_u);
        input[81..].copy_from_slice(ephemeral);
        let mut keys = HopKeys { material: [0; 76] };
        self.hasher.reset();
        self.hasher.update(&input);
        let mut output = self.hasher.finalize_xof();
        output.fill(&mut keys.material);
        output.zeroize();
        input.zeroize();
        keys
    }
}

impl Drop for HopKdf {
    fn drop(&mut self) {
        self.hasher.zeroize();
    }
}

impl std::fmt::Debug for HopKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HopKeys(..)")
    }
}

impl std::fmt::Debug for HopKdf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HopKdf").field("context", &self.context).finish_non_exhaustive()
    }
}
