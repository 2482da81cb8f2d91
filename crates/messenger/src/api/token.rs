//! The token that whoever asks has to show.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use antiphon_process::kept_file::owners_only;
use rand::CryptoRng;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Hexadecimal digits of a token.
const DIGITS: usize = 64;

/// A token of 256 random bits, in a file for its owner alone.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Reads the token of a file.
    ///
    /// # Errors
    /// If it cannot be read, or holds something else.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut text = Zeroizing::new(String::with_capacity(DIGITS + 2));
        std::fs::File::open(path)?.take(DIGITS as u64 + 2).read_to_string(&mut text)?;
        let token = text.trim_end();
        if token.len() != DIGITS || !token.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(io::Error::other("it holds no token: remove it, and a new one is made"));
        }
        Ok(Self(Zeroizing::new(token.to_owned())))
    }

    /// Reads the token of a file, or draws one and writes it there.
    ///
    /// # Errors
    /// If it can be neither read nor written.
    pub fn read_or_draw(path: &Path, rng: &mut impl CryptoRng) -> io::Result<Self> {
        match Self::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => return read,
        }
        let mut secret = Zeroizing::new([0; DIGITS / 2]);
        rng.fill_bytes(&mut secret[..]);
        let token = Self(Zeroizing::new(hex::encode(&secret[..])));
        let mut file = owners_only(OpenOptions::new().write(true).create_new(true)).open(path)?;
        file.write_all(token.0.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        Ok(token)
    }

    /// The token as text, for the header of a request.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// `true` if this is what was shown.
    pub(super) fn is(&self, shown: &str) -> bool {
        self.0.as_bytes().ct_eq(shown.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}
