//! What a running network serves at `/metrics`, against the catalogue, and to a real Prometheus.

pub(crate) mod page;
mod prometheus;

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::done;
use crate::network::{Network, SHARDS, delivered_after};
use crate::process::{DEADLINE, Process};
use page::{Page, get};

/// Metrics that may be zero in a network in which nothing goes wrong. Each of the others has to have moved: one
/// that nobody records stays where it began.
const QUIET: &[&str] = &[
    "antiphon_shard_rounds_withheld_total",
    "antiphon_shard_beats_total",
    "antiphon_shard_cells_filled_total",
    "antiphon_shard_cell_batches_late_total",
    "antiphon_shard_circuit_bytes",
    "antiphon_shard_sleeper_bytes",
    "antiphon_shard_clients_dropped_total",
    "antiphon_shard_endpoint_half_open",
    "antiphon_shard_endpoint_refused_total",
    "antiphon_shard_endpoint_failed_total",
    "antiphon_shard_work_queued",
    "antiphon_shard_peer_queued",
    "antiphon_shard_messages_lost_total",
    "antiphon_shard_peer_faults_total",
    "antiphon_shard_refusals_total",
    "antiphon_coordinator_rounds_aborted_total",
    "antiphon_coordinator_rounds_open",
    "antiphon_coordinator_suspensions_total",
    "antiphon_coordinator_beat_interval_seconds",
    "antiphon_coordinator_canaries_broken_total",
    "antiphon_coordinator_canary_cells_total",
    "antiphon_coordinator_shards_named_total",
    "antiphon_coordinator_clock_behind_seconds",
    "antiphon_coordinator_shard_clock_ahead_seconds",
    "antiphon_coordinator_term",
    "antiphon_coordinator_registrations_refused_total",
    "antiphon_coordinator_endpoint_half_open",
    "antiphon_coordinator_endpoint_refused_total",
    "antiphon_coordinator_endpoint_failed_total",
    "antiphon_guarantee_malicious_ratio",
    "process_cpu_seconds_total",
];

/// A network whose processes are all looked after.
struct Watched {
    coordinator: Process,
    _shards: Vec<Process>,
    /// The admin servers: the coordinator's, then each shard's.
    admins: Vec<String>,
    /// Its folder outlives the processes, which write to it.
    network: Network,
}

impl Watched {
    /// Starts a network, and waits until rounds go on.
    fn start() -> Self {
        let network = Network::new();
        let configurations = ["coordinator", "alpha", "beta", "gamma", "delta"];
        let admins: Vec<_> =
            configurations.map(|name| network.look_after(&format!("{name}.toml"))).into();
        assert_eq!(admins.len(), 1 + SHARDS);
        // No collector is there: that is counted, and holds up nobody.
        configurations.iter().for_each(|name| network.tell(&format!("{name}.toml"), "127.0.0.1:1"));
        let mut coordinator = network.start_coordinator("coordinator");
        let shards = network.start_shards();
        delivered_after(&mut coordinator, 3);
        Self { coordinator, _shards: shards, admins, network }
    }
}

/// What the catalogue says of a program's metrics.
fn declared(program: &str) -> Vec<Value> {
    let catalogue: Vec<Value> =
        serde_json::from_str(&done(Path::new("."), "metrics --json")).unwrap();
    catalogue.into_iter().filter(|metric| metric["program"] == program).collect()
}

#[test]
fn a_running_process_serves_the_metrics_of_the_catalogue_and_no_others() {
    let mut watched = Watched::start();
    let _client = watched.network.start_client("first", "");
    let gateway = watched.admins[1].clone();
    let deadline = Instant::now() + DEADLINE;
    while Page::of(&gateway).value("antiphon_shard_clients") != Some(1.0) {
        assert!(
            Instant::now() < deadline,
            "no client at its gateway: {}",
            get(&gateway, "/metrics")
        );
        thread::sleep(Duration::from_millis(100));
    }
    let last = Page::of(&gateway).value("antiphon_shard_round").unwrap();
    delivered_after(&mut watched.coordinator, last as u64);

    for (admin, program) in [(0, "coordinator"), (1, "shard"), (2, "shard")] {
        let (served, declared) = (Page::of(&watched.admins[admin]), declared(program));
        let series: BTreeSet<_> = declared.iter().flat_map(page::series).collect();
        let missing: Vec<_> = series.difference(&served.series).collect();
        assert!(missing.is_empty(), "{program}: in the catalogue, and not served: {missing:?}");
        let foreign: Vec<_> = served.series.difference(&series).collect();
        assert!(foreign.is_empty(), "{program}: served, and not in the catalogue: {foreign:?}");
        for metric in &declared {
            let name = metric["name"].as_str().unwrap();
            assert_eq!(served.kinds[name], metric["kind"], "{name}");
            let helped = served.helps[name] == metric["meaning"].as_str().unwrap();
            assert!(helped, "{name}: {}", served.helps[name]);
            let has_moved = served.total(name) != 0.0;
            // A shard without clients is told apart by this alone.
            let may_rest = QUIET.contains(&name) || name == "antiphon_shard_clients";
            assert!(has_moved || may_rest, "{program}: {name} is 0 after some rounds");
        }
    }
}
