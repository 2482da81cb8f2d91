//! A network by the commands of the book's page, as they are written there, each in the folder of whom it belongs to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::network::{delivered_after, epochs, free_ports};
use crate::process::Process;

const PAGE: &str = include_str!("../../../../docs/src/running-a-network.md");
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The operators of the page, each with a shard of its own.
const OPERATORS: [&str; 5] = ["alpha", "beta", "gamma", "delta", "epsilon"];

/// Little noise of a guarantee that is worth nothing, so that rounds are quick.
const QUICK: &str = "--malicious 0 --trust-heavy-operators --mixing-hops 3 --epsilon 2 --delta 0.01 --total-delta 1 \
                     --disturbed 40 --round-interval 200";

/// The commands that no test has run yet.
struct Untried(Vec<String>);

impl Untried {
    /// Those in the page's blocks, and those in its sentences that ask a process.
    fn of_page() -> Self {
        let mut commands = Vec::new();
        let mut words = String::new();
        for (at, part) in PAGE.split("```").enumerate() {
            match part.strip_prefix("sh\n") {
                Some(block) if at % 2 == 1 => commands.extend(lines(block)),
                _ if at % 2 == 0 => words += part,
                _ => {}
            }
        }
        let asks = |text: &&str| {
            text.starts_with("curl ")
                || text.contains("antiphon drain http")
                || text.starts_with("antiphon status http")
        };
        commands.extend(words.split('`').skip(1).step_by(2).filter(asks).map(one_line));
        Self(commands)
    }

    /// The first one that begins so.
    fn take(&mut self, beginning: &str) -> String {
        let found = self.0.iter().position(|command| command.starts_with(beginning));
        self.0.remove(found.unwrap_or_else(|| panic!("the page has {beginning}: {:#?}", self.0)))
    }

    /// The one that begins so, with other words in the place of some of its own.
    fn with(&mut self, beginning: &str, changes: &[(&str, &str)]) -> String {
        changes.iter().fold(self.take(beginning), |command, (old, new)| {
            assert!(command.contains(old), "{command} has {old}");
            command.replace(old, new)
        })
    }
}

/// Commands, a line each, without what a shell would leave out.
fn lines(block: &str) -> Vec<String> {
    let block = block.replace("\\\n", "");
    let bare = block.lines().map(|line| one_line(line.split("  #").next().unwrap()));
    bare.filter(|line| !line.is_empty()).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs a command in somebody's folder, and returns what it prints.
fn shell(here: &Path, command: &str) -> String {
    let own = Path::new(env!("CARGO_BIN_EXE_antiphon")).parent().unwrap().display();
    let path = format!("{own}:{}", std::env::var("PATH").unwrap());
    let run =
        Command::new("sh").args(["-ec", command]).current_dir(here).env("PATH", path).output();
    let output = run.unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {command}: {err}", here.display());
    String::from_utf8(output.stdout).unwrap()
}

fn change(file: &Path, changes: &[(&str, &str)]) {
    let mut text = fs::read_to_string(file).unwrap();
    for (old, new) in changes {
        assert!(text.contains(old), "{} has {old}: {text}", file.display());
        text = text.replacen(old, new, 1);
    }
    fs::write(file, text).unwrap();
}

/// A network, and who has which part of it.
struct Founded {
    folder: tempfile::TempDir,
    untried: Untried,
    ports: Vec<u16>,
}

impl Founded {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, untried: Untried::of_page(), ports: free_ports(18) }
    }

    /// Somebody's folder, with the book's samples in reach.
    fn of(&self, who: &str) -> PathBuf {
        let folder = self.folder.path().join(who);
        if !folder.exists() {
            fs::create_dir(&folder).unwrap();
            std::os::unix::fs::symlink(format!("{SOURCES}/docs"), folder.join("docs")).unwrap();
        }
        folder
    }

    fn hand(&self, file: &str, from: &str, to: &str) {
        fs::copy(self.of(from).join(file), self.of(to).join(file)).unwrap();
    }

    fn address(&self, port: usize) -> String {
        format!("127.0.0.1:{}", self.ports[port])
    }

    fn public_key(&self, of: &str, file: &str) -> String {
        fs::read_to_string(self.of(of).join(file)).unwrap().trim().to_owned()
    }

    /// Steps 1 to 3: keys of the operators, and a file that all agree on.
    fn found(&mut self) {
        let founder = self.of("founder");
        assert!(shell(&founder, &self.untried.take("antiphon plan --shards")).contains("layers L"));
        let key = self.untried.take("antiphon keygen operator --out");
        for name in OPERATORS {
            shell(&self.of(name), &key.replace("alpha", name));
            self.hand(&format!("{name}.pub"), name, "founder");
        }
        let network = self.untried.take("antiphon keygen network");
        shell(&founder, &format!("{network} {QUICK}"));
        assert!(
            shell(&founder, &self.untried.take("antiphon plan --network")).contains("layers L")
        );
        let show = self.untried.take("antiphon keygen show network.toml");
        let id = shell(&founder, &show);
        for name in OPERATORS.into_iter().chain(["host", "first", "second"]) {
            self.hand("network.toml", "founder", name);
            assert_eq!(shell(&self.of(name), &show), id, "everybody compares the id");
        }
    }

    /// Step 4. Returns the coordinator's public key.
    fn start_coordinator(&mut self) -> Process {
        let host = self.of("host");
        let key = self.untried.take("antiphon keygen identity --out coordinator.key");
        shell(&host, &key);
        for each in ["one", "two"] {
            shell(&host, &key.replace("coordinator", each));
        }
        let said = shell(&host, &self.untried.take("antiphon keygen coordinators"));
        assert!(
            said.contains("[[coordinator]]") && said.contains("two.example.org:7000"),
            "{said}"
        );
        shell(&host, &self.untried.take("cp docs/samples/coordinator.toml"));
        let [shards, clients, admin] = [0, 1, 2].map(|port| self.address(port));
        change(
            &host.join("coordinator.toml"),
            &[
                ("0.0.0.0:7000", &shards),
                ("0.0.0.0:7001", &clients),
                ("rounds = 720", "rounds = 160"),
                ("interval_ms = 5000", "interval_ms = 200"),
                ("prepare_ahead_rounds = 60", "prepare_ahead_rounds = 15"),
                ("submit_ms = 1500", "submit_ms = 1000"),
                ("layer_ms = 3000", "layer_ms = 2000"),
                ("ready_ms = 10000", "ready_ms = 2000"),
                ("retry_ms = 1000", "retry_ms = 200"),
                ("hand_over_ms = 30000", "hand_over_ms = 1000"),
                (
                    "# [admin]\n# listen = \"127.0.0.1:9101\"",
                    &format!("[admin]\nlisten = \"{admin}\""),
                ),
            ],
        );
        let start = self.untried.take("antiphond coordinator");
        Process::start(&host, "coordinator", start.strip_prefix("antiphond ").unwrap())
    }

    /// Step 5, for each operator.
    fn start_shards(&mut self) -> Vec<Process> {
        let key = self.untried.take("antiphon keygen identity --out shard.key");
        let list = self.untried.take("antiphon keygen operator-list --operator-key alpha.key --network network.toml --number 1");
        let show = self.untried.take("antiphon keygen show alpha.list");
        let sample = self.untried.take("cp docs/samples/shard.toml");
        let start = self.untried.take("antiphond shard");
        let mut shards = Vec::new();
        for (at, name) in OPERATORS.iter().enumerate() {
            let here = self.of(name);
            shell(&here, &key);
            shell(&here, &list.replace("alpha", name));
            let shown = shell(&here, &show.replace("alpha", name));
            assert!(shown.contains(&self.public_key(name, "shard.pub")), "{shown}");
            shell(&here, &sample);
            self.configure_shard(&here, &format!("{name}.list"), 4 + 2 * at);
            if at == 0 {
                let admin = format!("[admin]\nlisten = \"{}\"", self.address(3));
                change(
                    &here.join("shard.toml"),
                    &[("# [admin]\n# listen = \"127.0.0.1:9100\"", &admin)],
                );
            }
            shards.push(Process::start(&here, "shard", start.strip_prefix("antiphond ").unwrap()));
        }
        shards
    }

    /// Sets addresses and the coordinator's public key in a copy of the sample.
    fn configure_shard(&self, here: &Path, list: &str, port: usize) {
        let [peers, clients, coordinator] = [port, port + 1, 0].map(|port| self.address(port));
        change(
            &here.join("shard.toml"),
            &[
                ("0.0.0.0:7100", &peers),
                ("0.0.0.0:7101", &clients),
                ("192.0.2.10:7100", &peers),
                ("192.0.2.10:7101", &clients),
                ("alpha.list", list),
                ("# threads = 4", "threads = 1"),
                ("coordinator.example.org:7000", &coordinator),
                (&"06".repeat(32), &self.public_key("host", "coordinator.pub")),
            ],
        );
    }

    /// Step 6: a photograph goes from one to the other.
    fn talk(&mut self) -> Vec<Process> {
        shell(&self.of("first"), &self.untried.take("antiphon keygen conversation"));
        self.hand("friend.secret", "first", "second");
        let stays = self.untried.take("antiphon client --config client.toml");
        let leaves = self.untried.take("antiphon client --config client.toml --for 8h");
        let mut clients = Vec::new();
        for (role, start) in [("first", stays), ("second", leaves)] {
            let here = self.of(role);
            fs::copy(format!("{SOURCES}/docs/samples/client.toml"), here.join("client.toml"))
                .unwrap();
            change(
                &here.join("client.toml"),
                &[
                    ("coordinator.example.org:7001", &self.address(1)),
                    (&"06".repeat(32), &self.public_key("host", "coordinator.pub")),
                    ("# inbox = \"inbox\"", "inbox = \"inbox\""),
                    ("role = \"first\"", &format!("role = \"{role}\"")),
                ],
            );
            let arguments = start.strip_prefix("antiphon ").unwrap();
            let mut client = Process::start(&here, "client", arguments);
            client.wait_for_words("the conversation is open");
            clients.push(client);
        }
        let photograph: Vec<u8> =
            (0..2000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        fs::write(self.of("first").join("photo.jpg"), &photograph).unwrap();
        let receive = self.untried.take("antiphon receive");
        let mut receives = Process::start(
            &self.of("second"),
            "receives",
            receive.strip_prefix("antiphon ").unwrap(),
        );
        receives.wait_for_words("waiting for");
        shell(&self.of("first"), &self.untried.take("antiphon send"));
        assert_eq!(receives.exit_code(), 0, "{}", receives.log());
        assert_eq!(fs::read(self.of("second").join("inbox/photo.jpg")).unwrap(), photograph);
        let status = shell(&self.of("first"), &self.untried.take("antiphon status --config"));
        assert!(status.contains("ledger"), "{status}");
        clients
    }

    /// What those who look after processes ask them.
    fn look_after(&mut self) {
        let here = self.of("host");
        let [coordinator, shard] = [2, 3].map(|port| self.address(port));
        let status = self.untried.with("antiphon status http", &[("127.0.0.1:9101", &coordinator)]);
        assert!(shell(&here, &status).contains("Rounds go on"), "{}", shell(&here, &status));
        let set = self.untried.take("curl -X PUT");
        shell(&here, &format!("{set} --fail --silent http://{coordinator}/log-level"));
        let shown = shell(&here, &format!("curl --silent http://{coordinator}/log-level"));
        assert!(shown.contains("antiphon_mix=debug"), "{shown}");
        let drain = self.untried.with("antiphon drain", &[("127.0.0.1:9102", &shard)]);
        shell(&here, &drain);
        let drained =
            || shell(&here, &format!("antiphon status http://{shard}")).contains("drained: it may");
        assert!(drained());
        shell(&here, &format!("{drain} --undo"));
        let ask = self.untried.with("curl -X POST", &[("127.0.0.1:9102", &shard)]);
        shell(&here, &format!("{ask} --fail --silent"));
        // The command waits for what was asked for already.
        shell(&here, &drain);
        assert!(drained());
        shell(&here, &format!("{drain} --undo"));
    }

    /// The first epoch that nobody has signed a document for, once none is on its way.
    fn next_epoch(&self, coordinator: &mut Process) -> u64 {
        let ask = format!("antiphon status http://{} --json", self.address(2));
        coordinator.wait_for("an epoch with nothing on its way", |_| {
            let status: serde_json::Value =
                serde_json::from_str(&shell(&self.of("host"), &ask)).unwrap();
            let rests = status["next_epoch"].is_null() && status["planned"].is_null();
            // Whoever waits for an epoch has one planned soon.
            let shards = status["shards"].as_array()?;
            let rests = rests && shards.iter().all(|shard| shard["standing"] == "in_epoch");
            let left = status["epoch"]["last_round"]
                .as_u64()?
                .saturating_sub(status["rounds"]["last"].as_u64()?);
            (rests && left > 40).then(|| status["epoch"]["epoch"].as_u64())?.map(|epoch| epoch + 1)
        })
    }

    /// Hands the end of the list before, then the list, to the shards of the first operator.
    fn hand_out(&self, list: &str, number: u32, shards: &mut [(&str, &mut Process)]) {
        let alpha = self.of("alpha");
        for (who, shard) in &mut *shards {
            fs::copy(alpha.join(format!("{list}.end")), self.of(who).join("alpha.list.new"))
                .unwrap();
            fs::rename(self.of(who).join("alpha.list.new"), self.of(who).join("alpha.list"))
                .unwrap();
            shard.wait_for_words(&format!("took a list of the operator number={number}"));
        }
        for (who, _) in shards {
            fs::copy(alpha.join(list), self.of(who).join("alpha.list.new")).unwrap();
            fs::rename(self.of(who).join("alpha.list.new"), self.of(who).join("alpha.list"))
                .unwrap();
        }
    }

    /// Another shard of the first operator, in a folder of its own.
    fn start_another(&self, who: &str, key: &str, list: &str, port: usize) -> Process {
        let here = self.of(who);
        fs::copy(self.of("alpha").join("network.toml"), here.join("network.toml")).unwrap();
        fs::copy(self.of("alpha").join(key), here.join("shard.key")).unwrap();
        fs::copy(self.of("alpha").join(list), here.join("alpha.list")).unwrap();
        fs::copy(format!("{SOURCES}/docs/samples/shard.toml"), here.join("shard.toml")).unwrap();
        self.configure_shard(&here, "alpha.list", port);
        Process::start(&here, "shard", "shard --config shard.toml")
    }
}

#[test]
fn every_command_of_the_handbook_works_as_it_is_written_there() {
    let mut founded = Founded::new();
    founded.found();
    let mut coordinator = founded.start_coordinator();
    let mut shards = founded.start_shards();
    delivered_after(&mut coordinator, 2);
    let clients = founded.talk();
    drop(clients);
    founded.look_after();

    let alpha = founded.of("alpha");
    // Another shard.
    shell(&alpha, "antiphon keygen identity --out shard-5.key > shard-5.pub");
    let next = founded.next_epoch(&mut coordinator).to_string();
    let add = founded.untried.with("antiphon keygen operator-list --operator-key alpha.key --network network.toml --after alpha.list --add $(cat shard-5.pub)", &[("813", &next)]);
    shell(&alpha, &add);
    founded.hand_out("alpha-2.list", 2, &mut [("alpha", &mut shards[0])]);
    let mut fifth = founded.start_another("alpha-5", "shard-5.key", "alpha-2.list", 14);
    fifth.wait_for_words("new epoch");

    // One whose key has leaked makes way for another one.
    fs::copy(alpha.join("shard.pub"), alpha.join("shard-0.pub")).unwrap();
    shell(&alpha, &founded.untried.take("antiphon keygen identity --out alpha-2.key"));
    let next = founded.next_epoch(&mut coordinator).to_string();
    let revoke = founded.untried.with(
        "antiphon keygen operator-list --operator-key alpha.key --network network.toml --after alpha.list --add $(cat alpha-2.pub)",
        &[("813", &next), ("--out alpha-2.list", "--out alpha-3.list")],
    );
    shell(&alpha, &revoke);
    founded.hand_out("alpha-3.list", 4, &mut [("alpha", &mut shards[0]), ("alpha-5", &mut fifth)]);
    let mut successor = founded.start_another("alpha-0", "alpha-2.key", "alpha-3.list", 16);
    successor.wait_for_words("new epoch");
    let key = founded.public_key("alpha", "alpha-2.pub");
    let ask = format!("antiphon status http://{} --json", founded.address(2));
    let known = shell(&founded.of("host"), &ask);
    assert!(known.contains(&key), "{known}");

    back_up_and_restore(&mut founded, coordinator);
    let build = founded.untried.take("cargo build --release");
    for package in build.split(" -p ").skip(1).filter_map(|rest| rest.split(' ').next()) {
        assert!(Path::new(SOURCES).join("crates").join(package).is_dir(), "{build}");
    }
    assert_eq!(founded.untried.0, [""; 0], "commands that no test has run");
}

/// Whoever has the backups alone goes on: the operator with its list, the coordinator with rounds.
fn back_up_and_restore(founded: &mut Founded, mut coordinator: Process) {
    let (alpha, host) = (founded.of("alpha"), founded.of("host"));
    shell(&alpha, &founded.untried.take("tar --create --file alpha.tar"));
    shell(&host, &founded.untried.take("tar --create --file coordinator.tar"));
    coordinator.kill();

    let restored = founded.of("restored");
    fs::copy(alpha.join("alpha.tar"), restored.join("alpha.tar")).unwrap();
    shell(&restored, &founded.untried.take("tar --extract --file alpha.tar"));
    let arguments = "--after alpha.list --first-epoch 8900 --last-epoch 18000";
    assert!(PAGE.contains(&format!("`{arguments}`")), "the page has {arguments}");
    let sign = "antiphon keygen operator-list --operator-key alpha.key --network network.toml";
    shell(&restored, &format!("{sign} {arguments} --out renewed.list"));
    let shown = shell(&restored, "antiphon keygen show renewed.list --network network.toml");
    assert!(shown.contains("18000"), "{shown}");

    let again = founded.of("host-again");
    fs::copy(host.join("coordinator.tar"), again.join("coordinator.tar")).unwrap();
    shell(&again, &founded.untried.take("tar --extract --file coordinator.tar"));
    assert!(!again.join("coordinator.state.json").exists(), "state is not restored");
    let mut coordinator =
        Process::start(&again, "coordinator", "coordinator --config coordinator.toml");
    let (epoch, _) = delivered_after(&mut coordinator, 2);
    assert!(coordinator.log().contains("going on above that"), "{}", coordinator.log());
    assert!(epoch > 1 && epochs(&coordinator.log()).len() < 4, "{}", coordinator.log());
}
