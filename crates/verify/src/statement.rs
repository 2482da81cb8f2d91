//! Filters, verdicts and seal statements as they are exchanged.

mod verdicts;

pub use verdicts::{AllSatisfied, Standing, VerdictBoard, VerdictError};

use antiphon_wire::{Digest, FilterStatement, Signable};

/// The hash that stands for one filter: that of what its shard signs.
pub fn filter_digest(filter: &FilterStatement) -> Digest {
    Digest::of(&filter.signed_bytes())
}

/// The hash that stands for all filters of a round, from those of each in the order of the shards.
pub fn filters_digest(filters: impl IntoIterator<Item = Digest>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for filter in filters {
        hasher.update(&filter.0);
    }
    Digest(hasher.finalize().into())
}
