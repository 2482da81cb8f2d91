//! Everything that is written can be read back, and its end can be told.

use std::fmt::Debug;

use antiphon_wire::{Decode, DecodeError, Encode};
use proptest::prelude::*;

use crate::strategies;

/// `value` comes back whole; cut short anywhere it is no value, and a byte more is noticed.
fn comes_back<T: Encode + Decode + PartialEq + Debug>(value: &T) -> Result<(), TestCaseError> {
    let mut bytes = value.to_bytes();
    let read = T::from_bytes(&bytes);
    prop_assert_eq!(read.as_ref(), Ok(value));
    for end in 0..bytes.len() {
        prop_assert!(T::from_bytes(&bytes[..end]).is_err(), "cut to {} bytes", end);
    }
    bytes.push(0);
    prop_assert_eq!(T::from_bytes(&bytes), Err(DecodeError::Trailing(1)));
    Ok(())
}

macro_rules! round_trips {
    ($($name:ident)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(64))]
            $(#[test]
            fn $name(value in $crate::strategies::$name()) {
                comes_back(&value)?;
            })*
        }
    };
}

round_trips! {
    epoch round layer shard operator timestamp
    digest identity signature blob address
    operator_list parameters beat_parameters announcement shard_entry epoch_document signed_document contribution
    batch_header signed_header cell_batch box_statement filter_statement finding verdict reason seal_act seal_statement
    registration held_epoch standing round_counts round_outcome
    to_coordinator to_shard from_client to_client peer_message
}

proptest! {
    /// Documents are numbered and compared by their bytes: two that differ must never share them.
    #[test]
    fn different_values_have_different_bytes(
        a in strategies::epoch_document(),
        b in strategies::epoch_document(),
    ) {
        prop_assert_eq!(a == b, a.to_bytes() == b.to_bytes());
    }
}
