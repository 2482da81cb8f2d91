//! The places of an onion's bits in a filter.

use std::fmt;
use std::sync::Arc;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use antiphon_wire::{Epoch, FilterSalt, Round, ShardIndex};
use ghash::universal_hash::UniversalHash as _;
use ghash::{Block, GHash};

use super::FilterPrecision;

/// The BLAKE3 context of filter keys.
const CONTEXT: &str = "Antiphon 2026 seal filter";

/// Positions that a block of 16 bytes chooses.
const IN_A_BLOCK: usize = 2;
const BLOCKS: usize = FilterPrecision::MOST as usize / IN_A_BLOCK;

/// Key of the positions in one shard's filter of one round. Unknown to everybody until the filter is
/// published, and public from then on.
#[derive(Clone)]
pub struct FilterKey {
    bytes: [u8; 32],
    expanded: Arc<Expanded>,
    precision: FilterPrecision,
}

/// A key in its expanded form.
struct Expanded {
    hash: GHash,
    cipher: Aes128,
}

/// Everything that a filter's positions take from one sealed onion. Worth keeping when the same
/// onion is tested later.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OnionDigest([u8; 16]);

impl FilterKey {
    /// The key of the filter that the shard `owner` builds in `round` of `epoch`, under the `salt` that
    /// it has drawn.
    ///
    /// BLAKE3 in key derivation mode over epoch, round (64 bits each) and shard index (16 bits),
    /// little-endian, and the salt: 16 bytes for GHASH, then 16 for AES-128.
    pub fn new(
        epoch: Epoch,
        round: Round,
        owner: ShardIndex,
        salt: FilterSalt,
        precision: FilterPrecision,
    ) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&epoch.0.to_le_bytes());
        hasher.update(&round.0.to_le_bytes());
        hasher.update(&owner.0.to_le_bytes());
        hasher.update(&salt.0);
        let bytes: [u8; 32] = hasher.finalize().into();
        let (halves, _) = bytes.as_chunks::<16>();
        let (hash, cipher) = (GHash::new(&halves[0].into()), Aes128::new(&halves[1].into()));
        Self { bytes, expanded: Arc::new(Expanded { hash, cipher }), precision }
    }

    /// The precision of the filter.
    pub const fn precision(&self) -> FilterPrecision {
        self.precision
    }

    /// The digest of a sealed onion: GHASH of all its bytes, as of a ciphertext without associated data
    /// in NIST SP 800-38D.
    ///
    /// Two onions that were chosen without the key have the same digest, or two that differ in one given
    /// way, with a probability of 2^-128 for each of their blocks. An onion that an owner does not know
    /// has a digest that it does not know.
    pub fn digest(&self, sealed: &[u8]) -> OnionDigest {
        let mut hash = self.expanded.hash.clone();
        hash.update_padded(sealed);
        let mut lengths = Block::default();
        lengths[8..].copy_from_slice(&(8 * sealed.len() as u64).to_be_bytes());
        hash.update(&[lengths]);
        OnionDigest(hash.finalize().into())
    }

    /// The positions of an onion in a filter of `bits` bits.
    ///
    /// Block i is AES of the digest with i added to its last byte, without carry, and holds two words of
    /// 64 bits, little-endian. So every position is as good as independent of all others. Double hashing
    /// would save more, but its positions form an arithmetic progression, and a sender that sets one half
    /// of its filter in one piece catches about one progression in a hundred. Independent positions hit h
    /// chosen bits of m with probability (h/m)^k, whichever they are.
    ///
    /// A word w becomes the position w m / 2^64, rounded down: each position comes from at most one word
    /// more than 2^64 / m, so its probability exceeds 1/m by at most 2^-64.
    pub fn positions(&self, digest: &OnionDigest, bits: u64) -> impl Iterator<Item = u64> + use<> {
        // GCM's order of blocks: the text, padded, then its length in bits.
        let count = usize::from(self.precision.hashes());
        let mut blocks = [Block::from(digest.0); BLOCKS];
        for (block, i) in blocks.iter_mut().zip(0..) {
            block[15] ^= i;
        }
        self.expanded.cipher.encrypt_blocks(&mut blocks[..count.div_ceil(IN_A_BLOCK)]);
        blocks
            .into_iter()
            .flat_map(words)
            .take(count)
            .map(move |word| ((u128::from(word) * u128::from(bits)) >> 64) as u64)
    }
}

fn words(block: Block) -> [u64; IN_A_BLOCK] {
    let block = u128::from_le_bytes(block.into());
    [block as u64, (block >> 64) as u64]
}

impl PartialEq for FilterKey {
    fn eq(&self, other: &Self) -> bool {
        (self.bytes, self.precision) == (other.bytes, other.precision)
    }
}

impl Eq for FilterKey {}

impl fmt::Debug for FilterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilterKey").field("precision", &self.precision).finish_non_exhaustive()
    }
}

impl fmt::Debug for OnionDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnionDigest").finish_non_exhaustive()
    }
}
