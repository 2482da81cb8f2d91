//! A shard's own filter, and what it finds in everyone's.

use antiphon_verify::{FilterKey, SealFilter, filters_digest};
use antiphon_wire::{Digest, FilterSalt, ShardIndex};
use bytes::Bytes;

use crate::copies::{copies, remove_all};
use crate::layer::block::Block;
use crate::noise::Checked;

/// Builds this shard's filter.
#[derive(Debug)]
pub(crate) struct FilterJob {
    /// The salt that the key follows from.
    pub(crate) salt: FilterSalt,
    pub(crate) key: FilterKey,
    /// Sealed onions.
    pub(crate) blocks: Vec<Block>,
    pub(crate) onion_bytes: usize,
}

/// Tests this shard's checked noise, and everything it sent to the seal layer, in exactly the filters
/// where each must be.
#[derive(Debug)]
pub(crate) struct JudgeJob {
    /// Of all shards, in their order, each with the hash of its statement.
    pub(crate) filters: Vec<(Digest, SealFilter)>,
    pub(crate) checked: Checked,
    /// This shard's batch for each shard of the seal layer.
    pub(crate) sent: Vec<Bytes>,
    pub(crate) onion_bytes: usize,
}

/// The filter that has been built.
#[derive(Debug)]
pub(crate) struct Filtered {
    /// The sealed onions that were lent.
    pub(crate) blocks: Vec<Block>,
    pub(crate) salt: FilterSalt,
    pub(crate) filter: SealFilter,
}

/// The findings of a shard in the filters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    /// The hash of all filters.
    pub(crate) filters: Digest,
    /// The first filter in which onions are missing, and how many.
    pub(crate) missing: Option<(ShardIndex, u32)>,
}

impl FilterJob {
    /// Onions still sealed are compared whole, so that a copy does not count twice.
    pub(super) fn run(self) -> Filtered {
        let Self { salt, key, blocks, onion_bytes } = self;
        let mut onions: Vec<&[u8]> =
            blocks.iter().flat_map(|block| block.onions.chunks_exact(onion_bytes)).collect();
        let again = copies(onions.len(), |i| onions[i]);
        remove_all(&mut onions, &again);
        let filter = match SealFilter::build_from(&key, onions.iter().copied()) {
            Ok(filter) => filter,
            Err(error) => unreachable!("a layer's onions are counted in 32 bits: {error}"),
        };
        Filtered { blocks, salt, filter }
    }
}

impl JudgeJob {
    pub(super) fn run(self) -> Judged {
        let mut missing = None;
        debug_assert_eq!(self.filters.len(), self.sent.len(), "one of each for each shard");
        for (at, ((_, filter), sent)) in
            (0..).map(ShardIndex).zip(self.filters.iter().zip(&self.sent))
        {
            let own = self
                .checked
                .at
                .iter()
                .zip(self.checked.sealed.chunks_exact(self.onion_bytes))
                .filter(|(seal, _)| **seal == at)
                .map(|(_, onion)| onion);
            let absent = own
                .chain(sent.chunks_exact(self.onion_bytes))
                .filter(|onion| !filter.contains(onion))
                .count();
            // Whoever declares fewer onions than it was sent has a filter of smaller size, in which
            // a false positive is likelier.
            let declared = filter.onions() as usize;
            let absent = absent.max(undeclared(sent, self.onion_bytes, declared));
            if absent > 0 && missing.is_none() {
                missing = Some((at, absent as u32));
            }
        }
        let filters = filters_digest(self.filters.iter().map(|(digest, _)| *digest));
        Judged { filters, missing }
    }
}

/// By how many a filter over `declared` onions falls short of the distinct onions in `sent`.
fn undeclared(sent: &[u8], onion_bytes: usize, declared: usize) -> usize {
    let onions = sent.len() / onion_bytes;
    if onions <= declared {
        return 0;
    }
    let copies = copies(onions, |i| &sent[i * onion_bytes..][..onion_bytes]).len();
    (onions - copies).saturating_sub(declared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_must_declare_what_was_sent_but_no_copy_twice() {
        let sent = b"aabbaacc";
        assert_eq!(undeclared(sent, 2, 4), 0);
        assert_eq!(undeclared(sent, 2, 3), 0, "three of the four differ");
        assert_eq!(undeclared(sent, 2, 1), 2);
        assert_eq!(undeclared(&[], 2, 0), 0);
    }
}
