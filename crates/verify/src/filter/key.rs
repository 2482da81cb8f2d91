//! Where in a filter an onion's bits lie.

use std::fmt;

use antiphon_wire::{Epoch, FilterSalt, Round, ShardIndex};

use super::FilterPrecision;

/// The BLAKE3 context of filter keys.
const CONTEXT: &str = "Antiphon 2026 seal filter";

/// Bits of the digest that choose one position.
pub(super) const POSITION_BITS: u32 = 48;
const POSITION_BYTES: usize = (POSITION_BITS / 8) as usize;

/// Bytes of an [`OnionDigest`].
pub const ONION_DIGEST_BYTES: usize = POSITION_BYTES * FilterPrecision::MOST as usize;

/// What positions in one shard's filter of one round depend on. Unknown to everybody until the filter is
/// published, and public from then on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FilterKey {
    key: [u8; blake3::KEY_LEN],
    precision: FilterPrecision,
}

/// Everything that a filter's positions take from one sealed onion. Worth keeping when the same
/// onion is tested later: the rest of a test is some twenty memory accesses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OnionDigest([u8; ONION_DIGEST_BYTES]);

impl FilterKey {
    /// The key of the filter that the shard `owner` builds in `round` of `epoch`, under the `salt` that
    /// it has drawn.
    ///
    /// BLAKE3 in key derivation mode over epoch, round (64 bits each) and shard index (16 bits),
    /// little-endian, and the salt.
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
        Self { key: hasher.finalize().into(), precision }
    }

    /// The precision of the filter.
    pub const fn precision(&self) -> FilterPrecision {
        self.precision
    }

    /// The digest of a sealed onion: keyed BLAKE3 of all its bytes, 6 bytes of extendable output
    /// for each position.
    pub fn digest(&self, sealed: &[u8]) -> OnionDigest {
        let mut digest = [0; ONION_DIGEST_BYTES];
        let used = POSITION_BYTES * usize::from(self.precision.hashes());
        blake3::Hasher::new_keyed(&self.key)
            .update(sealed)
            .finalize_xof()
            .fill(&mut digest[..used]);
        OnionDigest(digest)
    }
}

impl OnionDigest {
    /// The onion's positions in a filter of `bits` bits.
    ///
    /// Every position has output bits of its own. Double hashing would save a compression, but
    /// its positions form an arithmetic progression, and a sender that sets one half of its
    /// filter in one piece catches about one progression in a hundred. Independent positions hit
    /// h chosen bits of m with probability (h/m)^k, whichever they are.
    ///
    /// A word w of 48 bits becomes the position w m / 2^48, rounded down: each position comes from
    /// at most one word more than 2^48 / m, so its probability exceeds 1/m by at most 2^-48, or
    /// relatively m / 2^48: below 10^-5 for up to 80 million onions, and
    /// [`false_positive_at_worst_fill`](super::false_positive_at_worst_fill) counts it.
    pub(super) fn positions(
        &self,
        bits: u64,
        precision: FilterPrecision,
    ) -> impl Iterator<Item = u64> {
        let (words, _) = self.0.as_chunks::<POSITION_BYTES>();
        words[..usize::from(precision.hashes())].iter().map(move |&[a, b, c, d, e, f]| {
            // The word in the upper 48 bits of 64, so that the product's upper half is the result.
            let word = u64::from_le_bytes([0, 0, a, b, c, d, e, f]);
            ((u128::from(word) * u128::from(bits)) >> 64) as u64
        })
    }
}

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
