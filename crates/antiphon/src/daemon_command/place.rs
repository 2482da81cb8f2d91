//! Where a profile is.

use std::env;
use std::path::PathBuf;

use clap::Args;

use super::DaemonError;

const VARIABLE: &str = "ANTIPHON_PROFILE";

/// Place of the profile whose daemon is asked.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlaceArguments {
    /// The profile's folder [default: the one that the variable ANTIPHON_PROFILE names, or `antiphon` in the home folder]
    #[arg(long, value_name = "FOLDER")]
    profile: Option<PathBuf>,
}

impl PlaceArguments {
    /// The folder.
    pub(crate) fn folder(&self) -> Result<PathBuf, DaemonError> {
        let said = self.profile.clone().or_else(|| env::var_os(VARIABLE).map(PathBuf::from));
        let home = || env::home_dir().map(|home| home.join("antiphon"));
        said.or_else(home).ok_or(DaemonError::NoHome)
    }
}
