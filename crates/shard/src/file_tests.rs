use std::fs;

use antiphon_process::keyfile::{SecretKind, write_operator_list, write_secret};
use antiphon_wire::{Epoch, IdentityKey, NetworkFile, OperatorIndex, OperatorList, Signed};
use ed25519_dalek::SigningKey;
use tempfile::TempDir;

use super::*;

/// The documented sample.
const GOOD: &str = include_str!("../shard.sample.toml");

/// A directory with everything that a configuration names.
fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let operator = SigningKey::from_bytes(&[1; 32]);
    let network = format!(
        "[policy]\noperators_above_malicious = \"are trusted\"\n[[operator]]\nname = \"one\"\nkey = \"{}\"\n",
        IdentityKey::of(&operator).to_hex()
    );
    fs::write(directory.path().join("network.toml"), &network).unwrap();
    fs::create_dir(directory.path().join("keys")).unwrap();
    write_secret(&directory.path().join("keys/shard.key"), SecretKind::Identity, &[2; 32]).unwrap();
    let list = OperatorList {
        network: NetworkFile::parse(&network).unwrap().id(),
        operator: OperatorIndex(0),
        number: 1,
        first_epoch: Epoch(1),
        last_epoch: Epoch(1000),
        shards: vec![IdentityKey::of(&SigningKey::from_bytes(&[2; 32]))],
    };
    let list = Signed::new(list, &operator);
    write_operator_list(&directory.path().join("operator.list"), &list, &[]).unwrap();
    directory
}

fn read_text(directory: &TempDir, text: &str) -> Result<ConfigFile, ConfigError> {
    let path = directory.path().join("shard.toml");
    fs::write(&path, text.replace("COORDINATOR", &"ab".repeat(32))).unwrap();
    ConfigFile::read(&path)
}

#[test]
fn a_good_file_is_read_with_paths_relative_to_it() {
    let directory = directory();
    let config = read_text(&directory, GOOD).unwrap();
    let shard = config.shard;
    assert_eq!(shard.state.as_deref(), Some(directory.path().join("state.toml").as_path()));
    assert_eq!(shard.identity.to_bytes(), [2; 32]);
    let [coordinator] = &shard.coordinators[..] else { panic!("{:?}", shard.coordinators) };
    assert_eq!(coordinator.identity, IdentityKey([0xab; 32]));
    assert_eq!(shard.advertise_peers, []);
    assert_eq!(shard.limits, ServerLimits { client_queue: 32, ..ServerLimits::default() });
    let listen = "127.0.0.1:9100".parse().unwrap();
    assert_eq!(config.admin, Some(AdminSection { listen, show: None }));
}

#[test]
fn a_shard_can_be_advertised_by_name() {
    let directory = directory();
    let text = GOOD.replacen("192.0.2.1:4402", "shard-0.mix.svc:4402", 1);
    let shard = read_text(&directory, &text).unwrap().shard;
    assert_eq!(shard.advertise_clients, [Advertised::Name("shard-0.mix.svc:4402".to_owned())]);
}

#[test]
fn a_shard_has_up_to_four_addresses_in_the_order_in_which_they_are_tried() {
    let directory = directory();
    let with = |list: &str| read_text(&directory, &GOOD.replacen("\"192.0.2.1:4402\"", list, 1));
    let shard = with("[\"auto\", \"192.0.2.1:1\", \"mix.example:2\"]").unwrap().shard;
    let texts: Vec<_> = shard.advertise_clients.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["auto", "192.0.2.1:1", "mix.example:2"]);
    let five = format!("[{}]", "\"auto\",".repeat(5));
    for (list, says) in [("[]", "a list of 0"), (&five, "a list of 5"), ("[7]", "a list of texts")]
    {
        let error = with(list).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn addresses_of_both_kinds_and_of_a_file_beside_the_configuration_are_taken() {
    let directory = directory();
    let with = |list: &str| read_text(&directory, &GOOD.replacen("\"192.0.2.1:4402\"", list, 1));
    let shard = with("[\"10.0.0.7,fd00::7:4402\", \"file:mine.clients\"]").unwrap().shard;
    let texts: Vec<_> = shard.advertise_clients.iter().map(ToString::to_string).collect();
    let file = directory.path().join("mine.clients");
    assert_eq!(texts, ["10.0.0.7:4402", "[fd00::7]:4402", &format!("file:{}", file.display())]);
    let six = with("[\"10.0.0.1,10.0.0.2,10.0.0.3:1\", \"10.0.0.4,10.0.0.5,10.0.0.6:1\"]");
    let error = six.unwrap_err().to_string();
    assert!(error.contains("of 6 addresses"), "{error}");
}

#[test]
fn a_collector_of_traces_is_named_by_its_url_and_anything_else_is_refused_in_words() {
    let directory = directory();
    let with = |endpoint: &str| {
        read_text(&directory, &format!("{GOOD}\n[telemetry]\nendpoint = \"{endpoint}\"\n"))
    };
    assert!(with("http://127.0.0.1:4318").unwrap().telemetry.is_some());
    let error = with("https://collector.example").unwrap_err().to_string();
    assert!(error.contains("http://HOST:PORT") && error.contains("no TLS"), "{error}");
    assert_eq!(read_text(&directory, GOOD).unwrap().telemetry, None);
}

#[test]
fn a_shard_may_have_several_coordinators_with_a_key_each() {
    let directory = directory();
    let start = GOOD.find("[coordinator]").unwrap();
    let (before, section) = GOOD.split_at(start);
    let section = &section[..section[1..].find("\n[").map_or(section.len(), |at| at + 1)];
    let one = section.replacen("[coordinator]", "[[coordinator]]", 1);
    let other = one.replacen("COORDINATOR", &"cd".repeat(32), 1);
    let rest = &GOOD[start + section.len()..];
    let text = |second: &str| format!("{before}{one}\n{second}\n{rest}");
    let shard = read_text(&directory, &text(&other)).unwrap().shard;
    let identities: Vec<_> = shard.coordinators.iter().map(|c| c.identity).collect();
    assert_eq!(identities, [IdentityKey([0xab; 32]), IdentityKey([0xcd; 32])]);
    let error = read_text(&directory, &text(&one)).unwrap_err().to_string();
    assert!(error.contains("`coordinator.identity` is abab"), "{error}");
}

#[test]
fn a_wrong_file_is_answered_with_file_key_and_what_would_be_right() {
    let directory = directory();
    for (right, wrong, says) in [
        (
            "client_queue = 32",
            "client_queue = 0",
            "`limits.client_queue` is 0: it should be from 4",
        ),
        ("client_queue = 32", "client_kueue = 32", "unknown field `client_kueue`"),
        ("state = \"state.toml\"", "", "missing field `state`"),
        (
            "org:4400",
            "org",
            "`coordinator.address` is \"coordinator.example.org\": it should be a host",
        ),
        (
            "\"COORDINATOR\"",
            "\"abc\"",
            "`coordinator.identity` is \"abc\": it should be a public key",
        ),
        ("192.0.2.1:4402", "0.0.0.0:4402", "`advertise_clients` is 0.0.0.0:4402: it should be an"),
        (
            "192.0.2.1:4402",
            "shard.example",
            "`advertise_clients` is shard.example: it should be an",
        ),
        ("network.toml", "net.toml", "net.toml (`network`)"),
        ("keys/shard.key", "keys/other.key", "`identity` in "),
        ("operator.list", "network.toml", "`operator_list` in "),
        ("[limits]", "threads = 0\n[limits]", "unknown field `threads`"),
        ("listen_peers", "threads = 0\nlisten_peers", "`threads` is 0: it should be from 1"),
    ] {
        assert!(GOOD.contains(right), "{right}");
        let error = read_text(&directory, &GOOD.replacen(right, wrong, 1)).unwrap_err().to_string();
        assert!(error.contains(says), "{error}\n  should contain\n{says}");
        assert!(!error.contains(&"02".repeat(32)), "no key material");
    }
}
