//! Agreement with epsilons computed by another implementation.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;
use std::process::Command;

use antiphon_dp_noise::{
    Account, LaplaceNoise, Mechanism, PairDistribution, PoissonNoise, Sigma, Step, epsilon,
};
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

/// What `vectors/regenerate` writes.
#[derive(Deserialize)]
struct Grid {
    cases: Vec<Point>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Point {
    mechanism: String,
    honest_shards: u32,
    sigma_units: Option<u32>,
    volume: Option<u32>,
    mean: Option<f64>,
    mean_pairs: Option<f64>,
    scale: Option<f64>,
    step: u32,
    disturbed_rounds: u32,
    delta: f64,
    epsilon: f64,
}

impl Point {
    fn mechanism(&self) -> Mechanism {
        let shards = self.honest_shards;
        match self.mechanism.as_str() {
            "gaussian" => {
                let sigma = Sigma::from_units(self.sigma_units.unwrap()).unwrap();
                let shard = PairDistribution::new(self.volume.unwrap(), sigma).unwrap();
                Mechanism::ConstantVolume(vec![shard; shards as usize])
            }
            "poisson" => {
                let each = PoissonNoise::new(self.mean.unwrap(), self.mean_pairs.unwrap()).unwrap();
                Mechanism::Poisson { shards, each }
            }
            "laplace" => {
                let each = LaplaceNoise::new(self.mean.unwrap(), self.scale.unwrap()).unwrap();
                Mechanism::Laplace { shards, each }
            }
            other => panic!("no mechanism {other}"),
        }
    }

    fn agrees(&self) -> Result<(), String> {
        let step = if self.step == 1 { Step::One } else { Step::Two };
        let account = Account::new(self.mechanism()).unwrap();
        let computed = account.epsilon(self.delta, self.disturbed_rounds, step);
        // Where the two directions differ, as for few Poisson deposits, the adversary chooses one afresh in
        // every round; the other tool composes each by itself.
        let above = if self.mechanism == "poisson" && self.delta > 0.01 { 1.05 } else { 1.03 };
        // Over 100,000 rounds half a grid step is not exactly what the other tool rounds up by.
        let below = if self.disturbed_rounds > 10_000 { 0.99 } else { 0.995 };
        let (least, most) = (below * self.epsilon, above * self.epsilon);
        if (least..=most).contains(&computed) {
            return Ok(());
        }
        Err(format!("{computed} ({:+.5}): {self:?}", computed / self.epsilon - 1.0))
    }

    /// The same case, whatever its epsilon.
    fn same_case(&self, other: &Self) -> bool {
        Self { epsilon: 0.0, ..self.clone() } == Self { epsilon: 0.0, ..other.clone() }
    }
}

fn committed() -> Vec<Point> {
    serde_json::from_str::<Grid>(include_str!("../vectors/grid.json")).unwrap().cases
}

#[test]
fn a_broad_grid_of_all_mechanisms_agrees_with_dp_accounting() {
    let points = committed();
    for mechanism in ["gaussian", "poisson", "laplace"] {
        assert!(points.iter().filter(|point| point.mechanism == mechanism).count() > 20);
    }
    for point in points {
        assert_eq!(point.agrees(), Ok(()));
    }
}

#[test]
fn awkward_corners_agree_with_dp_accounting() {
    let corners: Grid = serde_json::from_str(include_str!("../vectors/corners.json")).unwrap();
    assert!(corners.cases.len() > 200);
    let wrong: Vec<String> =
        corners.cases.iter().filter_map(|point| point.agrees().err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Runs where Python 3 and a network are, if asked: ANTIPHON_REGENERATE=1.
#[test]
fn the_grid_is_what_dp_accounting_computes() {
    if std::env::var_os("ANTIPHON_REGENERATE").is_none() {
        eprintln!("skipped: set ANTIPHON_REGENERATE=1 to install dp-accounting and compare");
        return;
    }
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("quick-grid.json");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/regenerate");
    let status = Command::new(script).arg("--quick").arg("--out").arg(&out).status().unwrap();
    assert!(status.success(), "vectors/regenerate: {status}");
    let fresh: Grid = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    let committed = committed();
    assert!(fresh.cases.len() > 10);
    for point in fresh.cases {
        assert_eq!(point.agrees(), Ok(()));
        let old = committed.iter().find(|old| old.same_case(&point)).unwrap();
        assert!((old.epsilon / point.epsilon - 1.0).abs() < 1e-5, "{old:?} and {point:?}");
    }
}
