//! Observations of an embedded network on its own rounds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use antiphon_coordinator::{Notice as CoordinatorNotice, RoundReport};
use antiphon_mix::{Notice, RoundTrace};
use antiphon_shard::ShardNotice;
use antiphon_testnet::EmbeddedNetwork;
use antiphon_wire::Round;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Rounds as the network itself reports them.
#[derive(Debug, Default)]
struct Known {
    opened: BTreeMap<Round, Instant>,
    ended: BTreeMap<Round, RoundReport>,
    traces: BTreeMap<Round, Vec<RoundTrace>>,
    beats: BTreeMap<(Round, u64), SeenBeats>,
}

/// Reports of shards on beats, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SeenBeats {
    /// Number of reports: one of each shard for each beat.
    pub(crate) reports: usize,
    /// Cells in whose place random ones went on.
    pub(crate) filled: u64,
    /// Batches that were late.
    pub(crate) late: u64,
    /// Times that the cipher went over a cell.
    pub(crate) ciphered: u64,
    /// Computing time.
    pub(crate) cpu: Duration,
}

impl SeenBeats {
    fn add(&mut self, other: &Self) {
        self.reports += other.reports;
        self.filled += other.filled;
        self.late += other.late;
        self.ciphered += other.ciphered;
        self.cpu += other.cpu;
    }
}

/// Listens for as long as it lives.
#[derive(Debug)]
pub(crate) struct Observed {
    known: Arc<Mutex<Known>>,
    shards: usize,
    _listening: JoinSet<()>,
}

/// All that is known of one round.
#[derive(Debug)]
pub(crate) struct Seen {
    /// When the coordinator opened it.
    pub(crate) opened: Option<Instant>,
    pub(crate) report: Option<RoundReport>,
    pub(crate) traces: Vec<RoundTrace>,
}

impl Observed {
    /// Must be called within a runtime.
    pub(crate) fn of(network: &EmbeddedNetwork) -> Self {
        let known = Arc::new(Mutex::new(Known::default()));
        let mut listening = JoinSet::new();
        listening.spawn(coordinator(network.subscribe(), Arc::clone(&known)));
        let shards = network.subscribe_shards();
        let count = shards.len();
        for notices in shards {
            listening.spawn(shard(notices, Arc::clone(&known)));
        }
        Self { known, shards: count, _listening: listening }
    }

    /// Returns `true` once all is known that will be known of a round that ended for its clients.
    pub(crate) fn is_complete(&self, round: Round) -> bool {
        let known = lock(&self.known);
        let traces = known.traces.get(&round).map_or(0, Vec::len);
        known.ended.contains_key(&round) && traces >= self.shards
    }

    /// The reports on these beats of rounds, added up.
    pub(crate) fn of_beats(&self, beats: &[(Round, u64)]) -> SeenBeats {
        let known = lock(&self.known);
        let mut sum = SeenBeats::default();
        beats.iter().filter_map(|beat| known.beats.get(beat)).for_each(|seen| sum.add(seen));
        sum
    }

    /// Number of shards that report.
    pub(crate) fn shards(&self) -> usize {
        self.shards
    }

    /// Takes what is known of a round, and forgets older ones.
    pub(crate) fn take(&self, round: Round) -> Seen {
        let mut known = lock(&self.known);
        let seen = Seen {
            opened: known.opened.remove(&round),
            report: known.ended.remove(&round),
            traces: known.traces.remove(&round).unwrap_or_default(),
        };
        known.opened.retain(|older, _| *older > round);
        known.ended.retain(|older, _| *older > round);
        known.traces.retain(|older, _| *older > round);
        seen
    }
}

async fn coordinator(
    mut notices: broadcast::Receiver<CoordinatorNotice>,
    known: Arc<Mutex<Known>>,
) {
    loop {
        match notices.recv().await {
            Ok(CoordinatorNotice::RoundOpened { round, .. }) => {
                lock(&known).opened.insert(round, Instant::now());
            }
            Ok(CoordinatorNotice::RoundEnded(report)) => {
                lock(&known).ended.insert(report.round, report);
            }
            Ok(notice) => tracing::info!("{notice}"),
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "reports lost"),
            Err(RecvError::Closed) => return,
        }
    }
}

async fn shard(mut notices: broadcast::Receiver<ShardNotice>, known: Arc<Mutex<Known>>) {
    loop {
        match notices.recv().await {
            Ok(ShardNotice::Machine(Notice::RoundTraced(trace))) => {
                lock(&known).traces.entry(trace.round).or_default().push(trace);
            }
            Ok(ShardNotice::Machine(Notice::BeatEnded {
                round,
                beat,
                filled,
                late,
                ciphered,
                cpu,
            })) => {
                let seen = SeenBeats { reports: 1, filled, late: late.into(), ciphered, cpu };
                lock(&known).beats.entry((round, beat)).or_default().add(&seen);
            }
            Ok(_) => {}
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "traces lost"),
            Err(RecvError::Closed) => return,
        }
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    // Nothing panics while holding it.
    known.lock().unwrap_or_else(PoisonError::into_inner)
}
