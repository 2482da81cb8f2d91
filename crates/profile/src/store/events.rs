//! Events for applications: read from any point on, and dropped by age alone.

use super::{Batch, Store};
use crate::event::{Event, EventId, EventKind};
use crate::place::Place;
use crate::record::Record;
use crate::store_error::StoreError;
use antiphon_wire::Timestamp;
use rand::CryptoRng;

/// Reason why events cannot be read from a point on.
#[derive(Debug, thiserror::Error)]
pub enum EventsGone {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Events after that point are older than events are kept.
    #[error(
        "events up to {dropped} were dropped for their age: read the messages anew, then the events after {dropped}"
    )]
    Dropped {
        /// Number of the last event that was dropped.
        dropped: u64,
    },
}

impl<P: Place> Store<P> {
    /// The events after the one with this id, in order and at most `most`; from the first with [`EventId`] 0. An
    /// application that keeps the last id together with what it did with the events sees each once.
    ///
    /// # Errors
    /// If there were events after this one that are dropped by now, or the store cannot be read.
    pub fn events_after(&self, after: EventId, most: usize) -> Result<Vec<Event>, EventsGone> {
        match self.index.dropped() {
            Some((_, dropped)) if dropped > after.0 => return Err(EventsGone::Dropped { dropped }),
            _ => {}
        }
        let numbers = self.index.events_after(after.0).take(most);
        let events = numbers.map(|number| match self.record(number)? {
            Record::Event { at, kind } => Ok(Event { id: EventId(number), at, kind }),
            _ => Err(StoreError::damaged(format!("record {number} is no event"))),
        });
        Ok(events.collect::<Result<_, _>>()?)
    }

    /// The newest event's id; 0 if there is none.
    pub fn last_event(&self) -> EventId {
        EventId(self.index.last_event().unwrap_or_default())
    }

    /// Keeps an event by itself.
    pub(crate) fn add_event(
        &mut self,
        now: Timestamp,
        kind: EventKind,
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        self.mend(rng)?;
        let mut batch = Batch::default();
        self.tell(&mut batch, now, kind);
        self.keep(&batch, rng)
    }
}
