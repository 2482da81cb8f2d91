//! What a shard receives from its coordinator: read in one form, or refused.
#![no_main]

use antiphon_wire::{Decode, Encode, ToShard};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = ToShard::from_bytes(bytes) {
        assert_eq!(value.to_bytes(), bytes);
    }
});
