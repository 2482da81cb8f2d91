use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use serde_json::Value;

use super::*;

fn indices(range: std::ops::Range<u16>) -> Vec<ShardIndex> {
    range.map(ShardIndex).collect()
}

/// Operators of the given weights and numbers of shards, with shards numbered in order.
fn sampler(operators: &[(u32, u16)]) -> PathSampler {
    let mut next = 0;
    let shards: Vec<_> = operators
        .iter()
        .map(|&(_, count)| {
            next += count;
            indices(next - count..next)
        })
        .collect();
    let slices: Vec<_> = operators
        .iter()
        .zip(&shards)
        .map(|(&(weight, _), shards)| OperatorSlice { weight, shards })
        .collect();
    PathSampler::new(&slices).unwrap()
}

/// Pearson's statistic of `draws` against the exact probabilities, as standard deviations of a
/// chi-square variable above its mean.
fn chi_square_excess(
    operators: &[(u32, u16)],
    draws: u32,
    mut draw: impl FnMut() -> ShardIndex,
) -> f64 {
    let total: f64 = operators.iter().map(|&(weight, _)| f64::from(weight)).sum();
    let expected: Vec<f64> = operators
        .iter()
        .flat_map(|&(weight, count)| {
            let each = f64::from(draws) * f64::from(weight) / total / f64::from(count);
            std::iter::repeat_n(each, usize::from(count))
        })
        .collect();
    let mut seen = vec![0.0; expected.len()];
    for _ in 0..draws {
        seen[draw().position()] += 1.0;
    }
    let statistic: f64 = seen.iter().zip(&expected).map(|(s, e)| (s - e) * (s - e) / e).sum();
    let freedom = expected.len() as f64 - 1.0;
    (statistic - freedom) / (2.0 * freedom).sqrt()
}

const UNEVEN: &[(u32, u16)] = &[(1, 1), (5, 3), (2, 7), (4, 2), (3, 1)];

#[test]
fn hops_follow_weights_and_are_uniform_within_an_operator() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let sampler = sampler(UNEVEN);
    let excess = chi_square_excess(UNEVEN, 200_000, || sampler.draw_hop(&mut rng));
    assert!(excess.abs() < 4.0, "{excess}");
}

#[test]
fn hops_of_a_path_are_independent() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let sampler = sampler(&[(1, 2), (1, 1), (2, 1)]);
    let mut path = [ShardIndex(0); 14];
    // Successive pairs of four shards of probabilities 1/8, 1/8, 1/4, 1/2.
    let probability = [0.125, 0.125, 0.25, 0.5];
    let mut seen = [[0.0; 4]; 4];
    let paths = 20_000;
    for _ in 0..paths {
        sampler.draw_path(&mut rng, &mut path);
        for pair in path.chunks_exact(2) {
            seen[pair[0].position()][pair[1].position()] += 1.0;
        }
    }
    let mut statistic = 0.0;
    for (row, p) in seen.iter().zip(probability) {
        for (count, q) in row.iter().zip(probability) {
            let expected = f64::from(paths) * 7.0 * p * q;
            statistic += (count - expected) * (count - expected) / expected;
        }
    }
    let excess = (statistic - 15.0) / 30f64.sqrt();
    assert!(excess.abs() < 4.0, "{excess}");
}

#[test]
fn dead_drops_are_placed_by_the_same_distribution() {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let sampler = sampler(UNEVEN);
    let mut dead_drop = [0; DEAD_DROP_BYTES];
    let excess = chi_square_excess(UNEVEN, 200_000, || {
        rng.fill_bytes(&mut dead_drop);
        sampler.dead_drop_shard(&dead_drop)
    });
    assert!(excess.abs() < 4.0, "{excess}");
}

proptest! {
    #[test]
    fn adding_shards_changes_nobodys_share(
        operators in prop::collection::vec((1u32.., 1u16..20), 1..12),
        grower in any::<prop::sample::Index>(),
        more in 1u16..20,
        dead_drop: [u8; DEAD_DROP_BYTES],
    ) {
        let mut grown = operators.clone();
        grown[grower.index(operators.len())].1 += more;
        let owner = |operators: &[(u32, u16)], shard: ShardIndex| {
            let mut end = 0;
            operators.iter().position(|&(_, count)| { end += count; shard.0 < end })
        };
        let before = sampler(&operators).dead_drop_shard(&dead_drop);
        let after = sampler(&grown).dead_drop_shard(&dead_drop);
        // Operators are drawn first and from weights alone, so each drop stays with its operator.
        prop_assert_eq!(owner(&operators, before), owner(&grown, after));
    }
}

#[test]
fn rosters_that_would_skew_the_draw_are_refused() {
    let (two, none) = (indices(0..2), indices(0..0));
    let slice = |weight, shards| OperatorSlice { weight, shards };
    let refusal = |operators: &[OperatorSlice<'_>]| PathSampler::new(operators).unwrap_err();
    assert_eq!(refusal(&[]), SamplerError::NoOperators);
    assert_eq!(refusal(&[slice(1, &two), slice(1, &none)]), SamplerError::NoShards(1));
    assert_eq!(refusal(&[slice(0, &two)]), SamplerError::NoWeight(0));
    assert_eq!(
        refusal(&[slice(1, &two), slice(1, &two[1..])]),
        SamplerError::ListedTwice(ShardIndex(1))
    );
}

#[test]
fn placement_agrees_with_the_published_vectors() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../vectors/dead_drop_placement.json")).unwrap();
    assert_eq!(vectors["context"], DEAD_DROP_PLACEMENT_CONTEXT);
    let mut checked = 0;
    for case in vectors["cases"].as_array().unwrap() {
        let number = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
        let roster: Vec<_> = case["operators"]
            .as_array()
            .unwrap()
            .iter()
            .map(|o| (number(&o["weight"]), u16::try_from(number(&o["shards"])).unwrap()))
            .collect();
        let sampler = sampler(&roster);
        for placement in case["placements"].as_array().unwrap() {
            let mut dead_drop = [0; DEAD_DROP_BYTES];
            hex::decode_to_slice(placement["dead_drop"].as_str().unwrap(), &mut dead_drop).unwrap();
            let shard = sampler.dead_drop_shard(&dead_drop);
            assert_eq!(u32::from(shard.0), number(&placement["shard"]), "{placement}");
            checked += 1;
        }
    }
    assert_eq!(checked, 64);
}
