//! The network of a file.

use std::path::Path;

use antiphon_process::config_file::read_bounded;
use antiphon_wire::NetworkFile;

use super::PlanError;

/// The network of a file.
pub(super) fn read(path: &Path) -> Result<NetworkFile, PlanError> {
    let text =
        read_bounded(path).map_err(|source| PlanError::Read { path: path.to_owned(), source })?;
    NetworkFile::parse(&text).map_err(|source| PlanError::File { path: path.to_owned(), source })
}
