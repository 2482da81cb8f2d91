//! ML-KEM keys from documents: read in one form, or refused.
#![no_main]

use antiphon_onion::KemPublicKey;
use antiphon_wire::KEM_KEY_BYTES;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let check = |bytes: &[u8]| {
        if let Ok(key) = KemPublicKey::from_bytes(bytes) {
            assert_eq!(key.to_bytes(), bytes);
        }
    };
    check(bytes);
    // The same bytes in the length that a key has.
    let mut padded = [0; KEM_KEY_BYTES];
    let length = bytes.len().min(KEM_KEY_BYTES);
    padded[..length].copy_from_slice(&bytes[..length]);
    check(&padded);
});
