//! The coordinator's configuration file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use antiphon_coordinator_core::CoordinatorConfig;
pub use antiphon_process::config_file::ConfigError;
use antiphon_process::config_file::{AdminSection, ConfigSource};
use antiphon_process::telemetry::TelemetrySection;
use antiphon_transport::{Identity, Prefix};
use antiphon_wire::{Geometry, MOST_ROUNDS_IN_FLIGHT, NetworkFile, Policy, Suite};
use serde::Deserialize;

/// Settings of a coordinator's process.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Address at which shards connect, UDP.
    pub listen_shards: SocketAddr,
    /// Address at which clients connect, UDP.
    pub listen_clients: SocketAddr,
    /// The coordinator's key, which shards and clients know it by.
    pub identity: Identity,
    /// The network file that its shards and clients have too.
    pub network: NetworkFile,
    /// The file in which the state is kept. Made when it is missing; its folder has to be there.
    pub state: PathBuf,
    /// Addresses from which any number of links may come.
    pub trusted: Vec<Prefix>,
    /// Settings of epochs and rounds.
    pub coordinator: CoordinatorConfig,
}

/// A configuration file, read. Paths are already relative to where the program runs.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// Everything for [`CoordinatorServer::start`](crate::CoordinatorServer::start).
    pub coordinator: ServerConfig,
    /// Addresses at which to answer those who look after the process, and others.
    pub admin: Option<AdminSection>,
    /// The collector that is told of rounds.
    pub telemetry: Option<TelemetrySection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    listen_shards: SocketAddr,
    listen_clients: SocketAddr,
    identity: PathBuf,
    network: PathBuf,
    state: PathBuf,
    #[serde(default = "one")]
    replicas: u16,
    admin: Option<AdminSection>,
    telemetry: Option<TelemetrySection>,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    epoch: RawEpoch,
    #[serde(default)]
    deadlines: RawDeadlines,
    #[serde(default)]
    beats: RawBeats,
}

/// The most coordinators of a network.
const MOST_REPLICAS: u16 = 16;

const fn one() -> u16 {
    1
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLimits {
    trusted: Vec<String>,
}

/// Declares a table of the file: each key, its type, and the setting that it is.
macro_rules! table {
    ($table:ident { $($key:ident: $type:ty = $setting:ident,)* }) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct $table {
            $($key: $type,)*
        }

        impl Default for $table {
            fn default() -> Self {
                let usual = CoordinatorConfig::default();
                Self { $($key: usual.$setting,)* }
            }
        }

        impl $table {
            fn apply(&self, config: &mut CoordinatorConfig) {
                $(config.$setting = self.$key;)*
            }
        }
    };
}

table!(RawEpoch {
    rounds: u32 = epoch_rounds,
    interval_ms: u32 = interval_ms,
    rounds_in_flight: u8 = rounds_in_flight,
    prepare_ahead_rounds: u32 = prepare_ahead_rounds,
    body: u16 = body,
    pairs_per_client: u8 = pairs_per_client,
    filter_bits: u8 = filter_bits,
    least_shards: u16 = least_shards,
});

table!(RawDeadlines {
    submit_ms: u32 = submit_ms,
    layer_ms: u32 = layer_ms,
    verify_ms: u32 = verify_ms,
    reply_ms: u32 = reply_ms,
    contribute_ms: u32 = contribute_ms,
    endorse_ms: u32 = endorse_ms,
    ready_ms: u32 = ready_ms,
    gather_ms: u32 = gather_ms,
    retry_ms: u32 = retry_ms,
    hand_over_ms: u32 = hand_over_ms,
});

table!(RawBeats {
    per_round: u16 = beats,
    interval_ms: u32 = beat_ms,
    layer_ms: u32 = beat_layer_ms,
    cell_bytes: u16 = cell_bytes,
    first_ms: u32 = first_beat_ms,
});

impl ConfigFile {
    /// Reads a configuration file and the files that it names; relative paths start at its folder.
    ///
    /// # Errors
    /// Names the file, the key and what would be right.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let (raw, source) = ConfigSource::read::<Raw>(file)?;
        let network = source.network("network", &raw.network)?;
        let (admin, telemetry) = (raw.admin, raw.telemetry.clone());
        let coordinator = ServerConfig {
            listen_shards: raw.listen_shards,
            listen_clients: raw.listen_clients,
            identity: Identity::new(source.signing_key("identity", &raw.identity)?),
            coordinator: coordinator(&source, &raw, &network)?,
            network,
            trusted: source.prefixes("limits.trusted", &raw.limits.trusted)?,
            state: source.beside(&raw.state),
        };
        Ok(Self { coordinator, admin, telemetry })
    }
}

fn coordinator(
    source: &ConfigSource,
    raw: &Raw,
    network: &NetworkFile,
) -> Result<CoordinatorConfig, ConfigError> {
    let policy = &network.policy;
    raw.epoch.check_length(source, policy)?;
    raw.epoch.check_onions(source, policy)?;
    raw.deadlines.check(source, policy)?;
    if !(1..=MOST_REPLICAS).contains(&raw.replicas) {
        let expected = format!(
            "the number of coordinators that the shards' configurations name, from 1 to {MOST_REPLICAS}"
        );
        return Err(source.wrong("replicas", raw.replicas, expected));
    }
    let mut config = CoordinatorConfig::default();
    raw.epoch.apply(&mut config);
    raw.deadlines.apply(&mut config);
    raw.beats.apply(&mut config);
    config.replicas = raw.replicas;
    check_longest_round(source, &config, policy)?;
    check_beats(source, &config, network)?;
    check_room(source, &config, network)?;
    Ok(config)
}

impl RawEpoch {
    /// Checks that the rounds of an epoch are as many and as far apart as the network file allows.
    fn check_length(&self, source: &ConfigSource, policy: &Policy) -> Result<(), ConfigError> {
        let wrong = |key, found: u32, expected: String| Err(source.wrong(key, found, expected));
        if !(1..=65_536).contains(&self.rounds) {
            return wrong("epoch.rounds", self.rounds, "from 1 to 65536".to_owned());
        }
        if self.prepare_ahead_rounds >= self.rounds {
            let expected = format!("below `epoch.rounds`, {}", self.rounds);
            return wrong("epoch.prepare_ahead_rounds", self.prepare_ahead_rounds, expected);
        }
        let least = policy.least_round_interval_ms.max(1);
        if self.interval_ms < least {
            let expected = format!("at least the network file's {least}");
            return wrong("epoch.interval_ms", self.interval_ms, expected);
        }
        if !(1..=MOST_ROUNDS_IN_FLIGHT).contains(&usize::from(self.rounds_in_flight)) {
            let expected = format!("from 1 to {MOST_ROUNDS_IN_FLIGHT}");
            return wrong("epoch.rounds_in_flight", self.rounds_in_flight.into(), expected);
        }
        let longest_rounds = u64::from(policy.longest_epoch_s) * 1000 / u64::from(self.interval_ms);
        if u64::from(self.rounds) > longest_rounds {
            let expected = format!(
                "at most {longest_rounds} with `epoch.interval_ms` = {}, since the network file's \
                 `policy.longest_epoch_s` is {}",
                self.interval_ms, policy.longest_epoch_s
            );
            return wrong("epoch.rounds", self.rounds, expected);
        }
        Ok(())
    }

    /// Checks that onions can be so long, so many and so well filtered.
    fn check_onions(&self, source: &ConfigSource, policy: &Policy) -> Result<(), ConfigError> {
        let wrong = |key, found: u32, expected: String| Err(source.wrong(key, found, expected));
        if let Err(error) = Geometry::new(policy.least_mixing_hops + 1, self.body) {
            let expected = format!("a length that onions can have ({error})");
            return wrong("epoch.body", self.body.into(), expected);
        }
        if !(1..=policy.most_pairs).contains(&self.pairs_per_client) {
            let expected = match policy.most_pairs {
                1 => "1, as the network file's `policy.most_pairs`".to_owned(),
                most => format!("from 1 to the network file's `policy.most_pairs`, {most}"),
            };
            return wrong("epoch.pairs_per_client", self.pairs_per_client.into(), expected);
        }
        if !(20..=32).contains(&self.filter_bits) {
            let expected = "from 20 to 32".to_owned();
            return wrong("epoch.filter_bits", self.filter_bits.into(), expected);
        }
        Ok(())
    }
}

impl RawDeadlines {
    /// Checks that no deadline is 0, and that those of a round are no longer than the network file allows.
    fn check(&self, source: &ConfigSource, policy: &Policy) -> Result<(), ConfigError> {
        let of_rounds = [
            ("deadlines.submit_ms", self.submit_ms),
            ("deadlines.layer_ms", self.layer_ms),
            ("deadlines.verify_ms", self.verify_ms),
            ("deadlines.reply_ms", self.reply_ms),
        ];
        let of_epochs = [
            ("deadlines.contribute_ms", self.contribute_ms),
            ("deadlines.endorse_ms", self.endorse_ms),
            ("deadlines.retry_ms", self.retry_ms),
        ];
        let mut all = of_rounds.iter().chain(&of_epochs);
        if let Some(&(key, _)) = all.find(|(_, ms)| *ms == 0) {
            return Err(source.wrong(key, 0, "at least 1 millisecond"));
        }
        let longest = policy.longest_deadline_ms;
        if let Some(&(key, ms)) = of_rounds.iter().find(|(_, ms)| *ms > longest) {
            let expected =
                format!("at most the network file's `policy.longest_deadline_ms`, {longest}");
            return Err(source.wrong(key, ms, expected));
        }
        Ok(())
    }
}

/// Checks that an epoch outlasts its longest round.
fn check_longest_round(
    source: &ConfigSource,
    config: &CoordinatorConfig,
    policy: &Policy,
) -> Result<(), ConfigError> {
    // With more malicious weight, or operators absent, there are more layers than this.
    let longest_ms = config.longest_round_ms(policy.least_mixing_hops.saturating_add(1));
    let epoch_ms = u64::from(config.epoch_rounds) * u64::from(config.interval_ms);
    if epoch_ms < longest_ms {
        let expected = format!(
            "at least {}, so that an epoch outlasts its longest round, which the deadlines allow {} s",
            longest_ms.div_ceil(config.interval_ms.into()),
            longest_ms.div_ceil(1000)
        );
        return Err(source.wrong("epoch.rounds", config.epoch_rounds, expected));
    }
    Ok(())
}

/// Checks that shards would take beats as they are configured.
fn check_beats(
    source: &ConfigSource,
    config: &CoordinatorConfig,
    network: &NetworkFile,
) -> Result<(), ConfigError> {
    // With more malicious weight, or operators absent, there are more layers than this.
    let layers = network.policy.least_mixing_hops.saturating_add(1);
    if let Err(error) = config.check_beats(network, layers) {
        let expected = format!("0, or beats that shards take ({error})");
        return Err(source.wrong("beats.per_round", config.beats, expected));
    }
    if config.beats > 0 && config.first_beat_ms < config.submit_ms {
        let expected = format!("at least `deadlines.submit_ms`, {}", config.submit_ms);
        return Err(source.wrong("beats.first_ms", config.first_beat_ms, expected));
    }
    if config.beats > 0 && network.policy.suite == Suite::Classic {
        tracing::warn!(
            "onions are of suite 1: whoever records rounds now and has a quantum computer one day learns who talked \
             to whom. Rounds with beats are rare enough for suite 2, which `keygen network --beats` writes"
        );
    }
    Ok(())
}

/// Checks that an epoch can be formed of what the operators have at least, a shard each.
fn check_room(
    source: &ConfigSource,
    config: &CoordinatorConfig,
    network: &NetworkFile,
) -> Result<(), ConfigError> {
    let operators = network.operators.len() as u64;
    let layers = network.policy.least_mixing_hops.saturating_add(1);
    if let Err(error) = config.can_form(network, operators, layers) {
        let expected = format!("more, or shorter deadlines, as its {error}");
        return Err(source.wrong("epoch.interval_ms", config.interval_ms, expected));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "listen_shards = \"127.0.0.1:7000\"\nlisten_clients = \"127.0.0.1:7001\"\n\
        identity = \"key\"\nnetwork = \"network.toml\"\nstate = \"state.json\"\n";

    fn load(rest: &str) -> Result<ServerConfig, ConfigError> {
        load_for(1, rest)
    }

    /// With a network of so many operators.
    fn load_for(operators: u16, rest: &str) -> Result<ServerConfig, ConfigError> {
        load_with("", operators, rest)
    }

    fn load_with(policy: &str, operators: u16, rest: &str) -> Result<ServerConfig, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("key", &format!("{}\n", "07".repeat(32)));
        let policy = format!("[policy]\noperators_above_malicious = \"are trusted\"\n{policy}");
        let operators = (0..operators).map(|at| {
            let mut seed = [1; 32];
            seed[..2].copy_from_slice(&at.to_be_bytes());
            let key = Identity::from_seed(&seed).public();
            format!("[[operator]]\nname = \"{at}\"\nkey = \"{key}\"\n")
        });
        write("network.toml", &format!("{policy}{}", operators.collect::<String>()));
        write("coordinator.toml", &format!("{HEAD}{rest}"));
        let file = ConfigFile::read(&folder.path().join("coordinator.toml"))?;
        Ok(file.coordinator)
    }

    #[test]
    fn all_but_the_addresses_and_files_has_a_default() {
        let config = load("").unwrap();
        assert_eq!(config.coordinator, CoordinatorConfig::default());
        assert_eq!(config.identity.public(), Identity::from_seed(&[7; 32]).public());
        assert!(config.state.ends_with("state.json") && config.state.is_absolute());
    }

    #[test]
    fn deadlines_that_outlast_all_rounds_whose_keys_shards_check_are_refused() {
        let epoch = "[epoch]\nrounds = 2000\ninterval_ms = 1000\n";
        let slow = format!("{epoch}[deadlines]\nlayer_ms = 40000\nreply_ms = 40000\n");
        let load = |shards| load_with("longest_deadline_ms = 60000\n", shards, &slow);
        load(600).unwrap();
        let error = load(1000).unwrap_err().to_string();
        for word in ["coordinator.toml", "epoch.interval_ms", "1000 shards cannot form an epoch"] {
            assert!(error.contains(word), "{error}");
        }
        assert!(load_for(1000, "").is_ok());
    }

    #[test]
    fn errors_name_the_file_the_key_and_what_would_be_right() {
        let said = |rest: &str| load(rest).unwrap_err().to_string();
        for (rest, words) in [
            ("replicas = 0\n", ["coordinator.toml", "replicas", "from 1 to 16"]),
            ("[epoch]\nrounds = 0\n", ["coordinator.toml", "epoch.rounds", "65536"]),
            ("[epoch]\ninterval_ms = 10\n", ["coordinator.toml", "epoch.interval_ms", "1000"]),
            (
                "[epoch]\nrounds_in_flight = 9\n",
                ["coordinator.toml", "epoch.rounds_in_flight", "from 1 to 8"],
            ),
            (
                "[epoch]\npairs_per_client = 2\n",
                ["coordinator.toml", "pairs_per_client", "most_pairs"],
            ),
            ("[epoch]\nrounds = 4321\n", ["coordinator.toml", "at most 4320", "longest_epoch_s"]),
            (
                "[epoch]\ninterval_ms = 4000000000\n",
                ["epoch.rounds", "at most 0", "longest_epoch_s"],
            ),
            (
                "[deadlines]\nreply_ms = 30001\n",
                ["coordinator.toml", "reply_ms", "longest_deadline_ms"],
            ),
            (
                "[epoch]\nrounds = 10\nprepare_ahead_rounds = 4\n",
                ["coordinator.toml", "epoch.rounds", "longest round"],
            ),
            ("[beats]\nper_round = 2\n", ["beats.per_round", "two intervals", "0, or"]),
            ("[beats]\nper_round = 3\ncell_bytes = 100\n", ["beats.", "size of a cell", "0, or"]),
            ("[beats]\nper_round = 3\nfirst_ms = 1000\n", ["beats.first_ms", "submit_ms", "1500"]),
            ("[epoch]\nbody = 100\n", ["coordinator.toml", "epoch.body", "16384"]),
            (
                "[deadlines]\nlayer_ms = 0\n",
                ["coordinator.toml", "deadlines.layer_ms", "at least 1"],
            ),
            (
                "[limits]\ntrusted = [\"1.2.3.4/40\"]\n",
                ["limits.trusted", "1.2.3.4/40", "192.0.2.0/24"],
            ),
            ("colour = 3\n", ["coordinator.toml", "colour", "listen_shards"]),
        ] {
            let said = said(rest);
            assert!(words.iter().all(|word| said.contains(word)), "{said}");
        }
    }
}
