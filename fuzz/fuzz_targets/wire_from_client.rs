//! What a gateway or a coordinator receives from a client: read in one form, or refused.
#![no_main]

use antiphon_wire::{Decode, Encode, FromClient};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = FromClient::from_bytes(bytes) {
        assert_eq!(value.to_bytes(), bytes);
    }
});
