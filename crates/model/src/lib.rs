#![doc = include_str!("../README.md")]

mod beats;
mod client_link;
mod draws;
mod figures;
mod fluid;
mod prediction;
mod scenario;
mod search;
mod separate_machines;
mod shared_machine;
mod speed_report;
mod step_costs;
mod volumes;

#[cfg(test)]
mod tests;

pub use beats::{BeatPhases, BeatPrediction, predict_beat};
pub use client_link::ClientLink;
pub use figures::{MachineFigures, Overheads};
pub use prediction::{Phases, Prediction};
pub use scenario::{Placement, Scenario, ScenarioError, Spread};
pub use search::{SearchError, largest_users, users_of_machine};
pub use speed_report::{AtInterval, KernelSpeed, SpeedReport};

/// Predicts a round of `scenario` on machines with `figures`.
///
/// # Errors
/// If the scenario or the figures describe no network.
pub fn predict(scenario: &Scenario, figures: &MachineFigures) -> Result<Prediction, ScenarioError> {
    scenario.check()?;
    figures.check()?;
    let volumes = volumes::Volumes::of(scenario)?;
    let figures = &figures.for_onions(volumes.geometry());
    let steps = step_costs::of_round(scenario, figures, &volumes);
    let noise = prediction::noise_cpu(scenario, figures) * f64::from(scenario.shards);
    let times = run(scenario, figures, &steps, noise);
    let phases = Phases::of(&steps, &times);
    Ok(Prediction::new(scenario, figures, &volumes, &steps, phases))
}

/// The time of each step, while the machines have `noise` CPU seconds of other work to do in all.
fn run(
    scenario: &Scenario,
    figures: &MachineFigures,
    steps: &[step_costs::Step],
    noise: f64,
) -> Vec<prediction::StepTime> {
    match scenario.placement {
        Placement::Apart { .. } => separate_machines::run(scenario, figures, steps),
        Placement::Together { .. } => shared_machine::run(scenario, figures, steps, noise),
    }
}
