//! The configuration file of a shard.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

pub use antiphon_process::config_file::ConfigError;
use antiphon_process::config_file::{AdminSection, ConfigSource, Several};
use antiphon_process::telemetry::TelemetrySection;
use antiphon_transport::Medium;
use antiphon_wire::{MOST_ADDRESSES, Suite};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{Advertised, CoordinatorAddress, ServerLimits, ShardServerConfig};

/// A configuration file, read. Paths are already relative to where the program runs.
#[derive(Debug)]
pub struct ConfigFile {
    /// Configuration for [`ShardServer::start`](crate::ShardServer::start).
    pub shard: ShardServerConfig,
    /// The file of the operator's list. The operator replaces it before it ends.
    pub operator_list: PathBuf,
    /// Address of the pages for those who look after the process.
    pub admin: Option<AdminSection>,
    /// The collector that is told of rounds.
    pub telemetry: Option<TelemetrySection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    listen_peers: SocketAddr,
    listen_clients: SocketAddr,
    advertise_peers: Option<OneOrMore>,
    advertise_clients: Option<OneOrMore>,
    identity: PathBuf,
    network: PathBuf,
    operator_list: PathBuf,
    state: PathBuf,
    threads: Option<usize>,
    coordinator: Several<RawCoordinator>,
    #[serde(default)]
    limits: RawLimits,
    admin: Option<AdminSection>,
    telemetry: Option<TelemetrySection>,
    /// Former name of `admin`, to be told of.
    metrics: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text, or a list of texts")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCoordinator {
    address: String,
    identity: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLimits {
    /// Those of the network's suite, if it is left out.
    onions_per_batch: Option<u32>,
    /// The same.
    submissions: Option<usize>,
    client_messages_per_round: u32,
    clients: usize,
    clients_per_address: usize,
    links_per_connection: u32,
    client_queue: usize,
    trusted: Vec<String>,
}

impl Default for RawLimits {
    fn default() -> Self {
        let limits = ServerLimits::default();
        Self {
            onions_per_batch: None,
            submissions: None,
            client_messages_per_round: limits.rounds.client_messages_per_round,
            clients: limits.clients,
            clients_per_address: limits.clients_per_address,
            links_per_connection: limits.links_per_connection,
            client_queue: limits.client_queue,
            trusted: Vec::new(),
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
        let (raw, source) = ConfigSource::read::<Raw>(path)?;
        raw.resolve(&source)
    }
}

impl Raw {
    fn resolve(self, source: &ConfigSource) -> Result<ConfigFile, ConfigError> {
        self.check(source)?;
        let network = source.network("network", &self.network)?;
        let identity = source.signing_key("identity", &self.identity)?;
        let list = source.operator_list("operator_list", &self.operator_list)?;
        let limits = self.limits.parse(source, network.policy.suite)?;
        let shard = ShardServerConfig {
            identity,
            network,
            list,
            listen_peers: self.listen_peers,
            listen_clients: self.listen_clients,
            advertise_peers: advertised(source, "advertise_peers", self.advertise_peers)?,
            advertise_clients: advertised(source, "advertise_clients", self.advertise_clients)?,
            coordinators: coordinators(source, self.coordinator)?,
            state: Some(source.beside(&self.state)),
            limits,
            threads: self.threads.and_then(NonZeroUsize::new),
            workers: None,
            medium: Medium::Tcp,
        };
        let operator_list = source.beside(&self.operator_list);
        let (admin, telemetry) = (self.admin, self.telemetry);
        Ok(ConfigFile { shard, operator_list, admin, telemetry })
    }

    fn check(&self, source: &ConfigSource) -> Result<(), ConfigError> {
        if self.metrics.is_some() {
            let expected = "`[admin]`, with the same `listen`: that address now shows whether the shard is \
                            ready as well, and sets what it logs";
            return Err(source.wrong("metrics", "the old name of a section", expected));
        }
        if let Some(threads) = self.threads.filter(|threads| !(1..=1024).contains(threads)) {
            let expected = "from 1 to 1024, or left out for one per core";
            return Err(source.wrong("threads", threads, expected));
        }
        Ok(())
    }
}

fn advertised(
    source: &ConfigSource,
    key: &'static str,
    texts: Option<OneOrMore>,
) -> Result<Vec<Advertised>, ConfigError> {
    let texts = match texts {
        None => return Ok(Vec::new()),
        Some(OneOrMore::One(text)) => vec![text],
        Some(OneOrMore::More(texts)) => texts,
    };
    if !(1..=MOST_ADDRESSES).contains(&texts.len()) {
        let found = format!("a list of {}", texts.len());
        return Err(source.wrong(key, found, "from one to four, or left out"));
    }
    let expected = "an address or a host, with a port that others can dial, `auto`, or `file:` with the path of a file that \
                    has these";
    let mut all = Vec::new();
    for text in texts {
        let several = Advertised::several(&text).map_err(|_| source.wrong(key, &text, expected))?;
        all.extend(several.into_iter().map(|one| match one {
            Advertised::File(path) => Advertised::File(source.beside(&path)),
            other => other,
        }));
    }
    if all.len() > MOST_ADDRESSES {
        let found = format!("of {} addresses", all.len());
        return Err(source.wrong(key, found, "from one to four"));
    }
    Ok(all)
}

fn coordinators(
    source: &ConfigSource,
    sections: Several<RawCoordinator>,
) -> Result<Vec<CoordinatorAddress>, ConfigError> {
    let all = sections.0.into_iter().map(|section| section.parse(source));
    let all: Vec<CoordinatorAddress> = all.collect::<Result<_, _>>()?;
    let mut seen = BTreeSet::new();
    match all.iter().find(|coordinator| !seen.insert(coordinator.identity)) {
        Some(twice) => {
            let expected = "another one in each section: every coordinator has a key of its own";
            Err(source.wrong("coordinator.identity", twice.identity.to_hex(), expected))
        }
        None => Ok(all),
    }
}

impl RawCoordinator {
    fn parse(self, source: &ConfigSource) -> Result<CoordinatorAddress, ConfigError> {
        source.check_host_and_port("coordinator.address", &self.address)?;
        let identity = source.public_key("coordinator.identity", &self.identity)?;
        Ok(CoordinatorAddress { address: self.address, identity })
    }
}

impl RawLimits {
    fn check(&self, source: &ConfigSource) -> Result<(), ConfigError> {
        let ranges = [
            (
                "limits.onions_per_batch",
                self.onions_per_batch.unwrap_or(1) as usize,
                1,
                1 << 24,
                "from 1 to 16777216",
            ),
            ("limits.submissions", self.submissions.unwrap_or(1), 1, 1 << 22, "from 1 to 4194304"),
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
            (
                "limits.links_per_connection",
                self.links_per_connection as usize,
                1,
                1 << 16,
                "from 1 to 65536",
            ),
            ("limits.client_queue", self.client_queue, 4, 1024, "from 4 to 1024"),
        ];
        for (key, found, least, most, expected) in ranges {
            if !(least..=most).contains(&found) {
                return Err(source.wrong(key, found, expected));
            }
        }
        Ok(())
    }

    fn parse(&self, source: &ConfigSource, suite: Suite) -> Result<ServerLimits, ConfigError> {
        self.check(source)?;
        let usual = antiphon_mix::Limits::of(suite);
        let rounds = antiphon_mix::Limits {
            onions_per_batch: self.onions_per_batch.unwrap_or(usual.onions_per_batch),
            submissions: self.submissions.unwrap_or(usual.submissions),
            client_messages_per_round: self.client_messages_per_round,
            ..usual
        };
        Ok(ServerLimits {
            rounds,
            clients: self.clients,
            clients_per_address: self.clients_per_address,
            links_per_connection: self.links_per_connection,
            client_queue: self.client_queue,
            trusted: source.prefixes("limits.trusted", &self.trusted)?,
        })
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
