//! What a client receives: read in one form, or refused.
#![no_main]

use antiphon_wire::{Decode, Encode, ToClient};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = ToClient::from_bytes(bytes) {
        assert_eq!(value.to_bytes(), bytes);
    }
});
