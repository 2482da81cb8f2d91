//! What a client finds on its disk: a state file and its witness's slots are read in the one form in
//! which they are written, or not at all.
#![no_main]

use antiphon_wire::Digest;
use libfuzzer_sys::fuzz_target;

// Compiled in from its source: it does no input or output, and so no TLS has to be built here.
#[allow(dead_code)]
#[path = "../../crates/client/src/formats.rs"]
mod formats;

use formats::{SLOT_BYTES, STATE_BYTES, Slot, StateContent};

fn check(bytes: &[u8]) {
    if let Some(state) = StateContent::parse(bytes) {
        assert_eq!(bytes.len(), STATE_BYTES + state.sealed.len());
        assert_eq!(state.render(), bytes);
    }
    if let Some(slot) = Slot::parse(bytes) {
        assert_eq!(bytes.len(), SLOT_BYTES);
        assert_eq!(slot.render()[..], *bytes);
    }
}

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    // Nobody finds a hash by chance.
    check(&[bytes, &Digest::of(bytes).0].concat());
});
