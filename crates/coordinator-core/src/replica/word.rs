//! What a shard says of itself and of who leads it.

use antiphon_wire::{Registration, Standing, Term, Timestamp, ToCoordinator};

/// Whether a shard hears a coordinator that leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ear {
    /// None.
    Nobody,
    /// Another one.
    Leader,
}

/// The last word of a shard.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) registration: Registration,
    pub(super) standing: Standing,
    /// The highest term that it granted.
    pub(super) term: Term,
    pub(super) ear: Ear,
    /// When it opened its last round.
    pub(super) opened: Option<Timestamp>,
    /// It wants to be in no epoch that is still to come, as it said to this coordinator, whom it lets lead.
    pub(super) leaves: bool,
}

impl Word {
    pub(super) fn new(registration: Registration, standing: Standing) -> Self {
        Self {
            registration,
            standing,
            term: Term(0),
            ear: Ear::Nobody,
            opened: None,
            leaves: false,
        }
    }

    /// The registration as it would be now.
    pub(super) fn register(&self) -> ToCoordinator {
        let (registration, standing) = (self.registration.clone(), self.standing.clone());
        ToCoordinator::Register { registration, standing }
    }
}
