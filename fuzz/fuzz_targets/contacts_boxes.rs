//! Published boxes: read in one form, or refused.
#![no_main]

use antiphon_contacts::{CallBox, InvitationBox};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(read) = CallBox::from_bytes(bytes) {
        assert!(read.tokens().is_sorted());
        assert_eq!(read.to_bytes(), bytes);
    }
    if let Ok(read) = InvitationBox::from_bytes(bytes) {
        assert!(read.items().is_sorted());
        assert_eq!(read.to_bytes(), bytes);
    }
});
