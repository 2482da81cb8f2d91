//! Two people who meet by both codes, each with a shell, as the book walks through it.

use std::path::Path;
use std::process::Command;

use crate::network::Network;
use crate::process::Process;

/// The commands of the book's page, one by one, with the words that a person puts in.
fn walk_through() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/messenger.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, from) = page.split_once("## From nothing to a delivered message").unwrap();
    let (section, _) = from.split_once("\n## ").unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let lines = blocks.flat_map(str::lines).map(|line| line.split('#').next().unwrap().trim());
    lines.map(str::to_owned).collect()
}

/// A command in somebody's shell.
fn shell(network: &Network, who: &str, command: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(network.folder())
        .env("ANTIPHON_PROFILE", who)
        .env("PATH", path())
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{who}: {command}: {err}");
    String::from_utf8(output.stdout).unwrap()
}

/// A command that fails, and says these words.
fn refused(network: &Network, who: &str, command: &str, words: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .args(command.split(' '))
        .args(["--profile", who])
        .current_dir(network.folder())
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{command:.40}: {err}");
    assert!(err.contains(words), "{command:.40}: {err}");
}

fn path() -> String {
    let own = Path::new(env!("CARGO_BIN_EXE_antiphon")).parent().unwrap().display();
    format!("{own}:{}", std::env::var("PATH").unwrap())
}

#[test]
fn a_newcomer_gets_from_nothing_to_a_delivered_message_as_the_book_says() {
    let network = Network::new();
    let _coordinator = network.start_coordinator("coordinator");
    let _shards = network.start_shards();
    network.write_daemon();
    let commands = walk_through();
    assert_eq!(commands.len(), 7, "{commands:?}");
    for who in ["alice", "bob"] {
        network.write_passphrase(who, "five words that nobody guesses");
    }
    let serve = |who: &str, command: &str| {
        let arguments = command.strip_prefix("antiphon ").unwrap();
        let arguments = format!("{arguments} --profile {who} --passphrase-file {who}.pass");
        let mut daemon = Process::start(network.folder(), who, &arguments);
        daemon.wait_for_words("it stays whatever its user does");
        daemon
    };
    let mut alice = serve("alice", &commands[0]);
    let mut bob = serve("bob", &commands[1]);
    let code = shell(&network, "alice", &commands[2]);
    let added = shell(&network, "bob", &commands[3].replace("antiphon1q...", code.trim()));
    let given = added.lines().find(|line| line.starts_with("antiphon1")).unwrap();
    shell(&network, "alice", &commands[4].replace("antiphon1p...", given));
    let queued = shell(&network, "alice", &commands[5]);
    assert!(queued.starts_with("queued  "), "{queued}");
    let follow = commands[6].strip_prefix("antiphon ").unwrap();
    let mut received =
        Process::start(network.folder(), "received", &format!("{follow} --profile bob"));
    received.wait_for_words("alice: hello\n");
    received.kill();

    // Bob answers and waits until it is in Alice's store.
    let said =
        shell(&network, "bob", "echo 'hello, too' | antiphon send alice --wait --timeout 60s");
    assert!(said.starts_with("delivered  "), "{said}");
    assert_eq!(shell(&network, "alice", "antiphon receive"), "bob: hello, too\n");
    assert_eq!(shell(&network, "alice", "antiphon receive"), "", "each is printed once");
    let lines = shell(&network, "alice", "antiphon receive --after 0 --json");
    let line: serde_json::Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!((&line["from"], &line["text"]), (&"bob".into(), &"hello, too".into()));

    // The digits are the same at both ends, and taken as they are shown.
    let number = shell(&network, "alice", "antiphon contact verify bob --json");
    let number: serde_json::Value = serde_json::from_str(&number).unwrap();
    let digits = number["safety_number"].as_str().unwrap();
    let verified = shell(&network, "bob", &format!("antiphon contact verify alice {digits}"));
    assert_eq!(verified, "alice is verified\n");
    assert_eq!(
        shell(&network, "bob", "antiphon contact list"),
        "alice  verified, in conversation\n"
    );
    let status = shell(&network, "alice", "antiphon status");
    assert!(
        status.contains("linked to a gateway") && status.contains("bob: in conversation"),
        "{status}"
    );

    let tested = shell(&network, "alice", "antiphon status --test 2");
    assert!(tested.contains("2 of 2 rounds came back after "), "{tested}");
    assert!(tested.contains("onions were lost"), "{tested}");
    assert!(status.contains("\ntoday ") && status.contains("\nclock "), "{status}");

    // What cannot be done is said in words.
    let own = format!("contact add me {}", code.trim());
    refused(&network, "alice", &own, "your own contact code");
    let mut wrong = code.trim().to_owned();
    wrong.replace_range(40..41, if &code[40..41] == "q" { "p" } else { "q" });
    refused(&network, "bob", &format!("contact add carol {wrong}"), "character 41");
    refused(&network, "bob", "send carol hello", "there is no contact \"carol\"");
    let long = format!("send alice {}", "a".repeat(65_537));
    refused(&network, "bob", &long, "at most 65536 bytes");

    // Whoever has the profile is named, and a daemon that left leaves nothing to be asked.
    let second = "serve --profile alice --passphrase-file alice.pass --config antiphon.toml";
    let mut second = Process::start(network.folder(), "second", second);
    second.wait_for_words("is in use by process");
    assert_eq!(second.exit_code(), 1);
    for daemon in [&mut alice, &mut bob] {
        assert_eq!(daemon.terminate().0, 0);
    }
    let mut asked = Process::start(network.folder(), "asked", "contact list --profile alice");
    asked.wait_for_words("no daemon runs on the profile alice");
    assert_eq!(asked.exit_code(), 1);
}

/// A daemon of somebody that serves, on a disk with so much room for each file.
fn serving(network: &Network, who: &str, room_kib: Option<u64>, options: &str) -> Process {
    let arguments = format!(
        "serve {options} --profile {who} --passphrase-file {who}.pass --config antiphon.toml"
    );
    let mut daemon = match room_kib {
        Some(kib) => Process::start_on_full_disk(network.folder(), who, kib, &arguments),
        None => Process::start(network.folder(), who, &arguments),
    };
    daemon.wait_for_words("it stays whatever its user does");
    daemon
}

/// Runs a command, and returns what it prints, or its words on why it did not do it.
fn antiphon(network: &Network, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .args(arguments)
        .current_dir(network.folder())
        .output()
        .unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[test]
fn a_full_disk_is_said_in_words_and_loses_nothing() {
    let network = Network::new();
    let _coordinator = network.start_coordinator("coordinator");
    let _shards = network.start_shards();
    network.write_daemon();
    for who in ["alice", "bob"] {
        network.write_passphrase(who, "five words that nobody guesses");
    }
    let _alice = serving(&network, "alice", None, "--new");
    let mut bob = serving(&network, "bob", None, "--new");
    let code = shell(&network, "alice", "antiphon contact code bob");
    let added = shell(&network, "bob", &format!("antiphon contact add alice {}", code.trim()));
    let given = added.lines().find(|line| line.starts_with("antiphon1")).unwrap();
    shell(&network, "alice", &format!("antiphon contact add bob {given}"));
    shell(&network, "bob", "antiphon send alice 'before' --wait --timeout 60s");
    assert_eq!(bob.terminate().0, 0);

    let store = network.folder().join("bob/store");
    let kib = std::fs::metadata(store).unwrap().len() / 1024;
    let mut bob = serving(&network, "bob", Some(kib + 200), "");
    let mut taken = 0;
    // Until there is no room even for a short one.
    for length in [60_000, 10] {
        let refusal = loop {
            let text = format!("{taken}-{}", "x".repeat(length));
            match antiphon(&network, &["send", "alice", &text, "--profile", "bob"]) {
                Ok(_) => taken += 1,
                Err(words) => break words,
            }
            assert!(taken < 1000, "the disk never fills up");
        };
        assert!(refusal.contains("the disk is full: nothing was lost"), "{refusal}");
    }
    // What comes waits at its sender.
    shell(&network, "alice", "antiphon send bob 'meanwhile'");
    bob.wait_for_words("what a contact sent waits until it can be kept");
    assert_eq!(shell(&network, "bob", "antiphon receive --after 0"), "");
    assert_eq!(bob.terminate().0, 0);

    let _bob = serving(&network, "bob", None, "");
    let status = shell(&network, "bob", "antiphon status --json");
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    // With the first one, and perhaps the one that waited.
    let kept = status["messages"].as_u64().unwrap();
    assert!((taken + 1..=taken + 2).contains(&kept), "{taken} were taken, and {kept} are there");
    let follow = "receive --follow --after 0 --profile bob";
    let mut received = Process::start(network.folder(), "received", follow);
    received.wait_for_words("alice: meanwhile\n");
    received.kill();
    assert_eq!(shell(&network, "bob", "antiphon receive --after 0"), "alice: meanwhile\n");
}
