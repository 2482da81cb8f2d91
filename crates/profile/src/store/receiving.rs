//! Messages of contacts: each kept once, whatever is sent again.

use antiphon_wire::Timestamp;
use rand::CryptoRng;

use super::{Batch, Store};
use crate::event::EventKind;
use crate::message::{ContactId, Message, MessageId, MessageState, StreamId};
use crate::place::Place;
use crate::record::{Heard, MOST_HEARD, Record};
use crate::store_error::StoreError;

/// Reason why a contact's message is not kept yet. It waits at its sender.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store holds as many records as it may.
    #[error(
        "the store holds {limit} records, and takes no more: messages wait at their senders until some are \
         deleted, or kept for fewer days"
    )]
    Full {
        /// Records that the store may hold.
        limit: usize,
    },
}

/// Outcome of a message that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Kept, under this name.
    New(MessageId),
    /// Here already, or deleted by now.
    Known,
}

impl<P: Place> Store<P> {
    /// Takes note of a contact's numbering and of the number that it goes on from. Returns how far it was heard.
    pub(crate) fn hear(
        &mut self,
        now: Timestamp,
        contact: ContactId,
        stream: StreamId,
        from: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<Heard, StoreError> {
        self.mend(rng)?;
        let (record, mut streams) = self.streams(contact, rng);
        let before = streams.heard.iter().position(|heard| heard.stream == stream);
        let newest = before.is_some_and(|place| place + 1 == streams.heard.len());
        let mut heard = match before {
            Some(place) => streams.heard.remove(place),
            None => Heard { stream, have: 0, last: MessageId([0; 16]) },
        };
        // What it does not send any more is here, by receipts of this end, unless this store is an old copy.
        let missing = from.saturating_sub(1).saturating_sub(heard.have);
        if newest && missing == 0 {
            return Ok(heard);
        }
        let mut batch = Batch::default();
        if before.is_none() && !streams.heard.is_empty() {
            self.tell(&mut batch, now, EventKind::ContactRestored(contact));
        } else if missing > 0 {
            self.tell(&mut batch, now, EventKind::Missing { contact, messages: missing });
        }
        if missing > 0 {
            heard = Heard { have: from - 1, last: MessageId([0; 16]), ..heard };
        }
        // The newest is last, as the oldest is forgotten first.
        if streams.heard.len() == MOST_HEARD {
            streams.heard.remove(0);
        }
        streams.heard.push(heard);
        batch.puts.push((record, Record::Streams(streams)));
        self.keep(&batch, rng)?;
        Ok(heard)
    }

    /// Keeps a contact's message under a number of the numbering heard last, if it is not here yet; without a message, its
    /// sender has given it up. It is on disk when this returns.
    pub(crate) fn receive(
        &mut self,
        now: Timestamp,
        contact: ContactId,
        place: u64,
        message: Option<(MessageId, &[u8])>,
        rng: &mut impl CryptoRng,
    ) -> Result<Received, RoomError> {
        self.mend(rng)?;
        let (record, mut streams) = self.streams(contact, rng);
        let mut outcome = Received::Known;
        let mut batch = Batch::default();
        // Known by its name and not by its number: a sender whose store was put back uses numbers again.
        let here = message.map(|(id, body)| (MessageId::received(contact, id), body));
        if let Some((id, body)) = here.filter(|(id, _)| !self.index.knows(*id)) {
            if self.vault.len() >= self.limits.records {
                return Err(RoomError::Full { limit: self.limits.records });
            }
            let (state, body) = (MessageState::Received, body.to_vec());
            let message = Message { id, contact, at: now, state, body, key: [0; 16] };
            batch.puts.push((self.vault.next_number(), Record::Message(message)));
            self.tell(&mut batch, now, EventKind::Received(id));
            outcome = Received::New(id);
        }
        if let Some(heard) = streams.heard.last_mut().filter(|heard| heard.have <= place) {
            let last = message.map_or(MessageId([0; 16]), |(id, _)| id);
            *heard = Heard { have: place, last, ..*heard };
            batch.puts.push((record, Record::Streams(streams)));
        }
        if !batch.puts.is_empty() {
            self.keep(&batch, rng)?;
        }
        Ok(outcome)
    }

    /// How far the numbering heard last was heard.
    pub(crate) fn heard(&self, contact: ContactId) -> Option<Heard> {
        self.index.streams(contact)?.1.heard.last().copied()
    }
}
