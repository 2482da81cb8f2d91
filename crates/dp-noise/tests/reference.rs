//! Agreement with epsilons computed by another implementation.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use antiphon_dp_noise::{PairDistribution, Sigma, Step, epsilon};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: u32,
    honest_shards: usize,
    sigma: f64,
    volume: u32,
    disturbed_rounds: u32,
    delta: f64,
    epsilon: f64,
}

impl Case {
    fn computed(&self) -> f64 {
        let sigma = Sigma::from_units((self.sigma * 1024.0).round() as u32).unwrap();
        let shard = PairDistribution::new(self.volume, sigma).unwrap();
        let honest = std::iter::repeat_n(shard, self.honest_shards);
        epsilon(honest, self.delta, self.disturbed_rounds, Step::One)
    }
}

#[test]
fn epsilons_agree_with_dp_accounting() {
    let reference: Reference =
        serde_json::from_str(include_str!("../vectors/accounting.json")).unwrap();
    for case in reference.cases {
        let deviation = case.computed() / case.epsilon - 1.0;
        assert!((-0.002..0.005).contains(&deviation), "case {}: {deviation:+.5}", case.id);
    }
}
