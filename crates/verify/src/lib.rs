#![doc = include_str!("../README.md")]

mod abort;
mod filter;
mod seal;
mod statement;
#[cfg(test)]
mod testing;

pub use abort::{AbortKind, judge_abort};
pub use filter::{
    BuildError, FilterError, FilterKey, FilterPrecision, OnionDigest, SealFilter,
    false_positive_at_worst_fill, filter_bytes, most_ones_accepted,
};
pub use seal::{SealBoard, SealKeeper, StatementError, WrongProof};
pub use statement::{
    AllSatisfied, Standing, VerdictBoard, VerdictError, filter_digest, filters_digest,
};
