//! The overheads that the runs themselves show.

use antiphon_model::{MachineFigures, Overheads, ScenarioError};
use serde::Serialize;

use super::compare::Run;

/// Overheads of this machine, as [`Overheads`] names them, and the same for the reference machine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Fitted {
    pub(super) batch_us: f64,
    pub(super) step_us: f64,
    pub(super) client_us: f64,
    pub(super) harness_us: f64,
    /// How much longer than the reference machine this one takes to check a signature.
    pub(super) times_reference: f64,
}

/// What processor time counts beside latency, which is what is predicted.
const CPU_WEIGHT: f64 = 0.25;
/// An overhead is not looked for below this, in microseconds: it would be no overhead.
const LEAST_US: f64 = 1.0;
/// The search begins with steps of this factor and ends at the other.
const STEPS: (f64, f64) = (2.0, 1.01);

impl Fitted {
    /// The overheads for which the squared logarithms of predicted over measured add up to least: those
    /// of latency, and with a quarter of the weight those of the network's processor time. What the
    /// harness takes is measured alone. One overhead after the other is made larger or smaller as long
    /// as that helps, in ever smaller steps: the same runs give the same figures.
    pub(super) fn of(runs: &[&Run<'_>], figures: &MachineFigures) -> Result<Self, ScenarioError> {
        let usual = figures.overheads;
        let reference = Overheads::REFERENCE;
        let from = |batch_us, step_us, client_us| Self {
            batch_us,
            step_us,
            client_us,
            harness_us: harness_us(runs).unwrap_or(usual.harness_us),
            times_reference: usual.batch_us / reference.batch_us,
        };
        let found = descend([usual.batch_us, usual.step_us, usual.client_us], |[a, b, c]| {
            error(runs, &from(a, b, c).applied(figures))
        })?;
        Ok(from(found[0], found[1], found[2]))
    }

    /// Figures with these overheads.
    pub(super) fn applied(&self, figures: &MachineFigures) -> MachineFigures {
        let Self { batch_us, step_us, client_us, harness_us, .. } = *self;
        let overheads = Overheads { batch_us, step_us, client_us, harness_us, ..figures.overheads };
        MachineFigures { overheads, ..*figures }
    }

    /// As the reference machine would have them.
    pub(super) fn of_reference(&self) -> Overheads {
        let Self { batch_us, step_us, client_us, harness_us, times_reference } = *self;
        Overheads { batch_us, step_us, client_us, harness_us, ..Overheads::REFERENCE }
            .scaled(1.0 / times_reference)
    }
}

/// How far predictions are off.
fn error(runs: &[&Run<'_>], figures: &MachineFigures) -> Result<f64, ScenarioError> {
    let mut sum = 0.0;
    for run in runs {
        let round = run.predict(figures)?;
        sum += (round.latency_ms / run.measured.median_latency_ms).ln().powi(2);
        if let Some(measured) = run.measured.server_cpu_s {
            sum += CPU_WEIGHT * (run.server_cpu(figures, &round) / measured).ln().powi(2);
        }
    }
    Ok(sum)
}

/// What the harness itself takes for each client and round.
fn harness_us(runs: &[&Run<'_>]) -> Option<f64> {
    let (mut micros, mut clients) = (0.0, 0.0);
    for run in runs {
        micros += 1e6 * run.measured.client_cpu_s?;
        clients += f64::from(run.measured.clients);
    }
    (clients > 0.0).then_some(micros / clients)
}

/// Goes down from `at` along one axis after the other, by factors, to where `error` is least.
fn descend<const N: usize, E>(
    at: [f64; N],
    mut error: impl FnMut([f64; N]) -> Result<f64, E>,
) -> Result<[f64; N], E> {
    let mut best = at.map(|value| value.max(LEAST_US));
    let mut least = error(best)?;
    let (mut factor, end) = STEPS;
    while factor > end {
        let before = least;
        for axis in 0..N {
            for times in [factor, 1.0 / factor] {
                let mut tried = best;
                tried[axis] = (best[axis] * times).max(LEAST_US);
                let found = error(tried)?;
                if found < least {
                    (best, least) = (tried, found);
                    break;
                }
            }
        }
        if least >= before {
            factor = factor.sqrt();
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn the_lowest_place_is_found() {
        let hollow = |[x, y]: [f64; 2]| {
            let (x, y) = ((x / 37.0).ln(), (y / 4.0).ln());
            Ok::<_, Infallible>(x * x + y * y + 0.5 * x * y)
        };
        let Ok([x, y]) = descend([1000.0, 1.0], hollow);
        assert!((x / 37.0).ln().abs() < 0.02 && (y / 4.0).ln().abs() < 0.02, "{x} {y}");
        // On the edge, only the other one is left to be fitted.
        let slope = |[x, y]: [f64; 2]| Ok::<_, Infallible>(x + (y / 9.0).ln().powi(2));
        let Ok([x, y]) = descend([50.0, 50.0], slope);
        assert_eq!(x, LEAST_US);
        assert!((y / 9.0).ln().abs() < 0.02, "{y}");
    }
}
