//! The making of a network: keys, lists and configurations, as the book says.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::child::{Child, Surroundings, write};
use crate::network::{BenchError, OPERATORS};

/// The nominal time between two rounds.
pub(crate) const INTERVAL: Duration = Duration::from_secs(2);

/// Rounds that beats follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beats {
    /// Options of `keygen network`.
    pub(crate) policy: &'static str,
    /// Rounds of an epoch.
    pub(crate) rounds: u16,
    /// Time from one round to the next.
    pub(crate) interval_ms: u32,
    /// For which the coordinator waits for shards that have not built their noise.
    pub(crate) ready_ms: u32,
    pub(crate) per_round: u16,
    /// Time from one beat to the next.
    pub(crate) beat_ms: u32,
    pub(crate) layer_ms: u32,
    /// Least time from a round's opening to its first beat.
    pub(crate) first_ms: u32,
}

/// The making of a network.
pub(crate) struct Setup<'a> {
    pub(crate) program: &'a Path,
    pub(crate) folder: &'a Path,
    pub(crate) ports: u16,
}

impl Setup<'_> {
    /// Runs a command of the program and returns what it prints.
    pub(crate) fn run(&self, arguments: &str) -> Result<String, BenchError> {
        let output = Command::new(self.program)
            .current_dir(self.folder)
            .args(arguments.split_whitespace())
            .output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(BenchError::Command { arguments: arguments.to_owned(), said });
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Makes all keys and files.
    pub(crate) fn write(&self, policy: &str) -> Result<(), BenchError> {
        let mut operators = String::new();
        for name in OPERATORS {
            let key = self.run(&format!("keygen operator --out {name}.operator"))?;
            operators += &format!(" --operator {name}={key}");
        }
        self.run(&format!("keygen network{operators} {policy} --out network.toml"))?;
        let coordinator = self.run("keygen identity --out coordinator.key")?;
        write(&self.folder.join("coordinator.toml"), &self.coordinator())?;
        for (position, name) in OPERATORS.iter().enumerate() {
            let key = self.run(&format!("keygen identity --out {name}.key"))?;
            self.run(&format!(
                "keygen operator-list --operator-key {name}.operator --network network.toml \
                 --number 1 --first-epoch 1 --last-epoch 9000 --shard {key} --out {name}.list"
            ))?;
            fs::create_dir(self.folder.join(name))?;
            write(
                &self.folder.join(format!("{name}.toml")),
                &self.shard(position, name, &coordinator),
            )?;
        }
        write(&self.folder.join("client.toml"), &self.client(&coordinator))?;
        Ok(())
    }

    /// Adds a second coordinator to a network that is written: its key and configuration, and a section in those of
    /// shards and clients.
    pub(crate) fn write_second(&self) -> Result<(), BenchError> {
        let key = self.run("keygen identity --out second.key")?;
        let first = format!("replicas = 2\n{}", self.coordinator());
        write(&self.folder.join("coordinator.toml"), &first)?;
        let (shards, clients) = (self.ports, self.ports + 1);
        let second = first
            .replace(&format!(":{shards}\""), &format!(":{}\"", self.ports + 2))
            .replace(&format!(":{clients}\""), &format!(":{}\"", self.ports + 3))
            .replace("\"coordinator.", "\"second.");
        write(&self.folder.join("second.toml"), &second)?;
        for name in OPERATORS.iter().chain(&["client"]) {
            let file = self.folder.join(format!("{name}.toml"));
            let text = fs::read_to_string(&file)?.replace("[coordinator]", "[[coordinator]]");
            let port = if *name == "client" { self.ports + 3 } else { self.ports + 2 };
            let section =
                format!("[[coordinator]]\naddress = \"127.0.0.1:{port}\"\nidentity = \"{key}\"\n");
            write(&file, &format!("{text}{section}"))?;
        }
        Ok(())
    }

    /// Has the coordinator of a network that is written open rounds that beats follow.
    pub(crate) fn write_beats(&self, beats: &Beats) -> Result<(), BenchError> {
        let Beats { rounds, interval_ms, ready_ms, per_round, beat_ms, layer_ms, first_ms, .. } =
            *beats;
        let usual = format!("interval_ms = {}\n", INTERVAL.as_millis());
        let epoch = format!(
            "interval_ms = {interval_ms}\n\
             rounds = {rounds}\n\
             ready_ms = {ready_ms}\n\
             prepare_ahead_rounds = 2\n\
             [beats]\n\
             per_round = {per_round}\n\
             interval_ms = {beat_ms}\n\
             layer_ms = {layer_ms}\n\
             first_ms = {first_ms}\n"
        );
        let text = self.coordinator().replace(&usual, &epoch);
        Ok(write(&self.folder.join("coordinator.toml"), &text)?)
    }

    /// Writes `{name}.toml` for a daemon that goes through this shard, and a passphrase for it.
    pub(crate) fn write_daemon(&self, name: &str, gateway: usize) -> Result<(), BenchError> {
        let client = fs::read_to_string(self.folder.join("client.toml"))?;
        let shown = self.run(&format!("keygen show {}.key", OPERATORS[gateway]))?;
        let is_key = |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
        let key = shown.split_whitespace().find(is_key).unwrap_or_default();
        let gateway = format!("gateway = \"{key}\"\n");
        let text = client.replace("state = \"client.state\"\n", &gateway);
        write(&self.folder.join(format!("{name}.toml")), &text)?;
        let pass = self.folder.join(format!("{name}.pass"));
        write(&pass, "words that nobody guesses")?;
        Ok(fs::set_permissions(pass, fs::Permissions::from_mode(0o600))?)
    }

    fn client(&self, coordinator: &str) -> String {
        let port = self.ports + 1;
        format!(
            "network = \"network.toml\"\n\
             state = \"client.state\"\n\
             [coordinator]\n\
             address = \"127.0.0.1:{port}\"\n\
             identity = \"{coordinator}\"\n"
        )
    }

    fn coordinator(&self) -> String {
        let (shards, clients) = (self.ports, self.ports + 1);
        let interval = INTERVAL.as_millis();
        format!(
            "listen_shards = \"127.0.0.1:{shards}\"\n\
             listen_clients = \"127.0.0.1:{clients}\"\n\
             identity = \"coordinator.key\"\n\
             network = \"network.toml\"\n\
             state = \"coordinator.state\"\n\
             [epoch]\n\
             interval_ms = {interval}\n"
        )
    }

    fn shard(&self, position: usize, name: &str, coordinator: &str) -> String {
        let at = Ports { first: self.ports };
        let (peers, clients, metrics) =
            (at.peers(position), at.clients(position), at.metrics(position));
        format!(
            "listen_peers = \"127.0.0.1:{peers}\"\n\
             listen_clients = \"127.0.0.1:{clients}\"\n\
             identity = \"{name}.key\"\n\
             network = \"network.toml\"\n\
             operator_list = \"{name}.list\"\n\
             state = \"{name}/shard.state\"\n\
             threads = 1\n\
             [coordinator]\n\
             address = \"127.0.0.1:{}\"\n\
             identity = \"{coordinator}\"\n\
             [admin]\n\
             listen = \"127.0.0.1:{metrics}\"\n",
            self.ports
        )
    }

    /// Starts the coordinator, or a shard by its operator's name.
    pub(crate) fn start(
        &self,
        name: &str,
        surroundings: &Surroundings,
    ) -> Result<Child, BenchError> {
        let file = format!("{name}.toml");
        let role = match name {
            "coordinator" | "second" => "coordinator",
            _ => "shard",
        };
        let arguments = [role, "--config", &file];
        Ok(Child::start(self.program, self.folder, name, &arguments, surroundings)?)
    }

    /// Starts a shard that can be made to misbehave, by its operator's name.
    pub(crate) fn start_misbehaving(&self, name: &str) -> Result<Child, BenchError> {
        let file = format!("{name}.toml");
        let arguments = ["--misbehaving-shard", &file];
        let own = env::current_exe()?;
        Ok(Child::start(&own, self.folder, name, &arguments, &Surroundings::default())?)
    }
}

/// Ports of a network's processes, counted from its first.
pub(crate) struct Ports {
    pub(crate) first: u16,
}

impl Ports {
    pub(crate) fn peers(&self, shard: usize) -> u16 {
        self.first + 10 + shard as u16
    }

    pub(crate) fn clients(&self, shard: usize) -> u16 {
        self.first + 20 + shard as u16
    }

    pub(crate) fn metrics(&self, shard: usize) -> u16 {
        self.first + 30 + shard as u16
    }
}
