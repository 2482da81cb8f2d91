//! The network that is planned for.

use std::fs;
use std::path::Path;

use antiphon_wire::{IdentityKey, NetworkFile, NetworkFileError, Operator, Policy};

use super::PlanError;

/// The network of a file.
pub(super) fn read(path: &Path) -> Result<NetworkFile, PlanError> {
    let text = fs::read_to_string(path)
        .map_err(|source| PlanError::Read { path: path.to_owned(), source })?;
    NetworkFile::parse(&text).map_err(|source| PlanError::File { path: path.to_owned(), source })
}

/// A network of so many equal operators that do not exist yet.
pub(super) fn of_equals(operators: u16, policy: Policy) -> Result<NetworkFile, NetworkFileError> {
    let operators = (0..operators)
        .map(|index| {
            // No key is checked in a plan; they only have to differ.
            let mut key = [0; 32];
            key[..2].copy_from_slice(&index.to_be_bytes());
            Operator { name: format!("operator {}", index + 1), key: IdentityKey(key), weight: 1 }
        })
        .collect();
    NetworkFile::new(operators, policy)
}
