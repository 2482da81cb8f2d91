//! What people type: contact codes and phrases are read or refused, with an error that can be told.
#![no_main]

use antiphon_contacts::{CodeError, ContactCode, Phrase, PhraseError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match ContactCode::parse(text) {
        Ok(code) => assert_eq!(ContactCode::parse(&code.to_text()), Ok(code)),
        Err(CodeError::Wrong(slips)) => assert!(!slips.is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    match Phrase::parse(text) {
        Ok(phrase) => assert!(Phrase::parse(&phrase.to_text()).is_ok()),
        Err(PhraseError::Unknown(words)) => {
            assert!(words.iter().all(|word| !word.nearest.is_empty()))
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
