//! Noise wider than any document's, against the analytic Gaussian mechanism.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use antiphon_dp_noise::{Account, AccountError, Mechanism, PairDistribution, Sigma, Step};

/// What the accountant adds for each round.
const MARGIN: f64 = 5e-5;

fn account(shards: usize, pairs: u32, cut: u32) -> Account {
    let sigma = Sigma::accounted(pairs * Sigma::UNITS_PER_PAIR).unwrap();
    let shard = PairDistribution::accounted(4 * cut * pairs, sigma).unwrap();
    Account::new(Mechanism::ConstantVolume(vec![shard; shards])).unwrap()
}

#[test]
fn accounts_up_to_a_width_of_65536_agree_with_the_gaussian_mechanism() {
    // Epsilon of the analytic Gaussian mechanism (Balle and Wang, ICML 2018, theorem 8) at
    // mu = sqrt(rounds / shards) / sigma, computed by another program. Integer noise this wide differs from it
    // by next to nothing.
    for (shards, sigma, cut, rounds, delta, exact) in [
        (4, 4096, 5, 1_000_000, 1e-6, 0.491_226_390),
        // A lone shard's ends show unless they are far away.
        (1, 65_536, 8, 1_000_000, 1e-6, 0.053_069_702),
        (4, 65_536, 5, 1_000_000, 1e-6, 0.025_143_087),
    ] {
        let found = account(shards, sigma, cut).epsilon(delta, rounds, Step::One);
        let ratio = (found - MARGIN * f64::from(rounds)) / exact;
        assert!((0.9995..1.005).contains(&ratio), "{shards} of {sigma} over {rounds}: {ratio}");
    }
}

#[test]
fn wider_noise_never_tells_more() {
    let widths = [1024, 2048, 2049, 4096, 16_384];
    let epsilons = widths.map(|sigma| account(2, sigma, 5).epsilon(1e-6, 1000, Step::One));
    assert!(epsilons.is_sorted_by(|narrow, wide| narrow > wide), "{epsilons:?}");
}

#[test]
fn attempts_are_computed_for_noise_of_documents_alone() {
    let wide = account(2, 4096, 5);
    assert_eq!(wide.clone().with_lost_noise(1), Err(AccountError::TooWide));
    assert!(wide.clone().with_left_out_attempts(1).is_ok(), "these are beside the noise");
    assert_eq!(wide.with_attempts(1, 1e-6), Err(AccountError::TooWide));
}
