//! Key files and operators' lists on disk: hexadecimal text under `#` comments.
//!
//! A secret's first comment names its kind, so that a conversation secret is not taken for an
//! identity. Secret files are made for their owner alone and never overwritten.

mod text;

use std::io;
use std::path::{Path, PathBuf};

use antiphon_wire::{Decode as _, Encode as _, OperatorList, Signed};
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

/// The largest secret file that is read, in bytes.
const MAX_SECRET_FILE: usize = 4 << 10;
/// The largest list file that is read, in bytes: some 4000 shards with comments.
const MAX_LIST_FILE: usize = 1 << 20;
const LIST_TITLE: &str = "# antiphon operator list";

/// Purpose of the 32 bytes of a secret file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecretKind {
    /// The Ed25519 key of a shard or a coordinator.
    Identity,
    /// The Ed25519 key with which an operator signs its lists of shards.
    Operator,
    /// The secret that the two ends of a conversation share.
    Conversation,
}

impl SecretKind {
    const ALL: [Self; 3] = [Self::Identity, Self::Operator, Self::Conversation];

    /// The comment at the head of a file of this kind.
    const fn title(self) -> &'static str {
        match self {
            Self::Identity => "# antiphon identity key",
            Self::Operator => "# antiphon operator key",
            Self::Conversation => "# antiphon conversation secret",
        }
    }

    /// The kind in words, such as `an identity key`.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Identity => "an identity key",
            Self::Operator => "an operator key",
            Self::Conversation => "a conversation secret",
        }
    }
}

/// Reason why a key file cannot be read or written. Never shows any of its content.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Path as it was given.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// The content is not what such a file holds.
    #[error("{path} is not {expected}")]
    Format {
        /// Path as it was given.
        path: PathBuf,
        /// Content that such a file has.
        expected: &'static str,
    },
    /// A secret of another kind.
    #[error("{path} holds {found}, where {expected} is wanted")]
    OtherKind {
        /// Path as it was given.
        path: PathBuf,
        /// Kind that the file's comment names.
        found: &'static str,
        /// Kind that is wanted.
        expected: &'static str,
    },
    /// There is a file already.
    #[error("{0} exists and is not overwritten: remove it first, or choose another name")]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("cannot write {path}: {source} (its directory has to exist)")]
    Write {
        /// Path as it was given.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
}

/// Reads an Ed25519 signing key: of a shard, a coordinator or an operator. Logs a warning if
/// others than the owner can read the file.
///
/// # Errors
/// If the file cannot be read, or does not hold such a key.
pub fn read_signing_key(path: &Path) -> Result<SigningKey, KeyFileError> {
    let (kind, secret) = read_any_secret(path)?;
    match kind {
        Some(kind @ SecretKind::Conversation) => Err(KeyFileError::OtherKind {
            path: path.to_owned(),
            found: kind.words(),
            expected: "an identity key or an operator key",
        }),
        _ => Ok(SigningKey::from_bytes(&secret)),
    }
}

/// Reads a 32-byte secret that is no signing key. Logs a warning if others than the owner can
/// read the file.
///
/// # Errors
/// If the file cannot be read, or holds something else.
pub fn read_secret32(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyFileError> {
    let (kind, secret) = read_any_secret(path)?;
    match kind {
        Some(kind @ (SecretKind::Identity | SecretKind::Operator)) => {
            Err(KeyFileError::OtherKind {
                path: path.to_owned(),
                found: kind.words(),
                expected: SecretKind::Conversation.words(),
            })
        }
        _ => Ok(secret),
    }
}

/// Reads a secret file of whatever kind, with the kind that its comment names.
///
/// # Errors
/// If the file cannot be read, or does not hold 32 bytes.
pub fn read_any_secret(path: &Path) -> Result<AnySecret, KeyFileError> {
    let content = text::read(path, MAX_SECRET_FILE)?;
    let found = secret_in(&content).ok_or_else(|| KeyFileError::Format {
        path: path.to_owned(),
        expected: "a secret file: 64 hexadecimal digits, with comments after # at most, as \
                   `antiphon keygen` writes it",
    })?;
    warn_if_open_to_others(path);
    Ok(found)
}

/// Logs a warning if others than the owner can read or change the secret at `path`.
pub fn warn_if_open_to_others(path: &Path) {
    if text::open_to_others(path) {
        let path = path.display();
        tracing::warn!(
            "{path} can be read or changed by other users of this machine: chmod 600 {path}"
        );
    }
}

/// A secret's 32 bytes, and the kind that its comment names.
pub type AnySecret = (Option<SecretKind>, Zeroizing<[u8; 32]>);

/// Reads the secret in the bytes of a secret file; `None` if they are something else.
pub fn secret_in(content: &[u8]) -> Option<AnySecret> {
    let digits = text::digits(content)?;
    let mut secret = Zeroizing::new([0; 32]);
    hex::decode_to_slice(&digits[..], &mut secret[..]).ok()?;
    let title = text::title(content);
    let kind = SecretKind::ALL.into_iter().find(|kind| title.starts_with(kind.title().as_bytes()));
    Some((kind, secret))
}

/// Reads the list in the bytes of a list file; `None` if they are something else.
pub fn operator_list_in(content: &[u8]) -> Option<Signed<OperatorList>> {
    let digits = text::digits(content)?;
    Signed::from_bytes(&hex::decode(&digits[..]).ok()?).ok()
}

/// The bytes of any file that this module or a network file can be in, read once and whatever kind of
/// file it is: a pipe gives its bytes only once.
///
/// # Errors
/// If it cannot be read, or is larger than any such file.
pub fn read_once(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    text::read_once(path, MAX_LIST_FILE)
        .map_err(|source| KeyFileError::Read { path: path.to_owned(), source })
}

/// Writes a new secret file that only its owner can read.
///
/// # Errors
/// If there is such a file, or it cannot be written.
pub fn write_secret(path: &Path, kind: SecretKind, secret: &[u8; 32]) -> Result<(), KeyFileError> {
    text::create(path, &secret_file(kind, secret), 0o600)
}

/// The bytes of a secret file.
pub fn secret_file(kind: SecretKind, secret: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    let mut digits = Zeroizing::new([0; 64]);
    hex::encode_to_slice(secret, &mut digits[..])
        // Invariant: 32 bytes are 64 digits.
        .expect("the buffer fits the secret");
    let title = kind.title();
    let mut content = Zeroizing::new(Vec::with_capacity(title.len() + 128));
    content.extend_from_slice(title.as_bytes());
    content.extend_from_slice(b": keep it secret, keep it safe from loss\n");
    content.extend_from_slice(&digits[..]);
    content.push(b'\n');
    content
}

/// Reads an operator's signed list of its shards. The signature is not checked here.
///
/// # Errors
/// If the file cannot be read, or holds something else.
pub fn read_operator_list(path: &Path) -> Result<Signed<OperatorList>, KeyFileError> {
    let content = text::read(path, MAX_LIST_FILE)?;
    operator_list_in(&content).ok_or_else(|| KeyFileError::Format {
        path: path.to_owned(),
        expected: "an operator's signed list, as `antiphon keygen operator-list` writes it",
    })
}

/// Writes a new file with an operator's signed list. Each of `comments` becomes a line at the head
/// of the file, for people.
///
/// # Errors
/// If there is such a file, or it cannot be written.
pub fn write_operator_list(
    path: &Path,
    list: &Signed<OperatorList>,
    comments: &[String],
) -> Result<(), KeyFileError> {
    text::create(path, operator_list_file(list, comments).as_bytes(), 0o644)
}

/// The text of a file with an operator's signed list, with `comments` at its head.
pub fn operator_list_file(list: &Signed<OperatorList>, comments: &[String]) -> String {
    let mut content = format!("{LIST_TITLE}: public\n");
    for comment in comments.iter().flat_map(|comment| comment.lines()) {
        content += &format!("# {comment}\n");
    }
    for chunk in hex::encode(list.to_bytes()).as_bytes().chunks(96) {
        content.extend(chunk.iter().map(|&digit| char::from(digit)));
        content.push('\n');
    }
    content
}

/// Writes a new public text file, such as a network file.
///
/// # Errors
/// If there is such a file, or it cannot be written.
pub fn write_public(path: &Path, content: &str) -> Result<(), KeyFileError> {
    text::create(path, content.as_bytes(), 0o644)
}

#[cfg(test)]
mod tests;
