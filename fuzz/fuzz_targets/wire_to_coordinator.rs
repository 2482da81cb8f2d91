//! What a coordinator receives from a shard: read in one form, or refused.
#![no_main]

use antiphon_wire::{Decode, Encode, ToCoordinator};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = ToCoordinator::from_bytes(bytes) {
        assert_eq!(value.to_bytes(), bytes);
    }
});
