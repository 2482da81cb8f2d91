//! Rounds as they end, and what they add up to.

use std::sync::Arc;
use std::time::Duration;

use antiphon_coordinator::{RoundReport, RoundResult};
use antiphon_onion::Kernel;
use antiphon_routing::VerifiedEpoch;
use antiphon_wire::Round as RoundNumber;
use tokio::time::{Instant, sleep, timeout};

use super::{LoadError, LoadOptions, noise_per_round};
use crate::cpu::{CpuUse, NoCpuTimes};
use crate::fleet::{Fleet, Shared};
use crate::latency::Latencies;
use crate::observed::{Observed, Seen};
use crate::phases::Phases;
use crate::population::Population;
use crate::prepared::{CHUNK, Prepared};
use crate::provenance::Provenance;
use crate::report::{BeatsReport, Outcome, Report, Round, ServerCpu};
use crate::round_book::{Book, Totals};

/// Interval in which a running round is looked at. It does not limit what is measured: times are noted as
/// messages come.
const LOOK: Duration = Duration::from_millis(20);
/// Time in which clients that have heard of a round when it closed have to be heard of.
const GRACE: Duration = Duration::from_secs(1);
/// Time in which the network has to report a round that has ended for its clients.
const REPORT_WITHIN: Duration = Duration::from_secs(5);
/// Time in which a round has to open, besides what a round can take.
const OPEN_WITHIN: Duration = Duration::from_secs(60);

/// One core's time for the onions of all clients in one round.
pub(super) fn build_time(
    epoch: &Arc<VerifiedEpoch>,
    population: &Population,
) -> Result<Duration, LoadError> {
    // Nobody sends these.
    let round = epoch.document().last_round;
    let book = Book::new(Arc::clone(epoch), round, Arc::new([]), population.clients());
    let start = Instant::now();
    Prepared::build(&book, population, 0)?;
    let built = CHUNK.min(population.clients());
    Ok(start.elapsed().mul_f64(f64::from(population.clients()) / f64::from(built.max(1))))
}

/// Figures of the rounds that were measured so far.
pub(super) struct Measured<'a> {
    options: &'a LoadOptions,
    epoch: Arc<VerifiedEpoch>,
    observed: Option<Observed>,
    shared: Arc<Shared>,
    provenance: Provenance,
    interrupted: bool,
    prebuilt: u64,
    rounds: Vec<Round>,
    /// When the first of all rounds was opened.
    start: Option<Instant>,
    client_latencies: Latencies,
    /// Of the round that ended last.
    last_latencies: Latencies,
}

impl<'a> Measured<'a> {
    pub(super) fn new(
        options: &'a LoadOptions,
        epoch: &Arc<VerifiedEpoch>,
        observed: Option<Observed>,
        fleet: &Fleet,
    ) -> Self {
        Self {
            options,
            epoch: Arc::clone(epoch),
            observed,
            shared: Arc::clone(&fleet.shared),
            provenance: Provenance::of_this_process(),
            interrupted: false,
            prebuilt: 0,
            rounds: Vec::new(),
            start: None,
            client_latencies: Latencies::default(),
            last_latencies: Latencies::default(),
        }
    }

    /// Returns `true` if no beats follow rounds.
    pub(super) fn is_classic(&self) -> bool {
        self.epoch.parameters().beats.is_classic()
    }

    /// Time in which the next round has to open.
    pub(super) fn patience(&self) -> Duration {
        OPEN_WITHIN + longest(&self.epoch)
    }

    pub(super) fn prebuilt(&mut self, rounds: u64) {
        self.prebuilt = rounds;
    }

    /// The run is asked to stop; returns whether anything has been measured by then.
    pub(super) fn interrupt(&mut self) -> bool {
        self.interrupted = true;
        !self.rounds.is_empty()
    }

    /// Adds the round that ended last.
    pub(super) fn add(&mut self, round: Round) {
        if round.outcome == Outcome::Delivered {
            self.client_latencies.add(&self.last_latencies);
        }
        self.rounds.push(round);
    }

    /// Draws up a round that has ended for its clients.
    pub(super) async fn conclude(&mut self, number: RoundNumber, book: Option<Arc<Book>>) -> Round {
        let seen = match &self.observed {
            Some(observed) if book.as_ref().is_some_and(|book| book.opened().is_some()) => {
                let complete = async {
                    while !observed.is_complete(number) {
                        sleep(LOOK).await;
                    }
                };
                if timeout(REPORT_WITHIN, complete).await.is_err() {
                    tracing::warn!(round = number.0, "not all shards reported the round");
                }
                Some(observed.take(number))
            }
            _ => None,
        };
        self.sum(number, book.as_deref(), seen.as_ref())
    }

    /// Waits until a round has ended for all clients, or cannot end any more. Its book, if it was
    /// planned.
    pub(super) async fn ended(&self, number: RoundNumber) -> Result<Option<Arc<Book>>, LoadError> {
        let newest = self.shared.watch_opened();
        let (longest, patience) = (longest(&self.epoch), self.patience());
        let mut waited_since = Instant::now();
        let mut heard = *newest.borrow();
        loop {
            let book = self.shared.builder.book(number);
            match book.as_ref().and_then(|book| Some((book, book.opened()?))) {
                Some((book, opening)) => {
                    let now = Instant::now();
                    let all_heard = book.absent() == 0 || now > opening.closes + GRACE;
                    if (all_heard && book.waiting() == 0) || now > opening.at + longest {
                        return Ok(Some(Arc::clone(book)));
                    }
                }
                None => {
                    let open = *newest.borrow();
                    // A later round is open: this one was passed over, or its onions came too late.
                    if open.is_some_and(|open| open.round > number && open.closes < Instant::now())
                    {
                        return Ok(book);
                    }
                    if open.map(|open| open.round) != heard.map(|open| open.round) {
                        (heard, waited_since) = (open, Instant::now());
                    }
                    if waited_since.elapsed() > patience {
                        let seconds = patience.as_secs();
                        return Err(LoadError::Stalled { seconds, round: number.0 });
                    }
                }
            }
            sleep(LOOK).await;
        }
    }

    /// Takes the latencies of all clients that were answered, each from `before_us` before its own clock began.
    /// Returns the longest.
    fn note_latencies(&mut self, book: Option<&Book>, before_us: u64) -> Option<u64> {
        self.last_latencies = Latencies::default();
        let mut last_us = None;
        for micros in book.iter().flat_map(|book| book.answered_us()) {
            let micros = micros + before_us;
            self.last_latencies.record_us(micros);
            last_us = last_us.max(Some(micros));
        }
        last_us
    }

    /// Draws up one round. Long, as every figure is a line, and most of them need those before.
    fn sum(&mut self, number: RoundNumber, book: Option<&Book>, seen: Option<&Seen>) -> Round {
        let clients = self.shared.population.clients().into();
        let all_late = Totals { late: clients, absent: clients, ..Totals::default() };
        let totals = book.map_or(all_late, |book| book.totals(&self.shared.population));
        let report = seen.and_then(|seen| seen.report.as_ref());
        let opening = book.and_then(Book::opened);
        let (outcome, reason) = outcome(report, opening.is_some(), &totals);

        // Clients count from when the first of them heard; the coordinator's own word came before.
        let opened = seen.and_then(|seen| seen.opened).or(opening.map(|opening| opening.at));
        let before_us = opening.zip(opened).map(|(opening, opened)| {
            opening.at.saturating_duration_since(opened).as_micros() as u64
        });
        self.start = self.start.or(opened);
        let opened_ms = opened
            .zip(self.start)
            .map(|(opened, start)| opened.saturating_duration_since(start).as_secs_f64() * 1e3);
        let last_us = self.note_latencies(book, before_us.unwrap_or(0));

        let pairs = self.epoch.parameters().pairs_per_client;
        let user_onions = report
            .map_or(2 * u64::from(pairs) * totals.submitted, |report| report.totals.user_onions);
        let noise_onions = report
            .map_or_else(|| noise_per_round(&self.epoch), |report| report.totals.noise_onions);
        let shards = self.epoch.shards().len();
        let traces = seen.map_or(&[][..], |seen| &seen.traces);
        let phases = Phases::of(traces);
        let hop_operations = match &phases {
            Some(phases) if phases.shards == shards => phases.hop_operations(),
            _ if matches!(outcome, Outcome::Delivered | Outcome::Partial) => {
                (user_onions + noise_onions) * u64::from(self.epoch.geometry().layers())
            }
            _ => 0,
        };
        Round {
            round: number.0,
            outcome,
            reason,
            opened_ms,
            latency_ms: last_us.map(|micros| micros as f64 / 1000.0),
            coordinator_latency_ms: report.map(|report| report.latency_ms),
            submitted: totals.submitted,
            late: totals.late,
            absent: totals.absent,
            refused: totals.refused,
            answered: totals.answered,
            messages: totals.messages,
            lost_messages: totals.lost,
            idle_disturbed: totals.idle_disturbed,
            user_onions,
            noise_onions,
            hop_operations,
            phases,
        }
    }

    /// Adds the measured rounds up to a report. Long, as every figure of it is a line.
    pub(super) fn report(self, cpu: Result<CpuUse, NoCpuTimes>, estimated_bytes: u64) -> Report {
        let embedded = self.observed.is_some();
        let onions = self.rounds.iter().map(|round| round.user_onions).sum();
        let beats = self.beats(onions, cpu.as_ref().ok().filter(|_| embedded));
        let cpu = cpu.map(|used| used.all);
        let Self { options, epoch, mut rounds, .. } = self;
        let duration_s = from_the_first(&mut rounds);
        let mut latencies = Latencies::default();
        let delivered = rounds.iter().filter(|round| round.outcome == Outcome::Delivered);
        for latency in delivered.filter_map(|round| round.latency_ms) {
            latencies.record_us((latency * 1000.0).round() as u64);
        }
        let sum = |part: fn(&Round) -> u64| rounds.iter().map(part).sum::<u64>();
        let traced = rounds.iter().filter_map(|round| round.phases.as_ref());
        let (peel_ms, peeled) = traced.fold((0.0, 0), |(ms, onions), phases| {
            (ms + phases.peel_cpu_ms(), onions + phases.hop_operations())
        });
        let client_rounds = f64::from(options.clients) * rounds.len().max(1) as f64;
        let bytes = self.shared.window.bytes();
        let (cpu, cpu_unknown) = match cpu {
            Ok(cpu) => (Some(cpu), None),
            Err(why) => (None, Some(why.to_string())),
        };
        let elsewhere = || "the network runs in other processes".to_owned();
        Report {
            embedded,
            shard_links: None,
            document_after_s: None,
            clients: options.clients,
            talking: self.shared.population.talkers(),
            shards: epoch.shards().len(),
            hops: epoch.geometry().mixing_hops(),
            layers: epoch.geometry().layers(),
            suite: epoch.geometry().suite().number(),
            body_bytes: epoch.geometry().body_bytes(),
            onions_per_client: 2 * u64::from(epoch.parameters().pairs_per_client),
            noise_per_round: noise_per_round(&epoch),
            interval_ms: epoch.parameters().interval_ms,
            arrivals: options.arrivals.name(),
            churn: options.churn,
            kernel: Kernel::selected().name(),
            seed: options.seed.to_string(),
            provenance: self.provenance,
            interrupted: self.interrupted,
            warmup: options.warmup,
            latency_ms: latencies.percentiles(),
            client_latency_ms: self.client_latencies.percentiles(),
            duration_s,
            messages_per_s: duration_s.map(|seconds| {
                (sum(|round| round.messages) - sum(|round| round.lost_messages)) as f64 / seconds
            }),
            onions_total: sum(|round| round.user_onions + round.noise_onions),
            hop_operations: sum(|round| round.hop_operations),
            peel_us_per_onion: (peeled > 0).then(|| peel_ms * 1000.0 / peeled as f64),
            server_cpu_s: cpu.filter(|_| embedded).map(|cpu| cpu.server),
            client_cpu_s: cpu.map(|cpu| cpu.client),
            cpu_unknown: cpu_unknown.or_else(|| (!embedded).then(elsewhere)),
            build_cpu_s: None,
            prebuilt_rounds: self.prebuilt,
            peak_rss_bytes: None,
            estimated_bytes,
            bytes_per_client_up: bytes.up as f64 / client_rounds,
            bytes_per_client_down: bytes.down as f64 / client_rounds,
            connections: self.shared.connections(),
            links_lost: self.shared.links_lost(),
            turns: self.shared.turns(),
            messages: sum(|round| round.messages),
            lost_messages: sum(|round| round.lost_messages),
            late: sum(|round| round.late),
            absent: sum(|round| round.absent),
            link_refusal: self.shared.failure(),
            refused: sum(|round| round.refused),
            refusal: self.shared.refusal(),
            idle_disturbed: sum(|round| round.idle_disturbed),
            client_latencies: self.client_latencies,
            beats,
            rounds,
        }
    }

    /// Adds the measured beats up. `onions` are those of clients in the measured rounds.
    fn beats(&self, onions: u64, cpu: Option<&CpuUse>) -> Option<BeatsReport> {
        if self.is_classic() {
            return None;
        }
        let parameters = &self.epoch.parameters().beats;
        let totals = self.shared.beats.totals();
        let count = totals.beats.len() as u64;
        let circuits = totals.sent + count * noise_per_round(&self.epoch);
        let mut report = BeatsReport {
            count,
            cells: totals.cells,
            lost_cells: totals.lost,
            cell_operations: 2 * u64::from(self.epoch.geometry().layers()) * circuits,
            ..BeatsReport::new(parameters, totals.latencies)
        };
        let Some(observed) = &self.observed else { return Some(report) };
        let seen = observed.of_beats(&totals.beats);
        report.cell_operations = seen.ciphered;
        (report.filled_cells, report.late_batches) = (Some(seen.filled), Some(seen.late));
        if let Some(cpu) = cpu.filter(|cpu| cpu.quiet_beats > 0 && seen.reports > 0) {
            let work_s = seen.cpu.as_secs_f64() * observed.shards() as f64 / seen.reports as f64;
            let beat_s = work_s + cpu.quiet_links / cpu.quiet_beats as f64;
            let rounds_s = cpu.all.server - beat_s * cpu.beats as f64;
            report.charge(ServerCpu { beat_s, rounds_s }, totals.sent, onions);
        }
        Some(report)
    }
}

/// How a round ended, and why if that is known: by the coordinator's report, or else by what clients heard.
fn outcome(
    report: Option<&RoundReport>,
    was_opened: bool,
    totals: &Totals,
) -> (Outcome, Option<String>) {
    match report.map(|report| &report.result) {
        Some(RoundResult::Delivered) => (Outcome::Delivered, None),
        Some(partial @ RoundResult::Partial { .. }) => {
            (Outcome::Partial, Some(partial.to_string()))
        }
        Some(RoundResult::Aborted { reason: Some(reason), .. }) => {
            (Outcome::Aborted, Some(reason.to_string()))
        }
        Some(aborted @ RoundResult::Aborted { .. }) => {
            (Outcome::Aborted, Some(aborted.to_string()))
        }
        None if !was_opened => (Outcome::NotOpened, None),
        None if totals.answered == 0 => (Outcome::Aborted, None),
        None if totals.answered == totals.submitted => (Outcome::Delivered, None),
        None => (Outcome::Partial, None),
    }
}

/// Makes the openings of `rounds` count from that of the first one. Returns the seconds from there to
/// the last replies, if there are any.
fn from_the_first(rounds: &mut [Round]) -> Option<f64> {
    let first = rounds.iter().find_map(|round| round.opened_ms)?;
    let mut end: Option<f64> = None;
    for round in rounds {
        round.opened_ms = round.opened_ms.map(|ms| ms - first);
        if let (Some(opened), Some(latency)) = (round.opened_ms, round.latency_ms) {
            end = Some(end.unwrap_or(0.0).max(opened + latency));
        }
    }
    end.map(|ms| ms * 1e-3)
}

/// The longest that a round can take: every deadline of the epoch, there and back.
fn longest(epoch: &VerifiedEpoch) -> Duration {
    let parameters = epoch.parameters();
    let layer_ms = u64::from(parameters.layer_ms) + u64::from(parameters.reply_ms);
    let ms = u64::from(parameters.submit_ms)
        + u64::from(parameters.layers) * layer_ms
        + 3 * u64::from(parameters.verify_ms)
        + u64::from(parameters.interval_ms);
    Duration::from_millis(ms)
}
