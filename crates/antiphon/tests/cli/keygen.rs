use std::fs;
use std::path::Path;

use antiphon_process::keyfile;
use antiphon_wire::{Epoch, IdentityKey, NetworkFile, OperatorIndex, Suite};
use ed25519_dalek::SigningKey;

use crate::{done, refused, run};

/// Makes two operators, a network file and one shard in `here`; returns the shard's public key.
fn network(here: &Path) -> String {
    let [alpha, beta] = ["alpha", "beta"]
        .map(|name| done(here, &format!("keygen operator --out {name}.key")).trim().to_owned());
    done(
        here,
        &format!(
            "keygen network --operator alpha={alpha} --operator beta={beta}:2 --trust-heavy-operators \
             --out n.toml"
        ),
    );
    done(here, "keygen identity --out shard.key").trim().to_owned()
}

fn list(key: &str, shard: &str, out: &str) -> String {
    format!(
        "keygen operator-list --operator-key {key} --network n.toml --number 1 --first-epoch 1 \
         --last-epoch 9 --shard {shard} --out {out}"
    )
}

#[test]
fn the_printed_key_is_the_public_half_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    for kind in ["identity", "operator"] {
        let printed = done(here, &format!("keygen {kind} --out {kind}"));
        let key = keyfile::read_signing_key(&here.join(kind)).unwrap();
        assert_eq!(printed, IdentityKey::of(&key).to_hex() + "\n");
        assert!(done(here, &format!("keygen show {kind}")).contains(printed.trim()));
    }
    assert_ne!(fs::read(here.join("identity")).unwrap(), fs::read(here.join("operator")).unwrap());
}

#[test]
fn a_network_for_beats_has_rare_rounds_of_suite_2_unless_it_is_told_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let [alpha, beta] =
        ["alpha", "beta"].map(|name| done(here, &format!("keygen operator --out {name}.key")));
    let operators = format!("--operator alpha={} --operator beta={}", alpha.trim(), beta.trim());
    let policy = |options: &str| {
        let made = format!("{operators} --trust-heavy-operators {options}");
        done(here, &format!("keygen network {made} --out n.toml"));
        let file = NetworkFile::parse(&fs::read_to_string(here.join("n.toml")).unwrap()).unwrap();
        fs::remove_file(here.join("n.toml")).unwrap();
        (file.policy.suite, file.policy.least_round_interval_ms)
    };
    assert_eq!(policy(""), (Suite::Classic, 1000));
    assert_eq!(policy("--beats"), (Suite::Hybrid, 300_000));
    assert_eq!(policy("--beats --suite 1 --round-interval 60000"), (Suite::Classic, 60_000));
}

#[test]
fn secrets_are_not_printed_nor_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let made = run(here, "keygen conversation --out friend");
    let file = fs::read_to_string(here.join("friend")).unwrap();
    let secret = file.lines().last().unwrap();
    assert_eq!(secret.len(), 64);
    let shown = done(here, "keygen show friend");
    assert!(shown.contains("conversation"));
    for text in [&made.out, &made.err, &shown] {
        assert!(!text.contains(secret) && !text.contains(&secret[..16]));
    }
    refused(here, "keygen conversation --out friend", 2, "exists and is not overwritten");
    assert_eq!(fs::read_to_string(here.join("friend")).unwrap(), file);
    refused(here, "keygen identity --out missing/key", 1, "directory has to exist");
    refused(here, "keygen identity", 2, "--out");
}

#[cfg(unix)]
#[test]
fn secrets_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    for kind in ["identity", "operator", "conversation"] {
        done(directory.path(), &format!("keygen {kind} --out {kind}"));
        let path = directory.path().join(kind);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let shown = run(directory.path(), &format!("keygen show {kind}"));
        assert!(shown.err.contains("chmod 600"), "{}", shown.err);
    }
}

#[test]
fn a_network_from_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let shard = network(here);
    let file = NetworkFile::parse(&fs::read_to_string(here.join("n.toml")).unwrap()).unwrap();
    assert_eq!(file.total_weight(), 3);
    let shown = done(here, "keygen show n.toml");
    assert!(shown.contains("weight 2  beta") && shown.contains("every operator must be trusted"));
    // People compare the whole id, and values as they are hashed.
    let digits: String = shown.lines().next().unwrap().chars().filter(|c| *c != ' ').collect();
    let id: String = file.id().0.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digits, format!("network{id}"));
    assert!(shown.contains("epsilon 0.6931471805599453 at"), "{shown}");

    done(here, &list("beta.key", &shard, "beta.list"));
    let signed = keyfile::read_operator_list(&here.join("beta.list")).unwrap();
    let list = signed.verify(&file.operators[1].key).unwrap();
    assert_eq!((list.operator, list.last_epoch), (OperatorIndex(1), Epoch(9)));
    assert_eq!(list.network, file.id());
    assert_eq!(list.shards[0].to_hex(), shard);

    let shown = done(here, "keygen show beta.list --network n.toml");
    for words in ["operator 1 (beta)", "epochs 1 to 9", &shard, "signature valid"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(done(here, "keygen show beta.list").contains("not checked"));
}

#[test]
fn lists_that_would_be_refused_later_are_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let shard = network(here);
    refused(here, &list("shard.key", &shard, "x"), 2, "no operator's key");
    refused(here, &list("alpha.key", "abcd", "x"), 2, "64 hexadecimal digits");
    let twice = format!("{} --shard {shard}", list("alpha.key", &shard, "x"));
    refused(here, &twice, 2, "on the list twice");
    let backwards = list("alpha.key", &shard, "x").replace("--last-epoch 9", "--last-epoch 0");
    refused(here, &backwards, 2, "comes before");
    done(here, "keygen conversation --out friend");
    refused(here, &list("friend", &shard, "x"), 2, "holds a conversation secret");
    assert!(!here.join("x").exists());

    done(here, &list("alpha.key", &shard, "alpha.list"));
    let text = fs::read_to_string(here.join("n.toml")).unwrap();
    fs::write(here.join("other.toml"), text.replace("\"beta\"", "\"gamma\"")).unwrap();
    refused(here, "keygen show alpha.list --network other.toml", 2, "another network file");
}

#[test]
fn a_list_with_other_shards_comes_with_an_end_of_the_one_before() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let shard = network(here);
    done(here, &list("alpha.key", &shard, "alpha.list"));
    let other = done(here, "keygen identity --out other.key");
    let after = |rest: &str, out: &str| {
        format!(
            "keygen operator-list --operator-key alpha.key --network n.toml --after alpha.list --first-epoch 5 \
             {rest} --out {out}"
        )
    };
    let made = |name: &str| {
        let signed = keyfile::read_operator_list(&here.join(name)).unwrap();
        let list = signed.claimed().clone();
        (list.number, list.first_epoch.0, list.last_epoch.0, list.shards.len())
    };
    let said = done(here, &after(&format!("--add {}", other.trim()), "2.list"));
    assert_eq!(made("2.list.end"), (2, 5, 9, 0));
    assert_eq!(made("2.list"), (3, 5, 9, 2));
    assert!(said.is_empty(), "it is for people, on standard error: {said}");
    assert!(done(here, "keygen show 2.list.end").contains("it ends the list before it"));

    done(here, &after("--last-epoch 99", "same.list"));
    assert_eq!(made("same.list"), (2, 5, 99, 1));
    assert!(!here.join("same.list.end").exists());

    refused(here, &after(&format!("--remove {shard}"), "x"), 2, "would have no shard");
    refused(here, &after(&format!("--remove {}", other.trim()), "x"), 2, "not on the list before");
    refused(here, &after(&format!("--add {shard}"), "x"), 2, "on the list twice");
    let early = after("", "x").replace("--first-epoch 5", "--first-epoch 0");
    refused(here, &early, 2, "before epoch 1, with which list 1 begins");
    let others = after("", "x").replace("alpha.key", "beta.key");
    refused(here, &others, 2, "another operator's");
    assert!(!here.join("x").exists() && !here.join("x.end").exists());
}

#[test]
fn network_files_are_checked_before_they_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let [key, other, third] =
        [1, 2, 3].map(|i| IdentityKey::of(&SigningKey::from_bytes(&[i; 32])).to_hex());
    for (arguments, words) in [
        (format!("--operator a={key} --operator a={other}"), "operator.name"),
        (format!("--operator a={key} --operator b={key}"), "operator.key"),
        ("--operator a=12".to_owned(), "64 hexadecimal digits"),
        (format!("--operator a={key}:0"), "weight"),
        (format!("--operator a={key} --operator b={}", "00".repeat(32)), "operator.key"),
        (format!("--operator a={key} --operator \u{202e}b={other}"), "direction characters"),
        (
            format!("--operator a={key} --operator b={other} --operator c={third}"),
            "must be trusted",
        ),
        (format!("--operator a={key} --trust-heavy-operators"), "both ends of every path"),
        (format!("--operator a={key} --malicious 0.7"), "below 0.5"),
        (String::new(), "--operator"),
    ] {
        refused(here, &format!("keygen network {arguments} --out n.toml"), 2, words);
    }
    let few = format!("--operator a={key} --operator b={other} --trust-heavy-operators");
    let hopeless = format!("keygen network {few} --epsilon 1e-9 --out n.toml");
    refused(here, &hopeless, 1, "Possible instead");
    assert!(!here.join("n.toml").exists());
    fs::write(here.join("poem"), "no key at all").unwrap();
    refused(here, "keygen show poem", 2, "poem is no secret");
    refused(here, "keygen show nowhere", 2, "cannot read nowhere");
    refused(here, "keygen show .", 2, "cannot read .");
}

#[test]
fn long_lists_are_shown_too() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    network(here);
    let shards: Vec<String> = (0..300).map(|i| format!("{i:064x}")).collect();
    done(here, &list("alpha.key", &shards.join(" --shard "), "alpha.list"));
    let shown = done(here, "keygen show alpha.list --network n.toml");
    assert!(shown.contains("300 shards") && shown.contains(&shards[299]), "{shown}");
}

#[test]
fn what_is_printed_of_several_coordinators_is_what_configurations_take() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let shard = network(here);
    done(here, &list("alpha.key", &shard, "alpha.list"));
    let [one, two] =
        ["one", "two"].map(|name| done(here, &format!("keygen identity --out {name}")));
    let (one, two) = (one.trim(), two.trim());
    let printed = done(
        here,
        &format!(
            "keygen coordinators --coordinator one.example.org={one} --coordinator [::1]={two}"
        ),
    );
    let mut parts = printed.split("\n# ");
    let coordinator = parts.next().unwrap();
    let [shards, clients] =
        [parts.next().unwrap(), parts.next().unwrap()].map(|part| part.split_once('\n').unwrap().1);
    assert!(shards.contains("[::1]:7000") && clients.contains("[::1]:7001"));
    let write = |name: &str, text: String| fs::write(here.join(name), text).unwrap();
    write(
        "coordinator.toml",
        format!(
            "listen_shards = \"127.0.0.1:7000\"\nlisten_clients = \"127.0.0.1:7001\"\nidentity = \"one\"\n\
             network = \"n.toml\"\nstate = \"c\"\n{coordinator}"
        ),
    );
    write(
        "shard.toml",
        format!(
            "listen_peers = \"127.0.0.1:7100\"\nlisten_clients = \"127.0.0.1:7101\"\nidentity = \"shard.key\"\n\
             network = \"n.toml\"\noperator_list = \"alpha.list\"\nstate = \"s\"\n{shards}"
        ),
    );
    write("client.toml", format!("network = \"n.toml\"\nstate = \"x\"\n{clients}"));
    done(here, "check coordinator.toml shard.toml client.toml");
    let twice = format!("keygen coordinators --coordinator a={one} --coordinator b={one}");
    refused(here, &twice, 2, "two coordinators have one public key");
}
