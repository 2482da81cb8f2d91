//! The model against what can be worked out by hand.

use antiphon_wire::Suite;
use proptest::prelude::*;

use super::*;

mod beats;

/// Below what any assertion looks at. Some figures must not be zero.
const NOTHING: f64 = 1e-9;

/// Figures of a machine that takes no time for anything.
fn free() -> MachineFigures {
    MachineFigures {
        peel_us: NOTHING,
        build_us_per_hop: NOTHING,
        kem_peel_us: 0.0,
        kem_build_us_per_hop: 0.0,
        reply_us: NOTHING,
        cell_us: 0.0,
        close_us: 0.0,
        filter_insert_ns: 0.0,
        filter_test_ns: 0.0,
        sign_us: 0.0,
        verify_us: 0.0,
        hash_ns_per_byte: 0.0,
        link_cpu_ns_per_byte: 0.0,
        link_gbytes_per_s: 1e9,
        core_scaling: 1.0,
        overheads: Overheads {
            batch_us: 0.0,
            step_us: 0.0,
            client_us: 0.0,
            harness_us: 0.0,
            serial_close: 0.0,
            client_bytes: 0.0,
        },
    }
}

fn scenario(users: u64, shards: u32) -> Scenario {
    Scenario {
        users,
        pairs: 1,
        shards,
        layers: 15,
        body: 256,
        suite: Suite::Classic,
        noise_per_shard: 0,
        filter_bits: 20,
        placement: Placement::Apart { cores: 1 },
        link_gbps: 100_000.0,
        delay_ms: 0.0,
        interval_ms: 5000.0,
        spread: Spread::NONE,
        seed: 1,
    }
}

fn latency(scenario: &Scenario, figures: &MachineFigures) -> f64 {
    predict(scenario, figures).unwrap().latency_ms
}

#[track_caller]
fn near(value: f64, expected: f64) {
    assert!((value - expected).abs() <= 0.002 * expected, "{value} instead of {expected}");
}

#[test]
fn one_shard_without_delay_takes_what_its_cores_take() {
    let figures = MachineFigures { peel_us: 10.0, ..free() };
    // 2000 onions, 15 layers, 10 us.
    let one = scenario(1000, 1);
    near(latency(&one, &figures), 300.0);
    let together = Scenario { placement: Placement::Together { cores: 1 }, ..one };
    near(latency(&together, &figures), 300.0);
    let two = Scenario { placement: Placement::Together { cores: 2 }, ..one };
    near(latency(&two, &figures), 150.0);
    // The last piece of each layer is one core's: 64 onions, half of that time beside the rest.
    let two = Scenario { placement: Placement::Apart { cores: 2 }, ..one };
    near(latency(&two, &figures), 150.0 + 15.0 * 0.32);
}

#[test]
fn delays_add_up_over_layers_both_ways_and_verification() {
    let there = 3.0 + 15.0;
    let verification = 3.0;
    let back = 15.0 + 1.0;
    let slow = Scenario { delay_ms: 50.0, ..scenario(10, 10) };
    near(latency(&slow, &free()), 50.0 * (there + verification + back));
    // Nothing is sent to other shards if there are none.
    let alone = Scenario { shards: 1, ..slow };
    near(latency(&alone, &free()), 50.0 * 4.0);
}

#[test]
fn transfers_take_what_the_links_take() {
    // 20,000 onions a shard at layer 1.
    let slow = Scenario { link_gbps: 1.0, ..scenario(1_000_000, 100) };
    let round = predict(&slow, &free()).unwrap();
    let onions: f64 = (1..=15).map(|l| f64::from(16 + 256 + 48 * (16 - l) + 2 * (15 - l))).sum();
    let bytes = 1.05 * 20_000.0 * 0.99 * onions + 15.0 * 99.0 * 280.0;
    near(round.phases.transfer, bytes * 8e-9 * 1e3);
    let replies = 1.05 * 20_000.0 * 0.99 * 256.0 * 15.0;
    let to_clients = 10_000.0 * round.bytes_per_client_down;
    near(round.phases.replies, (replies + to_clients + 15.0 * 99.0 * 280.0) * 8e-6);
    near(
        round.bytes_sent_per_shard * 8e-6,
        round.phases.transfer + round.phases.replies + round.phases.verification,
    );
}

#[test]
fn peeling_hides_behind_a_slow_link_and_a_slow_link_behind_peeling() {
    let figures = MachineFigures { peel_us: 10.0, ..free() };
    let both = |gbps, users| {
        let slow = Scenario { link_gbps: gbps, ..scenario(users, 100) };
        let round = predict(&slow, &figures).unwrap();
        let alone = predict(&slow, &free()).unwrap();
        (round.phases, alone.phases)
    };
    // 20,000 onions take a core 200 ms and this link about 1.3 s a layer: one chunk is left, and the
    // onions of the seal layer, which open together.
    let (round, link) = both(0.1, 1_000_000);
    near(round.transfer, link.transfer);
    near(round.peel, 14.0 * 0.64 + 200.0);
    // A fast link brings everything while the first are peeled.
    let (round, link) = both(100.0, 1_000_000);
    near(round.transfer + round.peel, 3000.0 + link.transfer / 15.0);
}

#[test]
fn everything_together_is_the_sum_of_its_parts() {
    // L (delay + transfer + peel) + replies + three delays of verification, with what clients add.
    let figures = MachineFigures { peel_us: 8.0, reply_us: 0.4, ..free() };
    let network = Scenario {
        delay_ms: 50.0,
        link_gbps: 10.0,
        placement: Placement::Apart { cores: 36 },
        ..scenario(2_000_000, 100)
    };
    let round = predict(&network, &figures).unwrap();
    let (delays, links) = (50.0 * 37.0, round.bytes_sent_per_shard * 8e-7);
    let peeling = 15.0 * 40_000.0 * 8e-3 / 36.0;
    let expected = delays + links + peeling + 15.0 * 40_000.0 * 0.4e-3 / 36.0;
    assert!(round.latency_ms < expected * 1.02, "{} of {expected}", round.latency_ms);
    assert!(round.latency_ms > expected - peeling, "{} of {expected}", round.latency_ms);
    near(round.latency_ms, round.phases.total());
}

#[test]
fn work_per_shard_stays_when_users_and_shards_double() {
    let mut figures = MachineFigures::REFERENCE;
    figures.overheads.batch_us = 0.0;
    (figures.sign_us, figures.verify_us) = (0.0, 0.0);
    let cpu = |shards| {
        let network = scenario(u64::from(shards) * 1000, shards);
        predict(&network, &figures).unwrap().cpu_s_per_shard
    };
    for shards in [10, 20, 40] {
        let times = cpu(2 * shards) / cpu(shards);
        assert!((0.95..1.05).contains(&times), "{shards}: {times}");
    }
}

#[test]
fn a_thousand_shards_are_a_matter_of_arithmetic() {
    let large = Scenario {
        spread: Spread::USUAL,
        noise_per_shard: 68,
        placement: Placement::Apart { cores: 36 },
        link_gbps: 10.0,
        delay_ms: 50.0,
        ..scenario(32_000_000, 1000)
    };
    let round = predict(&large, &MachineFigures::REFERENCE).unwrap();
    assert!(round.latency_ms > 50.0 * 37.0);
    assert!(round.bytes_per_client_up < 4000.0 && round.bytes_per_client_down < 4000.0);
}

#[test]
fn stragglers_cost_time_and_the_seed_decides_which() {
    let even = Scenario { placement: Placement::Apart { cores: 4 }, ..scenario(1_000_000, 50) };
    let uneven = |seed| Scenario { spread: Spread { shards: 0.2, steps: 0.2 }, seed, ..even };
    let figures = MachineFigures::REFERENCE;
    let takes = |scenario| latency(&scenario, &figures);
    assert_eq!(takes(uneven(7)), takes(uneven(7)));
    assert_ne!(takes(uneven(7)), takes(uneven(8)));
    assert!(takes(uneven(7)) > 1.2 * takes(even));
    let together = |seed| Scenario {
        placement: Placement::Together { cores: 2 },
        users: 1000,
        ..uneven(seed)
    };
    assert_eq!(takes(together(7)), takes(together(7)));
}

#[test]
fn on_one_machine_the_noise_is_paid_for() {
    let noisy = Scenario {
        placement: Placement::Together { cores: 2 },
        noise_per_shard: 1000,
        ..scenario(1, 5)
    };
    let figures = MachineFigures { peel_us: 10.0, build_us_per_hop: 10.0, ..free() };
    // 5002 onions peeled and 5000 built, by two cores that are never idle for long.
    let round = predict(&noisy, &figures).unwrap();
    assert!((740.0..800.0).contains(&round.latency_ms), "{}", round.latency_ms);
    near(round.noise_cpu_s_per_shard, 0.15);
    near(round.load, 1.5 / 10.0);
}

#[test]
fn the_largest_load_is_the_largest() {
    let network = Scenario {
        placement: Placement::Apart { cores: 36 },
        link_gbps: 10.0,
        delay_ms: 50.0,
        spread: Spread::USUAL,
        noise_per_shard: 364,
        ..scenario(1, 100)
    };
    let figures = MachineFigures::REFERENCE;
    let users = largest_users(&network, &figures, 6.8).unwrap();
    let takes = |users| latency(&Scenario { users, ..network }, &figures) * 1e-3;
    assert!(takes(users) <= 6.8 && takes(users + users / 500) > 6.8);
    let error = largest_users(&network, &figures, 1.0).unwrap_err();
    assert!(error.to_string().contains("1 s cannot be reached"), "{error}");

    let machine = users_of_machine(&network, &figures, 0.8).unwrap();
    let load = |users| predict(&Scenario { users, ..network }, &figures).unwrap().load;
    assert!(load(machine) <= 0.8);
    let buried = Scenario { noise_per_shard: 1_000_000_000, ..network };
    assert_eq!(users_of_machine(&buried, &figures, 1.0), Ok(0));
}

#[test]
fn nonsense_is_refused() {
    let figures = MachineFigures::REFERENCE;
    let good = scenario(1, 1);
    for (bad, words) in [
        (Scenario { users: 0, ..good }, "no users"),
        (Scenario { users: 2_147_483_648, ..good }, "onions a shard"),
        (Scenario { shards: 0, ..good }, "from 1 to 65535"),
        (Scenario { shards: 65_536, ..good }, "from 1 to 65535"),
        (Scenario { layers: 2, ..good }, "layers"),
        (Scenario { body: 5, ..good }, "bodies"),
        (Scenario { filter_bits: 0, ..good }, "precision"),
        (Scenario { placement: Placement::Apart { cores: 0 }, ..good }, "cores"),
        (Scenario { link_gbps: 0.0, ..good }, "Gbit/s"),
        (Scenario { link_gbps: f64::NAN, ..good }, "Gbit/s"),
        (Scenario { delay_ms: -1.0, ..good }, "delay"),
        (Scenario { interval_ms: 0.0, ..good }, "interval"),
        (Scenario { spread: Spread { shards: 3.0, steps: 0.0 }, ..good }, "spread"),
    ] {
        let error = predict(&bad, &figures).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    for bad in [
        MachineFigures { peel_us: 0.0, ..figures },
        MachineFigures { verify_us: -1.0, ..figures },
        MachineFigures { reply_us: f64::INFINITY, ..figures },
    ] {
        assert!(matches!(predict(&good, &bad), Err(ScenarioError::Figure { .. })));
    }
}

/// What suite 2 adds, item by item: 1088 bytes for each layer that is left, and ML-KEM once a hop.
#[test]
fn suite_2_takes_what_its_onions_and_its_second_half_take() {
    let figures = MachineFigures { kem_peel_us: 100.0, kem_build_us_per_hop: 50.0, ..free() };
    let classic = Scenario { noise_per_shard: 1000, ..scenario(10_000, 10) };
    let hybrid = Scenario { suite: Suite::Hybrid, ..classic };
    let [one, two] = [classic, hybrid].map(|of| predict(&of, &figures).unwrap());
    // Onions are peeled 15 times, and noise is built for as many hops.
    near(two.cpu_s_per_shard - one.cpu_s_per_shard, 3000.0 * 15.0 * 100e-6 + 1000.0 * 15.0 * 50e-6);
    near(two.noise_cpu_s_per_shard, 1000.0 * 15.0 * 50e-6);
    // A client's two onions, and the packets that they take more.
    let more = two.bytes_per_client_up - one.bytes_per_client_up;
    let onions = 2.0 * 15.0 * 1088.0;
    assert!((onions..1.1 * onions).contains(&more), "{more}");
    // Layers 1 to L hold from 1088 to 15 times as many bytes more.
    let link = |of: &Prediction| of.bandwidth_per_shard_gbps * 1e9 / 8.0 * 5.0;
    let between = 3000.0 * 0.9 * 1088.0 * 120.0;
    let more = link(&two) - link(&one);
    assert!((between..1.15 * (between + 1000.0 * onions)).contains(&more), "{more} of {between}");
    assert!(two.memory_per_shard_bytes > 10.0 * one.memory_per_shard_bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn more_to_do_takes_longer_and_more_to_do_it_with_shorter(
        users in 1_000..3_000_000u64,
        shards in 2..120u32,
        cores in 1..64u32,
        gbps in 0.1..40.0_f64,
        delay_ms in 0.0..200.0_f64,
        seed: u64,
    ) {
        let figures = MachineFigures::REFERENCE;
        let network = Scenario {
            link_gbps: gbps,
            delay_ms,
            seed,
            noise_per_shard: 68,
            placement: Placement::Apart { cores },
            spread: Spread::USUAL,
            ..scenario(users, shards)
        };
        let usual = latency(&network, &figures);
        let fewer_cores = Placement::Apart { cores: (cores - 1).max(1) };
        for harder in [
            Scenario { users: users + users / 10, ..network },
            Scenario { delay_ms: delay_ms + 1.0, ..network },
            Scenario { noise_per_shard: 100, ..network },
            Scenario { link_gbps: gbps * 0.9, ..network },
            Scenario { placement: fewer_cores, ..network },
        ] {
            let takes = latency(&harder, &figures);
            prop_assert!(takes >= usual * (1.0 - 1e-12), "{takes} of {usual}: {harder:?}");
        }
        let parts = predict(&network, &figures).unwrap().phases;
        prop_assert!(parts.named().iter().all(|(_, ms)| *ms >= -1e-9), "{parts:?}");
    }

    #[test]
    fn on_one_machine_the_cores_are_never_beaten(
        users in 1..20_000u64,
        shards in 1..30u32,
        cores in 1..8u32,
        seed: u64,
    ) {
        let figures = MachineFigures::REFERENCE;
        let network = Scenario {
            seed,
            placement: Placement::Together { cores },
            noise_per_shard: 100,
            ..scenario(users, shards)
        };
        let round = predict(&network, &figures).unwrap();
        let work = round.cpu_s_per_shard * f64::from(shards) / f64::from(cores);
        let without_noise = work - round.noise_cpu_s_per_shard * f64::from(shards) / f64::from(cores);
        prop_assert!(round.latency_ms >= 1e3 * without_noise * 0.999);
        let one = Scenario { placement: Placement::Together { cores: 1 }, ..network };
        prop_assert!(latency(&one, &figures) >= round.latency_ms * 0.98);
    }
}
