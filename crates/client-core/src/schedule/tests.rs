//! What a schedule costs under attack and in an outage, and that its levels fit together.

use antiphon_wire::MOST_ROUNDS_IN_FLIGHT;

use super::*;

fn schedule(key: u8, start: Start) -> Schedule {
    Schedule::new(Key([key; 32]), start)
}

#[test]
fn sparser_levels_meet_among_the_denser_ones_and_once_a_block() {
    let mut schedule = schedule(1, Start::Dense);
    let mut before: Vec<_> = (0..1024).map(Round).collect();
    for k in 0..=7 {
        schedule.level = Level(k);
        let rounds: Vec<_> = (0..1024).map(Round).filter(|r| schedule.meets(*r)).collect();
        assert_eq!(rounds.len(), 1024 >> k);
        assert!(rounds.iter().all(|round| before.contains(round)));
        for (block, round) in rounds.iter().enumerate() {
            assert_eq!(round.0 >> k, block as u64);
        }
        before = rounds;
    }
}

#[test]
fn without_the_key_every_round_of_a_block_is_as_likely_and_blocks_are_independent() {
    const KEYS: u32 = 16_384;
    let mut counts = vec![[0_u32; 128]; 2];
    // Whether the second block's meeting is in the same eighth as the first's.
    let mut alike = 0;
    for key in 0..KEYS {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&key.to_be_bytes());
        let mut schedule = Schedule::new(Key(seed), Start::Sparse);
        schedule.level = Level::SPARSEST;
        let at = [0, 1].map(|block: u64| {
            (0..128).find(|round| schedule.meets(Round(128 * block + round))).unwrap() as usize
        });
        counts[0][at[0]] += 1;
        counts[1][at[1]] += 1;
        alike += u32::from(at[0] / 16 == at[1] / 16);
    }
    for counts in counts {
        let mean = f64::from(KEYS) / 128.0;
        let chi = counts.iter().map(|n| (f64::from(*n) - mean).powi(2) / mean).sum::<f64>();
        // 127 degrees of freedom, five standard deviations.
        assert!((chi - 127.0).abs() < 5.0 * (2.0 * 127.0_f64).sqrt(), "{chi}");
    }
    let (mean, deviation) = (f64::from(KEYS) / 8.0, (f64::from(KEYS) * 7.0 / 64.0).sqrt());
    assert!((f64::from(alike) - mean).abs() < 5.0 * deviation, "{alike}");
}

#[test]
fn an_hours_outage_costs_fewer_than_20_units() {
    let mut worst = 0;
    for key in 0..=255 {
        for start in [Start::Dense, Start::Sparse] {
            let mut schedule = schedule(key, start);
            let first = u64::from(key) * 37;
            let mut charged = 0;
            for round in first..first + 720 {
                if schedule.meets(Round(round)) {
                    schedule.disturbed();
                    charged += 1;
                }
            }
            worst = worst.max(charged);
        }
    }
    assert!(worst < 20, "{worst}");
    assert!(worst <= 16, "{worst}");
}

#[test]
fn rounds_in_flight_make_an_outage_hardly_dearer() {
    let mut worst = 0;
    for key in 0..=255 {
        for in_flight in 1..=MOST_ROUNDS_IN_FLIGHT as u64 {
            let mut schedule = schedule(key, Start::Dense);
            let first = u64::from(key) * 37;
            let mut charged = 0;
            let mut met = std::collections::BTreeSet::new();
            for round in first..first + 720 {
                // What is known is how rounds ended that opened so long ago.
                if round.checked_sub(in_flight).is_some_and(|ended| met.contains(&ended)) {
                    schedule.disturbed();
                }
                if schedule.meets(Round(round)) {
                    met.insert(round);
                    charged += 1;
                }
            }
            worst = worst.max(charged);
        }
    }
    assert!(worst < 20, "{worst}");
}

#[test]
fn both_ends_are_dense_again_soon_after_an_outage() {
    for key in 0..=255 {
        let mut ends = [schedule(key, Start::Dense), schedule(key, Start::Dense)];
        // The second end misses far more rounds than the first.
        let outage = 1000 + u64::from(key) * 13;
        ends[1].level = Level(key % 8);
        let mut healed = None;
        for round in 0..outage + 300 {
            let meets = [ends[0].meets(Round(round)), ends[1].meets(Round(round))];
            let well = round >= outage && meets == [true, true];
            for (end, meets) in ends.iter_mut().zip(meets) {
                match (meets, well) {
                    (true, true) => end.succeeded(),
                    (true, false) => end.disturbed(),
                    (false, _) => {}
                }
            }
            if well {
                healed = healed.or(Some(round));
            }
        }
        let healed = healed.unwrap();
        assert!(healed < outage + 2 * Level::SPARSEST.rounds());
        assert!(ends.iter().all(|end| end.level() == Level::DENSEST));
    }
}

#[test]
fn two_ends_find_each_other_even_if_only_one_saw_the_success() {
    let mut ends = [schedule(9, Start::Dense), schedule(9, Start::Sparse)];
    let met = (0..512).find(|round| {
        let meets = [ends[0].meets(Round(*round)), ends[1].meets(Round(*round))];
        if meets[0] && !meets[1] {
            ends[0].disturbed();
        }
        meets == [true, true]
    });
    assert!(met.is_some());
}

/// Plays `rounds` rounds in which every `passes`-th meeting goes well, with so many in flight.
/// Returns how many were charged.
fn attacked(key: u8, passes: u32, in_flight: u64, rounds: u64) -> u32 {
    let mut schedule = schedule(key, Start::Dense);
    let first = u64::from(key) * 37;
    let (mut met, mut charged) = (std::collections::BTreeSet::new(), 0);
    let mut meetings = 0_u32;
    for round in first..first + rounds {
        if round.checked_sub(in_flight).is_some_and(|ended| met.contains(&ended)) {
            meetings += 1;
            if meetings.is_multiple_of(passes) {
                schedule.succeeded();
            } else {
                schedule.charged();
                schedule.disturbed();
                charged += 1;
            }
        }
        schedule.begin_round();
        if schedule.meets(Round(round)) {
            met.insert(round);
        }
    }
    charged
}

#[test]
fn no_attack_charges_more_than_44_units_those_in_flight_and_one_for_every_128_rounds() {
    for key in 0..32 {
        for passes in [2, 3, 4, 5, 7, 20, u32::MAX] {
            for in_flight in [1, 3, 8] {
                for rounds in [100, 720, 8 * 720] {
                    let charged = attacked(key, passes, in_flight, rounds);
                    let most = 44 + in_flight + rounds.div_ceil(128) + 1;
                    assert!(
                        u64::from(charged) <= most,
                        "{charged} > {most}, {passes}, {in_flight}"
                    );
                }
            }
        }
    }
}

#[test]
fn half_of_the_default_k_lasts_for_three_days_of_attack() {
    // At 5-second rounds.
    const THREE_DAYS: u64 = 3 * 24 * 720;
    for passes in [2, 3, 7] {
        let charged = attacked(5, passes, 3, THREE_DAYS);
        assert!(charged <= 500, "{charged}");
        assert!(charged > 200, "{charged}: the attack is worth the name");
    }
}

#[test]
fn an_hours_outage_forbids_nothing_once_the_partner_is_back() {
    for key in 0..=255 {
        let mut schedule = schedule(key, Start::Dense);
        for round in 0..720 {
            schedule.begin_round();
            if schedule.meets(Round(round)) {
                schedule.charged();
                schedule.disturbed();
            }
        }
        schedule.succeeded();
        assert_eq!(schedule.level(), Level::DENSEST);
    }
}
