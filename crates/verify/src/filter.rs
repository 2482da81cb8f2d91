//! Bloom filters of the sealed onions that a seal-layer shard holds.

mod key;
mod size;

pub use key::{FilterKey, OnionDigest};
pub use size::{FilterPrecision, false_positive_at_worst_fill, filter_bytes, most_ones_accepted};

/// A Bloom filter of one shard's sealed onions in one round. It never misses an onion it holds.
///
/// Travels as the number of onions (a `u32`, [`onions`](Self::onions)) and the flat bits
/// ([`as_bytes`](Self::as_bytes)); bit i is bit i mod 8 of byte i / 8, from the lowest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealFilter {
    key: FilterKey,
    onions: u32,
    bits: Box<[u8]>,
}

/// Reason why a received filter is refused. The round cannot be approved with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// More onions than the receiver would have taken, by limits of its own.
    #[error("a filter of {declared} onions, of which {most} are accepted")]
    TooManyOnions {
        /// Number of onions that the sender declares.
        declared: u32,
        /// Onions that are accepted at most.
        most: u32,
    },
    /// A size other than the one that follows from the number of onions.
    #[error("a filter of {declared} onions in {got} bytes instead of {expected}")]
    Size {
        /// Number of onions that the sender declares.
        declared: u32,
        /// Bytes that were received.
        got: usize,
        /// Bytes of a filter of that many onions.
        expected: u64,
    },
    /// So many ones that chance would set them once in 10^9 filters.
    #[error("a filter of {declared} onions with {ones} ones, of which {most} are plausible")]
    TooFull {
        /// Number of onions that the sender declares.
        declared: u32,
        /// Bits that are set.
        ones: u64,
        /// Bits that may be set at most.
        most: u64,
    },
}

/// Reason why no filter can be built over a buffer of onions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The buffer does not divide into onions.
    #[error("{bytes} bytes do not divide into sealed onions of {onion_bytes} bytes")]
    Ragged {
        /// Bytes of the buffer.
        bytes: usize,
        /// Bytes of an onion.
        onion_bytes: usize,
    },
    /// More onions than the wire form can count.
    #[error("{0} sealed onions: a filter counts them in 32 bits")]
    TooMany(usize),
}

impl SealFilter {
    /// The filter of `onions`, sealed onions of `onion_bytes` bytes one after the other.
    ///
    /// # Errors
    /// If the buffer does not divide into onions, or holds 2^32 or more.
    pub fn build(key: &FilterKey, onions: &[u8], onion_bytes: usize) -> Result<Self, BuildError> {
        if onion_bytes == 0 || !onions.len().is_multiple_of(onion_bytes) {
            return Err(BuildError::Ragged { bytes: onions.len(), onion_bytes });
        }
        Self::build_from(key, onions.chunks_exact(onion_bytes))
    }

    /// The filter of `onions`, wherever each of them lies.
    ///
    /// # Errors
    /// If there are 2^32 or more.
    pub fn build_from<'a>(
        key: &FilterKey,
        onions: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Result<Self, BuildError> {
        let mut filter = Self::zeroed(key, onions.len())?;
        for sealed in onions {
            filter.insert(&key.digest(sealed));
        }
        filter.check();
        Ok(filter)
    }

    /// The filter of the onions with `digests`, all made with `key`.
    ///
    /// # Errors
    /// If there are 2^32 or more.
    pub fn build_from_digests(
        key: &FilterKey,
        digests: &[OnionDigest],
    ) -> Result<Self, BuildError> {
        let mut filter = Self::zeroed(key, digests.len())?;
        for digest in digests {
            filter.insert(digest);
        }
        filter.check();
        Ok(filter)
    }

    /// Takes a filter received from the shard that `key` is for, over the `declared` onions that it claims to
    /// hold. Copies `bytes`, and allocates nothing unless the filter is accepted.
    ///
    /// # Errors
    /// If the size does not follow from the number, which proves that the sender broke the rules. If more
    /// than `most_onions` are declared, or more bits set than [`most_ones_accepted`], which prove nothing:
    /// others may have sent it so many, or been lucky to fill its bits.
    pub fn parse(
        key: &FilterKey,
        declared: u32,
        most_onions: u32,
        bytes: &[u8],
    ) -> Result<Self, FilterError> {
        let precision = key.precision();
        let expected = filter_bytes(declared, precision);
        if bytes.len() as u64 != expected {
            return Err(FilterError::Size { declared, got: bytes.len(), expected });
        }
        if declared > most_onions {
            return Err(FilterError::TooManyOnions { declared, most: most_onions });
        }
        let ones = count_ones(bytes);
        let most = most_ones_accepted(declared, precision);
        if ones > most {
            return Err(FilterError::TooFull { declared, ones, most });
        }
        Ok(Self { key: key.clone(), onions: declared, bits: bytes.into() })
    }

    /// Returns `true` if `sealed` may be in the filter: certainly if it was put in.
    pub fn contains(&self, sealed: &[u8]) -> bool {
        self.contains_digest(&self.key.digest(sealed))
    }

    /// Returns `true` if the onion with `digest`, made with this filter's key, may be in the filter.
    pub fn contains_digest(&self, digest: &OnionDigest) -> bool {
        let bits = self.bits.len() as u64 * 8;
        // A filter of no onions has no bits, and contains nothing.
        !self.bits.is_empty()
            && self
                .key
                .positions(digest, bits)
                .all(|bit| self.bits[(bit / 8) as usize] >> (bit % 8) & 1 == 1)
    }

    /// The number of onions the filter is over.
    pub const fn onions(&self) -> u32 {
        self.onions
    }

    /// The bits, eight to a byte.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.bits
    }

    /// The key it was built or parsed with.
    pub const fn key(&self) -> &FilterKey {
        &self.key
    }

    fn zeroed(key: &FilterKey, onions: usize) -> Result<Self, BuildError> {
        let count = u32::try_from(onions).map_err(|_| BuildError::TooMany(onions))?;
        let bytes = usize::try_from(filter_bytes(count, key.precision()))
            .map_err(|_| BuildError::TooMany(onions))?;
        Ok(Self { key: key.clone(), onions: count, bits: vec![0; bytes].into() })
    }

    /// An onion sets at most as many bits as the precision says, and the size follows from the number.
    fn check(&self) {
        let precision = self.key.precision();
        debug_assert_eq!(self.bits.len() as u64, filter_bytes(self.onions, precision));
        debug_assert!(
            count_ones(&self.bits) <= u64::from(self.onions) * u64::from(precision.hashes()),
            "more bits are set than onions set"
        );
    }

    fn insert(&mut self, digest: &OnionDigest) {
        let bits = self.bits.len() as u64 * 8;
        for bit in self.key.positions(digest, bits) {
            self.bits[(bit / 8) as usize] |= 1 << (bit % 8);
        }
    }
}

fn count_ones(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().map(|word| u64::from(u64::from_le_bytes(*word).count_ones())).sum::<u64>()
        + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

#[cfg(test)]
mod tests;
