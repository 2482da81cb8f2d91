//! The configuration file of a shard.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use antiphon_transport::keyfile::{KeyFileError, read_operator_list, read_signing_key};
use antiphon_wire::{IdentityKey, NetworkFile, NetworkFileError};
use serde::Deserialize;

use crate::{CoordinatorAddress, ServerLimits, ShardServerConfig};

/// What is wrong with a configuration file or a file that it names.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {path}{key}: {source}", path = path.display(), key = named_by(key))]
    Read {
        /// The file.
        path: PathBuf,
        /// The key of the configuration that names it, if one does.
        key: Option<&'static str>,
        /// What the system said.
        source: io::Error,
    },
    /// Not TOML, a key missing or unknown, or a value of the wrong type.
    #[error("{path}: {reason}", path = path.display())]
    Syntax {
        /// The configuration file.
        path: PathBuf,
        /// Where and what, as the TOML parser says it.
        reason: String,
    },
    /// A value that cannot be.
    #[error("{path}: `{key}` is {found}: it should be {expected}", path = path.display())]
    Value {
        /// The configuration file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What the file says.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The network file is wrong.
    #[error("{path}, the network file: {source}", path = path.display())]
    Network {
        /// The network file.
        path: PathBuf,
        /// What is wrong.
        source: NetworkFileError,
    },
    /// The identity or the operator list cannot be used.
    #[error("`{key}` in {config}: {source}", config = config.display())]
    KeyFile {
        /// The configuration file.
        config: PathBuf,
        /// The key that names the file.
        key: &'static str,
        /// What is wrong.
        source: KeyFileError,
    },
}

fn named_by(key: &Option<&'static str>) -> String {
    key.map(|key| format!(" (`{key}`)")).unwrap_or_default()
}

/// A configuration file, read. Paths are already relative to where the program runs.
#[derive(Debug)]
pub struct ConfigFile {
    /// Everything for [`ShardServer::start`](crate::ShardServer::start).
    pub shard: ShardServerConfig,
    /// Where to serve metrics, for [`metrics::serve`](crate::metrics::serve).
    pub metrics: Option<SocketAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    listen_peers: SocketAddr,
    listen_clients: SocketAddr,
    advertise_peers: Option<SocketAddr>,
    advertise_clients: Option<SocketAddr>,
    identity: PathBuf,
    network: PathBuf,
    operator_list: PathBuf,
    state: PathBuf,
    threads: Option<usize>,
    coordinator: RawCoordinator,
    #[serde(default)]
    limits: RawLimits,
    metrics: Option<RawMetrics>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCoordinator {
    address: String,
    identity: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMetrics {
    listen: SocketAddr,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLimits {
    onions_per_batch: u32,
    submissions: usize,
    client_messages_per_round: u32,
    clients: usize,
    clients_per_address: usize,
    client_queue: usize,
    client_frame_bytes: usize,
}

impl Default for RawLimits {
    fn default() -> Self {
        let limits = ServerLimits::default();
        Self {
            onions_per_batch: limits.rounds.onions_per_batch,
            submissions: limits.rounds.submissions,
            client_messages_per_round: limits.rounds.client_messages_per_round,
            clients: limits.clients,
            clients_per_address: limits.clients_per_address,
            client_queue: limits.client_queue,
            client_frame_bytes: limits.client_frame_bytes,
        }
    }
}

impl ConfigFile {
    /// Reads the configuration file at `path` and the files that it names; their paths are relative
    /// to its directory.
    ///
    /// # Errors
    /// Names the file, the key, and what would be right.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = read(path, None)?;
        let raw: Raw = toml::from_str(&text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            reason: error.to_string().trim_end().to_owned(),
        })?;
        raw.resolve(path)
    }
}

fn read(path: &Path, key: Option<&'static str>) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        key,
        source,
    })
}

impl Raw {
    fn resolve(self, path: &Path) -> Result<ConfigFile, ConfigError> {
        self.check(path)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let key_file =
            |key| move |source| ConfigError::KeyFile { config: path.to_owned(), key, source };

        let network_path = directory.join(&self.network);
        let network = NetworkFile::parse(&read(&network_path, Some("network"))?)
            .map_err(|source| ConfigError::Network { path: network_path, source })?;
        let identity =
            read_signing_key(&directory.join(&self.identity)).map_err(key_file("identity"))?;
        let list = read_operator_list(&directory.join(&self.operator_list))
            .map_err(key_file("operator_list"))?;
        let shard = ShardServerConfig {
            identity,
            network,
            list,
            listen_peers: self.listen_peers,
            listen_clients: self.listen_clients,
            advertise_peers: self.advertise_peers,
            advertise_clients: self.advertise_clients,
            coordinator: self.coordinator.parse(path)?,
            state: Some(directory.join(&self.state)),
            limits: self.limits.parse(path)?,
            threads: self.threads.and_then(NonZeroUsize::new),
            tamper: None,
        };
        Ok(ConfigFile { shard, metrics: self.metrics.map(|metrics| metrics.listen) })
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        if let Some(threads) = self.threads.filter(|threads| !(1..=1024).contains(threads)) {
            let expected = "from 1 to 1024, or left out for one per core";
            return Err(wrong(path, "threads", &threads, expected));
        }
        for (key, address) in [
            ("advertise_peers", self.advertise_peers),
            ("advertise_clients", self.advertise_clients),
        ] {
            if let Some(address) = address.filter(|a| a.ip().is_unspecified() || a.port() == 0) {
                let expected = "an address and port that others can dial";
                return Err(wrong(path, key, &address, expected));
            }
        }
        Ok(())
    }
}

fn wrong(
    path: &Path,
    key: &'static str,
    found: &impl ToString,
    expected: &'static str,
) -> ConfigError {
    ConfigError::Value { path: path.to_owned(), key, found: found.to_string(), expected }
}

impl RawCoordinator {
    fn parse(self, path: &Path) -> Result<CoordinatorAddress, ConfigError> {
        let port = self.address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(1..))) {
            let expected = "`host:port`, such as \"coordinator.example.org:4400\"";
            return Err(wrong(path, "coordinator.address", &self.address, expected));
        }
        let Ok(identity) = self.identity.parse::<IdentityKey>() else {
            let expected = "the coordinator's public key, 64 hexadecimal digits";
            return Err(wrong(path, "coordinator.identity", &self.identity, expected));
        };
        Ok(CoordinatorAddress { address: self.address, identity })
    }
}

impl RawLimits {
    fn parse(&self, path: &Path) -> Result<ServerLimits, ConfigError> {
        let ranges: [(&'static str, usize, usize, usize, &'static str); 7] = [
            (
                "limits.onions_per_batch",
                self.onions_per_batch as usize,
                1,
                1 << 24,
                "from 1 to 16777216",
            ),
            ("limits.submissions", self.submissions, 1, 1 << 22, "from 1 to 4194304"),
            (
                "limits.client_messages_per_round",
                self.client_messages_per_round as usize,
                2,
                1000,
                "from 2 to 1000",
            ),
            ("limits.clients", self.clients, 1, 1 << 22, "from 1 to 4194304"),
            (
                "limits.clients_per_address",
                self.clients_per_address,
                1,
                1 << 22,
                "from 1 to 4194304",
            ),
            ("limits.client_queue", self.client_queue, 4, 1024, "from 4 to 1024"),
            (
                "limits.client_frame_bytes",
                self.client_frame_bytes,
                64 << 10,
                16 << 20,
                "from 65536 to 16777216",
            ),
        ];
        for (key, found, least, most, expected) in ranges {
            if !(least..=most).contains(&found) {
                return Err(wrong(path, key, &found, expected));
            }
        }
        Ok(ServerLimits {
            rounds: antiphon_mix::Limits {
                onions_per_batch: self.onions_per_batch,
                submissions: self.submissions,
                client_messages_per_round: self.client_messages_per_round,
            },
            clients: self.clients,
            clients_per_address: self.clients_per_address,
            client_queue: self.client_queue,
            client_frame_bytes: self.client_frame_bytes,
        })
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
