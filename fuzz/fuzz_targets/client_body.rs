//! What a partner's decrypted body says: it is read or refused, whatever it is.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|plaintext: &[u8]| {
    let read = antiphon_client_core::reads_as_body(plaintext);
    // Instances, acknowledgement, sequence number and shape come before anything else.
    assert!(!read || plaintext.len() >= 18);
});
