//! Reasons for which there is no plan, with words that help.

use std::io;
use std::path::PathBuf;

use antiphon_coordinator::CannotForm;
use antiphon_dp_noise::{AccountError, CheckError, ShareError};
use antiphon_model::{ScenarioError, SearchError};
use antiphon_routing::{PathLengthError, RulesError};
use antiphon_wire::NetworkFileError;

use super::possible::OutOfReach;
use crate::cli::network_file::ReadNetworkError;
use crate::cli::values::LONE_OPERATOR;
use crate::exit::{Exit, Exits};
use crate::measurement::MeasurementError;
use crate::output::OutputError;

/// Reason for which there is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// Options that say nothing together.
    #[error("{0}")]
    Arguments(&'static str),
    /// Beats that end before a lost round's successor has come.
    #[error(
        "a round takes from {least:.0} to {most} beats, so that they cover two intervals of rounds: see --beat-ms too"
    )]
    Beats {
        /// The fewest.
        least: f64,
        /// The most.
        most: u16,
    },
    /// The network file cannot be used.
    #[error(transparent)]
    File(#[from] ReadNetworkError),
    /// The values on the command line make no network.
    #[error(transparent)]
    Policy(#[from] NetworkFileError),
    /// The operators make no epoch.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// Nobody to share the trust with.
    #[error("{LONE_OPERATOR}")]
    LoneOperator,
    /// They are too many.
    #[error(transparent)]
    CannotForm(#[from] CannotForm),
    /// The operators have no noise to share.
    #[error(transparent)]
    Shares(#[from] ShareError),
    /// No noise is enough.
    #[error(transparent)]
    OutOfReach(#[from] OutOfReach),
    /// The noise found is refused.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// Nobody is honest, so nothing can be accounted for.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// No path is long enough.
    #[error(transparent)]
    MixTarget(#[from] PathLengthError),
    /// The round cannot be predicted.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// No load is small enough.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// This machine cannot be measured.
    #[error(transparent)]
    Speed(#[from] Box<MeasurementError>),
    /// The machine's figures cannot be read.
    #[error("cannot read the speed file {path}: {source}")]
    ReadSpeed {
        /// Path of the speed file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The machine's figures are none.
    #[error("{path} is not what `antiphon speed --json` writes: {source}")]
    SpeedFile {
        /// Path of the speed file.
        path: PathBuf,
        /// Flaw of its content.
        source: serde_json::Error,
    },
    /// The plot cannot be written.
    #[error("cannot write {path}: {source}")]
    Plot {
        /// Path of the plot.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The plan is made but cannot be handed over.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Exits for PlanError {
    fn exit(&self) -> Exit {
        match self {
            Self::File(_)
            | Self::Policy(_)
            | Self::Scenario(_)
            | Self::Search(SearchError::Scenario(_))
            | Self::ReadSpeed { .. }
            | Self::SpeedFile { .. }
            | Self::LoneOperator
            | Self::Arguments(_)
            | Self::Beats { .. }
            | Self::CannotForm(_)
            | Self::Shares(ShareError::Empty(_) | ShareError::TooMany(_)) => Exit::Usage,
            Self::Rules(_)
            | Self::Shares(_)
            | Self::OutOfReach(_)
            | Self::Check(_)
            | Self::Account(_)
            | Self::MixTarget(_)
            | Self::Search(SearchError::Unreachable { .. })
            | Self::Plot { .. } => Exit::Failed,
            Self::Speed(_) => Exit::Failed,
            Self::Output(error) => error.exit(),
        }
    }
}
