//! The model beside what `antiphon load` measures on this machine.

mod compare;
mod fit;
mod grid;
mod measured;
mod page;
mod runs;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{PlanArguments, PlanError};
use crate::output::JsonTarget;
use crate::speed;

use compare::{Calibration, Run};
use fit::Fitted;
use grid::GRID;
use measured::Measurements;

/// Points that a fit needs: more than it has unknowns.
const LEAST_TO_FIT: usize = 4;

/// Why the model was not compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CalibrationError {
    /// The folder, or a file in it.
    #[error("cannot use {path}: {source}")]
    Folder {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What a run before left cannot be read.
    #[error("{path} is not what was left there before ({source}): delete it, and start again")]
    Left {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Two machines in one comparison.
    #[error(
        "{path} was measured on another machine ({there}; this one: {here}): use another folder"
    )]
    Elsewhere {
        /// Which file.
        path: PathBuf,
        /// Its processor.
        there: String,
        /// This machine's.
        here: String,
    },
    /// Too little to fit anything to.
    #[error(
        "{there} of the points that are fitted to are measured in {path}; {LEAST_TO_FIT} are needed: run \
         `antiphon plan --calibrate` without --fit"
    )]
    TooFew {
        /// Which file.
        path: PathBuf,
        /// How many there are.
        there: usize,
    },
    /// Some runs failed, even when tried again.
    #[error("{failed} of {points} runs failed, as said above; start again to try those alone", points = GRID.len())]
    Failed {
        /// How many.
        failed: usize,
    },
}

/// Runs what has not been run yet, compares, and writes `measured.json`, `calibration.json`, `.md`
/// and `.svg` to `folder`. Prints the table.
pub(super) fn run(folder: &Path, arguments: &PlanArguments) -> Result<(), PlanError> {
    fs::create_dir_all(folder)
        .map_err(|source| CalibrationError::Folder { path: folder.to_owned(), source })?;
    let kept = JsonTarget::File(folder.join("measured.json"));
    kept.check()?;
    let path = folder.join("measured.json");
    let mut measurements = match Measurements::read(&path)? {
        Some(measurements) => measurements,
        None => {
            crate::output::say("measuring this machine's steps");
            let machine = speed::measure(false).map_err(Box::new)?;
            Measurements { machine, runs: Vec::new() }
        }
    };
    kept.write(&measurements)?;
    let failed = runs::complete(&path, &kept, &mut measurements)?;

    let calibration = compared(&measurements, arguments)?;
    let text = page::markdown(&calibration);
    let svg = page::plot(&calibration);
    for (name, content) in [("calibration.md", &text), ("calibration.svg", &svg)] {
        let path = folder.join(name);
        fs::write(&path, content).map_err(|source| PlanError::Plot { path, source })?;
    }
    JsonTarget::File(folder.join("calibration.json")).write(&calibration)?;
    arguments.json.deliver(&calibration, &text)?;
    if failed > 0 {
        return Err(CalibrationError::Failed { failed }.into());
    }
    Ok(())
}

/// Prints the overheads that what is in `folder` says, as the model's source has them.
pub(super) fn refit(folder: &Path, arguments: &PlanArguments) -> Result<(), PlanError> {
    let path = folder.join("measured.json");
    let Some(measurements) = Measurements::read(&path)? else {
        return Err(CalibrationError::TooFew { path, there: 0 }.into());
    };
    let fitted_to = measurements.runs.iter().filter(|run| !grid::judges(run.shards, run.clients));
    let there = fitted_to.count();
    if there < LEAST_TO_FIT {
        return Err(CalibrationError::TooFew { path, there }.into());
    }
    let calibration = compared(&measurements, arguments)?;
    arguments.json.deliver(&calibration, &page::source(&calibration))?;
    Ok(())
}

/// The runs that there are beside their predictions.
fn compared(
    measurements: &Measurements,
    arguments: &PlanArguments,
) -> Result<Calibration, PlanError> {
    let runs = measurements
        .runs
        .iter()
        .map(|measured| Run::of(measured, &measurements.machine, arguments))
        .collect::<Result<Vec<_>, _>>()?;
    let fitted_to: Vec<_> = runs.iter().filter(|run| !run.judges()).collect();
    let fitted = if fitted_to.len() < LEAST_TO_FIT {
        None
    } else {
        Some(Fitted::of(&fitted_to, &measurements.machine.figures())?)
    };
    Calibration::new(measurements.machine.clone(), &runs, fitted)
}
