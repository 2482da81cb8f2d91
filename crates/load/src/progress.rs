//! Progress of a run, for whoever watches.

use crate::report::Round;

/// Where a run is.
#[derive(Clone, Copy, Debug)]
pub enum Stage<'a> {
    /// The network agrees on an epoch.
    Joining,
    /// Clients link to their gateways.
    Linking {
        /// Clients with a link.
        linked: usize,
        /// Number of clients to link.
        clients: usize,
    },
    /// Onions are built before the first round opens.
    Building {
        /// Parts that are built.
        built: usize,
        /// Parts that will be built before it opens.
        of: usize,
    },
    /// A round is waited for, or runs.
    Waiting {
        /// Number of the round.
        round: u64,
        /// Number of rounds that clients took part in before it.
        number: u64,
    },
    /// The measured rounds have ended, and beats go on until the next one opens.
    Beating,
    /// A round has ended.
    Round {
        /// The round that ended.
        round: &'a Round,
        /// True if it is one of the measured rounds.
        measured: bool,
    },
}

/// Is told how far a run has come.
pub trait Progress: Sync {
    /// The run is at `stage`. Called often.
    fn stage(&self, stage: Stage<'_>);
}

/// A watcher that tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn stage(&self, _stage: Stage<'_>) {}
}
