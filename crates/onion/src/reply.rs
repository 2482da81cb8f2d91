//! Replies: one stream per hop, no tag, no growth.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Kernel;
use crate::suite::{self, AT_ONCE, Cipher, KEY_BYTES, NONCE_BYTES};

/// The key of one hop's reply stream. Good for one reply.
#[derive(Clone, Default, Zeroize, ZeroizeOnDrop)]
pub struct ReplyKey([u8; KEY_BYTES]);

impl ReplyKey {
    /// The key of these bytes, from where [`ReplyKey::as_bytes`] put them.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key, 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn cipher(&self) -> Cipher<'_> {
        Cipher { key: &self.0, nonce: &[0; NONCE_BYTES] }
    }
}

impl std::fmt::Debug for ReplyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReplyKey(..)")
    }
}

/// Adds or removes one hop's reply stream: AES-256-CTR from a counter of zero, which is safe because
/// each key meets one reply.
pub fn apply_reply_stream(key: &ReplyKey, body: &mut [u8]) {
    suite::apply(Kernel::selected(), &[key.cipher()], &mut [body]);
}

/// Applies one reply stream per body to bodies of `body_bytes` bytes that lie behind each other.
///
/// # Panics
/// If there is not exactly one body per key.
pub fn apply_reply_streams(keys: &[ReplyKey], bodies: &mut [u8], body_bytes: usize) {
    assert_eq!(keys.len() * body_bytes, bodies.len(), "one key per body");
    let kernel = Kernel::selected();
    let mut bodies = bodies.chunks_exact_mut(body_bytes.max(1));
    for keys in keys.chunks(AT_ONCE) {
        // Copies of the last cipher fill up the array, and are cut off below.
        let ciphers: [_; AT_ONCE] = std::array::from_fn(|i| keys[i.min(keys.len() - 1)].cipher());
        let mut bodies: [_; AT_ONCE] = std::array::from_fn(|i| {
            if i < keys.len() { bodies.next().unwrap_or_default() } else { &mut [] }
        });
        suite::apply(kernel, &ciphers[..keys.len()], &mut bodies[..keys.len()]);
    }
}

/// The reply keys of a batch of built onions: L for each, onion by onion.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ReplyKeys {
    #[zeroize(skip)]
    layers: usize,
    keys: Vec<ReplyKey>,
}

impl ReplyKeys {
    pub(crate) fn empty(layers: usize, onions: usize) -> Self {
        Self { layers, keys: vec![ReplyKey::default(); layers * onions] }
    }

    /// The keys of one onion, in the order of its layers, from where they were kept.
    pub fn of_one_onion(keys: Vec<ReplyKey>) -> Self {
        Self { layers: keys.len(), keys }
    }

    /// Number of onions.
    pub fn len(&self) -> usize {
        self.keys.len().checked_div(self.layers).unwrap_or(0)
    }

    /// Returns `true` if there are no onions.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys of onion `onion`, for layers 1 to L.
    ///
    /// # Panics
    /// If there are not that many onions.
    pub fn of(&self, onion: usize) -> &[ReplyKey] {
        &self.keys[onion * self.layers..][..self.layers]
    }

    /// Removes all L reply streams from the reply to onion `onion`.
    ///
    /// # Panics
    /// If there are not that many onions.
    pub fn open(&self, onion: usize, body: &mut [u8]) {
        for key in self.of(onion) {
            apply_reply_stream(key, body);
        }
    }

    pub(crate) fn set(&mut self, onion: usize, layer: usize, key: &[u8; 32]) {
        self.keys[onion * self.layers + layer].0 = *key;
    }
}

impl std::fmt::Debug for ReplyKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplyKeys").field("onions", &self.len()).finish_non_exhaustive()
    }
}
