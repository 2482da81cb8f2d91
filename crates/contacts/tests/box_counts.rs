//! What the count of a box tells an adversary who looks at it over many calls, against the bound.

use antiphon_dp_noise::{Budget, OperatorShare, PairSampler, Step, delta, solve};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

const CALLS: u32 = 5;
const HONEST: usize = 4;
const TRIALS: u32 = 3000;

/// Items that the honest operators put into the box in one round.
fn noise(sampler: &PairSampler, rng: &mut ChaCha20Rng) -> u32 {
    (0..HONEST).map(|_| sampler.sample(rng)).sum()
}

#[test]
fn whoever_counts_a_box_over_all_calls_gains_no_more_than_computed() {
    let budget = Budget::new(core::f64::consts::LN_2, 1e-6, CALLS).unwrap();
    let shares = vec![OperatorShare { weight: 1, shards: 1 }; HONEST + 1];
    let each = solve(&budget, &shares, 1).unwrap().per_operator[0];
    let sampler = PairSampler::new(each);
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    // Around the noise's mean, the sum over the rounds is all that tells the two worlds apart.
    let middle = CALLS * HONEST as u32 * each.volume() / 4 + CALLS / 2;
    let mut says_calls = |called: u32| {
        let sum =
            |rng: &mut ChaCha20Rng| (0..CALLS).map(|_| noise(&sampler, rng) + called).sum::<u32>();
        (0..TRIALS).filter(|_| sum(&mut rng) > middle).count() as f64 / f64::from(TRIALS)
    };
    let advantage = says_calls(1) - says_calls(0);
    // At epsilon 0, delta is the total variation: what anybody can gain at most.
    let bound = delta(vec![each; HONEST], 0.0, CALLS, Step::One);
    let deviation = (0.5 / f64::from(TRIALS)).sqrt();
    assert!(bound < 0.09, "{bound}");
    assert!(advantage < bound + 3.0 * deviation, "{advantage} of {bound}");
    assert!(advantage > 0.04 - 3.0 * deviation, "{advantage}: the adversary counts nothing");
}
