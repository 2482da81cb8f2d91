//! How a shared secret becomes keys, and what is done with them. The suites differ in what is hashed alone.
//!
//! These are the inner steps of [`build_batch`](crate::build_batch) and
//! [`peel_batch`](crate::peel_batch), a few hops at a time, for measuring and checking. A hop's keys
//! come of an ephemeral key that is used once, and so are good for one onion: nonces derive like keys
//! and are not counted. Cells, which one key carries many of, take a permutation with a tweak instead.

mod cipher;
mod gcm;
mod hctr2;
mod stream;
// The VAES kernel calls what is compiled for particular processors; each call has its reason.
#[allow(unsafe_code)]
#[cfg_attr(any(not(target_arch = "x86_64"), antiphon_no_simd), path = "suite/stand_in.rs")]
mod vaes;

use std::sync::LazyLock;

use antiphon_wire::{Layer, Suite, TAG_BYTES};
use zeroize::{Zeroize, ZeroizeOnDrop};

pub(crate) use self::cipher::{
    AT_ONCE, Cipher, KEY_BYTES, NONCE_BYTES, TWEAK_BYTES, Way, apply, permute,
};
use crate::{CircuitKey, Kernel, RoundContext};

/// The BLAKE3 context strings of a hop's keys, suite by suite.
static HOP_HASHERS: Hashers = LazyLock::new(|| {
    ["Antiphon 2026 onion suite 1 hop", "Antiphon 2026 onion suite 2 hop"]
        .map(blake3::Hasher::new_derive_key)
});

/// The BLAKE3 context strings of a hop's circuit key, suite by suite.
static CIRCUIT_HASHERS: Hashers = LazyLock::new(|| {
    ["Antiphon 2026 onion suite 1 circuit", "Antiphon 2026 onion suite 2 circuit"]
        .map(blake3::Hasher::new_derive_key)
});

type Hashers = LazyLock<[blake3::Hasher; Suite::ALL.len()]>;

/// The keys of one hop of one onion: seal or open one ciphertext with them.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct HopKeys {
    /// AEAD key 32, nonce 12, reply-stream key 32.
    material: [u8; 76],
}

impl HopKeys {
    /// Room for keys, which a [`HopKdf`] fills.
    pub(crate) fn empty() -> Self {
        Self { material: [0; 76] }
    }

    fn cipher(&self) -> Cipher<'_> {
        let (key, rest) =
            self.material.split_first_chunk::<32>().expect("the material has 76 bytes");
        Cipher { key, nonce: rest.first_chunk().expect("44 bytes follow the key") }
    }

    /// The key of the hop's reply stream.
    pub(crate) fn reply_key(&self) -> &[u8; 32] {
        self.material.last_chunk().expect("the material has 76 bytes")
    }
}

/// Encrypts each text in place under keys of its own, AES-256-GCM, and sets its tag.
///
/// # Panics
/// If there is not one text and one tag a key, or texts differ in length.
pub fn seal_batch(
    kernel: Kernel,
    keys: &[HopKeys],
    texts: &mut [&mut [u8]],
    tags: &mut [[u8; TAG_BYTES]],
) {
    assert!(keys.len() == texts.len() && keys.len() == tags.len(), "one text a key");
    for ((keys, texts), tags) in
        keys.chunks(AT_ONCE).zip(texts.chunks_mut(AT_ONCE)).zip(tags.chunks_mut(AT_ONCE))
    {
        cipher::seal(kernel, &ciphers_of(keys)[..keys.len()], texts, tags);
    }
}

/// Decrypts in place each text whose `opened` is set and whose tag holds; leaves every other as it is
/// and clears its `opened`.
///
/// # Panics
/// If there is not one text, tag and `opened` a key, or texts differ in length.
pub fn open_batch(
    kernel: Kernel,
    keys: &[HopKeys],
    tags: &[[u8; TAG_BYTES]],
    texts: &mut [&mut [u8]],
    opened: &mut [bool],
) {
    assert!(keys.len() == texts.len() && keys.len() == tags.len(), "one text a key");
    assert_eq!(keys.len(), opened.len(), "one answer a text");
    for (((keys, tags), texts), opened) in keys
        .chunks(AT_ONCE)
        .zip(tags.chunks(AT_ONCE))
        .zip(texts.chunks_mut(AT_ONCE))
        .zip(opened.chunks_mut(AT_ONCE))
    {
        cipher::open(kernel, &ciphers_of(keys)[..keys.len()], tags, texts, opened);
    }
}

/// The ciphers of at most [`AT_ONCE`] hops; those left over go along with the last.
fn ciphers_of(keys: &[HopKeys]) -> [Cipher<'_>; AT_ONCE] {
    std::array::from_fn(|i| keys[i.min(keys.len() - 1)].cipher())
}

/// What two ends of a hop have in common.
#[derive(Clone, Copy)]
pub(crate) struct Agreed<'a> {
    /// The result of X25519. Not all zeros, which both sides refuse.
    pub(crate) shared: &'a [u8; 32],
    pub(crate) layer: Layer,
    /// The hop's key.
    pub(crate) hop_u: &'a [u8; 32],
    /// The ephemeral key as it was sent.
    pub(crate) ephemeral: &'a [u8; 32],
    /// In suite 2, and in no other.
    pub(crate) kem: Option<Encapsulated<'a>>,
}

/// What ML-KEM adds to it in suite 2.
#[derive(Clone, Copy)]
pub(crate) struct Encapsulated<'a> {
    pub(crate) shared: &'a [u8; 32],
    /// The hash of the shard's key.
    pub(crate) key: &'a [u8; 32],
    pub(crate) ciphertext: &'a [u8],
}

/// Derives the keys of many hops of one round.
#[derive(Debug)]
pub struct HopKdf(Derivation);

impl HopKdf {
    /// Keys of hops in this round.
    pub fn new(context: RoundContext) -> Self {
        Self(Derivation::new(&HOP_HASHERS, context))
    }

    /// BLAKE3 over shared secret, epoch, round, layer, the hop's key and the ephemeral key as sent: suite 1.
    /// `shared` must not be all zeros, which both sides refuse.
    pub fn derive(
        &mut self,
        shared: &[u8; 32],
        layer: Layer,
        hop_u: &[u8; 32],
        ephemeral: &[u8; 32],
    ) -> HopKeys {
        let mut keys = HopKeys::empty();
        self.derive_into(Agreed { shared, layer, hop_u, ephemeral, kem: None }, &mut keys);
        keys
    }

    /// The keys of one hop, to where other keys were.
    pub(crate) fn derive_into(&mut self, agreed: Agreed<'_>, keys: &mut HopKeys) {
        self.0.fill(agreed, &mut keys.material);
    }
}

/// Derives the circuit keys of many hops of one round: what [`HopKdf`] hashes, under a label of their own.
pub(crate) struct CircuitKdf(Derivation);

impl CircuitKdf {
    /// Keys of circuits that this round sets up.
    pub(crate) fn new(context: RoundContext) -> Self {
        Self(Derivation::new(&CIRCUIT_HASHERS, context))
    }

    /// Sets a hop's circuit key.
    pub(crate) fn derive_into(&mut self, agreed: Agreed<'_>, key: &mut CircuitKey) {
        self.0.fill(agreed, key.bytes_mut());
    }
}

/// BLAKE3 over what binds a shared secret to one hop of one onion.
struct Derivation {
    hasher: blake3::Hasher,
    context: RoundContext,
    input: [u8; 113],
    output: Option<blake3::OutputReader>,
}

impl Derivation {
    fn new(hashers: &[blake3::Hasher; Suite::ALL.len()], context: RoundContext) -> Self {
        let mut input = [0; 113];
        input[32..40].copy_from_slice(&context.epoch.0.to_be_bytes());
        input[40..48].copy_from_slice(&context.round.0.to_be_bytes());
        let suite = usize::from(context.geometry.suite().number() - 1);
        Self { hasher: hashers[suite].clone(), context, input, output: None }
    }

    fn fill(&mut self, agreed: Agreed<'_>, out: &mut [u8]) {
        let Agreed { shared, layer, hop_u, ephemeral, kem } = agreed;
        self.input[..32].copy_from_slice(shared);
        self.input[48] = layer.0;
        self.input[49..81].copy_from_slice(hop_u);
        self.input[81..].copy_from_slice(ephemeral);
        self.hasher.reset();
        self.hasher.update(&self.input);
        if let Some(Encapsulated { shared, key, ciphertext }) = kem {
            self.hasher.update(shared).update(key).update(ciphertext);
        }
        // Here one output overwrites the other; the last is erased with the rest.
        self.output.insert(self.hasher.finalize_xof()).fill(out);
    }
}

impl Drop for Derivation {
    fn drop(&mut self) {
        self.hasher.zeroize();
        self.input.zeroize();
        self.output.zeroize();
    }
}

impl std::fmt::Debug for Derivation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Derivation").field("context", &self.context).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for HopKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HopKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{Epoch, Geometry, Round};

    use super::*;

    #[test]
    fn a_circuit_key_of_suite_2_takes_both_halves_of_the_secret() {
        let geometry = Geometry::new(5, 64).expect("five layers are possible");
        let geometry = geometry.with_suite(Suite::Hybrid);
        let context = RoundContext { geometry, epoch: Epoch(7), round: Round(9) };
        let mut kdf = CircuitKdf::new(context);
        let mut key_of = |shared: &[u8; 32], kem: &[u8; 32], ciphertext: &[u8]| {
            let kem = Some(Encapsulated { shared: kem, key: &[3; 32], ciphertext });
            let agreed =
                Agreed { shared, layer: Layer(2), hop_u: &[4; 32], ephemeral: &[5; 32], kem };
            let mut key = CircuitKey::default();
            kdf.derive_into(agreed, &mut key);
            *key.as_bytes()
        };
        let key = key_of(&[1; 32], &[2; 32], &[6; 1088]);
        assert_eq!(key, key_of(&[1; 32], &[2; 32], &[6; 1088]));
        assert_ne!(key, key_of(&[9; 32], &[2; 32], &[6; 1088]), "X25519's half");
        assert_ne!(key, key_of(&[1; 32], &[9; 32], &[6; 1088]), "ML-KEM's half");
        assert_ne!(key, key_of(&[1; 32], &[2; 32], &[9; 1088]), "what was sent");
    }
}
