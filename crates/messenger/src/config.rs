//! The file that `antiphon serve --config FILE` reads.

use std::path::{Path, PathBuf};

use antiphon_client::{ClientConfig, Coordinator, Gateway};
pub use antiphon_process::config_file::ConfigError;
use antiphon_process::config_file::{ConfigSource, Several};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    network: PathBuf,
    coordinator: Several<RawCoordinator>,
    gateway: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCoordinator {
    address: String,
    identity: String,
}

/// Reads a configuration file and the network file that it names; a relative path starts at its folder.
///
/// # Errors
/// Names the file, the key and what would be right.
pub fn load(file: &Path) -> Result<ClientConfig, ConfigError> {
    let (raw, source) = ConfigSource::read::<Raw>(file)?;
    let network = source.network("network", &raw.network)?;
    let coordinators = raw.coordinator.0.into_iter().map(|RawCoordinator { address, identity }| {
        source.check_host_and_port("coordinator.address", &address)?;
        let identity = source.public_key("coordinator.identity", &identity)?;
        Ok(Coordinator { address, identity })
    });
    let coordinators = coordinators.collect::<Result<_, ConfigError>>()?;
    let mut config = ClientConfig::new(network, coordinators);
    if let Some(gateway) = &raw.gateway {
        config.gateway = Gateway::Shard(source.public_key("gateway", gateway)?);
    }
    Ok(config)
}
