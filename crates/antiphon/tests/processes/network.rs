//! Keys, files and configurations of a network, made as an operator makes them, and its processes.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::done;
use crate::process::Process;

/// Shards, each with an operator of its own. With all operators honest, a quorum is three of them.
pub(crate) const SHARDS: usize = 4;

const NAMES: [&str; SHARDS] = ["alpha", "beta", "gamma", "delta"];

/// Rounds of an epoch: as few as outlast the longest round, so that tests see several epochs.
const EPOCH_ROUNDS: u32 = 160;

pub(crate) struct Network {
    folder: TempDir,
    shards: Vec<String>,
    coordinator: String,
    /// The coordinator's for shards and for clients, then each shard's for shards and for clients.
    ports: Vec<u16>,
}

impl Network {
    /// Makes all that the processes need. Nothing runs yet.
    pub(crate) fn new() -> Self {
        Self::with_budget(40)
    }

    /// The same, for a guarantee over so many disturbed rounds.
    pub(crate) fn with_budget(disturbed: u32) -> Self {
        Self::make(&format!("--disturbed {disturbed}"))
    }

    /// The same, with onions of suite 2.
    pub(crate) fn of_suite_2() -> Self {
        Self::make("--disturbed 40 --suite 2")
    }

    /// The same, with such options of the network file.
    fn make(options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let key = |kind: &str, name: &str| {
            done(here, &format!("keygen {kind} --out {name}")).trim().to_owned()
        };
        let operators: Vec<_> = NAMES
            .iter()
            .map(|name| {
                format!("--operator {name}={}", key("operator", &format!("{name}.operator")))
            })
            .collect();
        // A weak guarantee, so that rounds are quick.
        done(
            here,
            &format!(
                "keygen network {} --malicious 0 --trust-heavy-operators --mixing-hops 3 --epsilon 2 \
                 --delta 0.01 --total-delta 1 {options} --round-interval 200 \
                 --out network.toml",
                operators.join(" ")
            ),
        );
        let shards: Vec<_> =
            NAMES.iter().map(|name| key("identity", &format!("{name}.key"))).collect();
        for (name, shard) in NAMES.iter().zip(&shards) {
            done(
                here,
                &format!(
                    "keygen operator-list --operator-key {name}.operator --network network.toml \
                     --number 1 --first-epoch 1 --last-epoch 9000 --shard {shard} --out {name}.list"
                ),
            );
        }
        let coordinator = key("identity", "coordinator.key");
        done(here, "keygen conversation --out friend.secret");
        let network = Self { coordinator, shards, ports: free_ports(2 + 2 * SHARDS), folder };
        network.write_coordinator();
        (0..SHARDS).for_each(|shard| network.write_shard(shard));
        network.write_client("first", 0);
        network.write_client("second", 1);
        network
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn start_coordinator(&self, name: &str) -> Process {
        Process::start(self.folder(), name, "coordinator --config coordinator.toml")
    }

    pub(crate) fn start_shard(&self, shard: usize, name: &str) -> Process {
        Process::start(self.folder(), name, &format!("shard --config {}.toml", NAMES[shard]))
    }

    /// Starts a process with a shard's identity, and ports and a state file of its own.
    pub(crate) fn start_twin(&self, shard: usize, name: &str) -> Process {
        let twin = self.elsewhere(shard).replace(".state\"", ".twin\"");
        self.start_of(name, &twin)
    }

    /// Starts another shard of a shard's operator, with the identity `{name}.key` and the list `{name}.list`.
    pub(crate) fn start_successor(&self, shard: usize, name: &str) -> Process {
        let successor =
            [".key", ".list", ".state"].iter().fold(self.elsewhere(shard), |text, file| {
                text.replace(&format!("\"{}{file}\"", NAMES[shard]), &format!("\"{name}{file}\""))
            });
        self.start_of(name, &successor)
    }

    /// A shard's configuration, with other ports and without an admin server.
    fn elsewhere(&self, shard: usize) -> String {
        let own = fs::read_to_string(self.folder().join(format!("{}.toml", NAMES[shard]))).unwrap();
        let own = match own.split_once("[admin]") {
            Some((before, admin)) => {
                format!("{before}[coordinator]{}", admin.split_once("[coordinator]").unwrap().1)
            }
            None => own,
        };
        let [old_peers, old_clients] = [self.ports[2 + 2 * shard], self.ports[3 + 2 * shard]];
        let ports = free_ports(2);
        own.replace(&format!(":{old_peers}\""), &format!(":{}\"", ports[0]))
            .replace(&format!(":{old_clients}\""), &format!(":{}\"", ports[1]))
    }

    fn start_of(&self, name: &str, configuration: &str) -> Process {
        self.write(&format!("{name}.toml"), configuration);
        Process::start(self.folder(), name, &format!("shard --config {name}.toml"))
    }

    /// The public key of a shard.
    pub(crate) fn identity(&self, shard: usize) -> &str {
        &self.shards[shard]
    }

    pub(crate) fn start_shards(&self) -> Vec<Process> {
        (0..SHARDS).map(|shard| self.start_shard(shard, NAMES[shard])).collect()
    }

    /// Starts the client whose role in the conversation is `role`.
    pub(crate) fn start_client(&self, role: &str, arguments: &str) -> Process {
        Process::start(self.folder(), role, &format!("client --config {role}.toml {arguments}"))
    }

    /// Hands a job to the client whose role is `role`.
    pub(crate) fn start_job(&self, role: &str, job: &str, arguments: &str) -> Process {
        let name = format!("{role}.{job}");
        let arguments = format!("{job} --config {role}.toml --json {name}.json {arguments}");
        Process::start(self.folder(), &name, &arguments)
    }

    /// The report of the job of the client whose role is `role`.
    pub(crate) fn report(&self, role: &str, job: &str) -> serde_json::Value {
        let text = fs::read_to_string(self.folder().join(format!("{role}.{job}.json"))).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// How the client whose role is `role` stands.
    pub(crate) fn status(&self, role: &str) -> serde_json::Value {
        let text = done(self.folder(), &format!("status --config {role}.toml --json"));
        serde_json::from_str(&text).unwrap()
    }

    /// Gives the process of a configuration an admin server, and returns its URL.
    pub(crate) fn look_after(&self, configuration: &str) -> String {
        let address = format!("127.0.0.1:{}", free_ports(1)[0]);
        self.add_section(configuration, &format!("[admin]\nlisten = \"{address}\"\n"));
        format!("http://{address}")
    }

    /// Has the process of a configuration tell a collector of its rounds.
    pub(crate) fn tell(&self, configuration: &str, collector: &str) {
        let section = format!("[telemetry]\nendpoint = \"http://{collector}\"\n");
        self.add_section(configuration, &section);
    }

    fn add_section(&self, configuration: &str, section: &str) {
        let before = if configuration == "coordinator.toml" { "[epoch]" } else { "[coordinator]" };
        self.change(configuration, before, &format!("{section}{before}"));
    }

    /// Replaces `old` in a file.
    pub(crate) fn change(&self, name: &str, old: &str, new: &str) {
        let path = self.folder().join(name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{name} has {old}: {text}");
        fs::write(path, text.replacen(old, new, 1)).unwrap();
    }

    /// Puts a new secret in the place of the conversation's, in one step.
    pub(crate) fn new_secret(&self) {
        done(self.folder(), "keygen conversation --out next.secret");
        let path = |name: &str| self.folder().join(name);
        fs::rename(path("next.secret"), path("friend.secret")).unwrap();
    }

    /// Makes a file whose bytes are all different from its neighbours'; returns them.
    pub(crate) fn write_file(&self, name: &str, bytes: usize, seed: u32) -> Vec<u8> {
        let content: Vec<_> = (0..bytes as u32)
            .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8)
            .collect();
        fs::write(self.folder().join(name), &content).unwrap();
        content
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder().join(name), text).unwrap();
    }

    fn write_coordinator(&self) {
        let [shards, clients] = [self.ports[0], self.ports[1]];
        self.write(
            "coordinator.toml",
            &format!(
                "listen_shards = \"127.0.0.1:{shards}\"\n\
                 listen_clients = \"127.0.0.1:{clients}\"\n\
                 identity = \"coordinator.key\"\n\
                 network = \"network.toml\"\n\
                 state = \"coordinator.state\"\n\
                 [epoch]\n\
                 rounds = {EPOCH_ROUNDS}\n\
                 interval_ms = 200\n\
                 prepare_ahead_rounds = 15\n\
                 [deadlines]\n\
                 submit_ms = 1000\n\
                 layer_ms = 2000\n\
                 ready_ms = 2000\n\
                 retry_ms = 200\n\
                 hand_over_ms = 1000\n"
            ),
        );
    }

    fn write_shard(&self, shard: usize) {
        let [peers, clients] = [self.ports[2 + 2 * shard], self.ports[3 + 2 * shard]];
        let (name, coordinator) = (NAMES[shard], &self.coordinator);
        self.write(
            &format!("{name}.toml"),
            &format!(
                "listen_peers = \"127.0.0.1:{peers}\"\n\
                 listen_clients = \"127.0.0.1:{clients}\"\n\
                 identity = \"{name}.key\"\n\
                 network = \"network.toml\"\n\
                 operator_list = \"{name}.list\"\n\
                 state = \"{name}.state\"\n\
                 threads = 1\n\
                 [coordinator]\n\
                 address = \"127.0.0.1:{}\"\n\
                 identity = \"{coordinator}\"\n",
                self.ports[0]
            ),
        );
    }

    /// Writes the configuration of daemons.
    pub(crate) fn write_daemon(&self) {
        let (port, coordinator) = (self.ports[1], &self.coordinator);
        self.write(
            "antiphon.toml",
            &format!(
                "network = \"network.toml\"\n[coordinator]\naddress = \"127.0.0.1:{port}\"\nidentity = \
                 \"{coordinator}\"\n"
            ),
        );
    }

    /// Writes a passphrase to `{name}.pass`, for its owner alone.
    pub(crate) fn write_passphrase(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;

        let name = format!("{name}.pass");
        self.write(&name, text);
        let path = self.folder().join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn write_client(&self, role: &str, gateway: usize) {
        let (gateway, coordinator) = (&self.shards[gateway], &self.coordinator);
        self.write(
            &format!("{role}.toml"),
            &format!(
                "network = \"network.toml\"\n\
                 state = \"{role}.state\"\n\
                 gateway = \"{gateway}\"\n\
                 inbox = \"{role}.in\"\n\
                 [coordinator]\n\
                 address = \"127.0.0.1:{}\"\n\
                 identity = \"{coordinator}\"\n\
                 [conversation]\n\
                 secret = \"friend.secret\"\n\
                 role = \"{role}\"\n",
                self.ports[1]
            ),
        );
    }
}

/// Ports that nobody uses, on UDP or TCP, below those that systems give to links on their way out.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let base = std::process::id().wrapping_mul(97);
    let port =
        || 20_000 + (base.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000) as u16;
    let free = |port: &u16| {
        let addr = ("127.0.0.1", *port);
        UdpSocket::bind(addr).is_ok() && TcpListener::bind(addr).is_ok()
    };
    std::iter::repeat_with(port).filter(free).take(count).collect()
}

/// A line of the coordinator's log about a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoundLine {
    pub(crate) epoch: u64,
    pub(crate) round: u64,
    /// What is said of it, such as `opened`, or `delivered after 80 ms: ...`.
    pub(crate) what: String,
}

/// What the coordinator's log says of rounds.
pub(crate) fn rounds(log: &str) -> Vec<RoundLine> {
    let line = |line: &str| {
        let (_, rest) = line.split_once(" round ")?;
        let (round, rest) = rest.split_once(" of epoch ")?;
        let (epoch, what) = rest.split_once(' ')?;
        let (epoch, round) = (epoch.parse().ok()?, round.parse().ok()?);
        Some(RoundLine { epoch, round, what: what.to_owned() })
    };
    log.lines().filter_map(line).collect()
}

/// The epochs that the coordinator's log says are published, with the number of their shards.
pub(crate) fn epochs(log: &str) -> Vec<(u64, usize)> {
    let line = |line: &str| {
        let (before, rest) = line.split_once(" published: ")?;
        let (_, epoch) = before.split_once(" epoch ")?;
        let (before, _) = rest.split_once(" shards of operators")?;
        let (_, shards) = before.rsplit_once(' ')?;
        Some((epoch.parse().ok()?, shards.parse().ok()?))
    };
    log.lines().filter_map(line).collect()
}

/// Waits until a round after `round` is delivered; returns its epoch and number.
pub(crate) fn delivered_after(coordinator: &mut Process, round: u64) -> (u64, u64) {
    coordinator.wait_for(&format!("delivered round after {round}"), |log| {
        let later =
            |line: &RoundLine| line.round > round && line.what.starts_with("delivered after");
        rounds(log).into_iter().find(later).map(|line| (line.epoch, line.round))
    })
}
