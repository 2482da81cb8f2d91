//! What a partner says about files: it is read or refused, and what is read is written back alike.
#![no_main]

use antiphon_client_core::file_message::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(message) = Message::read(bytes) {
        assert_eq!(message.to_bytes(), bytes);
    }
});
