//! How far a run has come, for whoever watches.

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
        /// All clients.
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
        /// Which round.
        round: u64,
        /// How many rounds clients took part in before it.
        number: u64,
    },
    /// A round has ended.
    Round {
        /// What it was like.
        round: &'a Round,
        /// Whether it counts.
        measured: bool,
    },
}

/// Is told how far a run has come.
pub trait Progress: Sync {
    /// The run is at `stage`. Called often.
    fn stage(&self, stage: Stage<'_>);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn stage(&self, _stage: Stage<'_>) {}
}
