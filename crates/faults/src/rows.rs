//! The rows of the matrix, by kind.

mod clocks;
mod files;
mod processes;
mod strangers;

use crate::row::Row;

/// All rows, in the order in which they are run and shown.
pub(crate) fn all() -> Vec<Row> {
    [processes::ROWS, files::ROWS, strangers::ROWS, clocks::ROWS].concat()
}

/// For rows that every machine can run.
const fn nothing_lacking() -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_have_names_of_their_own_and_the_short_form_has_some() {
        let rows = all();
        let names: BTreeSet<_> = rows.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), rows.len());
        assert!(rows.iter().any(|row| row.short));
    }
}
