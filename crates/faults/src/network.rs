//! A network of separate processes, set up as the book says.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::child::{Child, Surroundings, wait_for};
use crate::links::get;
use crate::rounds::{self, EndedRound};
use crate::setup::{Beats, INTERVAL, Ports, Setup};

/// Shards, each with an operator of its own: with f = 0.2, the fewest of which one counts as malicious.
pub(crate) const SHARDS: usize = 5;

/// Names of the shards' operators, in the order of the network file.
pub(crate) const OPERATORS: [&str; SHARDS] = ["alpha", "beta", "gamma", "delta", "epsilon"];

/// Longest time from a network's start to its first round.
const START_WITHIN: Duration = Duration::from_secs(60);

/// Program to run, and the ports and options for it.
#[derive(Debug)]
pub(crate) struct Program {
    path: PathBuf,
    ports: u16,
    keep: bool,
    /// Minutes that a long row has, if not as many as usual.
    minutes: Option<u64>,
    /// Options of `keygen network`.
    policy: &'static str,
}

/// Keys, files and processes. Dropping it ends all of them.
#[derive(Debug)]
pub(crate) struct Network {
    program: PathBuf,
    ports: u16,
    folder: TempDir,
    /// Process of the coordinator.
    pub(crate) coordinator: Child,
    /// Processes of the shards, in the order of [`OPERATORS`].
    pub(crate) shards: Vec<Child>,
}

/// Reason why a row cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A file or a process.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A command that makes keys or files.
    #[error("{arguments}: {said}")]
    Command { arguments: String, said: String },
    /// An expectation was not met.
    #[error("{0}")]
    NotSeen(String),
}

impl Program {
    pub(crate) fn new(path: PathBuf, ports: u16, keep: bool) -> Self {
        Self { path, ports, keep, minutes: None, policy: "" }
    }

    /// The same with so many minutes for the long row.
    pub(crate) const fn for_minutes(mut self, minutes: Option<u64>) -> Self {
        self.minutes = minutes;
        self
    }

    /// Minutes that a long row has, if not as many as usual.
    pub(crate) const fn minutes(&self) -> Option<u64> {
        self.minutes
    }

    /// The same with options for `keygen network`.
    pub(crate) fn with_policy(&self, policy: &'static str) -> Self {
        Self { path: self.path.clone(), policy, ..*self }
    }

    /// Makes all files, and starts all processes with ordinary surroundings.
    pub(crate) fn network(&self) -> Result<Network, BenchError> {
        self.network_in(|_| Surroundings::default())
    }

    /// The same, with other surroundings for some: `coordinator`, or a shard by its operator's name.
    pub(crate) fn network_in(
        &self,
        surroundings: impl Fn(&str) -> Surroundings,
    ) -> Result<Network, BenchError> {
        let folder = tempfile::Builder::new().prefix("antiphon-faults-").tempdir()?;
        let setup = Setup { program: &self.path, folder: folder.path(), ports: self.ports };
        setup.write(self.policy)?;
        let coordinator = setup.start("coordinator", &surroundings("coordinator"))?;
        let shards = OPERATORS.iter().map(|name| setup.start(name, &surroundings(name)));
        let shards = shards.collect::<Result<_, _>>()?;
        let (program, ports) = (self.path.clone(), self.ports);
        let mut network = Network { program, ports, folder, coordinator, shards };
        // The first round may still be short of somebody; from the second on they follow each other.
        let started = network.delivered(0, 2, START_WITHIN);
        if started.is_none() {
            let why = network.failure("no round was delivered after the start");
            self.keep(network);
            return Err(why);
        }
        Ok(network)
    }

    /// A network whose rounds are followed by beats. Those shards can be made to misbehave.
    pub(crate) fn network_with_beats(
        &self,
        beats: &Beats,
        misbehaving: &[usize],
    ) -> Result<Network, BenchError> {
        let folder = tempfile::Builder::new().prefix("antiphon-faults-").tempdir()?;
        let setup = Setup { program: &self.path, folder: folder.path(), ports: self.ports };
        setup.write(beats.policy)?;
        setup.write_beats(beats)?;
        let surroundings = Surroundings::default();
        let coordinator = setup.start("coordinator", &surroundings)?;
        let start = |(shard, name): (usize, &&str)| match misbehaving.contains(&shard) {
            true => setup.start_misbehaving(name),
            false => setup.start(name, &surroundings),
        };
        let shards = OPERATORS.iter().enumerate().map(start).collect::<Result<_, _>>()?;
        let (program, ports) = (self.path.clone(), self.ports);
        let mut network = Network { program, ports, folder, coordinator, shards };
        if network.delivered(0, 1, 2 * START_WITHIN).is_none() {
            let why = network.failure("no round was delivered after the start");
            self.keep(network);
            return Err(why);
        }
        Ok(network)
    }

    /// A network with two coordinators. Its coordinator is the one that leads; the other is beside it.
    pub(crate) fn network_of_two(&self) -> Result<(Network, Child), BenchError> {
        let folder = tempfile::Builder::new().prefix("antiphon-faults-").tempdir()?;
        let setup = Setup { program: &self.path, folder: folder.path(), ports: self.ports };
        setup.write(self.policy)?;
        setup.write_second()?;
        let surroundings = Surroundings::default();
        let mut coordinator = setup.start("coordinator", &surroundings)?;
        let mut second = setup.start("second", &surroundings)?;
        let shards = OPERATORS.iter().map(|name| setup.start(name, &surroundings));
        let shards = shards.collect::<Result<_, _>>()?;
        let leads = |child: &Child| child.said_since(0).contains("this coordinator leads in term");
        let led = wait_for(START_WITHIN, || (leads(&coordinator) || leads(&second)).then_some(()));
        if leads(&second) {
            std::mem::swap(&mut coordinator, &mut second);
        }
        let (program, ports) = (self.path.clone(), self.ports);
        let mut network = Network { program, ports, folder, coordinator, shards };
        if led.is_none() || network.delivered(0, 2, START_WITHIN).is_none() {
            let why = network.failure("no round was delivered after the start");
            self.keep(network);
            return Err(why);
        }
        Ok((network, second))
    }

    /// Ends a network whose row failed, and says where its logs are if they are kept.
    pub(crate) fn keep(&self, network: Network) {
        let Network { folder, coordinator, shards, .. } = network;
        // They write to the folder until they are gone.
        drop((coordinator, shards));
        if self.keep {
            println!("    logs are in {}", folder.keep().display());
        }
    }
}

impl Network {
    /// The folder with all files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The program that the processes run.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Writes what a daemon needs that goes through this shard.
    pub(crate) fn write_daemon(&self, name: &str, gateway: usize) -> Result<(), BenchError> {
        self.setup().write_daemon(name, gateway)
    }

    /// The coordinator's port for shards.
    pub(crate) fn coordinator_port(&self) -> u16 {
        self.ports
    }

    /// The coordinator's port for clients.
    pub(crate) fn documents_port(&self) -> u16 {
        self.ports + 1
    }

    /// A shard's port for other shards.
    pub(crate) fn peer_port(&self, shard: usize) -> u16 {
        Ports { first: self.ports }.peers(shard)
    }

    /// A shard's port for clients.
    pub(crate) fn client_port(&self, shard: usize) -> u16 {
        Ports { first: self.ports }.clients(shard)
    }

    /// A shard's port for metrics.
    pub(crate) fn metrics_port(&self, shard: usize) -> u16 {
        Ports { first: self.ports }.metrics(shard)
    }

    /// All ports that processes listen on.
    pub(crate) fn all_ports(&self) -> Vec<u16> {
        let of = |shard| [self.peer_port(shard), self.client_port(shard), self.metrics_port(shard)];
        let mut ports = vec![self.ports, self.ports + 1];
        ports.extend((0..SHARDS).flat_map(of));
        ports
    }

    fn setup(&self) -> Setup<'_> {
        Setup { program: &self.program, folder: self.folder.path(), ports: self.ports }
    }

    /// Starts the coordinator again; the one before has to be gone.
    pub(crate) fn start_coordinator(&mut self) -> Result<(), BenchError> {
        self.coordinator = self.setup().start("coordinator", &Surroundings::default())?;
        Ok(())
    }

    /// Starts a shard again; the one before has to be gone.
    pub(crate) fn start_shard(&mut self, shard: usize) -> Result<(), BenchError> {
        self.shards[shard] = self.setup().start(OPERATORS[shard], &Surroundings::default())?;
        Ok(())
    }

    /// Starts one more process with a configuration of this network, beside those that run.
    pub(crate) fn start_beside(&self, role: &str, file: &str) -> Result<Child, BenchError> {
        let arguments = [role, "--config", file];
        let surroundings = Surroundings::default();
        let (folder, name) = (self.folder.path(), file.replace(".toml", "-beside"));
        Ok(Child::start(&self.program, folder, &name, &arguments, &surroundings)?)
    }

    /// Runs a command of the program in the network's folder and returns what it prints.
    pub(crate) fn run(&self, arguments: &str) -> Result<String, BenchError> {
        self.setup().run(arguments)
    }

    /// Starts a user's daemon on the profile `name`, which is made first if it is not there, and waits until it serves.
    pub(crate) fn start_daemon(
        &self,
        name: &str,
        surroundings: &Surroundings,
    ) -> Result<Child, BenchError> {
        let pass = format!("{name}.pass");
        let config = "daemon.toml";
        let arguments =
            ["serve", "--profile", name, "--passphrase-file", &pass, "--config", config];
        let arguments = if self.folder().join(name).exists() {
            arguments.to_vec()
        } else {
            [&arguments[..], &["--new"]].concat()
        };
        let log = format!("{name}-daemon");
        let child = Child::start(&self.program, self.folder(), &log, &arguments, surroundings)?;
        let mark = child.mark();
        let serves = wait_for(Duration::from_secs(30), || {
            child.said_since(mark).contains("it stays whatever its user does").then_some(())
        });
        let last = || child.said_since(mark).lines().last().unwrap_or_default().to_owned();
        serves.map_or_else(
            || Err(BenchError::NotSeen(format!("a daemon does not start: {}", last()))),
            |()| Ok(()),
        )?;
        Ok(child)
    }

    /// Starts a client that talks to nobody, and waits until it has a gateway.
    pub(crate) fn start_client(&self) -> Result<Child, BenchError> {
        let client = self.start_beside("client", "client.toml")?;
        match linked_since(&client, 0, Duration::from_secs(30)) {
            Some(_) => Ok(client),
            None => {
                let said = client.said_since(0);
                let last = said.lines().last().unwrap_or_default();
                Err(BenchError::NotSeen(format!("the client has no gateway: {last}")))
            }
        }
    }

    /// The shard that has a client linked, by its own metrics.
    pub(crate) fn gateway_in_use(&self) -> Option<usize> {
        wait_for(Duration::from_secs(10), || {
            (0..SHARDS).find(|shard| self.metric(*shard, "antiphon_shard_clients") >= Some(1))
        })
    }

    /// The value of one of a shard's metrics, given as the page has it.
    pub(crate) fn metric(&self, shard: usize, name: &str) -> Option<u64> {
        // The page has one line for each metric, its name before the value.
        let (page, _) = get(self.metrics_port(shard), "/metrics", Duration::from_secs(5)).ok()?;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.trim().parse().ok()
    }

    /// Asks a shard to stop, and waits until it has.
    pub(crate) fn stop_shard(&mut self, shard: usize) -> Result<(), BenchError> {
        // It serves until an epoch without it has taken over, which takes some rounds.
        self.shards[shard].signal(Signal::TERM);
        match self.shards[shard].exit_code(Duration::from_secs(90)) {
            Some(0) => Ok(()),
            code => {
                Err(BenchError::NotSeen(format!("after SIGTERM the shard ended with {code:?}")))
            }
        }
    }

    /// Asks the coordinator to stop, and waits until it has.
    pub(crate) fn stop_coordinator(&mut self) -> Result<(), BenchError> {
        self.coordinator.signal(Signal::TERM);
        match self.coordinator.exit_code(Duration::from_secs(90)) {
            Some(0) => Ok(()),
            code => Err(BenchError::NotSeen(format!(
                "after SIGTERM the coordinator ended with {code:?}"
            ))),
        }
    }

    /// Where the coordinator's log ends now.
    pub(crate) fn mark(&self) -> u64 {
        self.coordinator.mark()
    }

    /// The rounds that ended since `mark`.
    pub(crate) fn rounds_since(&self, mark: u64) -> Vec<EndedRound> {
        rounds::ended(&self.coordinator.said_since(mark))
    }

    /// Waits until `count` rounds have been delivered since `mark`; returns how long that took.
    pub(crate) fn delivered(
        &mut self,
        mark: u64,
        count: usize,
        within: Duration,
    ) -> Option<Duration> {
        let from = Instant::now();
        wait_for(within, || {
            let rounds = rounds::ended(&self.coordinator.said_since(mark));
            (rounds.iter().filter(|round| round.delivered).count() >= count).then_some(())
        })?;
        Some(from.elapsed())
    }

    /// Waits for the next delivered round.
    pub(crate) fn recovered(&mut self, within: Duration) -> Result<Duration, BenchError> {
        let mark = self.mark();
        self.delivered(mark, 1, within)
            .ok_or_else(|| self.failure(&format!("no round within {} s", within.as_secs())))
    }

    /// The median duration of the next `count` delivered rounds.
    pub(crate) fn median_of(&mut self, count: usize) -> Result<Duration, BenchError> {
        let mark = self.mark();
        // Slow rounds are what is measured: only a network that stands still is a failure.
        let within = Duration::from_secs(30) + 5 * INTERVAL * count as u32;
        if self.delivered(mark, count, within).is_none() {
            return Err(self.failure("rounds do not go on"));
        }
        rounds::median(&self.rounds_since(mark))
            .ok_or_else(|| BenchError::NotSeen("no round was delivered".to_owned()))
    }

    /// Waits until an epoch with all shards was published since `mark`; returns how long that took.
    pub(crate) fn complete(&self, mark: u64, within: Duration) -> Result<Duration, BenchError> {
        let from = Instant::now();
        let all = format!(" {SHARDS} shards of operators");
        let complete = wait_for(within, || {
            let said = self.coordinator.said_since(mark);
            let is_complete = |line: &str| line.contains(" published: ") && line.contains(&all);
            said.lines().any(is_complete).then_some(())
        });
        match complete {
            Some(()) => Ok(from.elapsed()),
            None => {
                let seconds = within.as_secs();
                Err(self.failure(&format!("no epoch with all shards within {seconds} s")))
            }
        }
    }

    /// Number of suspensions of shards since `mark`, without those that were taken back.
    pub(crate) fn suspensions_since(&self, mark: u64) -> usize {
        let said = self.coordinator.said_since(mark);
        // From there on nobody was suspended: those before were taken back.
        let stands = said.rsplit("nobody sits out").next().unwrap_or_default();
        stands.matches(" sits out ").count()
    }

    /// An error with the last warnings of the coordinator's log.
    pub(crate) fn failure(&self, what: &str) -> BenchError {
        let log = self.coordinator.said_since(0);
        let last: Vec<_> =
            log.lines().rev().filter(|line| !line.contains(" opened")).take(3).collect();
        BenchError::NotSeen(format!("{what}; the coordinator: {}", last.join(" / ")))
    }
}

/// Waits until a client says that it has a gateway; returns how long that took.
pub(crate) fn linked_since(client: &Child, mark: u64, within: Duration) -> Option<Duration> {
    let from = Instant::now();
    let linked = || client.said_since(mark).contains("linked to a gateway").then_some(());
    wait_for(within, linked).map(|()| from.elapsed())
}
