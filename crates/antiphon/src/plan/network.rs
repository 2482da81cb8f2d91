//! The network of a file.

use std::fs;
use std::path::Path;

use antiphon_wire::NetworkFile;

use super::PlanError;

/// The network of a file.
pub(super) fn read(path: &Path) -> Result<NetworkFile, PlanError> {
    let text = fs::read_to_string(path)
        .map_err(|source| PlanError::Read { path: path.to_owned(), source })?;
    NetworkFile::parse(&text).map_err(|source| PlanError::File { path: path.to_owned(), source })
}
