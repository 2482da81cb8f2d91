//! What is kept of contacts, and what a contact says in an introduction: read in one form, or refused.
#![no_main]

use antiphon_contacts::{Introduction, Keywheel, OwnCode, Roots};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(read) = OwnCode::from_bytes(bytes) {
        assert_eq!(&read.to_bytes()[..], bytes);
    }
    if let Ok(read) = Keywheel::from_bytes(bytes) {
        assert_eq!(&read.to_bytes()[..], bytes);
        assert!(read.keys(read.first()).is_some());
    }
    if let Ok(read) = Roots::from_bytes(bytes) {
        assert_eq!(&read.to_bytes()[..], bytes);
    }
    if let Ok(read) = Introduction::from_bytes(bytes) {
        assert_eq!(read.to_bytes(), bytes);
    }
});
