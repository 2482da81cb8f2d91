//! A shard's ML-KEM-768 key of an epoch (FIPS 203): the half of its onion key that suite 2 adds.

use std::sync::LazyLock;

use antiphon_wire::{KEM_KEY_BYTES, KemKey};
use aws_lc_rs::kem::{DecapsulationKey, ML_KEM_768};
use ml_kem::kem::KeyExport;
use ml_kem::ml_kem_768::{DecapsulationKey as Pair, EncapsulationKey};
use rand::CryptoRng;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use super::KeyError;

/// The BLAKE3 context string of a public key's hash.
const KEY_CONTEXT: &str = "Antiphon 2026 onion suite 2 key";
/// The BLAKE3 context string of what takes the place of a refused secret.
const REFUSAL_CONTEXT: &str = "Antiphon 2026 onion suite 2 refusal";

static KEY_HASHER: LazyLock<blake3::Hasher> =
    LazyLock::new(|| blake3::Hasher::new_derive_key(KEY_CONTEXT));

/// The secret half, in memory for one epoch only. It is aws-lc's, which decapsulates in vector code where the processor
/// has it, and overwrites its memory when it is dropped.
pub struct KemSecretKey {
    key: DecapsulationKey,
    public: KemPublicKey,
    refusal: Zeroizing<[u8; 32]>,
}

impl KemSecretKey {
    /// Draws a fresh key from `rng`.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut seed = Zeroizing::new([0; 64]);
        rng.fill_bytes(&mut seed[..]);
        Self::from_seed(&seed)
    }

    /// The key of a seed, d and z of FIPS 203: test vectors and simulations; a shard generates its own.
    pub fn from_seed(seed: &[u8; 64]) -> Self {
        let pair = Pair::from_seed((*seed).into());
        let public = KemPublicKey::new(pair.encapsulation_key().clone());
        let key = DecapsulationKey::new(&ML_KEM_768, &expanded(&pair))
            .expect("an expanded key has the bytes that FIPS 203 says");
        let refusal = Zeroizing::new(blake3::derive_key(REFUSAL_CONTEXT, seed));
        Self { key, public, refusal }
    }

    /// The public half.
    pub fn public_key(&self) -> &KemPublicKey {
        &self.public
    }

    /// The secret that a ciphertext holds; another, which nobody else knows, if it was not made for this key.
    pub(crate) fn decapsulate(&self, ciphertext: &[u8]) -> [u8; 32] {
        let secret = self.key.decapsulate(ciphertext.into());
        let secret = secret.expect("any ciphertext gives a secret, and layers have room for one");
        secret.as_ref().try_into().expect("a secret has 32 bytes")
    }

    /// Puts a secret that nobody else knows where X25519 gave zeros. So an ephemeral key of small order fails
    /// as a wrong ciphertext does, by the tag, and in the same time.
    pub(crate) fn replace_zeros(&self, shared: &mut [u8; 32]) {
        let refused = shared.ct_eq(&[0; 32]);
        for (byte, other) in shared.iter_mut().zip(self.refusal.iter()) {
            byte.conditional_assign(other, refused);
        }
    }
}

/// The form of a secret key that FIPS 203 calls dk, 2400 bytes, the one that aws-lc takes.
#[expect(
    deprecated,
    reason = "it is meant to be kept no longer than it takes to hand it over, as here"
)]
fn expanded(pair: &Pair) -> Zeroizing<Vec<u8>> {
    let bytes = Zeroizing::new(ml_kem::ExpandedKeyEncoding::to_expanded_bytes(pair));
    Zeroizing::new(bytes.to_vec())
}

impl std::fmt::Debug for KemSecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KemSecretKey(..)")
    }
}

/// The public half.
#[derive(Clone, PartialEq, Eq)]
pub struct KemPublicKey {
    key: EncapsulationKey,
    /// Stands for the key in key derivation.
    hash: [u8; 32],
}

impl KemPublicKey {
    /// The key of these bytes.
    ///
    /// # Errors
    /// If they are not 1184, or one of their numbers is not below 3329: the checks of FIPS 203, section 7.2.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes = bytes.try_into().map_err(|_| KeyError::Kem)?;
        EncapsulationKey::new(bytes).map(Self::new).map_err(|_| KeyError::Kem)
    }

    fn new(key: EncapsulationKey) -> Self {
        let mut hasher = KEY_HASHER.clone();
        hasher.update(&key.to_bytes());
        Self { key, hash: hasher.finalize().into() }
    }

    /// The encoded key.
    pub fn to_bytes(&self) -> [u8; KEM_KEY_BYTES] {
        self.key.to_bytes().into()
    }

    /// The key as documents list it.
    pub fn to_wire(&self) -> KemKey {
        KemKey::new(self.to_bytes())
    }

    pub(crate) fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Writes to `ciphertext` what gives the receiver the secret that is returned. `coins` are 32 uniform
    /// bytes, good for one ciphertext.
    pub(crate) fn encapsulate(&self, coins: &[u8; 32], ciphertext: &mut [u8]) -> [u8; 32] {
        let (made, shared) = self.key.encapsulate_deterministic(&(*coins).into());
        ciphertext.copy_from_slice(&made);
        shared.into()
    }
}

impl std::fmt::Debug for KemPublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KemPublicKey(")?;
        for byte in self.hash {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use ml_kem::kem::Decapsulate as _;
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn two_implementations_find_the_same_secrets_in_ciphertexts_of_either_and_of_none() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        for _ in 0..8 {
            let (mut seed, mut coins) = ([0; 64], [0; 32]);
            rng.fill_bytes(&mut seed);
            rng.fill_bytes(&mut coins);
            let (own, pair) = (KemSecretKey::from_seed(&seed), Pair::from_seed(seed.into()));
            let public = own.public_key().to_bytes();
            let other = aws_lc_rs::kem::EncapsulationKey::new(&ML_KEM_768, &public).unwrap();
            let (theirs, shared) = other.encapsulate().unwrap();
            assert_eq!(own.decapsulate(theirs.as_ref()), shared.as_ref());
            let mut ours = [0; 1088];
            let shared = own.public_key().encapsulate(&coins, &mut ours);
            assert_eq!(own.decapsulate(&ours), shared);
            // One that was made for no key gives a secret that follows from the seed.
            ours[0] ^= 1;
            let refused = own.decapsulate(&ours);
            assert_eq!(pair.decapsulate(&ours.into())[..], refused[..]);
            assert_ne!(refused, shared);
        }
    }

    #[test]
    fn a_secret_of_zeros_is_replaced_and_no_other() {
        let secret = KemSecretKey::generate(&mut ChaCha20Rng::seed_from_u64(2));
        let (mut zeros, mut other) = ([0; 32], [0; 32]);
        other[31] = 1;
        let before = other;
        secret.replace_zeros(&mut zeros);
        secret.replace_zeros(&mut other);
        assert_eq!(zeros, *secret.refusal);
        assert_eq!(other, before);
    }
}
