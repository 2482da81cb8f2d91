use antiphon_routing::{MixingPopulation, Ppm};
use antiphon_wire::{IdentityKey, Operator, Policy};
use ed25519_dalek::SigningKey;

use super::*;
use crate::cli::network::of_equals;
use crate::cli::values;

fn plan(shards: u16, policy: &Policy, mix_target: Option<f64>) -> Figures {
    let policy = Policy { least_mixing_hops: 2, ..policy.clone() };
    Figures::of(&of_equals(shards, policy).unwrap(), 1, mix_target).unwrap()
}

#[test]
fn the_protocols_reference_points() {
    for (shards, honest, disturbed_rounds, epsilon, delta, volume, sigma) in [
        (5, 4, 245, "ln4", 1e-4, 304, 18.85),
        (5, 4, 1000, "ln2", 1e-6, 1616, 100.8),
        (10, 8, 1000, "ln2", 1e-6, 1144, 71.3),
        (100, 80, 245, "ln4", 1e-4, 68, 4.21),
        (100, 80, 1000, "ln2", 1e-6, 364, 22.5),
    ] {
        let epsilon = values::epsilon(epsilon).unwrap();
        let total_delta = 1.0;
        let policy = Policy { epsilon, delta, disturbed_rounds, total_delta, ..Policy::default() };
        let figures = plan(shards, &policy, None);
        assert_eq!(figures.honest_shards, honest);
        assert_eq!((figures.hops, figures.layers), (14, 15));
        assert!((f64::from(figures.noise_per_shard) / f64::from(volume) - 1.0).abs() < 0.03);
        assert!((figures.sigma / sigma - 1.0).abs() < 0.03);
        assert!(figures.epsilon_reached <= figures.epsilon);
        assert!(figures.epsilon_reached > 0.9 * figures.epsilon);
        assert!(figures.epsilon_between_patterns > figures.epsilon_reached);
        assert!(figures.is_uniform());
    }
}

#[test]
fn delta_mix_is_that_of_the_honest_noise() {
    let figures = plan(5, &Policy::default(), None);
    assert_eq!(figures.noise_honest, 4 * u64::from(figures.noise_per_shard));
    let certain = MixingPopulation {
        f: Ppm::new(200_000).unwrap(),
        onions: figures.noise_honest,
        honest_shards: 4,
    };
    let MixingBound { proven, conjectured } = certain.conversation(14);
    assert_eq!(figures.delta_mix_conjectured, conjectured);
    // The sigma of the document is a little above a sixteenth of the volume, or below.
    assert!((figures.delta_mix / proven - 1.0).abs() < 0.01);
    assert!(conjectured < proven && figures.delta_mix < 1e-9);
    let week = figures.delta_mix * 120_960.0;
    assert!((figures.delta_mix_week / week - 1.0).abs() < 1e-9);
    let year = figures.delta_mix * 6_307_200.0;
    assert!((figures.delta_mix_year / year - 1.0).abs() < 1e-9);
}

#[test]
fn a_disturbed_round_costs_more_mixing_than_an_undisturbed_one() {
    let figures = plan(5, &Policy::default(), None);
    assert!(figures.delta_mix_disturbed > 1000.0 * figures.delta_mix);
    let all = figures.delta_mix_disturbed * f64::from(figures.disturbed_rounds_budget);
    assert!((figures.delta_mix_disturbed_budget / all - 1.0).abs() < 1e-9);
}

#[test]
fn a_mix_target_is_met_by_the_least_hops_and_never_shortens_paths() {
    let figures = plan(5, &Policy::default(), Some(1e-12));
    assert_eq!(Some(figures.hops), figures.hops_for_mix_target);
    assert_eq!(figures.hops_by_rule, 14);
    assert!(figures.hops > 14 && figures.delta_mix + figures.peek_round <= 1e-12);
    assert!(figures.delta_mix_week <= 1e-12 * 120_960.0);

    let lax = plan(5, &Policy::default(), Some(0.5));
    assert!(lax.hops_for_mix_target.unwrap() < 14);
    assert_eq!(lax.hops, 14);
}

#[test]
fn paths_follow_the_malicious_fraction() {
    let fewer = plan(10, &Policy { malicious_ppm: 100_000, ..Policy::default() }, None);
    assert!(fewer.hops < 14);
    assert_eq!((fewer.malicious_shards, fewer.honest_shards), (1, 9));
    let more = plan(10, &Policy { malicious_ppm: 400_000, ..Policy::default() }, None);
    assert!(more.hops > 14);
    assert_eq!((more.malicious_shards, more.honest_shards), (4, 6));
}

#[test]
fn a_network_files_weights_and_policy_count() {
    let operators = [4, 2, 1, 1, 1]
        .into_iter()
        .zip(0..)
        .map(|(weight, index)| Operator {
            name: format!("operator {index}"),
            key: IdentityKey::of(&SigningKey::from_bytes(&[index; 32])),
            weight,
        })
        .collect();
    let policy = Policy {
        malicious_ppm: 250_000,
        least_mixing_hops: 20,
        trusts_heavy_operators: true,
        ..Policy::default()
    };
    let network = NetworkFile::new(operators, policy).unwrap();
    let figures = Figures::of(&network, 2, None).unwrap();
    assert_eq!((figures.operators, figures.shards, figures.hops), (5, 10, 20));
    // 0.25 of 9, rounded down: one of weight two, or two of weight one.
    assert_eq!((figures.malicious_weight, figures.malicious_shards), (2, 4));
    assert!(!figures.is_uniform());
    let [heavy, light] = [0, 4].map(|at| f64::from(figures.noise_by_operator[at].noise_per_shard));
    assert!((heavy / light - 2.0).abs() < 0.05, "volume grows with the root of weight");
    assert_eq!(f64::from(figures.noise_per_shard), heavy);
}
