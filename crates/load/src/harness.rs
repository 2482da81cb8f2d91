//! A run from its start to its report.

mod rounds;

use std::io;
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use antiphon_client::Coordinator;
use antiphon_process::clock::SystemClock;
use antiphon_routing::VerifiedEpoch;
use antiphon_testnet::EmbeddedNetwork;
use antiphon_wire::{Geometry, GeometryError, Policy, Round};
use tokio::runtime::Builder as RuntimeBuilder;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::builder::Builder;
use crate::cpu::CpuMeter;
use crate::documents::Documents;
use crate::fleet::{Fleet, Shared};
use crate::memory::{self, MemoryNeeds, TooManyClients};
use crate::observed::Observed;
use crate::population::Population;
use crate::window::Window;
use crate::{Arrivals, DocumentsError, NetworkAddress, PrepareError, Progress, Report, Stage};
use rounds::Measured;

/// Time in which a network has to publish an epoch.
const DOCUMENT_WITHIN: Duration = Duration::from_secs(120);
/// Further time for each shard, if all of them share the cores of this machine.
const DOCUMENT_EACH: Duration = Duration::from_secs(3);
/// Time in which links have to be opened, besides a share for each.
const LINK_WITHIN: Duration = Duration::from_secs(30);
const LINK_EACH: Duration = Duration::from_millis(20);
/// Interval in which progress is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Rounds to come whose onions are in memory beside those that run, at least.
const LEAST_AHEAD: u64 = 1;
/// The most such rounds of a network elsewhere: any of them may turn out to be of another epoch than it was built for.
const AHEAD_ELSEWHERE: u64 = 12;

/// Clients and rounds to run.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Simulated clients, at least one.
    pub clients: u32,
    /// Rounds to measure, at least one.
    pub rounds: u32,
    /// Rounds before them; one goes by in any case.
    pub warmup: u32,
    /// The fraction of clients that talk.
    pub talking: f64,
    /// The fraction of clients that is replaced before each round.
    pub churn: f64,
    /// When in a round clients hand in their onions.
    pub arrivals: Arrivals,
    /// Everything random about the clients follows from it. Onions made from a seed that others know
    /// protect nobody.
    pub seed: u64,
    /// Threads that build onions.
    pub threads: NonZeroUsize,
    /// Clients that share a connection. Gateways have to allow as many.
    pub links_per_connection: u32,
}

/// Network that the clients are for.
#[derive(Debug)]
pub enum Target<'a> {
    /// A network in this process.
    Embedded(&'a EmbeddedNetwork),
    /// A network elsewhere, by its address.
    Real(&'a NetworkAddress),
}

/// Reason for which a run ends without a report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// More clients than memory holds.
    #[error(transparent)]
    Memory(#[from] TooManyClients),
    /// The network's parameters make no onions.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The network's document cannot be had.
    #[error(transparent)]
    Documents(#[from] DocumentsError),
    /// No document came in time.
    #[error("no epoch document came within {seconds} seconds: has the network enough shards?")]
    NoDocument {
        /// Seconds for which it was waited.
        seconds: u64,
    },
    /// Not a single client could link.
    #[error("no client can link to a gateway: {0}")]
    NoLinks(String),
    /// Onions cannot be built.
    #[error("onions cannot be built: {0}")]
    Prepare(#[from] PrepareError),
    /// Rounds do not go on.
    #[error("the network opened no round for {seconds} seconds; round {round} was next")]
    Stalled {
        /// Seconds for which it was waited.
        seconds: u64,
        /// The round waited for.
        round: u64,
    },
    /// The run was asked to stop too early.
    #[error("interrupted before the measured rounds were over")]
    Interrupted,
    /// The system refuses threads or files.
    #[error("the system does not give what a load test needs: {0}")]
    System(#[from] io::Error),
}

/// Runs the clients through all rounds. `stop` ends the run early; it is polled within a tokio
/// runtime.
///
/// # Errors
/// If the run could not take place. Rounds that fail are in the report.
pub fn run<S: Future<Output = ()>>(
    options: &LoadOptions,
    target: &Target<'_>,
    progress: &dyn Progress,
    stop: impl FnOnce() -> io::Result<S>,
) -> Result<Report, LoadError> {
    let runtime =
        RuntimeBuilder::new_multi_thread().thread_name("load-net").enable_all().build()?;
    let result = runtime.block_on(async {
        let stop = stop()?;
        Harness { options, target, progress }.run(pin!(stop)).await
    });
    runtime.shutdown_background();
    result
}

/// Checks that `clients` can be simulated at all, as far as can be told before the network says more.
/// `embedded` is the number of shards, and of rounds that may run at the same time, if they run in this
/// process.
///
/// # Errors
/// If memory does not hold them.
pub fn check_memory(
    options: &LoadOptions,
    policy: &Policy,
    embedded: Option<(u16, u8)>,
) -> Result<(), LoadError> {
    let in_flight = embedded.map_or(1, |(_, in_flight)| in_flight.into());
    let least_layers = policy.least_mixing_hops.saturating_add(1).max(3);
    let needs = MemoryNeeds {
        clients: options.clients.into(),
        onions_per_client: 2,
        geometry: Geometry::new(least_layers, 256)?.with_suite(policy.suite),
        links_per_connection: options.links_per_connection.into(),
        embedded: embedded.map(|(shards, _)| (shards.into(), 0)),
        rounds_in_flight: in_flight,
        has_beats: false,
    };
    let available = memory::available().unwrap_or(u64::MAX);
    let least = options.least_ahead(in_flight);
    needs.rounds_that_fit(least, least, available)?;
    Ok(())
}

impl LoadOptions {
    /// Rounds before the measured ones: one at least, since gateways wait for clients that took part in
    /// the round before, and for no others.
    fn unmeasured(&self) -> u64 {
        u64::from(self.warmup).max(1)
    }

    fn all_rounds(&self) -> u64 {
        self.unmeasured() + u64::from(self.rounds)
    }

    fn least_ahead(&self, in_flight: u64) -> u64 {
        (LEAST_AHEAD + in_flight).min(self.all_rounds())
    }
}

struct Harness<'a> {
    options: &'a LoadOptions,
    target: &'a Target<'a>,
    progress: &'a dyn Progress,
}

/// A run whose clients are linked and have their first onions.
struct Running<'a> {
    measured: Measured<'a>,
    fleet: Fleet,
    meter: CpuMeter,
    following: Following,
    first: Round,
    last: Round,
    estimated_bytes: u64,
    document_after_s: Option<f64>,
}

impl Harness<'_> {
    async fn run<S: Future<Output = ()>>(
        &self,
        mut stop: Pin<&mut S>,
    ) -> Result<Report, LoadError> {
        let mut running = tokio::select! {
            running = self.start() => running?,
            () = &mut stop => return Err(LoadError::Interrupted),
        };
        tokio::select! {
            measured = self.measure(&mut running) => measured?,
            () = stop => {
                if !running.measured.interrupt() {
                    return Err(LoadError::Interrupted);
                }
                running.fleet.shared.close_window();
            }
        }
        let Running {
            measured, fleet, meter, following, estimated_bytes, document_after_s, ..
        } = running;
        drop(following);
        let report = measured.report(meter.finish(), estimated_bytes);
        let shared = fleet.shut_down().await;
        let build_cpu_s = Arc::into_inner(shared).and_then(|shared| shared.builder.finish());
        let shard_links = self.network().map(|network| network.shard_links().name());
        let peak_rss_bytes = memory::peak();
        Ok(Report { shard_links, document_after_s, build_cpu_s, peak_rss_bytes, ..report })
    }

    /// Links all clients and builds onions, up to the first round that they take part in.
    async fn start(&self) -> Result<Running<'_>, LoadError> {
        self.progress.stage(Stage::Joining);
        let observed = self.network().map(Observed::of);
        let mut documents = Documents::connect(self.address()).await?;
        let within = self.document_within();
        let late = |_| LoadError::NoDocument { seconds: within.as_secs() };
        let epoch = timeout(within, documents.next()).await.map_err(late)??;
        let document_after_s = self.network().map(|network| network.up_for().as_secs_f64());

        let (needs, ahead) = self.ahead(&epoch)?;
        let options = self.options;
        let (talking, churn) = (options.talking, options.churn);
        let population = Population::new(options.clients, talking, churn, options.seed);
        let builder =
            Builder::start(options.threads, population.clone(), ahead as usize, churn > 0.0)?;
        builder.add_epoch(Arc::clone(&epoch));
        let links = options.links_per_connection.max(1);
        let meter = CpuMeter::start()?;
        let window = Window::new(meter.marks());
        let fleet = Fleet::start(population, builder, window, options.arrivals, &epoch, links);
        let following = Following::start(documents, &fleet);
        self.link(&fleet).await?;

        let first = self.first_round(&fleet, &epoch, ahead).await?;
        let warmup = options.unmeasured();
        let last = Round(first.0 + options.all_rounds() - 1);
        fleet.shared.window.measure(Round(first.0 + warmup), last);
        let mut measured = Measured::new(self.options, &epoch, observed, &fleet);
        measured.prebuilt(self.build(&fleet, first).await?);
        let estimated_bytes = needs.bytes(ahead);
        Ok(Running {
            measured,
            fleet,
            meter,
            following,
            first,
            last,
            estimated_bytes,
            document_after_s,
        })
    }

    /// Waits for all rounds, one after the other.
    async fn measure(&self, running: &mut Running<'_>) -> Result<(), LoadError> {
        let Running { measured, fleet, first, last, .. } = running;
        let warmup = self.options.unmeasured();
        for number in 0..self.options.all_rounds() {
            let round = Round(first.0 + number);
            self.progress.stage(Stage::Waiting { round: round.0, number });
            if number == warmup {
                fleet.shared.beats.measure(true);
            }
            let book = measured.ended(round).await?;
            if round == *last && measured.is_classic() {
                fleet.shared.close_window();
            }
            let ended = measured.conclude(round, book).await;
            fleet.shared.quiet_after(round);
            fleet.shared.builder.release(round);
            if let Some(error) = fleet.shared.builder.failed() {
                return Err(error.into());
            }
            self.progress.stage(Stage::Round { round: &ended, measured: number >= warmup });
            if number >= warmup {
                measured.add(ended);
            }
        }
        if !measured.is_classic() {
            self.beat_on(&fleet.shared, *last, measured.patience()).await;
        }
        Ok(())
    }

    /// Lets the beats of the last measured round go on until the next round opens, and those that are under way then
    /// come back. A network that opens no further round within `patience` has beats all the same.
    async fn beat_on(&self, shared: &Shared, last: Round, patience: Duration) {
        self.progress.stage(Stage::Beating);
        let mut opened = shared.watch_opened();
        let next = opened.wait_for(|open| open.is_some_and(|open| open.round > last));
        // Whichever it is, what was measured by then counts.
        let _ = timeout(patience, next).await;
        shared.close_window();
        shared.beats.measure(false);
        // Each beat has a time by which it is over.
        while shared.beats.settle(SystemClock::now()) > 0 {
            sleep(LOOK).await;
        }
        // For the last shards to say so.
        sleep(LOOK).await;
    }

    /// The network, if it is in this process.
    fn network(&self) -> Option<&EmbeddedNetwork> {
        match self.target {
            Target::Embedded(network) => Some(network),
            Target::Real(_) => None,
        }
    }

    fn address(&self) -> NetworkAddress {
        match self.target {
            Target::Real(address) => (*address).clone(),
            Target::Embedded(network) => NetworkAddress {
                file: network.file().clone(),
                coordinators: vec![Coordinator {
                    address: network.client_address().to_string(),
                    identity: network.coordinator_identity(),
                }],
            },
        }
    }

    /// Memory that the run needs, and the number of rounds whose onions are in it at the same time.
    fn ahead(&self, epoch: &VerifiedEpoch) -> Result<(MemoryNeeds, u64), LoadError> {
        let noise = noise_per_round(epoch);
        let shards = epoch.shards().len() as u64;
        // What a network elsewhere does at the same time is its own matter.
        let in_flight = match self.target {
            Target::Embedded(network) => network.rounds_in_flight().max(1).into(),
            Target::Real(_) => 1,
        };
        let needs = MemoryNeeds {
            clients: self.options.clients.into(),
            onions_per_client: 2 * u64::from(epoch.parameters().pairs_per_client),
            geometry: epoch.geometry(),
            links_per_connection: self.options.links_per_connection.into(),
            embedded: matches!(self.target, Target::Embedded(_)).then_some((shards, noise)),
            rounds_in_flight: in_flight,
            has_beats: !epoch.parameters().beats.is_classic(),
        };
        // A system that does not say how much it has is taken at its word when it runs out.
        let available = memory::available().unwrap_or(u64::MAX);
        let options = self.options;
        let least = options.least_ahead(in_flight);
        let most = match self.target {
            Target::Embedded(_) => options.all_rounds(),
            Target::Real(_) => options.all_rounds().min(least.max(AHEAD_ELSEWHERE)),
        };
        let ahead = needs.rounds_that_fit(least, most, available)?;
        Ok((needs, ahead))
    }

    /// Waits until all clients are linked, or no more of them will be.
    async fn link(&self, fleet: &Fleet) -> Result<(), LoadError> {
        let clients = self.options.clients as usize;
        let until = Instant::now() + LINK_WITHIN + LINK_EACH * self.options.clients;
        while Instant::now() < until {
            let linked = fleet.shared.linked();
            self.progress.stage(Stage::Linking { linked, clients });
            if linked >= clients {
                return Ok(());
            }
            if let (0, Some(why)) = (linked, fleet.shared.failure()) {
                return Err(LoadError::NoLinks(why));
            }
            sleep(LOOK).await;
        }
        let (linked, why) = (fleet.shared.linked(), fleet.shared.failure().unwrap_or_default());
        tracing::warn!(linked, clients, %why, "not all clients are linked: the others take no part");
        Ok(())
    }

    /// Time in which the network has to publish an epoch.
    fn document_within(&self) -> Duration {
        match self.target {
            Target::Embedded(network) => DOCUMENT_WITHIN + DOCUMENT_EACH * network.shards(),
            Target::Real(_) => DOCUMENT_WITHIN,
        }
    }

    /// The first round that clients take part in: the first that cannot open before its onions and
    /// those of the rounds after it can be built.
    async fn first_round(
        &self,
        fleet: &Fleet,
        epoch: &Arc<VerifiedEpoch>,
        ahead: u64,
    ) -> Result<Round, LoadError> {
        let shared = &fleet.shared;
        let mut opened = shared.watch_opened();
        let interval = Duration::from_millis(epoch.parameters().interval_ms.into());
        let within = self.document_within() + interval;
        // Open rounds are told to whoever joins, so that this is the running one, or the next.
        let heard = timeout(within, opened.wait_for(Option::is_some)).await;
        let next = epoch.document().first_round.0;
        let Some(open) = heard.ok().and_then(|open| open.ok().and_then(|open| *open)) else {
            return Err(LoadError::Stalled { seconds: within.as_secs(), round: next });
        };
        // What one core takes, over all threads, with some to spare.
        let takes = rounds::build_time(epoch, &shared.population)?
            .mul_f64(1.3 * ahead as f64 / self.options.threads.get() as f64);
        let left = open.closes.saturating_duration_since(Instant::now());
        let interval = Duration::from_millis(epoch.parameters().interval_ms.max(1).into());
        let more = takes.saturating_sub(left).as_secs_f64() / interval.as_secs_f64();
        Ok(Round(open.round.0 + 1 + more.ceil() as u64))
    }

    /// Builds as many rounds from `first` on as fit, before it opens. Returns how many were built by
    /// then.
    async fn build(&self, fleet: &Fleet, first: Round) -> Result<u64, LoadError> {
        let shared = &fleet.shared;
        shared.builder.plan(first, Round(first.0 + self.options.all_rounds() - 1));
        let runs_each = self.options.clients.div_ceil(crate::prepared::CHUNK) as usize;
        let opened = shared.watch_opened();
        loop {
            let built = shared.builder.built();
            self.progress.stage(Stage::Building { built: built.runs, of: built.room });
            if let Some(error) = shared.builder.failed() {
                return Err(error.into());
            }
            // Whoever is not ready by then is late, and counted as that.
            let begun = opened.borrow().is_some_and(|open| open.round >= first);
            if built.runs >= built.room || begun {
                return Ok((built.runs / runs_each.max(1)) as u64);
            }
            sleep(LOOK).await;
        }
    }
}

/// Onions that all shards make in a round: noise, and canaries if beats follow.
fn noise_per_round(epoch: &VerifiedEpoch) -> u64 {
    let canaries = 2 * u64::from(epoch.canaries(epoch.document().first_round));
    epoch.shards().iter().map(|shard| u64::from(shard.noise_volume) + canaries).sum()
}

/// Hands new documents to the builder for as long as it lives.
struct Following(JoinHandle<()>);

impl Following {
    fn start(mut documents: Documents, fleet: &Fleet) -> Self {
        let shared = Arc::downgrade(&fleet.shared);
        Self(tokio::spawn(async move {
            loop {
                match documents.next().await {
                    Ok(epoch) => match shared.upgrade() {
                        Some(shared) => shared.add_epoch(epoch),
                        None => return,
                    },
                    Err(error) => tracing::warn!(%error, "a document is not taken"),
                }
            }
        }))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}
