//! Configuration files of the processes: TOML that names other files, by paths beside it.

mod several;
mod variables;

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use antiphon_wire::{IdentityKey, NetworkFile, NetworkFileError, OperatorList, Signed};
use ed25519_dalek::SigningKey;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::keyfile::{self, KeyFileError};

pub use several::Several;

/// Error in a configuration file or a file that it names. Never shows a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error(
        "cannot read {file}{key}: {source}: is the path right, may this user read it?",
        key = named_by(*key)
    )]
    Read {
        /// File that cannot be read.
        file: PathBuf,
        /// Key of the configuration that names the file, if one does.
        key: Option<&'static str>,
        /// Error of the system.
        source: io::Error,
    },
    /// Not TOML, an unknown key, a missing one, or a value of the wrong type.
    #[error("{file}: {problem}")]
    Syntax {
        /// The configuration file.
        file: PathBuf,
        /// The error, and its place in the file.
        problem: String,
    },
    /// A text asks for a variable that the environment does not have.
    #[error("{file}: `{key}`: {problem}")]
    Variable {
        /// The configuration file.
        file: PathBuf,
        /// The key in question.
        key: String,
        /// The problem, with the name of the variable.
        problem: String,
    },
    /// A value that cannot be.
    #[error("{file}: `{key}` is {found}: it should be {expected}")]
    Value {
        /// The configuration file.
        file: PathBuf,
        /// Key of the value, with its section.
        key: &'static str,
        /// Value in the file.
        found: String,
        /// Values that are allowed.
        expected: String,
    },
    /// The network file is wrong.
    #[error("{file}, the network file: {source}")]
    Network {
        /// Path of the network file.
        file: PathBuf,
        /// Error in it.
        source: NetworkFileError,
    },
    /// A file with a key, a secret or an operator's list cannot be used.
    #[error("`{key}` in {file}: {source}")]
    KeyFile {
        /// The configuration file.
        file: PathBuf,
        /// Key that names the other file.
        key: &'static str,
        /// Error in that file.
        source: KeyFileError,
    },
}

fn named_by(key: Option<&'static str>) -> String {
    key.map(|key| format!(" (`{key}`)")).unwrap_or_default()
}

/// The section `admin`: the addresses at which a process answers those who look after it, and others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminSection {
    /// The TCP address to listen on.
    pub listen: SocketAddr,
    /// Another TCP address, whose visitors see how the process stands and change nothing.
    pub show: Option<SocketAddr>,
}

/// The largest configuration or network file that is read, in bytes: some thousand operators with
/// comments.
const MAX_FILE: u64 = 1 << 20;

/// Reads a text file of bounded size: a device that never ends has to be an error, too.
///
/// # Errors
/// If it cannot be read, is no text, or is too large.
pub fn read_bounded(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    // One byte more than allowed tells a file that is too large from one that just fits.
    File::open(file)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!("it is larger than {MAX_FILE} bytes")));
    }
    Ok(text)
}

fn read_text(file: &Path, key: Option<&'static str>) -> Result<String, ConfigError> {
    read_bounded(file).map_err(|source| ConfigError::Read { file: file.to_owned(), key, source })
}

/// A configuration file that was read: finds the files that it names, and makes the errors about it.
#[derive(Clone, Debug)]
pub struct ConfigSource {
    file: PathBuf,
}

impl ConfigSource {
    /// Reads the configuration file `file` as a `Raw`. Its texts may ask for variables of the environment,
    /// as `${NAME}`, and so may numbers, as `"${NAME}"`.
    ///
    /// # Errors
    /// If the file cannot be read, asks for a variable that is not set, or is not the TOML of a `Raw`.
    pub fn read<Raw: DeserializeOwned>(file: &Path) -> Result<(Raw, Self), ConfigError> {
        let from_environment = |name: &str| std::env::var(name).ok();
        let filled = variables::fill_in(&read_text(file, None)?, from_environment).map_err(
            |variables::Missing { key, problem }| ConfigError::Variable {
                file: file.to_owned(),
                key,
                problem,
            },
        )?;
        let raw = filled.read().map_err(|error| ConfigError::Syntax {
            file: file.to_owned(),
            problem: error.to_string().trim_end().to_owned(),
        })?;
        Ok((raw, Self { file: file.to_owned() }))
    }

    /// The path that the configuration means by `path`: relative ones start at its folder.
    pub fn beside(&self, path: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    /// The error that `key` has the value `found`, where `expected` would be right.
    pub fn wrong(
        &self,
        key: &'static str,
        found: impl Display,
        expected: impl Into<String>,
    ) -> ConfigError {
        let (found, expected) = (found.to_string(), expected.into());
        ConfigError::Value { file: self.file.clone(), key, found, expected }
    }

    /// Reads ranges of addresses.
    ///
    /// # Errors
    /// Names the key and what would be right.
    pub fn prefixes<Prefix: FromStr>(
        &self,
        key: &'static str,
        found: &[String],
    ) -> Result<Vec<Prefix>, ConfigError> {
        let parse = |text: &String| {
            let expected = "addresses, or ranges such as \"192.0.2.0/24\" and \"2001:db8::/32\"";
            text.parse().map_err(|_| self.wrong(key, text, expected))
        };
        found.iter().map(parse).collect()
    }

    /// Reads the network file that `key` names.
    ///
    /// # Errors
    /// If it cannot be read or is wrong.
    pub fn network(&self, key: &'static str, path: &Path) -> Result<NetworkFile, ConfigError> {
        let file = self.beside(path);
        NetworkFile::parse(&read_text(&file, Some(key))?)
            .map_err(|source| ConfigError::Network { file, source })
    }

    /// Reads the signing key in the file that `key` names.
    ///
    /// # Errors
    /// As [`keyfile::read_signing_key`].
    pub fn signing_key(&self, key: &'static str, path: &Path) -> Result<SigningKey, ConfigError> {
        keyfile::read_signing_key(&self.beside(path)).map_err(self.key_file(key))
    }

    /// Reads the conversation's secret in the file that `key` names.
    ///
    /// # Errors
    /// As [`keyfile::read_secret32`], and if the configuration holds the secret itself.
    pub fn secret32(
        &self,
        key: &'static str,
        path: &Path,
    ) -> Result<Zeroizing<[u8; 32]>, ConfigError> {
        let text = path.as_os_str().as_encoded_bytes();
        if text.len() == 64 && text.iter().all(u8::is_ascii_hexdigit) {
            let expected = "the path of a file that holds it, which only you can read";
            return Err(self.wrong(key, "the secret itself", expected));
        }
        keyfile::read_secret32(&self.beside(path)).map_err(self.key_file(key))
    }

    /// Reads the operator's list in the file that `key` names.
    ///
    /// # Errors
    /// As [`keyfile::read_operator_list`].
    pub fn operator_list(
        &self,
        key: &'static str,
        path: &Path,
    ) -> Result<Signed<OperatorList>, ConfigError> {
        keyfile::read_operator_list(&self.beside(path)).map_err(self.key_file(key))
    }

    /// Reads the public key that is the value `text` of `key`.
    ///
    /// # Errors
    /// If it is no such key.
    pub fn public_key(&self, key: &'static str, text: &str) -> Result<IdentityKey, ConfigError> {
        let expected = "a public key of 64 hexadecimal digits, as `antiphon keygen` prints it";
        text.parse().map_err(|_| self.wrong(key, format_args!("{text:?}"), expected))
    }

    /// Checks that `text`, the value of `key`, is a host and a port to dial.
    ///
    /// # Errors
    /// If there is no host, or no port other than 0.
    pub fn check_host_and_port(&self, key: &'static str, text: &str) -> Result<(), ConfigError> {
        let parts = text.rsplit_once(':');
        if parts.is_some_and(|(host, port)| {
            !host.is_empty() && matches!(port.parse(), Ok(1..=u16::MAX))
        }) {
            return Ok(());
        }
        let expected = "a host and a port, such as \"coordinator.example:7001\"";
        Err(self.wrong(key, format_args!("{text:?}"), expected))
    }

    fn key_file(&self, key: &'static str) -> impl FnOnce(KeyFileError) -> ConfigError {
        move |source| ConfigError::KeyFile { file: self.file.clone(), key, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyfile::SecretKind;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Raw {
        secret: PathBuf,
    }

    fn read(text: &str) -> Result<(Raw, ConfigSource, tempfile::TempDir), ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("some.toml");
        std::fs::write(&file, text).unwrap();
        let (raw, source) = ConfigSource::read(&file)?;
        Ok((raw, source, folder))
    }

    #[test]
    fn files_are_found_beside_the_configuration() {
        let (raw, source, folder) = read("secret = \"friend\"").unwrap();
        let path = folder.path().join("friend");
        keyfile::write_secret(&path, SecretKind::Conversation, &[7; 32]).unwrap();
        assert_eq!(source.beside(&raw.secret), path);
        assert_eq!(source.beside(Path::new("/a/b")), Path::new("/a/b"));
        assert_eq!(*source.secret32("secret", &raw.secret).unwrap(), [7; 32]);
        let said = source.signing_key("identity", &raw.secret).unwrap_err().to_string();
        assert!(said.starts_with("`identity` in ") && said.contains("some.toml"), "{said}");
        assert!(!said.contains("0707"), "{said}");
    }

    #[test]
    fn errors_name_the_file_the_key_and_what_would_be_right() {
        let said = read("colour = 3").unwrap_err().to_string();
        assert!(["some.toml", "colour", "secret"].iter().all(|word| said.contains(word)), "{said}");
        let (_, source, _folder) = read("secret = \"friend\"").unwrap();
        let said = source.network("network", Path::new("no.toml")).unwrap_err().to_string();
        assert!(
            said.contains("no.toml (`network`)") && said.contains("is the path right"),
            "{said}"
        );
        let said = source.wrong("a.b", 3, "from 4 to 5").to_string();
        assert!(said.ends_with("some.toml: `a.b` is 3: it should be from 4 to 5"), "{said}");
        let said = source.public_key("key", "12").unwrap_err().to_string();
        assert!(said.contains("`key` is \"12\": it should be a public key of 64"), "{said}");
    }

    #[test]
    fn texts_ask_the_environment_and_errors_name_what_it_lacks() {
        // Cargo gives it to every test.
        let (raw, ..) = read("secret = \"${CARGO_PKG_NAME}/key\"").unwrap();
        assert_eq!(raw.secret, Path::new("antiphon-process/key"));
        let said = read("secret = \"${ANTIPHON_NO_SUCH}\"").unwrap_err().to_string();
        for word in ["some.toml", "`secret`", "${ANTIPHON_NO_SUCH}", "no variable", "set it"] {
            assert!(said.contains(word), "{said}");
        }
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        let (_, source, _folder) = read("secret = \"friend\"").unwrap();
        for right in ["localhost:7001", "[::1]:1", "192.0.2.1:65535"] {
            source.check_host_and_port("address", right).unwrap();
        }
        for wrong in ["", "localhost", ":7001", "localhost:0", "localhost:65536", "localhost:"] {
            let said = source.check_host_and_port("address", wrong).unwrap_err().to_string();
            assert!(
                said.contains("`address` is \"") && said.contains("a host and a port"),
                "{said}"
            );
        }
    }

    #[test]
    fn a_secret_in_the_configuration_itself_is_refused_and_not_repeated() {
        let (raw, source, _folder) = read(&format!("secret = \"{}\"", "5a".repeat(32))).unwrap();
        let said = source.secret32("secret", &raw.secret).unwrap_err().to_string();
        assert!(said.contains("path of a file") && !said.contains("5a5a"), "{said}");
    }
}
