//! The file that `antiphon client --config FILE` reads.

use std::path::{Path, PathBuf};

use antiphon_client_core::{ConversationSecret, Opening, Role, Start};
pub use antiphon_process::config_file::ConfigError;
use antiphon_process::config_file::{ConfigSource, Several};
use antiphon_process::kept_file::beside;
use serde::Deserialize;

use crate::{ClientConfig, Coordinator, Gateway};

/// Content of a configuration file.
#[derive(Clone, Debug)]
pub struct FileConfig {
    /// Configuration of the client.
    pub client: ClientConfig,
    /// The conversation to open, if the file names one.
    pub conversation: Option<Opening>,
    /// The folder for files that the partner sends. Without it they are refused.
    pub inbox: Option<PathBuf>,
    /// Bytes of the largest file sent or taken.
    pub largest_file_bytes: u64,
    /// The socket at which the running client takes jobs.
    pub socket: PathBuf,
}

/// 16 MiB: two days at 5-second rounds.
const LARGEST_FILE_BYTES: u64 = 16 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    network: PathBuf,
    coordinator: Several<RawCoordinator>,
    state: PathBuf,
    gateway: Option<String>,
    inbox: Option<PathBuf>,
    largest_file_bytes: Option<u64>,
    socket: Option<PathBuf>,
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
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawRole {
    First,
    Second,
}

impl RawCoordinator {
    fn parse(self, source: &ConfigSource) -> Result<Coordinator, ConfigError> {
        source.check_host_and_port("coordinator.address", &self.address)?;
        let identity = source.public_key("coordinator.identity", &self.identity)?;
        Ok(Coordinator { address: self.address, identity })
    }
}

/// Reads a configuration file and the files that it names; relative paths start at its folder.
///
/// # Errors
/// Names the file, the key and what would be right.
pub fn load(file: &Path) -> Result<FileConfig, ConfigError> {
    let (raw, source) = ConfigSource::read::<Raw>(file)?;
    let network = source.network("network", &raw.network)?;
    let coordinators = raw.coordinator.0.into_iter().map(|section| section.parse(&source));
    let coordinators = coordinators.collect::<Result<_, _>>()?;
    let mut client = ClientConfig::new(network, coordinators);
    client.state = Some(source.beside(&raw.state));
    if let Some(gateway) = &raw.gateway {
        client.gateway = Gateway::Shard(source.public_key("gateway", gateway)?);
    }
    let conversation = match raw.conversation {
        None => None,
        Some(raw) => {
            let role = match raw.role {
                RawRole::First => Role::First,
                RawRole::Second => Role::Second,
            };
            let secret = source.secret32("conversation.secret", &raw.secret)?;
            Some(Opening::new(ConversationSecret(*secret), role, Start::Dense))
        }
    };
    let inbox = raw.inbox.map(|path| source.beside(&path));
    let largest_file_bytes = raw.largest_file_bytes.unwrap_or(LARGEST_FILE_BYTES);
    let socket = socket(&source, raw.socket.as_deref(), &raw.state);
    Ok(FileConfig { client, conversation, inbox, largest_file_bytes, socket })
}

/// The socket at which a client with this configuration takes jobs. Reads no other file.
///
/// # Errors
/// Names the file, the key and what would be right.
pub fn socket_of(file: &Path) -> Result<PathBuf, ConfigError> {
    let (raw, source) = ConfigSource::read::<Raw>(file)?;
    Ok(socket(&source, raw.socket.as_deref(), &raw.state))
}

fn socket(source: &ConfigSource, socket: Option<&Path>, state: &Path) -> PathBuf {
    match socket {
        Some(path) => source.beside(path),
        None => beside(&source.beside(state), ".socket"),
    }
}

#[cfg(test)]
mod tests {
    use antiphon_process::keyfile::{self, SecretKind};
    use antiphon_wire::IdentityKey;

    use super::*;

    const COORDINATOR: &str = "[coordinator]\naddress = \"localhost:7001\"\nidentity = \"";

    fn load_text(text: &str) -> Result<FileConfig, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let key = "01".repeat(32);
        let network = format!(
            "[policy]\noperators_above_malicious = \"are trusted\"\n[[operator]]\nname = \"a\"\nkey = \"{key}\"\n"
        );
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
        let rest = "[conversation]\nsecret = \"friend\"\nrole = \"second\"\n";
        let top = format!("gateway = \"{key}\"\ninbox = \"in\"\nlargest_file_bytes = 9");
        let config = load_text(&text(&top, rest)).unwrap();
        assert!(config.inbox.unwrap().is_absolute());
        assert!(config.socket.ends_with("client.state.socket"));
        assert_eq!(config.largest_file_bytes, 9);
        assert_eq!(config.client.coordinators[0].address, "localhost:7001");
        assert_eq!(config.client.coordinators[0].identity, IdentityKey([2; 32]));
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
        assert!(config.conversation.is_none() && config.inbox.is_none());
        assert_eq!(config.largest_file_bytes, LARGEST_FILE_BYTES);
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
