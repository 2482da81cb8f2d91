//! What stands between a shard's machine and the world, in networks for tests.

use antiphon_mix::{Input, Output};

/// Sees what the machine is told and what it has done, and may change or swallow it. Any shard but those of tests has
/// nothing there: whoever swallows [`Output::Persist`] signs twice.
pub trait Through: Send + 'static {
    /// The input that the machine is told; `None` if it is told nothing.
    fn input(&mut self, input: Input) -> Option<Input> {
        Some(input)
    }

    /// The output that is carried out; `None` if nothing is.
    fn output(&mut self, output: Output) -> Option<Output> {
        Some(output)
    }
}

/// Nothing stands there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nothing;

impl Through for Nothing {}
