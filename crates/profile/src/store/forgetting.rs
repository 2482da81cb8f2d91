//! Deleting for good, one message, a conversation, or whatever is older than it is kept.

use antiphon_wire::Timestamp;
use rand::CryptoRng;

use super::{Batch, Store};
use crate::message::{ContactId, MessageId};
use crate::place::Place;
use crate::record::{Record, Stub, days_before};
use crate::store_error::StoreError;
use crate::vault::RecordNumber;

/// Days for which the ids of messages and idempotency keys are remembered, whatever is deleted.
pub(crate) const REMEMBERED_DAYS: u32 = 90;

/// Days for which records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days for which events are kept.
    pub event_days: u32,
    /// Days for which messages are kept whose end is known; `None`: until they are deleted.
    pub message_days: Option<u32>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { event_days: 30, message_days: None }
    }
}

impl<P: Place> Store<P> {
    /// Deletes a message for good: nobody reads it again, whatever bytes and keys are taken later. A message that is
    /// under way may still arrive. Returns `false` if there is no such message.
    ///
    /// # Errors
    /// If the store cannot be written. It is deleted or not then.
    pub fn delete_message(
        &mut self,
        now: Timestamp,
        id: MessageId,
        rng: &mut impl CryptoRng,
    ) -> Result<bool, StoreError> {
        self.mend(rng)?;
        let Some(number) = self.index.message(id) else { return Ok(false) };
        self.delete(now, vec![number], rng)?;
        Ok(true)
    }

    /// Deletes all messages from and to a contact for good. Returns their number.
    ///
    /// # Errors
    /// If the store cannot be written. All are deleted or none then.
    pub fn delete_messages(
        &mut self,
        now: Timestamp,
        contact: ContactId,
        rng: &mut impl CryptoRng,
    ) -> Result<usize, StoreError> {
        self.mend(rng)?;
        let numbers: Vec<_> = self.index.messages(contact).collect();
        let count = numbers.len();
        if count > 0 {
            self.delete(now, numbers, rng)?;
        }
        Ok(count)
    }

    /// Deletes for good what is older than it is kept. To be called once a day. Returns the number of records.
    ///
    /// # Errors
    /// If the store cannot be written. All of it is deleted or nothing then.
    pub fn retain(
        &mut self,
        now: Timestamp,
        retention: Retention,
        rng: &mut impl CryptoRng,
    ) -> Result<usize, StoreError> {
        self.mend(rng)?;
        let messages = retention.message_days.map_or(Timestamp(0), |days| days_before(now, days));
        let events = days_before(now, retention.event_days);
        let older = self.index.older(events, messages, days_before(now, REMEMBERED_DAYS));
        let mut batch = self.without(now, older.messages)?;
        if let Some(last) = older.events.last() {
            // Whoever reads from before it is told, and never left with a gap.
            let number = self.index.dropped().map(|(number, _)| number);
            let number = number.unwrap_or_else(|| self.vault.next_number());
            batch.puts.push((number, Record::Dropped(*last)));
        }
        batch.removed.extend(older.events.into_iter().chain(older.stubs));
        let count = batch.removed.len() + batch.puts.len();
        if count > 0 {
            self.erase(&batch, rng)?;
        }
        Ok(count)
    }

    fn delete(
        &mut self,
        now: Timestamp,
        numbers: Vec<RecordNumber>,
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        let batch = self.without(now, numbers)?;
        self.erase(&batch, rng)
    }

    /// A batch without these messages: of those that are remembered yet, a stub is left.
    fn without(&self, now: Timestamp, numbers: Vec<RecordNumber>) -> Result<Batch, StoreError> {
        let mut batch = Batch::default();
        for number in numbers {
            let message = self.message_at(number)?;
            if message.at < days_before(now, REMEMBERED_DAYS) {
                batch.removed.insert(number);
                continue;
            }
            let stub = Stub { id: message.id, at: message.at, key: message.key };
            batch.puts.push((number, Record::Stub(stub)));
        }
        Ok(batch)
    }
}
