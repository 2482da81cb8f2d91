//! What is kept of contacts, and what a contact says in an introduction or in a greeting: read in one form, or refused.
#![no_main]

use antiphon_contacts::{
    BoxAddress, Expiry, Introduction, Keywheel, Knock, NetworkMark, OwnCode, OwnCodes, Roots,
    SessionSecret, Side,
};
use libfuzzer_sys::fuzz_target;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

// Compiled in from its source: it does no input or output, and so no runtime has to be built here.
#[allow(dead_code)]
#[path = "../../crates/messenger/src/calls/greeting.rs"]
mod greeting;

/// Greets a contact who says whatever it likes, each time behind its length in two bytes.
fn greet(mut bytes: &[u8]) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut codes = OwnCodes::default();
    let made = codes.make("other", NetworkMark([1; 4]), BoxAddress(3), Expiry::NEVER, &mut rng);
    let own = *made.expect("a first code can be made").code();
    let session = SessionSecret([5; 32]);
    let (mut greeting, _) = greeting::Greeting::begin(Side::First, session, (own, None), &mut rng);
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = rest.len().min(u16::from_be_bytes(*length).into());
        let (said, rest) = rest.split_at(length);
        // Without the session's secret nobody is known.
        assert!(!matches!(greeting.heard(said, &mut rng), Ok(greeting::Reply::Known { .. })));
        bytes = rest;
    }
}

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
    if let Ok(read) = Knock::from_bytes(bytes) {
        assert_eq!(&read.to_bytes()[..], bytes);
    }
    greet(bytes);
});
