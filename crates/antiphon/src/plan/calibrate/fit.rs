//! The overheads that the runs themselves show.

use antiphon_sim::scale::{MachineFigures, Overheads};
use serde::Serialize;

use super::Run;
use crate::plan::PlanError;

/// Overheads by least squares of relative errors, none below zero. See
/// [`Overheads`] for their meaning.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Fitted {
    pub(super) batch_us: f64,
    pub(super) step_us: f64,
    pub(super) client_us: f64,
    pub(super) harness_us: f64,
}

/// Tried for the wake-up of a step, in microseconds.
const STEPS_US: [f64; 13] =
    [0.0, 50.0, 100.0, 200.0, 300.0, 500.0, 700.0, 1e3, 1.5e3, 2e3, 3e3, 5e3, 1e4];

impl Fitted {
    /// From processor time first, since latency follows from it; then from what latency is beyond.
    pub(super) fn of(runs: &[Run], figures: &MachineFigures) -> Result<Self, PlanError> {
        let mut fitted = Self {
            batch_us: figures.overheads.batch_us,
            step_us: figures.overheads.step_us,
            client_us: figures.overheads.client_us,
            harness_us: harness_us(runs).unwrap_or(figures.overheads.harness_us),
        };
        if let Some((batch_us, client_us)) = per_batch_and_client(runs, figures)? {
            (fitted.batch_us, fitted.client_us) = (batch_us, client_us);
        }
        let mut least = f64::INFINITY;
        for step_us in STEPS_US {
            let tried = Self { step_us, ..fitted }.applied(figures);
            let mut error = 0.0;
            for run in runs {
                let ratio = run.predict(&tried)?.latency_ms / run.measured.latency_ms.p50;
                error += ratio.ln().powi(2);
            }
            if error < least {
                (least, fitted.step_us) = (error, step_us);
            }
        }
        Ok(fitted)
    }

    /// Figures with these overheads.
    pub(super) fn applied(&self, figures: &MachineFigures) -> MachineFigures {
        let Self { batch_us, step_us, client_us, harness_us } = *self;
        let overheads = Overheads { batch_us, step_us, client_us, harness_us, ..figures.overheads };
        MachineFigures { overheads, ..*figures }
    }
}

/// What the harness itself takes for each client and round.
fn harness_us(runs: &[Run]) -> Option<f64> {
    let each: Vec<_> = runs
        .iter()
        .filter_map(|run| Some(1e6 * run.measured.client_cpu_per_round()? / f64::from(run.clients)))
        .collect();
    (!each.is_empty()).then(|| each.iter().sum::<f64>() / each.len() as f64)
}

/// Least squares of `measured = rest + batch x + client y`, each run divided by what was measured.
fn per_batch_and_client(
    runs: &[Run],
    figures: &MachineFigures,
) -> Result<Option<(f64, f64)>, PlanError> {
    let with = |batch_us, client_us| {
        let overheads = Overheads { batch_us, client_us, ..figures.overheads };
        MachineFigures { overheads, ..*figures }
    };
    let mut rows = Vec::new();
    for run in runs {
        let Some(measured) = run.measured.server_cpu_per_round() else { continue };
        let rest = run.server_cpu(&with(0.0, 0.0))?;
        let batch = run.server_cpu(&with(1.0, 0.0))? - rest;
        let client = run.server_cpu(&with(0.0, 1.0))? - rest;
        rows.push([batch, client, measured - rest].map(|value| value / measured));
    }
    Ok(least_squares(&rows))
}

/// The x and y, not below zero, that come nearest to `a x + b y = c` for rows `[a, b, c]`.
fn least_squares(rows: &[[f64; 3]]) -> Option<(f64, f64)> {
    let sum = |i: usize, j: usize| rows.iter().map(|row| row[i] * row[j]).sum::<f64>();
    let (aa, ab, bb, ac, bc) = (sum(0, 0), sum(0, 1), sum(1, 1), sum(0, 2), sum(1, 2));
    let determinant = aa * bb - ab * ab;
    if determinant <= 1e-9 * aa * bb {
        return None;
    }
    let x = (ac * bb - bc * ab) / determinant;
    let y = (bc * aa - ac * ab) / determinant;
    // On the edge, only the other one is left to be fitted.
    Some(match (x < 0.0, y < 0.0) {
        (true, _) => (0.0, (bc / bb).max(0.0)),
        (_, true) => ((ac / aa).max(0.0), 0.0),
        _ => (x, y),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_comes_out() {
        let rows = [(1.0, 2.0), (3.0, 1.0), (2.0, 2.0)].map(|(a, b)| [a, b, 5.0 * a + 7.0 * b]);
        let (x, y) = least_squares(&rows).unwrap();
        assert!((x - 5.0).abs() < 1e-9 && (y - 7.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_costs_less_than_nothing() {
        let rows = [(1.0, 2.0), (3.0, 1.0), (2.0, 2.0)].map(|(a, b)| [a, b, 5.0 * a - b]);
        let (x, y) = least_squares(&rows).unwrap();
        assert!(x > 0.0 && y == 0.0, "{x} {y}");
        assert_eq!(least_squares(&[[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]), None);
    }
}
