//! `antiphon demo`: a whole network in one process, and a file carried through it.

mod beats;
mod codes;
mod live;
mod report;
mod transfer;

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::time::Duration;

use antiphon_client::{
    Client, ClientConfig, ConnectError, Conversation, ConversationOptions, ConversationSecret,
    Coordinator, Event, Events, OpenConversationError, Role, Start,
};
use antiphon_coordinator::{CoordinatorConfig, Notice};
use antiphon_process::entropy::entropy;
use antiphon_process::signals::stop_requested;
use antiphon_testnet::{DropOnions, EmbeddedError, EmbeddedNetwork, EmbeddedOptions, Tamper};
use antiphon_wire::{Layer, Policy, Suite};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::Runtime;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use crate::cli::json::JsonArguments;
use crate::exit::{EXIT_CODES, Exit, Exits};
use crate::output::OutputError;
use crate::plan::{Figures, PlanError};

use beats::{Beats, BeatsReport};
use codes::Met;
use report::{Messages, NetworkReport, Report, Round, Spent};

/// The file that is carried if none is given.
const OWN_TEXT: &[u8] = include_bytes!("../assets/antiphon.txt");

/// Onions that a misbehaving shard drops in a round. Each of them that is another's noise is missed
/// with probability one half.
const DROPPED: usize = 6;

/// The layer before which it drops them: the onions are those of all gateways by then.
const DROP_BEFORE: Layer = Layer(2);

/// Rounds after which to give up if none are asked for: with a shard that drops noise, and without.
const ROUNDS_WHEN_DROPPING: u32 = 8;
const ROUNDS: u32 = 200;

/// The largest file that is carried: far more than anybody waits for.
const LARGEST_FILE_BYTES: u64 = 16 << 20;

/// Longest time until a network has published its first epoch.
const FIRST_EPOCH: Duration = Duration::from_secs(120);

/// Run a whole network in this process and carry a file through it
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Run a whole network in this process and carry a file through it: a coordinator, shards that each have \
an operator of their own, and clients, over QUIC on loopback, with real cryptography and the noise of \
the default guarantee. Two clients, whose users give each other a code, carry the file both ways; the rest idle. Rounds set up \
circuits, and the file travels in rounds and in the beats that follow them. Each round and every ten \
beats show what anyone watching could count.

It succeeds if the file arrived at both ends byte for byte.

Examples:
  antiphon demo
      five shards, twenty clients, a text that ships with the program
  antiphon demo --file photo.jpg --json report.json
      a file of yours, and a report for programs
  antiphon demo --beats 240
      rounds a minute apart, and 240 beats after each, a second apart
  antiphon demo --beats 0
      a classic network: rounds alone, one after the other, with onions of suite 1
  antiphon demo --drop-noise 2
      shard 2 throws onions away: the others notice, and refuse to open the round"
)]
pub(crate) struct DemoArguments {
    /// Shards, each run by an operator of its own
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..=50))]
    shards: u16,
    /// Clients; two of them talk
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(2..=1000))]
    clients: u16,
    /// Cryptographic suite of the onions: 1 is X25519, 2 is X25519 and ML-KEM-768, with onions of 17 kB [default: 2
    /// with beats, 1 without]
    #[arg(long, value_name = "N")]
    suite: Option<Suite>,
    /// Beats that follow each round, in which the file is carried as well; 0 is a classic network [default: 120, and 0
    /// with --drop-noise]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(..=3600))]
    beats: Option<u16>,
    /// Stop after so many rounds, even if the file has not arrived [default: when it has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: Option<u32>,
    /// The file to carry [default: a text that ships with the program]
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// A shard, from 0, that drops some onions of every round
    #[arg(long, value_name = "SHARD")]
    drop_noise: Option<u16>,
    #[command(flatten)]
    json: JsonArguments,
}

/// Reason why a demonstration fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error("cannot read {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("--drop-noise {shard}: the shards are numbered from 0 to {last}")]
    NoSuchShard { shard: u16, last: u16 },
    #[error(transparent)]
    Network(#[from] EmbeddedError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("no epoch was published within {} seconds", FIRST_EPOCH.as_secs())]
    NoEpoch,
    #[error("a client cannot connect: {0}")]
    Connect(#[from] ConnectError),
    #[error("the conversation cannot be opened: {0}")]
    Open(#[from] OpenConversationError),
    #[error("the system does not give what a network needs: {0}")]
    System(#[from] io::Error),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("interrupted after {rounds} rounds, before the file had arrived")]
    Interrupted { rounds: usize },
    #[error("the file did not arrive within {0} rounds")]
    NotDelivered(usize),
}

impl Exits for DemoError {
    fn exit(&self) -> Exit {
        match self {
            Self::File { .. } | Self::NoSuchShard { .. } => Exit::Usage,
            Self::Interrupted { .. } => Exit::Interrupted,
            _ => Exit::Failed,
        }
    }
}

/// Runs the demonstration, and prints it as it goes.
pub(crate) fn run(arguments: &DemoArguments) -> Result<(), DemoError> {
    let file = match &arguments.file {
        None => OWN_TEXT.to_vec(),
        Some(path) => {
            read_file(path).map_err(|source| DemoError::File { path: path.clone(), source })?
        }
    };
    if let Some(shard) = arguments.drop_noise.filter(|shard| *shard >= arguments.shards) {
        return Err(DemoError::NoSuchShard { shard, last: arguments.shards - 1 });
    }
    // Nothing is carried in vain.
    arguments.json.check()?;
    Runtime::new()?.block_on(Demo { arguments, file }.run())
}

/// Reads a regular file of bounded size: pipes and devices may never end.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let about = fs::metadata(path)?;
    if !about.is_file() || about.len() > LARGEST_FILE_BYTES {
        let wrong = format!("it is no regular file of at most {LARGEST_FILE_BYTES} bytes");
        return Err(io::Error::other(wrong));
    }
    fs::read(path)
}

impl DemoArguments {
    /// Beats of each round.
    fn beats(&self) -> u16 {
        // What a shard drops, and what follows, shows in rounds.
        self.beats.unwrap_or(if self.drop_noise.is_some() { 0 } else { beats::PER_ROUND })
    }

    /// Suite of the onions: rounds that are followed by beats are rare enough for the longer ones.
    fn suite(&self) -> Suite {
        self.suite.unwrap_or(if self.beats() > 0 { Suite::Hybrid } else { Suite::Classic })
    }
}

struct Demo<'a> {
    arguments: &'a DemoArguments,
    file: Vec<u8>,
}

/// The rounds that were watched, and the messages that arrived in them.
struct Carried {
    rounds: Vec<Round>,
    messages: Messages,
    beats: Option<BeatsReport>,
    spent: Spent,
    interrupted: bool,
}

impl Demo<'_> {
    /// Long, as it tells a demonstration from its first line to its last.
    async fn run(self) -> Result<(), DemoError> {
        let mut stop = pin!(stop_requested()?);
        let network = self.network()?;
        if let Some(trust) = network.file().trust_in_words() {
            tracing::warn!("{trust}");
        }
        let mut notices = network.subscribe();
        let figures = Figures::of(network.file(), 1, None)?;
        let about = NetworkReport::new(&figures, self.arguments);
        let met = Met::of(network.file());
        self.arguments.json.print(&live::opening(
            &about,
            figures.sigma,
            &met.codes,
            (&self.file_name(), self.file.len()),
        ))?;

        let progress = self.progress();
        progress.set_message("the shards agree on an epoch");
        let begin = async {
            let epoch = tokio::time::timeout(FIRST_EPOCH, first_epoch(&mut notices));
            epoch.await.map_err(|_| DemoError::NoEpoch)?;
            progress.set_message("clients connect");
            Ok::<_, DemoError>(self.connect(&network).await?)
        };
        let clients = tokio::select! {
            begun = begin => begun?,
            () = &mut stop => return Err(DemoError::Interrupted { rounds: 0 }),
        };
        let carried = self.carry(&clients, met.ends, &mut notices, &progress, stop).await?;
        progress.finish_and_clear();
        let Carried { rounds, messages, beats, spent, interrupted } = carried;
        let report = Report { network: about, rounds, beats, spent, messages };
        self.arguments.json.print(&live::closing(&report, self.file.len()))?;
        let seen = report.rounds.len();
        self.arguments.json.write(&report)?;
        // Clients and shards leave in the middle of a round: nothing of them is needed any more.
        drop((clients, network));
        match (messages.intact, interrupted) {
            (true, _) => Ok(()),
            (false, true) => Err(DemoError::Interrupted { rounds: seen }),
            (false, false) => Err(DemoError::NotDelivered(seen)),
        }
    }

    /// Carries the file both ways, until all of it has arrived or nobody waits any more.
    async fn carry(
        &self,
        clients: &[Client],
        met: [(ConversationSecret, Role); 2],
        notices: &mut broadcast::Receiver<Notice>,
        progress: &ProgressBar,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Carried, DemoError> {
        let per_round = self.arguments.beats();
        let ends = converse(clients, met, per_round > 0).await?;
        progress.set_message("carrying the file");

        let (so_far, messages) = watch::channel(Messages::default());
        let beats = RefCell::default();
        let mut rounds = Vec::new();
        let most = self.rounds();
        let interrupted = tokio::select! {
            carried = self.exchange(ends, clients[0].events(), (&so_far, &beats), progress) => {
                carried?;
                if per_round == 0 {
                    // The round that brought the last of it is still to be reported.
                    let _ = self.watch(notices, &mut rounds, 1, progress).await;
                }
                false
            }
            watched = self.watch(notices, &mut rounds, most, progress) => {
                watched?;
                false
            }
            () = stop => true,
        };
        let messages = *messages.borrow();
        let beats = (per_round > 0).then(|| BeatsReport::new(per_round, &beats.borrow()));
        let spent = Spent::of(clients[0].status().budget);
        Ok(Carried { rounds, messages, beats, spent, interrupted })
    }

    /// Has the file carried both ways, and shows beats, until all of it has arrived and there was a line about beats.
    async fn exchange(
        &self,
        ends: [Conversation; 2],
        events: Events,
        (so_far, beats): (&watch::Sender<Messages>, &RefCell<Beats>),
        progress: &ProgressBar,
    ) -> Result<(), DemoError> {
        // Beats begin long after the round that set them up was reported, and a file may be there before them.
        let (enough, shown) = watch::channel(0);
        let file = transfer::exchange(ends, &self.file, progress, so_far);
        let line = enough_beats(shown, self.arguments.beats());
        tokio::select! {
            _ = async { tokio::join!(file, line) } => Ok(()),
            shown = self.follow(events, beats, &enough, progress) => shown,
        }
    }

    /// Shows beats of a client that talks as they end, ten at a time, for as long as the client goes on.
    async fn follow(
        &self,
        mut events: Events,
        beats: &RefCell<Beats>,
        enough: &watch::Sender<usize>,
        progress: &ProgressBar,
    ) -> Result<(), DemoError> {
        while let Some(event) = events.next().await {
            let Event::Core(event) = event else { continue };
            let last = beats.borrow_mut().take(&event);
            if let Some(last) = last {
                let line = live::beats(&last);
                progress.suspend(|| self.arguments.json.print(&line))?;
            }
            enough.send_replace(beats.borrow().count());
        }
        Ok(())
    }

    fn network(&self) -> Result<EmbeddedNetwork, EmbeddedError> {
        let shards = self.arguments.shards;
        let policy = Policy { suite: self.arguments.suite(), ..Policy::default() };
        let coordinator = beats::with_beats(coordinator_config(), self.arguments.beats());
        let mut options = EmbeddedOptions::new(shards, policy, coordinator);
        // Else the beats of one shard would wait for the noise of all others.
        options.shares_threads = true;
        // One to listen for replies, and one more while it turns to another gateway.
        options.sockets = 2 * u32::from(self.arguments.clients);
        let dropping = self.arguments.drop_noise;
        EmbeddedNetwork::start(&options, |shard| {
            let drops = || DropOnions::new(DROPPED, DROP_BEFORE, entropy());
            (dropping == Some(shard)).then(|| Box::new(drops()) as Box<dyn Tamper>)
        })
    }

    async fn connect(&self, network: &EmbeddedNetwork) -> Result<Vec<Client>, ConnectError> {
        let coordinator = Coordinator {
            address: network.client_address().to_string(),
            identity: network.coordinator_identity(),
        };
        let mut connecting = tokio::task::JoinSet::new();
        for _ in 0..self.arguments.clients {
            let config = ClientConfig::new(network.file().clone(), vec![coordinator.clone()]);
            connecting.spawn(Client::connect(config));
        }
        let mut clients = Vec::new();
        while let Some(connected) = connecting.join_next().await {
            // Nobody cancels these tasks, and a panic in one is a bug to be seen.
            clients.push(
                connected.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?,
            );
        }
        Ok(clients)
    }

    /// Shows rounds as they end, `most` of them.
    async fn watch(
        &self,
        notices: &mut broadcast::Receiver<Notice>,
        rounds: &mut Vec<Round>,
        most: u32,
        progress: &ProgressBar,
    ) -> Result<(), DemoError> {
        let mut left = most;
        while left > 0 {
            match notices.recv().await {
                Ok(Notice::RoundEnded(report)) => {
                    // Aborted rounds count as well, or a demo in trouble would never end.
                    left -= 1;
                    let shards = usize::from(self.arguments.shards);
                    let round = Round::new(&report, shards);
                    let line = live::round(&round, shards) + "\n";
                    progress.suspend(|| self.arguments.json.print(&line))?;
                    rounds.push(round);
                }
                Ok(notice) => tracing::info!("{notice}"),
                // Rounds the terminal was too slow for are missing from the report; the network ran on.
                Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "reports lost"),
                Err(RecvError::Closed) => break,
            }
        }
        Ok(())
    }

    fn rounds(&self) -> u32 {
        let dropping = self.arguments.drop_noise.is_some();
        self.arguments.rounds.unwrap_or(if dropping { ROUNDS_WHEN_DROPPING } else { ROUNDS })
    }

    fn file_name(&self) -> String {
        match &self.arguments.file {
            None => "a text that ships with the program".to_owned(),
            Some(path) => path.display().to_string(),
        }
    }

    /// A bar on standard error, if a person watches it.
    fn progress(&self) -> ProgressBar {
        let progress = ProgressBar::new(2 * self.file.len() as u64);
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {msg} [{bar:30}] {bytes}/{total_bytes}")
        {
            progress.set_style(style);
        }
        progress.enable_steady_tick(Duration::from_millis(120));
        progress
    }
}

/// Deadlines for shards that share two cores; rounds follow each other as fast as the slowest allows.
fn coordinator_config() -> CoordinatorConfig {
    CoordinatorConfig {
        epoch_rounds: 240,
        interval_ms: 2000,
        // The demonstration shows what one round takes.
        rounds_in_flight: 1,
        prepare_ahead_rounds: 20,
        submit_ms: 3000,
        layer_ms: 30_000,
        verify_ms: 30_000,
        reply_ms: 30_000,
        ready_ms: 120_000,
        ..CoordinatorConfig::default()
    }
}

async fn first_epoch(notices: &mut broadcast::Receiver<Notice>) {
    loop {
        match notices.recv().await {
            Ok(Notice::EpochPublished { .. }) | Err(RecvError::Closed) => return,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
        }
    }
}

/// Opens a conversation between the first two clients, whose users have met by their codes. In beats they only speak to
/// partners that are verified, as these are.
async fn converse(
    clients: &[Client],
    ends: [(ConversationSecret, Role); 2],
    verified: bool,
) -> Result<[Conversation; 2], OpenConversationError> {
    let [first, second] = ends.map(|(secret, role)| ConversationOptions {
        verified,
        ..ConversationOptions::new(secret, role, Start::Dense)
    });
    Ok([clients[0].open(first).await?, clients[1].open(second).await?])
}

/// Waits until so many beats were seen that there is a line about them, if rounds have that many.
async fn enough_beats(mut shown: watch::Receiver<usize>, per_round: u16) {
    let enough = beats::GROUP.min(per_round.into());
    // Who counts them is gone with the client, and nobody waits any more.
    let _ = shown.wait_for(|shown| *shown >= enough).await;
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        demo: DemoArguments,
    }

    #[test]
    fn beats_are_over_suite_2_and_what_is_dropped_shows_in_rounds_of_suite_1() {
        let of = |options: &str| {
            let line = ["demo"].into_iter().chain(options.split_whitespace());
            let demo = Line::try_parse_from(line).unwrap().demo;
            (demo.beats(), demo.suite())
        };
        assert_eq!(of(""), (beats::PER_ROUND, Suite::Hybrid));
        assert_eq!(of("--beats 0"), (0, Suite::Classic));
        assert_eq!(of("--beats 9 --suite 1"), (9, Suite::Classic));
        assert_eq!(of("--drop-noise 2"), (0, Suite::Classic));
        assert_eq!(of("--drop-noise 2 --beats 9"), (9, Suite::Hybrid));
    }
}
