use antiphon_wire::{Epoch, FilterSalt, Round, ShardIndex};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;

const ONION_BYTES: usize = 90;

fn key(round: u64, k: u8) -> FilterKey {
    salted(FilterSalt([7; 16]), round, k)
}

fn salted(salt: FilterSalt, round: u64, k: u8) -> FilterKey {
    let precision = FilterPrecision::new(k).unwrap();
    FilterKey::new(Epoch(3), Round(round), ShardIndex(2), salt, precision)
}

fn onions(count: usize, seed: u64) -> Vec<u8> {
    let mut onions = vec![0; count * ONION_BYTES];
    ChaCha20Rng::seed_from_u64(seed).fill_bytes(&mut onions);
    onions
}

fn filter(key: &FilterKey, onions: &[u8]) -> SealFilter {
    SealFilter::build(key, onions, ONION_BYTES).unwrap()
}

#[test]
fn every_onion_put_in_is_found_before_and_after_the_wire() {
    for count in [1, 2, 7, 300, 5000] {
        let onions = onions(count, 1);
        let built = filter(&key(1, 20), &onions);
        assert_eq!(built.onions() as usize, count);
        let most = u32::MAX;
        let parsed =
            SealFilter::parse(&key(1, 20), built.onions(), most, built.as_bytes()).unwrap();
        assert_eq!(parsed, built);
        for sealed in onions.chunks_exact(ONION_BYTES) {
            assert!(built.contains(sealed));
            assert!(parsed.contains_digest(&key(1, 20).digest(sealed)));
        }
    }
}

#[test]
fn digests_make_the_same_filter() {
    let onions = onions(100, 2);
    let key = key(1, 20);
    let digests: Vec<_> = onions.chunks_exact(ONION_BYTES).map(|o| key.digest(o)).collect();
    assert_eq!(SealFilter::build_from_digests(&key, &digests).unwrap(), filter(&key, &onions));
}

#[test]
fn the_rate_of_false_positives_is_the_formulas() {
    for k in [4, 7] {
        let built = filter(&key(1, k), &onions(5000, 3));
        let tested = 200_000;
        let others = onions(tested, 4);
        let passed = others.chunks_exact(ONION_BYTES).filter(|o| built.contains(o)).count() as f64;
        let rate = libm::pow(2.0, -f64::from(k));
        let expected = tested as f64 * rate;
        // Five standard deviations, and a percent for the filter's own fill.
        assert!((passed - expected).abs() < 5.0 * expected.sqrt() + 0.01 * expected, "{passed}");
        let worst = false_positive_at_worst_fill(5000, FilterPrecision::new(k).unwrap());
        assert!(passed / tested as f64 <= worst, "{passed} of {tested}, {worst}");
    }
}

/// Each bit's share of the positions, and each two bits' share of two positions in one onion, from the same
/// block of 16 bytes or from others, is what chance gives.
#[test]
fn positions_of_an_onion_are_even_and_independent() {
    let key = key(1, 20);
    let positions: Vec<u64> = onions(20_000, 9)
        .chunks_exact(ONION_BYTES)
        .flat_map(|onion| key.positions(&key.digest(onion), 16))
        .collect();
    let is_even = |classes: usize, seen: &mut dyn Iterator<Item = u64>| {
        let mut counts = vec![0_u32; classes];
        seen.for_each(|class| counts[class as usize] += 1);
        let mean = f64::from(counts.iter().sum::<u32>()) / classes as f64;
        let chi: f64 = counts.iter().map(|seen| (f64::from(*seen) - mean).powi(2) / mean).sum();
        let freedom = (classes - 1) as f64;
        assert!((chi - freedom).abs() < 4.5 * (2.0 * freedom).sqrt(), "{chi} of {freedom}");
    };
    assert_eq!(positions.len(), 400_000);
    is_even(16, &mut positions.iter().copied());
    is_even(256, &mut positions.chunks_exact(2).map(|two| 16 * two[0] + two[1]));
    let halves = positions.chunks_exact(20).flat_map(|all| all[..10].iter().zip(&all[10..]));
    is_even(256, &mut halves.map(|(one, other)| 16 * one + other));
}

/// AES of GHASH, as the protocol's page describes them.
#[test]
fn positions_stay_where_they_are() {
    let key = key(1, 20);
    let sealed: Vec<u8> = (0..90).collect();
    let positions: Vec<u64> = key.positions(&key.digest(&sealed), 1 << 20).collect();
    assert_eq!(
        positions,
        [
            1000207, 991569, 801835, 995112, 1000708, 763108, 895422, 290961, 707124, 425222,
            420496, 761283, 285078, 692219, 128454, 867945, 864471, 552436, 779430, 744551,
        ]
    );
}

#[test]
fn an_adversarial_half_catches_no_more_than_a_random_one() {
    // Half of the bits in one piece: with positions in progression one in a hundred would pass.
    let key = key(1, 20);
    let bytes = filter_bytes(1000, key.precision()) as usize;
    let mut bits = vec![0; bytes];
    bits[..bytes / 2].fill(0xff);
    let piece = SealFilter::parse(&key, 1000, 1000, &bits).unwrap();
    let passed = onions(100_000, 5).chunks_exact(ONION_BYTES).filter(|o| piece.contains(o)).count();
    assert!(passed <= 3, "{passed}");
}

#[test]
fn honest_fills_stay_well_inside_the_limit_and_vary_as_computed() {
    let precision = FilterPrecision::default();
    let (count, filters) = (200, 300);
    let bits = (filter_bytes(count, precision) * 8) as f64;
    let (mut sum, mut squares) = (0.0, 0.0);
    for round in 0..filters {
        let ones = count_ones(filter(&key(round, 20), &onions(count as usize, 6)).as_bytes());
        assert!(ones < most_ones_accepted(count, precision));
        sum += ones as f64;
        squares += (ones as f64) * (ones as f64);
    }
    let mean = sum / filters as f64;
    let variance = squares / filters as f64 - mean * mean;
    assert!((mean / bits - 0.5).abs() < 0.005, "{mean}");
    // The sample variance of 300 filters is within a third of 0.0767 m.
    assert!((variance / (0.0767 * bits) - 1.0).abs() < 0.33, "{variance}");
}

#[test]
fn filters_that_would_pass_everything_are_refused() {
    let key = key(1, 20);
    for count in [1, 2, 3, 500] {
        let bytes = vec![0xff; filter_bytes(count, key.precision()) as usize];
        let refusal = SealFilter::parse(&key, count, 1000, &bytes).unwrap_err();
        assert!(matches!(refusal, FilterError::TooFull { .. }), "{refusal}");
    }
}

#[test]
fn one_bit_more_than_plausible_is_one_too_many() {
    let key = key(1, 20);
    let most = most_ones_accepted(500, key.precision());
    let mut bits = vec![0; filter_bytes(500, key.precision()) as usize];
    for bit in 0..most as usize {
        bits[bit / 8] |= 1 << (bit % 8);
    }
    assert!(SealFilter::parse(&key, 500, 500, &bits).is_ok());
    bits[most as usize / 8] |= 1 << (most % 8);
    assert!(SealFilter::parse(&key, 500, 500, &bits).is_err());
}

#[test]
fn filters_of_another_size_or_number_are_refused() {
    let key = key(1, 20);
    let built = filter(&key, &onions(500, 7));
    let bytes = built.as_bytes();
    for wrong in [&bytes[..bytes.len() - 1], &bytes[..bytes.len() - 8], &[], &[0; 4096]] {
        let refusal = SealFilter::parse(&key, 500, 1000, wrong).unwrap_err();
        assert!(matches!(refusal, FilterError::Size { .. }), "{refusal}");
    }
    assert!(matches!(SealFilter::parse(&key, 600, 1000, bytes), Err(FilterError::Size { .. })));
    assert_eq!(
        SealFilter::parse(&key, 500, 499, bytes),
        Err(FilterError::TooManyOnions { declared: 500, most: 499 })
    );
}

#[test]
fn an_empty_filter_holds_nothing() {
    let empty = filter(&key(1, 20), &[]);
    assert!(empty.as_bytes().is_empty());
    assert!(!empty.contains(&[0; ONION_BYTES]));
    assert_eq!(SealFilter::parse(&key(1, 20), 0, 0, &[]), Ok(empty));
}

#[test]
fn every_epoch_round_shard_and_salt_has_positions_of_its_own() {
    let precision = FilterPrecision::default();
    let onions = onions(50, 8);
    let of = |epoch, round, owner, salt| {
        let salt = FilterSalt([salt; 16]);
        let key = FilterKey::new(Epoch(epoch), Round(round), ShardIndex(owner), salt, precision);
        filter(&key, &onions).as_bytes().to_vec()
    };
    let base = of(1, 1, 1, 1);
    for other in [of(2, 1, 1, 1), of(1, 2, 1, 1), of(1, 1, 2, 1), of(1, 1, 1, 2)] {
        assert_ne!(other, base);
    }
}

/// Onions, out of random ones, that each set as many bits under `known` as are not set yet: what whoever
/// knows a filter's key sends its owner.
fn chosen_to_fill(known: &FilterKey, held: &[u8], count: usize) -> Vec<u8> {
    let mut chosen = held.to_vec();
    let room = vec![0; (count + held.len() / ONION_BYTES) * 29 / 8 + 8];
    let mut filled = SealFilter { key: known.clone(), onions: 0, bits: room.into() };
    held.chunks_exact(ONION_BYTES).for_each(|onion| filled.insert(&known.digest(onion)));
    for i in 0..count as u64 {
        let candidates = onions(64, 1000 + i);
        let new = |onion: &&[u8]| {
            let bits = filled.bits.len() as u64 * 8;
            let positions = known.positions(&known.digest(onion), bits);
            positions.filter(|bit| filled.bits[(bit / 8) as usize] >> (bit % 8) & 1 == 0).count()
        };
        let best = candidates.chunks_exact(ONION_BYTES).max_by_key(new).unwrap();
        filled.insert(&known.digest(best));
        chosen.extend_from_slice(best);
    }
    chosen
}

/// Whether an honest filter is refused, whose owner was sent onions chosen for the key `known`.
fn is_stuffed(known: &FilterKey, used: &FilterKey) -> bool {
    let all = chosen_to_fill(known, &onions(300, 11), 300);
    let built = filter(used, &all);
    SealFilter::parse(used, built.onions(), u32::MAX, built.as_bytes()).is_err()
}

#[test]
fn an_honest_filter_cannot_be_stuffed_without_its_salt() {
    let known = salted(FilterSalt([0; 16]), 1, 20);
    assert!(is_stuffed(&known, &known), "the attack works on a key known beforehand");
    for salt in 1..20 {
        assert!(!is_stuffed(&known, &salted(FilterSalt([salt; 16]), 1, 20)), "{salt}");
    }
}

/// Onions, out of random ones, that together set every bit of `dropped` under `known`.
fn look_alikes(known: &FilterKey, dropped: &[u8], filter_bits: u64) -> Vec<u8> {
    let places =
        |onion: &[u8]| -> Vec<u64> { known.positions(&known.digest(onion), filter_bits).collect() };
    let mut wanted = places(dropped);
    let mut chosen = Vec::new();
    for seed in 2000.. {
        for onion in onions(500, seed).chunks_exact(ONION_BYTES) {
            let set = places(onion);
            if wanted.iter().any(|bit| set.contains(bit)) {
                wanted.retain(|bit| !set.contains(bit));
                chosen.extend_from_slice(onion);
            }
            if wanted.is_empty() {
                return chosen;
            }
        }
    }
    chosen
}

/// Whether an honest filter claims an onion that its owner was not sent, but look-alikes of it, chosen
/// for the key `known`.
fn is_deceived(known: &FilterKey, used: impl Fn(u8) -> FilterKey, seed: u64) -> bool {
    let dropped = onions(1, 500 + seed);
    let mut held = onions(300, 12);
    // Their number decides the size of the filter: there are twenty of them, some of them needless.
    let bits = filter_bytes(320, known.precision()) * 8;
    held.extend(look_alikes(known, &dropped, bits));
    held.truncate(320 * ONION_BYTES);
    let more = 320 - held.len() / ONION_BYTES;
    held.extend(onions(more, 13));
    filter(&used(seed as u8), &held).contains(&dropped)
}

#[test]
fn an_honest_filter_claims_no_dropped_onion_without_its_salt() {
    let known = salted(FilterSalt([0; 16]), 1, 20);
    let drawn = |salt: u8| salted(FilterSalt([salt; 16]), 1, 20);
    for seed in 1..20 {
        assert!(
            is_deceived(&known, |_| known.clone(), seed),
            "the attack works on a key known beforehand"
        );
        assert!(!is_deceived(&known, drawn, seed), "{seed}");
    }
}

/// It can have the fullest filter that is accepted, which is counted, and no better: it cannot tell which
/// salt would do for an onion that it does not have.
#[test]
fn an_owner_that_tries_many_salts_has_no_more_pass_that_it_does_not_have() {
    let (held, tested) = (onions(300, 14), 200_000);
    let filters = (0..200).map(|salt| filter(&salted(FilterSalt([salt; 16]), 1, 7), &held));
    let fullest = filters.max_by_key(|filter| count_ones(filter.as_bytes())).unwrap();
    let unknown = onions(tested, 15);
    let passed = unknown.chunks_exact(ONION_BYTES).filter(|onion| fullest.contains(onion)).count();
    let most = false_positive_at_worst_fill(300, fullest.key().precision()) * tested as f64;
    assert!((passed as f64) < most + 4.0 * most.sqrt(), "{passed} of {most}");
}

#[test]
fn buffers_that_do_not_divide_are_refused() {
    assert!(SealFilter::build(&key(1, 20), &[0; 91], ONION_BYTES).is_err());
    assert!(SealFilter::build(&key(1, 20), &[], 0).is_err());
}

proptest! {
    #[test]
    fn any_bytes_parse_or_are_refused(
        declared: u32,
        most: u32,
        k in 1u8..=32,
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        if let Ok(parsed) = SealFilter::parse(&key(1, k), declared, most, &bytes) {
            prop_assert_eq!(parsed.as_bytes(), &bytes[..]);
        }
    }

    #[test]
    fn bytes_of_the_right_size_are_held_to_the_fill(
        declared in 0u32..100,
        k in 1u8..=32,
        seed: u64,
        onion: [u8; 40],
    ) {
        let key = key(1, k);
        let mut bytes = vec![0; filter_bytes(declared, key.precision()) as usize];
        ChaCha20Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
        let most = most_ones_accepted(declared, key.precision());
        match SealFilter::parse(&key, declared, 100, &bytes) {
            Ok(parsed) => {
                prop_assert!(count_ones(&bytes) <= most);
                parsed.contains(&onion);
            }
            Err(refusal) => {
                let too_full = matches!(refusal, FilterError::TooFull { .. });
                prop_assert!(too_full && count_ones(&bytes) > most);
            }
        }
    }
}
