//! The model of the round beside what `antiphon load` measures on this machine, and what the runs say of
//! the model's overheads.
#![expect(clippy::disallowed_methods, reason = "it says how long runs will take")]

mod compare;
mod fit;
mod grid;
mod measured;
mod page;
mod runs;

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use antiphon_model::ScenarioError;
use clap::Parser;

use compare::{Calibration, Run};
use fit::Fitted;
use grid::GRID;
use measured::Measurements;
use runs::Toolbox;

/// Points that a fit needs: more than it has unknowns.
const LEAST_TO_FIT: usize = 4;

/// Compare the model of the round with runs of `antiphon load` on this machine
///
/// Runs 3 to 20 shards with 1000 to 20000 clients: ten minutes. What is in the folder already is not run
/// again.
#[derive(Debug, Parser)]
#[command(name = "antiphon-calibrate")]
struct Arguments {
    /// What was measured, and the comparison
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Run nothing: print the overheads of the model that fit the runs in the folder, as
    /// crates/model/src/overheads.in has them
    #[arg(long)]
    fit: bool,
    /// The program that is run [default: antiphon beside this program]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// Why the model was not compared.
#[derive(Debug, thiserror::Error)]
enum CalibrationError {
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
         without --fit"
    )]
    TooFew {
        /// Which file.
        path: PathBuf,
        /// How many there are.
        there: usize,
    },
    /// The machine cannot be measured.
    #[error("`antiphon speed`: {0}")]
    Speed(String),
    /// Some runs failed, even when tried again.
    #[error("{failed} of {points} runs failed, as said above; start again to try those alone", points = GRID.len())]
    Failed {
        /// How many.
        failed: usize,
    },
    /// A run is of no network that can be predicted.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.fit { refit(&arguments.folder) } else { run(&arguments) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what has not been run yet, compares, and writes `measured.json`, `calibration.json`, `.md`
/// and `.svg` to the folder. Prints the table.
fn run(arguments: &Arguments) -> Result<(), CalibrationError> {
    let folder = &arguments.folder;
    fs::create_dir_all(folder)
        .map_err(|source| CalibrationError::Folder { path: folder.clone(), source })?;
    let toolbox = Toolbox::new(arguments.program.clone().unwrap_or_else(beside_this));
    let path = folder.join("measured.json");
    let mut measurements = match Measurements::read(&path)? {
        Some(measurements) => measurements,
        None => {
            eprintln!("measuring this machine's steps");
            Measurements { machine: toolbox.speed(&[])?, runs: Vec::new() }
        }
    };
    measurements.write(&path)?;
    let failed = toolbox.complete(&path, &mut measurements)?;

    let calibration = compared(&measurements)?;
    let text = page::markdown(&calibration);
    let json = serde_json::to_string_pretty(&calibration)
        .map_err(|source| CalibrationError::Left { path: path.clone(), source })?;
    for (name, content) in [
        ("calibration.md", text.as_str()),
        ("calibration.svg", &page::plot(&calibration)),
        ("calibration.json", &(json + "\n")),
    ] {
        let path = folder.join(name);
        fs::write(&path, content).map_err(|source| CalibrationError::Folder { path, source })?;
    }
    print!("{text}");
    if failed > 0 { Err(CalibrationError::Failed { failed }) } else { Ok(()) }
}

/// Prints the overheads that what is in `folder` says, as the model's source has them.
fn refit(folder: &Path) -> Result<(), CalibrationError> {
    let path = folder.join("measured.json");
    let Some(measurements) = Measurements::read(&path)? else {
        return Err(CalibrationError::TooFew { path, there: 0 });
    };
    let fitted_to = measurements.runs.iter().filter(|run| !grid::judges(run.shards, run.clients));
    let there = fitted_to.count();
    if there < LEAST_TO_FIT {
        return Err(CalibrationError::TooFew { path, there });
    }
    print!("{}", page::source(&compared(&measurements)?));
    Ok(())
}

/// The runs that there are beside their predictions.
fn compared(measurements: &Measurements) -> Result<Calibration, CalibrationError> {
    let machine = &measurements.machine;
    let runs: Vec<_> = measurements.runs.iter().map(|run| Run::of(run, machine)).collect();
    let fitted_to: Vec<_> = runs.iter().filter(|run| !run.judges()).collect();
    let fitted = if fitted_to.len() < LEAST_TO_FIT {
        None
    } else {
        Some(Fitted::of(&fitted_to, &machine.figures())?)
    };
    Ok(Calibration::new(machine.clone(), &runs, fitted)?)
}

/// The toolbox of the same build.
fn beside_this() -> PathBuf {
    let this = env::current_exe().unwrap_or_default();
    this.with_file_name(format!("antiphon{}", env::consts::EXE_SUFFIX))
}
