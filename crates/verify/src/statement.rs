//! Filters, verdicts and seal statements as they are exchanged.

mod verdicts;

pub use verdicts::{AllSatisfied, Standing, VerdictBoard, VerdictError};

use antiphon_wire::{Digest, FilterStatement, Signable};

/// The hash that stands for all filters of a round, given in the order of the shards.
pub fn filters_digest<'a>(filters: impl IntoIterator<Item = &'a FilterStatement>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for filter in filters {
        hasher.update(&Digest::of(&filter.signed_bytes()).0);
    }
    Digest(hasher.finalize().into())
}
