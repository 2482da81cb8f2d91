//! Passphrases and key files, and the keys that they make.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use antiphon_process::kept_file::owners_only;
use antiphon_process::keyfile::{KeyFileError, read_any_secret};
use argon2::{Algorithm, Argon2, Params, Version};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::formats::{KeyCost, KeySource};
use crate::seal::Key;

const KEY_FILE_CONTEXT: &str = "Antiphon 2026 key of a profile from a key file";
const PASSPHRASE_CONTEXT: &str = "Antiphon 2026 key of a profile from a passphrase";
/// First line of a key file, which tells it from other secrets.
const KEY_FILE_TITLE: &str = "# antiphon profile key";

/// Secret that opens a profile or a backup.
#[derive(Clone)]
pub enum Unlock {
    /// Passphrase, byte for byte as it was typed.
    Passphrase(Zeroizing<String>),
    /// The 32 bytes of a key file.
    KeyFile(Zeroizing<[u8; 32]>),
}

impl Unlock {
    /// A passphrase.
    pub fn passphrase(text: impl Into<String>) -> Self {
        Self::Passphrase(Zeroizing::new(text.into()))
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// If it cannot be read, or is a secret for something else.
    pub fn read_key_file(path: &Path) -> Result<Self, KeyFileError> {
        match read_any_secret(path)? {
            (None, secret) => Ok(Self::KeyFile(secret)),
            (Some(kind), _) => Err(KeyFileError::OtherKind {
                path: path.to_owned(),
                found: kind.words(),
                expected: "the key of a profile",
            }),
        }
    }

    /// Draws a key and writes it to a new file, for its owner alone.
    ///
    /// # Errors
    /// If there is such a file, or it cannot be written.
    pub fn write_key_file(path: &Path, rng: &mut impl CryptoRng) -> io::Result<Self> {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut secret[..]);
        let mut digits = Zeroizing::new([0; 64]);
        hex::encode_to_slice(&secret[..], &mut digits[..]).map_err(io::Error::other)?;
        let mut file = owners_only(OpenOptions::new().write(true).create_new(true)).open(path)?;
        file.write_all(KEY_FILE_TITLE.as_bytes())?;
        file.write_all(b"\n# Whoever has this file and the profile can read the profile.\n")?;
        file.write_all(&digits[..])?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        Ok(Self::KeyFile(secret))
    }

    /// Source that a new file records, with this cost if there is a passphrase.
    pub(crate) fn source(&self, cost: KeyCost) -> KeySource {
        match self {
            Self::Passphrase(_) => KeySource::Passphrase(cost),
            Self::KeyFile(_) => KeySource::KeyFile,
        }
    }

    /// The key that a file with this source and salt opens with; `None` if its source is of the other kind.
    pub(crate) fn key(&self, source: KeySource, salt: &[u8; 16]) -> Option<Key> {
        match (self, source) {
            (Self::Passphrase(text), KeySource::Passphrase(cost)) => {
                stretched(text, cost, salt).map(|key| Key(derived(PASSPHRASE_CONTEXT, &key, salt)))
            }
            (Self::KeyFile(secret), KeySource::KeyFile) => {
                Some(Key(derived(KEY_FILE_CONTEXT, secret, salt)))
            }
            _ => None,
        }
    }
}

impl fmt::Debug for Unlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase(_) => "Passphrase(..)",
            Self::KeyFile(_) => "KeyFile(..)",
        })
    }
}

/// Argon2id of a passphrase; `None` for a cost that it cannot have.
fn stretched(text: &str, cost: KeyCost, salt: &[u8; 16]) -> Option<Zeroizing<[u8; 32]>> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(text.as_bytes(), salt, &mut key[..]).ok()?;
    Some(key)
}

fn derived(context: &str, secret: &[u8; 32], salt: &[u8; 16]) -> [u8; 32] {
    *blake3::Hasher::new_derive_key(context).update(secret).update(salt).finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn argon2id_gives_what_its_reference_implementation_gives() {
        // `argon2 somesalt -id -t 2 -k 256 -p 1` of the reference implementation, of "password". Its salt is shorter.
        let params = Params::new(256, 2, 1, Some(32)).unwrap();
        let mut key = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(b"password", b"somesalt", &mut key)
            .unwrap();
        let expected = "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe";
        assert_eq!(hex::encode(key), expected);
    }

    #[test]
    fn a_key_file_is_made_once_for_its_owner_and_is_no_other_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let made = Unlock::write_key_file(&path, &mut rng).unwrap();
        let read = Unlock::read_key_file(&path).unwrap();
        let key = |unlock: &Unlock| unlock.key(KeySource::KeyFile, &[1; 16]).unwrap();
        assert_eq!(key(&made), key(&read));
        assert!(Unlock::write_key_file(&path, &mut rng).is_err());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(&path, format!("# antiphon identity key\n{}\n", "0".repeat(64))).unwrap();
        let refused = Unlock::read_key_file(&path).unwrap_err().to_string();
        assert!(refused.ends_with("holds an identity key, where the key of a profile is wanted"));
    }
}
