//! `--json`, as several commands take it.

use clap::Args;
use serde::Serialize;

use crate::output::{self, JsonTarget, OutputError};

/// Where results go as JSON, if they are wanted so.
#[derive(Clone, Debug, Args)]
pub(crate) struct JsonArguments {
    /// Write the results as JSON to this file. The path may be left out: then, as with -, they go to
    /// standard output in place of the text
    #[arg(id = "json", long, value_name = "PATH", num_args = 0..=1, default_missing_value = "-")]
    target: Option<JsonTarget>,
}

impl JsonArguments {
    /// Finds out whether the JSON can be written before the work for it is done.
    pub(crate) fn check(&self) -> Result<(), OutputError> {
        self.target.as_ref().map_or(Ok(()), JsonTarget::check)
    }

    /// `true` if they go to standard output.
    pub(crate) fn is_to_stdout(&self) -> bool {
        self.target == Some(JsonTarget::Stdout)
    }

    /// `true` if they go to a file.
    pub(crate) const fn is_to_file(&self) -> bool {
        matches!(self.target, Some(JsonTarget::File(_)))
    }

    /// Prints `text` to standard output, unless the JSON goes there.
    pub(crate) fn print(&self, text: &str) -> Result<(), OutputError> {
        if self.target == Some(JsonTarget::Stdout) { Ok(()) } else { output::print(text) }
    }

    /// Writes `value` as JSON, if it is wanted.
    pub(crate) fn write(&self, value: &impl Serialize) -> Result<(), OutputError> {
        self.target.as_ref().map_or(Ok(()), |target| target.write(value))
    }

    /// Hands over a result both ways.
    pub(crate) fn deliver(&self, value: &impl Serialize, text: &str) -> Result<(), OutputError> {
        self.print(text)?;
        self.write(value)
    }
}
