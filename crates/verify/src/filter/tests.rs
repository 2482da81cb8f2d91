use antiphon_wire::{Epoch, Round, ShardIndex};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;

const ONION_BYTES: usize = 90;

fn key(round: u64, k: u8) -> FilterKey {
    FilterKey::new(Epoch(3), Round(round), ShardIndex(2), FilterPrecision::new(k).unwrap())
}

fn onions(count: usize, seed: u64) -> Vec<u8> {
    let mut onions = vec![0; count * ONION_BYTES];
    ChaCha20Rng::seed_from_u64(seed).fill_bytes(&mut onions);
    onions
}

fn filter(key: FilterKey, onions: &[u8]) -> SealFilter {
    SealFilter::build(key, onions, ONION_BYTES).unwrap()
}

#[test]
fn every_onion_put_in_is_found_before_and_after_the_wire() {
    for count in [1, 2, 7, 300, 5000] {
        let onions = onions(count, 1);
        let built = filter(key(1, 20), &onions);
        assert_eq!(built.onions() as usize, count);
        let most = u32::MAX;
        let parsed = SealFilter::parse(key(1, 20), built.onions(), most, built.as_bytes()).unwrap();
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
    assert_eq!(SealFilter::build_from_digests(key, &digests).unwrap(), filter(key, &onions));
}

#[test]
fn the_rate_of_false_positives_is_the_formulas() {
    for k in [4, 7] {
        let built = filter(key(1, k), &onions(5000, 3));
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

#[test]
fn an_adversarial_half_catches_no_more_than_a_random_one() {
    // Half of the bits in one piece: with positions in progression one in a hundred would pass.
    let key = key(1, 20);
    let bytes = filter_bytes(1000, key.precision()) as usize;
    let mut bits = vec![0; bytes];
    bits[..bytes / 2].fill(0xff);
    let piece = SealFilter::parse(key, 1000, 1000, &bits).unwrap();
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
        let ones = count_ones(filter(key(round, 20), &onions(count as usize, 6)).as_bytes());
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
        let refusal = SealFilter::parse(key, count, 1000, &bytes).unwrap_err();
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
    assert!(SealFilter::parse(key, 500, 500, &bits).is_ok());
    bits[most as usize / 8] |= 1 << (most % 8);
    assert!(SealFilter::parse(key, 500, 500, &bits).is_err());
}

#[test]
fn filters_of_another_size_or_number_are_refused() {
    let key = key(1, 20);
    let built = filter(key, &onions(500, 7));
    let bytes = built.as_bytes();
    for wrong in [&bytes[..bytes.len() - 1], &bytes[..bytes.len() - 8], &[], &[0; 4096]] {
        let refusal = SealFilter::parse(key, 500, 1000, wrong).unwrap_err();
        assert!(matches!(refusal, FilterError::Size { .. }), "{refusal}");
    }
    assert!(matches!(SealFilter::parse(key, 600, 1000, bytes), Err(FilterError::Size { .. })));
    assert_eq!(
        SealFilter::parse(key, 500, 499, bytes),
        Err(FilterError::TooManyOnions { declared: 500, most: 499 })
    );
}

#[test]
fn an_empty_filter_holds_nothing() {
    let empty = filter(key(1, 20), &[]);
    assert!(empty.as_bytes().is_empty());
    assert!(!empty.contains(&[0; ONION_BYTES]));
    assert_eq!(SealFilter::parse(key(1, 20), 0, 0, &[]), Ok(empty));
}

#[test]
fn every_epoch_round_and_shard_has_positions_of_its_own() {
    let precision = FilterPrecision::default();
    let onions = onions(50, 8);
    let of = |epoch, round, owner| {
        let key = FilterKey::new(Epoch(epoch), Round(round), ShardIndex(owner), precision);
        filter(key, &onions).as_bytes().to_vec()
    };
    let base = of(1, 1, 1);
    for other in [of(2, 1, 1), of(1, 2, 1), of(1, 1, 2)] {
        assert_ne!(other, base);
    }
}

#[test]
fn buffers_that_do_not_divide_are_refused() {
    assert!(SealFilter::build(key(1, 20), &[0; 91], ONION_BYTES).is_err());
    assert!(SealFilter::build(key(1, 20), &[], 0).is_err());
}

proptest! {
    #[test]
    fn any_bytes_parse_or_are_refused(
        declared: u32,
        most: u32,
        k in 1u8..=32,
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        if let Ok(parsed) = SealFilter::parse(key(1, k), declared, most, &bytes) {
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
        match SealFilter::parse(key, declared, 100, &bytes) {
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
