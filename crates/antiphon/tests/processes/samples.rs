//! The configurations that the documentation shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use antiphon_coordinator::{self as coordinator, CoordinatorConfig};
use antiphon_shard::{ConfigFile, ServerLimits};
use antiphon_wire::{NetworkFile, Policy};
use tempfile::TempDir;

use crate::done;

const SAMPLES: [&str; 5] =
    ["network.toml", "coordinator.toml", "shard.toml", "client.toml", "antiphon.toml"];

fn sample(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/samples");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// A folder with all samples and the files that they name. With `options`, what is behind a single
/// `#` counts too. The operator list is of the network file with a key in the place of the first.
fn folder_of(options: bool) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for name in SAMPLES {
        let text = sample(name);
        let text = if options { uncommented(&text) } else { text };
        fs::write(here.join(name), text).unwrap();
    }
    let operator = done(here, "keygen operator --out alpha.key");
    let shard = done(here, "keygen identity --out shard.key");
    done(here, "keygen identity --out coordinator.key");
    done(here, "keygen conversation --out friend.secret");
    let network = sample("network.toml").replacen(&"01".repeat(32), operator.trim(), 1);
    fs::write(here.join("network.toml"), network).unwrap();
    done(
        here,
        &format!(
            "keygen operator-list --operator-key alpha.key --network network.toml --number 1 \
             --first-epoch 1 --last-epoch 9 --shard {} --out alpha.list",
            shard.trim()
        ),
    );
    folder
}

/// The text with what is commented out, but is no prose: lines such as `# key = value`, `# [table]`.
fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if toml::from_str::<toml::Table>(rest).is_ok() => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

fn file(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

#[test]
fn the_network_sample_is_the_default_policy() {
    let network = NetworkFile::parse(&sample("network.toml")).unwrap();
    assert_eq!(network.policy, Policy::default());
    assert_eq!(network.operators.len(), 5);
}

#[test]
fn the_coordinator_sample_shows_the_defaults() {
    let folder = folder_of(false);
    let config = coordinator::ConfigFile::read(&file(&folder, "coordinator.toml")).unwrap();
    assert_eq!(config.coordinator.coordinator, CoordinatorConfig::default());
    assert_eq!(config.admin, None);
    let folder = folder_of(true);
    let config = coordinator::ConfigFile::read(&file(&folder, "coordinator.toml")).unwrap();
    assert!(config.admin.is_some() && config.telemetry.is_some());
}

#[test]
fn the_shard_sample_shows_the_defaults_and_its_options_exist() {
    let folder = folder_of(false);
    let config = ConfigFile::read(&file(&folder, "shard.toml")).unwrap();
    assert_eq!(config.shard.limits, ServerLimits::default());
    assert_eq!((config.shard.threads, config.admin), (None, None));
    let folder = folder_of(true);
    let config = ConfigFile::read(&file(&folder, "shard.toml")).unwrap();
    assert!(config.shard.threads.is_some() && config.admin.is_some());
}

#[test]
fn the_client_sample_is_read_and_its_options_exist() {
    use antiphon_client::{Gateway, Role, config};

    let folder = folder_of(false);
    let config = config::load(&file(&folder, "client.toml")).unwrap();
    assert_eq!(config.client.gateway, Gateway::Auto);
    assert_eq!(config.conversation.unwrap().role, Role::First);
    let folder = folder_of(true);
    let config = config::load(&file(&folder, "client.toml")).unwrap();
    assert!(matches!(config.client.gateway, Gateway::Shard(_)));
    assert!(config.inbox.is_some() && config.socket.ends_with("client.socket"));
}

#[test]
fn the_daemon_sample_is_read_and_its_options_exist() {
    use antiphon_client::Gateway;
    use antiphon_messenger::config;

    let folder = folder_of(false);
    assert_eq!(config::load(&file(&folder, "antiphon.toml")).unwrap().gateway, Gateway::Auto);
    let folder = folder_of(true);
    let config = config::load(&file(&folder, "antiphon.toml")).unwrap();
    assert!(matches!(config.gateway, Gateway::Shard(_)));
}

#[test]
fn check_takes_the_samples_and_names_what_is_wrong() {
    let folder = folder_of(false);
    let here = folder.path();
    let files = SAMPLES.join(" ");
    assert_eq!(
        done(here, &format!("check {files}")).matches(", in order\n").count(),
        SAMPLES.len()
    );
    let shard = fs::read_to_string(here.join("shard.toml")).unwrap();
    let both: &[_] = &["check other.toml", "shard --config other.toml"];
    // A shard that no list names yet runs and waits for one that does.
    let check: &[_] = &["check other.toml"];
    for (right, wrong, says, commands) in [
        ("listen_peers", "listen_pears", ["other.toml", "listen_pears"], both),
        ("shard.key", "coordinator.key", ["other.toml", "not on its operator's list"], check),
        ("advertise_peers = \"192", "# \"192", ["other.toml", "advertise_peers"], both),
    ] {
        fs::write(here.join("other.toml"), shard.replacen(right, wrong, 1)).unwrap();
        for command in commands {
            let output = Command::new(env!("CARGO_BIN_EXE_antiphon"))
                .current_dir(here)
                .args(command.split(' '))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command}: {said}");
            assert!(says.iter().all(|word| said.contains(word)), "{command}: {said}");
        }
    }
    assert!(!here.join("shard.state").exists(), "a refused start leaves nothing");
}
