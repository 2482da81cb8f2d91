//! Whole runs against a network in this process.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::future::pending;
use std::num::NonZeroUsize;

use antiphon_coordinator::CoordinatorConfig;
use antiphon_load::{Arrivals, LoadOptions, Outcome, Report, Silent, Target, run};
use antiphon_testnet::{EmbeddedNetwork, EmbeddedOptions, OutgoingBatch, Tamper};
use antiphon_wire::{CellBatch, Direction, Layer, Policy, Suite};

const LINKS: u32 = 16;

/// A network whose rounds are short: few hops, little noise.
fn network(
    rounds_in_flight: u8,
    tamper: impl FnMut(u16) -> Option<Box<dyn Tamper>>,
) -> EmbeddedNetwork {
    network_of_epochs(100, rounds_in_flight, tamper)
}

fn network_of_epochs(
    epoch_rounds: u32,
    rounds_in_flight: u8,
    tamper: impl FnMut(u16) -> Option<Box<dyn Tamper>>,
) -> EmbeddedNetwork {
    let coordinator = CoordinatorConfig {
        interval_ms: if rounds_in_flight > 1 { 100 } else { 300 },
        rounds_in_flight,
        ..coordinator(epoch_rounds)
    };
    start(policy(), coordinator, tamper)
}

fn policy() -> Policy {
    Policy {
        malicious_ppm: 0,
        epsilon: 4.0,
        delta: 1e-2,
        disturbed_rounds: 2,
        least_mixing_hops: 3,
        least_round_interval_ms: 100,
        trusts_heavy_operators: true,
        total_delta: 1.0,
        ..Policy::DEFAULT
    }
}

fn coordinator(epoch_rounds: u32) -> CoordinatorConfig {
    CoordinatorConfig {
        epoch_rounds,
        prepare_ahead_rounds: 6.min(epoch_rounds / 2),
        submit_ms: 1500,
        layer_ms: 20_000,
        verify_ms: 20_000,
        reply_ms: 20_000,
        ready_ms: 60_000,
        ..CoordinatorConfig::default()
    }
}

fn start(
    policy: Policy,
    coordinator: CoordinatorConfig,
    tamper: impl FnMut(u16) -> Option<Box<dyn Tamper>>,
) -> EmbeddedNetwork {
    let mut options = EmbeddedOptions::new(3, policy, coordinator);
    options.limits.links_per_connection = LINKS;
    EmbeddedNetwork::start(&options, tamper).unwrap()
}

/// A network whose rounds are followed by beats.
fn with_beats(tamper: impl FnMut(u16) -> Option<Box<dyn Tamper>>) -> EmbeddedNetwork {
    let policy = Policy { suite: Suite::Hybrid, ..policy() };
    let coordinator = CoordinatorConfig {
        interval_ms: 3000,
        submit_ms: 1000,
        rounds_in_flight: 1,
        beats: 24,
        beat_ms: 250,
        beat_layer_ms: 100,
        // Cells of beats that a round takes over while it is still set up are lost.
        first_beat_ms: 1500,
        ..coordinator(100)
    };
    start(policy, coordinator, tamper)
}

fn options(clients: u32) -> LoadOptions {
    LoadOptions {
        clients,
        rounds: 3,
        warmup: 1,
        talking: 0.5,
        churn: 0.0,
        arrivals: Arrivals::AtOnce,
        seed: 1,
        threads: NonZeroUsize::MIN,
        links_per_connection: LINKS,
    }
}

fn measure(options: &LoadOptions, tamper: impl FnMut(u16) -> Option<Box<dyn Tamper>>) -> Report {
    let network = network(1, tamper);
    run(options, &Target::Embedded(&network), &Silent, || Ok(pending())).unwrap()
}

#[test]
fn every_message_of_every_client_arrives_and_is_counted() {
    let report = measure(&options(90), |_| None);
    assert_eq!((report.clients, report.talking, report.shards, report.hops), (90, 44, 3, 3));
    assert_eq!((report.rounds.len(), report.delivered()), (3, 3));
    for round in &report.rounds {
        assert_eq!(round.outcome, Outcome::Delivered);
        assert_eq!((round.submitted, round.answered, round.late), (90, 90, 0));
        assert_eq!((round.messages, round.lost_messages, round.idle_disturbed), (2 * 44, 0, 0));
        assert_eq!((round.user_onions, round.noise_onions), (180, report.noise_per_round));
        assert!(round.latency_ms.unwrap() > 0.0);
        let all = (round.user_onions + round.noise_onions) * u64::from(report.layers);
        assert_eq!(round.hop_operations, all);
    }
    let latency = report.latency_ms.unwrap();
    assert!(latency.p50 <= latency.p90 && latency.p99 <= latency.max);
    assert!(report.client_latency_ms.unwrap().max <= latency.max * 1.002);
    assert_eq!(report.client_latencies.len(), 3 * 90);
    assert_eq!(report.onions_total, 3 * (180 + report.noise_per_round));
    // Two onions and two bodies, and no more than a protocol's worth besides.
    let onions = 2.0 * f64::from(16 + 256 + 48 * 4 + 2 * 3);
    let (up, down) = (report.bytes_per_client_up, report.bytes_per_client_down);
    assert!((onions..onions + 1000.0).contains(&up), "{up}");
    assert!((512.0..2000.0).contains(&down), "{down}");
    // Gateways are drawn, and each has its last connection to itself.
    assert!((6..=8).contains(&report.connections), "{}", report.connections);
    if cfg!(target_os = "linux") {
        assert!(report.server_cpu_s.unwrap() > 0.0 && report.client_cpu_s.unwrap() > 0.0);
        assert!(report.peak_rss_bytes.unwrap() > 1 << 20);
    }
}

#[test]
fn clients_come_and_go_and_arrive_when_they_like() {
    let arrivals = Arrivals::Exponential;
    let report = measure(&LoadOptions { churn: 0.2, arrivals, rounds: 4, ..options(60) }, |_| None);
    assert_eq!((report.delivered(), report.lost_messages, report.idle_disturbed), (4, 0, 0));
    assert!(report.messages > 0);
    // Whoever joins too late for a round is late, and says so.
    let part: u64 = report.rounds.iter().map(|round| round.submitted + round.late).sum();
    assert_eq!(part, 4 * 60);
}

#[test]
fn rounds_overlap_and_lose_nothing() {
    let network = network(4, |_| None);
    // Clients that come over most of the window leave the network time for other rounds. It takes some
    // rounds until gateways wait for them all.
    let spread = LoadOptions { arrivals: Arrivals::Uniform, ..options(60) };
    let options = LoadOptions { rounds: 10, warmup: 6, ..spread };
    let target = Target::Embedded(&network);
    let report = run(&options, &target, &Silent, || Ok(pending())).unwrap();
    assert_eq!((report.delivered(), report.lost_messages, report.idle_disturbed), (10, 0, 0));
    let rounds = &report.rounds;
    // On a busy machine who comes last may be late, and says so.
    assert!(rounds.iter().all(|round| round.submitted + round.late == 60 && round.submitted > 30));
    let answered: u64 = rounds.iter().map(|round| round.answered).sum();
    assert_eq!((answered, report.client_latencies.len()), (600 - report.late, 600 - report.late));
    let opened: Vec<_> = rounds.iter().map(|round| round.opened_ms.unwrap()).collect();
    let ends = rounds.iter().map(|round| round.opened_ms.unwrap() + round.latency_ms.unwrap());
    let ended: Vec<_> = ends.collect();
    assert!(opened[0] == 0.0 && opened.is_sorted(), "{opened:?}");
    assert!((1..10).any(|number| opened[number] < ended[number - 1]), "{opened:?} {ended:?}");
    // What a round takes is its own, and the run is shorter than all rounds behind each other.
    let latencies: f64 = rounds.iter().map(|round| round.latency_ms.unwrap()).sum();
    let duration = report.duration_s.unwrap();
    let last = ended.iter().copied().fold(0.0, f64::max);
    assert!((duration - last / 1000.0).abs() < 1e-9 && last < latencies, "{last} {latencies}");
    let arrived = report.messages_per_s.unwrap() * duration;
    assert!((arrived - report.messages as f64).abs() < 1e-6 && arrived > 300.0, "{arrived}");
    for round in rounds {
        let phases = round.phases.as_ref().unwrap();
        assert_eq!((phases.shards, phases.layers.len()), (3, 4));
        assert_eq!(phases.hop_operations(), (2 * round.submitted + round.noise_onions) * 4);
    }
}

/// Garbles all replies on their way to the gateways, or all cells.
struct Garble(bool);

impl Tamper for Garble {
    fn outgoing(&mut self, batch: &mut OutgoingBatch) {
        if !self.0
            && batch.header.direction == Direction::Reply
            && batch.header.layer == Layer::FIRST
        {
            batch.bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
        }
    }

    fn cells(&mut self, _batch: &CellBatch, cells: &mut [u8]) {
        if self.0 {
            cells.iter_mut().for_each(|byte| *byte ^= 0x55);
        }
    }
}

#[test]
fn bodies_that_a_shard_garbles_are_counted_as_lost() {
    let garbles = |shard| (shard == 1).then(|| Box::new(Garble(false)) as Box<dyn Tamper>);
    let report = measure(&LoadOptions { rounds: 1, warmup: 0, ..options(60) }, garbles);
    let round = &report.rounds[0];
    // The network is content: only who holds the keys can tell.
    assert_eq!((round.outcome, round.answered), (Outcome::Delivered, 60));
    assert_eq!(round.messages, 60);
    // A reply passes the shard with a probability of one third: six standard deviations.
    assert!((3..=37).contains(&round.lost_messages), "{}", round.lost_messages);
    assert!(round.idle_disturbed > 0 && round.idle_disturbed <= 30);
    assert_eq!(report.lost_messages, round.lost_messages);
}

#[test]
fn every_cell_of_every_client_comes_back_for_a_fraction_of_an_onions_cost() {
    let network = with_beats(|_| None);
    let options = LoadOptions { rounds: 1, ..options(24) };
    let report = run(&options, &Target::Embedded(&network), &Silent, || Ok(pending())).unwrap();
    let beats = report.beats.as_ref().unwrap();
    assert_eq!((report.suite, report.delivered(), report.lost_messages), (2, 1, 0));
    assert_eq!((beats.per_round, beats.interval_ms, beats.cell_bytes), (24, 250, 256));
    // A round every three seconds at the soonest, and four beats a second. Nobody waits for clients in their first
    // round, of which there may be no circuits.
    assert!((4..=60).contains(&beats.count), "{beats:?}");
    let all = 2 * 24 * beats.count;
    // On a busy machine some are late, and are sent for nothing.
    assert!(beats.cells > all / 2 && beats.cells <= all, "{beats:?}");
    assert!(beats.lost_cells < beats.cells / 4, "{beats:?}");
    // Cells leave as long before their beat as a layer may take, or some ms later on a busy machine.
    assert!(beats.latency_ms.unwrap().p50 >= 50.0, "{beats:?}");
    // Four layers, there and back.
    let circuits = 2 * 24 + report.noise_per_round;
    let all = 8 * circuits * beats.count;
    assert!((all / 3..=all).contains(&beats.cell_operations), "{beats:?} {circuits}");
    if cfg!(target_os = "linux") {
        assert!(beats.server_cpu_s.unwrap() > 0.0, "{beats:?}");
        assert!(beats.onion_to_cell.unwrap() > 2.0, "{beats:?}");
    }
}

#[test]
fn cells_that_a_shard_garbles_are_counted_as_lost_and_the_rounds_are_intact() {
    let network = with_beats(|shard| (shard == 1).then(|| Box::new(Garble(true)) as _));
    let options = LoadOptions { rounds: 1, ..options(24) };
    let report = run(&options, &Target::Embedded(&network), &Silent, || Ok(pending())).unwrap();
    let beats = report.beats.as_ref().unwrap();
    assert_eq!((report.delivered(), report.lost_messages), (1, 0));
    // A cell passes one of three shards in one of eight steps nearly always.
    assert!(beats.lost_cells > beats.cells / 2 && beats.cells > 0, "{beats:?}");
}

#[test]
fn clients_turn_to_the_gateways_of_a_new_epoch_and_no_message_is_lost() {
    let network = network_of_epochs(14, 1, |_| None);
    let options = LoadOptions { rounds: 36, ..options(30) };
    let report = run(&options, &Target::Embedded(&network), &Silent, || Ok(pending())).unwrap();
    // Each of 30 clients draws one of three gateways anew, twice at least.
    assert!(report.turns >= 20, "{}", report.turns);
    assert_eq!((report.links_lost, report.lost_messages, report.idle_disturbed), (0, 0, 0));
    assert_eq!(report.delivered(), 36);
}
