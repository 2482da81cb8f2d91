use std::fs;

use crate::network::Network;
use crate::process::Process;

/// A command, the file to change, what to replace in it with what, and what the message has to say.
type Case = (&'static str, &'static str, [&'static str; 2], &'static [&'static str]);

const COORDINATOR: &str = "coordinator --config coordinator.toml";
const SHARD: &str = "shard --config alpha.toml";
const CLIENT: &str = "client --config first.toml";

/// Unknown keys, bad values, and files that are not there or hold something else.
const CASES: &[Case] = &[
    (
        COORDINATOR,
        "coordinator.toml",
        ["[epoch]", "[epoch]\ncolour = 3"],
        &["coordinator.toml", "colour", "interval_ms"],
    ),
    (
        COORDINATOR,
        "coordinator.toml",
        ["interval_ms = 200", "interval_ms = 20"],
        &["coordinator.toml", "epoch.interval_ms", "at least", "200"],
    ),
    (
        COORDINATOR,
        "coordinator.toml",
        ["127.0.0.1:", "localhost"],
        &["coordinator.toml", "listen_shards", "socket address"],
    ),
    (
        COORDINATOR,
        "coordinator.toml",
        ["network.toml", "nowhere.toml"],
        &["nowhere.toml", "is the path right"],
    ),
    (
        COORDINATOR,
        "coordinator.toml",
        ["coordinator.key", "friend.secret"],
        &["friend.secret", "identity", "conversation secret"],
    ),
    (
        COORDINATOR,
        "network.toml",
        ["malicious =", "malevolent ="],
        &["network.toml", "malevolent", "malicious"],
    ),
    (SHARD, "alpha.toml", ["threads", "treads"], &["alpha.toml", "treads", "threads"]),
    (
        SHARD,
        "alpha.toml",
        ["threads = 1", "threads = 0"],
        &["alpha.toml", "threads", "from 1 to 1024"],
    ),
    (
        SHARD,
        "alpha.toml",
        ["alpha.list", "nowhere.list"],
        &["nowhere.list", "operator_list", "alpha.toml"],
    ),
    (SHARD, "alpha.toml", ["alpha.key", "nowhere.key"], &["nowhere.key", "identity", "alpha.toml"]),
    (SHARD, "network.toml", ["epsilon = 2", "epsilon = -2"], &["network.toml", "epsilon"]),
    (CLIENT, "first.toml", ["inbox", "imbox"], &["first.toml", "imbox", "inbox"]),
    (
        CLIENT,
        "first.toml",
        ["first.in", "network.toml"],
        &["inbox", "network.toml", "a folder that this user may write in"],
    ),
    (CLIENT, "first.toml", ["\"first\"", "\"third\""], &["first.toml", "third", "second"]),
    (
        CLIENT,
        "first.toml",
        ["friend.secret", "alpha.key"],
        &["first.toml", "conversation.secret", "identity key"],
    ),
    (
        CLIENT,
        "first.toml",
        ["friend.secret", "nowhere.secret"],
        &["first.toml", "conversation.secret", "nowhere.secret"],
    ),
];

/// Runs the command and expects it to refuse, with exit code 2, saying `words`.
fn refused(network: &Network, arguments: &str, words: &[&str]) {
    let mut process = Process::start(network.folder(), "refused", arguments);
    assert_eq!(process.exit_code(), 2, "{arguments}");
    let said = process.log();
    for word in words {
        assert!(said.contains(word), "{arguments}: {word}: {said}");
    }
}

#[test]
fn errors_name_the_file_the_key_and_what_would_be_right() {
    let network = Network::new();
    for (arguments, file, [right, wrong], words) in CASES {
        let path = network.folder().join(file);
        let before = fs::read_to_string(&path).unwrap();
        assert!(before.contains(right), "{file} has {right}: {before}");
        fs::write(&path, before.replacen(right, wrong, 1)).unwrap();
        refused(&network, arguments, words);
        fs::write(&path, before).unwrap();
    }
}

#[test]
fn missing_files_and_folders_are_named() {
    let network = Network::new();
    network.write_file("a.bin", 10, 9);
    for command in ["coordinator", "shard", "client", "send a.bin", "receive", "status"] {
        refused(&network, &format!("{command} --config nowhere.toml"), &["nowhere.toml"]);
    }
    refused(&network, "send --config first.toml b.bin", &["b.bin", "No such file"]);
    refused(&network, "receive --config first.toml --into a/b", &["a/b", "No such file"]);
    refused(&network, "client --config first.toml --for 3", &["--for", "8h"]);
}
