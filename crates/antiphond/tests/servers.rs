//! Servers as processes of their own, looked after over HTTP.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(
    clippy::disallowed_methods,
    reason = "processes are watched by the clock, with a deadline"
)]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use antiphon_process::keyfile::{SecretKind, write_operator_list, write_secret};
use antiphon_wire::{Epoch, IdentityKey, NetworkFile, OperatorIndex, OperatorList, Signed};
use ed25519_dalek::SigningKey;
use tempfile::TempDir;

/// How long anything may take. Only failures take so long.
const DEADLINE: Duration = Duration::from_secs(60);

fn public(seed: u8) -> String {
    IdentityKey::of(&SigningKey::from_bytes(&[seed; 32])).to_hex()
}

/// A folder with the files of a network of one shard, which is on a list.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, seed) in [("coordinator.key", 1), ("shard.key", 2)] {
        write_secret(&path(name), SecretKind::Identity, &[seed; 32]).unwrap();
    }
    let text = format!(
        "[policy]\noperators_above_malicious = \"are trusted\"\n\
         [[operator]]\nname = \"alpha\"\nkey = \"{}\"\n",
        public(3)
    );
    let network = NetworkFile::parse(&text).unwrap();
    fs::write(path("network.toml"), text).unwrap();
    let list = OperatorList {
        network: network.id(),
        operator: OperatorIndex(0),
        number: 1,
        first_epoch: Epoch(1),
        last_epoch: Epoch(9),
        shards: vec![IdentityKey::of(&SigningKey::from_bytes(&[2; 32]))],
    };
    let list = Signed::new(list, &SigningKey::from_bytes(&[3; 32]));
    write_operator_list(&path("alpha.list"), &list, &[]).unwrap();
    let admin = "[admin]\nlisten = \"127.0.0.1:0\"\n";
    let coordinator = format!(
        "listen_shards = \"127.0.0.1:0\"\nlisten_clients = \"127.0.0.1:0\"\n\
         identity = \"coordinator.key\"\nnetwork = \"network.toml\"\nstate = \"state.json\"\n{admin}"
    );
    fs::write(path("coordinator.toml"), coordinator).unwrap();
    // Nobody listens on the discard port.
    let shard = format!(
        "listen_peers = \"127.0.0.1:0\"\nlisten_clients = \"127.0.0.1:0\"\n\
         identity = \"shard.key\"\nnetwork = \"network.toml\"\noperator_list = \"alpha.list\"\n\
         state = \"shard.state\"\n{admin}\
         [coordinator]\naddress = \"127.0.0.1:9\"\nidentity = \"{}\"\n",
        public(1)
    );
    fs::write(path("shard.toml"), shard).unwrap();
    folder
}

/// A process that does not outlive its test.
struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    fn start(here: &Path, what: &str) -> Self {
        let log = here.join(format!("{what}.log"));
        let file = File::create(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_antiphond"))
            .current_dir(here)
            .env("NO_COLOR", "1")
            .args([what, "--config", &format!("{what}.toml")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The port of its admin server, when it has said it and has started.
    fn admin(&mut self, started: &str) -> u16 {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let log = self.log();
            let said = log.lines().find(|line| line.contains("admin pages are served"));
            if let Some(line) = said.filter(|_| log.contains(started)) {
                return line.rsplit(':').next().unwrap().trim().parse().unwrap();
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{ended:?}: {log}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks it to stop, and waits for its exit code.
    fn stop(&mut self) -> i32 {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            assert!(Instant::now() < deadline, "does not end: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(port: u16, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Waits until the answer to `path` contains `words`.
fn until(port: u16, path: &str, words: &str) -> String {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let answer = ask(port, "GET", path, "");
        if answer.contains(words) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{answer}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_coordinator_is_ready_before_any_shard_and_shows_what_it_counts() {
    let folder = folder();
    let mut server = Server::start(folder.path(), "coordinator");
    let port = server.admin("coordinator started");
    assert!(ask(port, "GET", "/live", "").starts_with("HTTP/1.1 200 "));
    assert!(ask(port, "GET", "/ready", "").starts_with("HTTP/1.1 200 "));
    let status = ask(port, "GET", "/status", "");
    for field in ["\"version\":", "\"epoch\":null", "\"shards\":[]", "\"conduct\":\"going\""] {
        assert!(status.contains(field), "{field}: {status}");
    }
    let metrics = until(port, "/metrics", "antiphon_coordinator_endpoint_links");
    for name in ["shards 0", "endpoint_links{endpoint=\"shards\"} 0"] {
        assert!(metrics.contains(&format!("antiphon_coordinator_{name}")), "{name}: {metrics}");
    }
    assert_eq!(server.stop(), 0, "{}", server.log());
}

#[test]
fn a_shard_without_a_coordinator_lives_and_says_why_it_is_not_ready() {
    let folder = folder();
    let mut server = Server::start(folder.path(), "shard");
    let port = server.admin("shard started");
    assert!(ask(port, "GET", "/live", "").starts_with("HTTP/1.1 200 "));
    let answer = until(port, "/ready", "no link to the coordinator");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(server.stop(), 0, "{}", server.log());
}

#[test]
fn what_is_logged_is_set_while_a_process_runs() {
    let folder = folder();
    let mut server = Server::start(folder.path(), "coordinator");
    let port = server.admin("coordinator started");
    let refused = ask(port, "PUT", "/log-level", "antiphon_cordinator=debug");
    assert!(refused.starts_with("HTTP/1.1 400 ") && refused.contains("`antiphon_cordinator`"));
    assert!(ask(port, "PUT", "/log-level", "off").starts_with("HTTP/1.1 200 "));
    assert!(ask(port, "GET", "/log-level", "").ends_with("\r\noff\n"));
    assert_eq!(server.stop(), 0);
    assert!(!server.log().contains("stopped"), "{}", server.log());
}

#[test]
fn the_former_name_of_the_section_is_refused_with_the_new_one() {
    let folder = folder();
    let path = folder.path().join("shard.toml");
    let text = fs::read_to_string(&path).unwrap().replace("[admin]", "[metrics]");
    fs::write(&path, text).unwrap();
    let mut server = Server::start(folder.path(), "shard");
    assert_eq!(server.child.wait().unwrap().code(), Some(2));
    let said = server.log();
    assert!(
        ["shard.toml", "`metrics`", "`[admin]`"].iter().all(|word| said.contains(word)),
        "{said}"
    );
}
