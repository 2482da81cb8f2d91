//! The text of key files: its digits are hexadecimal and on no comment, or it is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// What the text's module says when a file cannot be used.
mod error {
    use std::io;
    use std::path::PathBuf;

    #[derive(Debug)]
    #[allow(dead_code)]
    pub(crate) enum KeyFileError {
        Read { path: PathBuf, source: io::Error },
        Exists(PathBuf),
        Write { path: PathBuf, source: io::Error },
    }
}

use error::KeyFileError;

// Compiled in from its source, so that no TLS has to be built here.
#[allow(dead_code)]
#[path = "../../crates/process/src/keyfile/text.rs"]
mod text;

fuzz_target!(|content: &[u8]| {
    assert!(text::title(content).len() <= content.len());
    if let Some(digits) = text::digits(content) {
        assert!(digits.len() <= content.len());
        assert!(digits.iter().all(u8::is_ascii_hexdigit));
    }
});
