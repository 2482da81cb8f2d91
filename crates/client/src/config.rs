//! The file that `antiphon client --config FILE` reads.

use std::path::{Path, PathBuf};

use antiphon_client_core::{ConversationSecret, Opening, Role, Start};
use antiphon_transport::keyfile::{self, KeyFileError};
use antiphon_wire::{IdentityKey, NetworkFile};
use serde::Deserialize;

use crate::{ClientConfig, Coordinator, Gateway};

/// What a configuration file says.
#[derive(Clone, Debug)]
pub struct FileConfig {
    /// What to make the client with.
    pub client: ClientConfig,
    /// The conversation to open, if the file names one.
    pub conversation: Option<Opening>,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {file}: {source}: is the path right, may this user read it?")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not TOML, an unknown key, a missing one, or a value of the wrong type.
    #[error("{file}: {problem}")]
    Syntax {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, and where.
        problem: String,
    },
    /// A value that cannot be. Secrets are not shown.
    #[error("{file}: `{key}` is {found}: it should be {expected}")]
    Value {
        /// The file.
        file: PathBuf,
        /// The key in question.
        key: &'static str,
        /// What the file says.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The secret's file cannot be used.
    #[error("{file}: `conversation.secret`: {source}")]
    Secret {
        /// The file that names it.
        file: PathBuf,
        /// What is wrong with it.
        source: KeyFileError,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    network: PathBuf,
    coordinator: RawCoordinator,
    state: PathBuf,
    gateway: Option<String>,
    conversation: Option<RawConversation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCoordinator {
    address: String,
    identity: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConversation {
    secret: PathBuf,
    role: RawRole,
    #[serde(default)]
    start: RawStart,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawRole {
    First,
    Second,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawStart {
    Dense,
    #[default]
    Sparse,
}

/// Reads a configuration file and the files that it names; relative paths start at its folder.
///
/// # Errors
/// Names the file, the key and what would be right.
pub fn load(file: &Path) -> Result<FileConfig, ConfigError> {
    let raw: Raw = toml::from_str(&read(file)?).map_err(|error| syntax(file, &error))?;
    let beside = |path: &Path| file.parent().unwrap_or(Path::new("")).join(path);
    let network_file = beside(&raw.network);
    let network =
        NetworkFile::parse(&read(&network_file)?).map_err(|error| syntax(&network_file, &error))?;
    let address = raw.coordinator.address;
    if !is_host_and_port(&address) {
        return Err(ConfigError::Value {
            file: file.to_owned(),
            key: "coordinator.address",
            found: format!("{address:?}"),
            expected: "a host and a port, such as \"coordinator.example:7001\"",
        });
    }
    let identity = key(file, "coordinator.identity", &raw.coordinator.identity)?;
    let mut client = ClientConfig::new(network, Coordinator { address, identity });
    client.state = Some(beside(&raw.state));
    if let Some(gateway) = &raw.gateway {
        client.gateway = Gateway::Shard(key(file, "gateway", gateway)?);
    }
    let conversation = match raw.conversation {
        None => None,
        Some(raw) => {
            let role = match raw.role {
                RawRole::First => Role::First,
                RawRole::Second => Role::Second,
            };
            let start = match raw.start {
                RawStart::Dense => Start::Dense,
                RawStart::Sparse => Start::Sparse,
            };
            let secret = secret(file, &raw.secret, &beside(&raw.secret))?;
            Some(Opening::new(secret, role, start))
        }
    };
    Ok(FileConfig { client, conversation })
}

fn read(file: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(file)
        .map_err(|source| ConfigError::Read { file: file.to_owned(), source })
}

fn syntax(file: &Path, error: &impl ToString) -> ConfigError {
    let problem = error.to_string().trim_end().to_owned();
    ConfigError::Syntax { file: file.to_owned(), problem }
}

fn is_host_and_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

fn key(file: &Path, key: &'static str, text: &str) -> Result<IdentityKey, ConfigError> {
    text.parse().map_err(|_| ConfigError::Value {
        file: file.to_owned(),
        key,
        found: format!("{text:?}"),
        expected: "a public key of 64 hexadecimal digits, as `antiphon keygen` prints it",
    })
}

fn secret(file: &Path, given: &Path, path: &Path) -> Result<ConversationSecret, ConfigError> {
    let text = given.to_string_lossy();
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(ConfigError::Value {
            file: file.to_owned(),
            key: "conversation.secret",
            found: "the secret itself".to_owned(),
            expected: "the path of a file that holds it, which only you can read",
        });
    }
    let secret = keyfile::read_secret32(path)
        .map_err(|source| ConfigError::Secret { file: file.to_owned(), source })?;
    Ok(ConversationSecret(*secret))
}

#[cfg(test)]
mod tests {
    use antiphon_transport::keyfile::SecretKind;

    use super::*;

    const COORDINATOR: &str = "[coordinator]\naddress = \"localhost:7001\"\nidentity = \"";

    fn load_text(text: &str) -> Result<FileConfig, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let key = "01".repeat(32);
        let network = format!("[policy]\n[[operator]]\nname = \"a\"\nkey = \"{key}\"\n");
        std::fs::write(path("network.toml"), network).unwrap();
        keyfile::write_secret(&path("friend"), SecretKind::Conversation, &[7; 32]).unwrap();
        keyfile::write_secret(&path("shard"), SecretKind::Identity, &[8; 32]).unwrap();
        std::fs::write(path("client.toml"), text).unwrap();
        load(&path("client.toml"))
    }

    fn text(top: &str, rest: &str) -> String {
        let key = "02".repeat(32);
        format!(
            "network = \"network.toml\"\nstate = \"client.state\"\n{top}\n{COORDINATOR}{key}\"\n{rest}"
        )
    }

    fn said(text: &str) -> String {
        load_text(text).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_file_is_read_with_the_files_it_names() {
        let key = "03".repeat(32);
        let rest = "[conversation]\nsecret = \"friend\"\nrole = \"second\"\nstart = \"dense\"\n";
        let config = load_text(&text(&format!("gateway = \"{key}\""), rest)).unwrap();
        assert_eq!(config.client.coordinator.address, "localhost:7001");
        assert_eq!(config.client.coordinator.identity, IdentityKey([2; 32]));
        assert_eq!(config.client.gateway, Gateway::Shard(IdentityKey([3; 32])));
        let state = config.client.state.unwrap();
        assert!(state.is_absolute() && state.ends_with("client.state"));
        let conversation = config.conversation.unwrap();
        assert_eq!(conversation.secret.0, [7; 32]);
        assert_eq!((conversation.role, conversation.start), (Role::Second, Start::Dense));
    }

    #[test]
    fn what_can_be_left_out_has_the_safe_default() {
        let config = load_text(&text("", "")).unwrap();
        assert_eq!(config.client.gateway, Gateway::Auto);
        assert!(config.conversation.is_none());
        let rest = "[conversation]\nsecret = \"friend\"\nrole = \"first\"\n";
        let config = load_text(&text("", rest)).unwrap();
        assert_eq!(config.conversation.unwrap().start, Start::Sparse);
    }

    #[test]
    fn errors_name_the_file_the_key_and_what_would_be_right() {
        let conversation = |secret: &str, role: &str| {
            text("", &format!("[conversation]\nsecret = \"{secret}\"\nrole = \"{role}\"\n"))
        };
        let address = text("", "").replace("localhost:7001", "localhost");
        let network = text("", "").replace("network.toml", "nowhere.toml");
        let state = text("", "").replace("state = \"client.state\"\n", "");
        for (text, words) in [
            (text("colour = 3", ""), ["client.toml", "colour", "gateway"]),
            (text("gateway = \"12\"", ""), ["client.toml", "`gateway`", "64 hexadecimal"]),
            (address, ["client.toml", "coordinator.address", "a host and a port"]),
            (network, ["nowhere.toml", "cannot read", "is the path right"]),
            (state, ["client.toml", "missing field", "state"]),
            (conversation("friend", "third"), ["client.toml", "role", "`second`"]),
            (conversation("nobody", "first"), ["client.toml", "conversation.secret", "nobody"]),
            (conversation("shard", "first"), ["conversation.secret", "identity", "conversation"]),
        ] {
            let said = said(&text);
            assert!(words.iter().all(|word| said.contains(word)), "{said}");
        }
    }

    #[test]
    fn a_secret_in_the_file_itself_is_refused_and_not_repeated() {
        let secret = "5a".repeat(32);
        let rest = format!("[conversation]\nsecret = \"{secret}\"\nrole = \"first\"\n");
        let said = said(&text("", &rest));
        assert!(said.contains("path of a file") && !said.contains("5a5a"), "{said}");
    }

    #[test]
    fn the_sample_in_the_readme_is_read() {
        let readme = include_str!("../README.md");
        let sample = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let key = "04".repeat(32);
        let sample = sample.replace("9f0c...", &key).replace("4be2...", &key);
        assert!(load_text(&sample.replace("friend.secret", "friend")).is_ok());
    }
}
