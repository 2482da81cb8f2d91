//! Beats against what can be worked out by hand.

use antiphon_wire::BeatParameters;

use super::*;

const BEATS: BeatParameters =
    BeatParameters { beats: 150, beat_ms: 4000, layer_ms: 40, cell_bytes: 256 };

fn beat(scenario: &Scenario, figures: &MachineFigures) -> BeatPrediction {
    predict_beat(scenario, &BEATS, figures).unwrap()
}

#[test]
fn a_beat_takes_two_delays_a_layer_and_one_to_the_client_behind_the_gateways_time() {
    for layers in [3, 15, 31] {
        let slow = Scenario { layers, delay_ms: 30.0, ..scenario(10, 10) };
        let found = beat(&slow, &free());
        assert_eq!(found.beat_link_delays, 2 * u32::from(layers) + 2);
        near(found.latency_ms, 40.0 + 30.0 * f64::from(2 * layers + 1));
        // Cells that are longer under way than they leave ahead are what the gateway's stop takes.
        let slower = Scenario { delay_ms: 60.0, ..slow };
        near(beat(&slower, &free()).latency_ms, 60.0 * f64::from(2 * layers + 2));
        near(beat(&slower, &free()).beat_slowest_stop_ms, 60.0);
    }
}

#[test]
fn cells_of_a_stop_are_one_cores_however_many_there_are() {
    let figures = MachineFigures { cell_us: 0.5, ..free() };
    // 20,000 circuits a shard: 10 ms a stop, of which there are 31 with cells to move, and twice at layer L.
    for cores in [1, 36] {
        let one = Scenario { placement: Placement::Apart { cores }, ..scenario(1_000_000, 100) };
        let found = beat(&one, &figures);
        near(found.phases.cells, 10.0 * 31.0);
        near(found.beat_cpu_s_per_shard, 0.32);
        near(found.beat_load, 0.32 / 4.0 / f64::from(cores));
        near(found.cell_operations, 2_000_000.0 * 30.0);
    }
    let half = BeatParameters { cell_bytes: 128, ..BEATS };
    let found = predict_beat(&scenario(1_000_000, 100), &half, &figures).unwrap();
    near(found.phases.cells, 5.0 * 31.0);
}

#[test]
fn what_travels_is_a_cell_a_circuit_and_link() {
    let network = Scenario { link_gbps: 1.0, noise_per_shard: 366, ..scenario(1_000_000, 100) };
    let found = beat(&network, &free());
    let circuits = 20_366.0;
    near(found.circuits, 100.0 * circuits);
    let between = 30.0 * (1.05 * circuits * 0.99 * 256.0 + 99.0 * 110.0);
    let to_clients = 10_000.0 * (2.0 * 256.0 + 33.0 + 64.0 + 72.0);
    near(found.beat_bytes_sent_per_shard, between + to_clients);
    near(found.phases.transfer, (between + to_clients) * 8e-6);
    near(found.beat_bandwidth_per_shard_gbps, (between + to_clients) * 8e-9 / 4.0);
}

#[test]
fn memory_is_two_rounds_tables_and_the_beats_under_way() {
    let network = scenario(1_000_000, 100);
    let found = beat(&network, &free());
    // Not above 48 bytes a circuit and hop.
    let tables = 20_000.0 * f64::from(14 * 36 + 40 + 4);
    near(found.circuit_tables_bytes_per_shard, tables);
    assert!(tables <= 20_000.0 * 48.0 * 15.0);
    assert_eq!(found.beats_in_flight, BEATS.in_flight(15));
    let under_way = 20_000.0 * (2.0 * 2.0 * 256.0 + 5.0 * 15.0 * 32.0);
    near(found.beat_memory_per_shard_bytes, 2.0 * tables + under_way);
}

#[test]
fn beats_cost_less_than_a_third_of_rounds_and_no_signature_or_hash() {
    let figures = MachineFigures::REFERENCE;
    let network = Scenario { noise_per_shard: 366, ..scenario(2_000_000, 100) };
    let round = predict(&network, &figures).unwrap();
    let found = beat(&network, &figures);
    assert!(found.beat_cpu_s_per_shard < round.cpu_s_per_shard / 3.0, "{found:?} {round:?}");
    let signed = MachineFigures { sign_us: 1e6, verify_us: 1e6, hash_ns_per_byte: 1e6, ..figures };
    assert_eq!(beat(&network, &signed), found);
}

#[test]
fn a_beat_that_carries_nothing_is_refused() {
    let none = [
        BeatParameters::CLASSIC,
        BeatParameters { beat_ms: 0, ..BEATS },
        BeatParameters { cell_bytes: 0, ..BEATS },
    ];
    for beats in none {
        let found = predict_beat(&scenario(10, 10), &beats, &free());
        assert_eq!(found, Err(ScenarioError::Beats), "{beats:?}");
    }
}

proptest! {
    #[test]
    fn more_of_anything_never_makes_a_beat_shorter(
        users in 1000u64..2_000_000,
        shards in 2u32..120,
        delay in 0.0f64..100.0,
        layers in 3u8..40,
    ) {
        let network = Scenario { delay_ms: delay, layers, ..scenario(users, shards) };
        let figures = MachineFigures::REFERENCE;
        let latency = |scenario| beat(&scenario, &figures).latency_ms;
        let usual = latency(network);
        prop_assert!(usual >= (2.0 * f64::from(layers) + 1.0) * delay);
        let more = [
            Scenario { users: 2 * users, ..network },
            Scenario { layers: layers + 1, ..network },
            Scenario { delay_ms: delay + 1.0, ..network },
            Scenario { noise_per_shard: 5000, ..network },
        ];
        for one in more {
            prop_assert!(latency(one) >= usual, "{:?}", one);
        }
        let found = beat(&network, &figures);
        prop_assert!((found.phases.total() - found.latency_ms).abs() < 1e-6 * found.latency_ms);
    }
}
