//! What is kept and served as the epoch document: read in one form, or refused.
#![no_main]

use antiphon_wire::{Decode, Encode, SignedDocument};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = SignedDocument::from_bytes(bytes) {
        assert_eq!(value.to_bytes(), bytes);
    }
});
