//! The store: messages, events and keepsakes as records, and an index of them in memory.

mod events;
mod forgetting;
mod index;
mod keepsakes;
mod receiving;
mod restoring;
mod sending;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::Timestamp;
use rand::CryptoRng;

use crate::event::EventKind;
use crate::formats::{KeyCost, KeySource};
use crate::message::{ContactId, Message, MessageId, MessageState, Progress, StreamId};
use crate::place::Place;
use crate::record::{Record, Streams};
use crate::store_error::StoreError;
use crate::unlock::Unlock;
use crate::vault::{Put, RecordNumber, Vault};
use index::Index;

pub use events::EventsGone;
pub use forgetting::Retention;
pub use keepsakes::KeepsakeError;
pub(crate) use receiving::Received;
pub use receiving::RoomError;
pub(crate) use sending::{Handed, Receipt};
pub use sending::{Submission, SubmitError, Submitted};

/// Bounds of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// Messages of this end of which nobody knows yet how they end.
    pub open_messages: usize,
    /// Bytes of these messages.
    pub open_bytes: usize,
    /// Records of all kinds.
    pub records: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self { open_messages: 10_000, open_bytes: 64 << 20, records: 1_000_000 }
    }
}

/// Count of what a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// Messages, of both directions.
    pub messages: usize,
    /// Messages that wait or are under way.
    pub open_messages: usize,
    /// Events.
    pub events: usize,
    /// Keepsakes.
    pub keepsakes: usize,
    /// Records of all kinds.
    pub records: usize,
}

/// Records and an index of them.
#[derive(Debug)]
pub struct Store<P: Place> {
    vault: Vault<P>,
    index: Index,
    limits: StoreLimits,
    /// How far messages have come in the sessions of the moment. A restart begins these anew.
    progress: BTreeMap<MessageId, Progress>,
    /// Items of a backup that are not written yet.
    restored: Vec<(RecordNumber, Record)>,
}

/// Records to be written in one step.
#[derive(Debug, Default)]
struct Batch {
    puts: Vec<(RecordNumber, Record)>,
    removed: BTreeSet<RecordNumber>,
}

impl<P: Place> Store<P> {
    pub(crate) fn create(
        place: P,
        unlock: &Unlock,
        cost: KeyCost,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, StoreError> {
        let vault = Vault::create(place, unlock, cost, rng)?;
        Ok(Self::of(vault, Index::default()))
    }

    pub(crate) fn open(
        place: P,
        unlock: &Unlock,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, StoreError> {
        let mut index = Index::default();
        let vault = Vault::open(place, unlock, rng, |number, _, bytes| {
            index.put(number, &Record::parse(bytes)?);
            Ok(())
        })?;
        Ok(Self::of(vault, index))
    }

    fn of(vault: Vault<P>, index: Index) -> Self {
        let (limits, progress) = (StoreLimits::default(), BTreeMap::new());
        Self { vault, index, limits, progress, restored: Vec::new() }
    }

    /// Sets other bounds.
    pub fn set_limits(&mut self, limits: StoreLimits) {
        self.limits = limits;
    }

    /// Counts what there is.
    pub fn counts(&self) -> StoreCounts {
        let mut counts = self.index.counts();
        counts.records = self.vault.len();
        counts
    }

    /// Source of the key that opens the store.
    pub fn key_source(&self) -> KeySource {
        self.vault.roots().source()
    }

    /// Seals the store's roots for another passphrase or key file. The former one opens nothing when this returns.
    ///
    /// # Errors
    /// If it cannot be written: the former one or the new one opens the store then.
    pub fn change_key(
        &mut self,
        unlock: &Unlock,
        cost: KeyCost,
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        self.mend(rng)?;
        self.vault.change_key(unlock, cost, rng)
    }

    /// Reads everything again if nobody knows how the last write ended, for instance on a full disk.
    fn mend(&mut self, rng: &mut impl CryptoRng) -> Result<(), StoreError> {
        if !self.vault.is_unsure() {
            return Ok(());
        }
        let mut index = Index::default();
        self.vault.reopen(rng, |number, _, bytes| {
            index.put(number, &Record::parse(bytes)?);
            Ok(())
        })?;
        self.index = index;
        Ok(())
    }

    /// Writes a batch. It is on disk when this returns.
    fn keep(&mut self, batch: &Batch, rng: &mut impl CryptoRng) -> Result<(), StoreError> {
        debug_assert!(batch.removed.is_empty(), "what is removed is erased");
        self.vault.keep(&puts(batch), rng)?;
        self.note(batch);
        Ok(())
    }

    /// Writes a batch, and makes unreadable for good what it removes or replaces.
    fn erase(&mut self, batch: &Batch, rng: &mut impl CryptoRng) -> Result<(), StoreError> {
        self.vault.erase(&batch.removed, &puts(batch), rng)?;
        self.note(batch);
        Ok(())
    }

    fn note(&mut self, batch: &Batch) {
        for number in &batch.removed {
            self.index.remove(*number);
        }
        for (number, record) in &batch.puts {
            self.index.put(*number, record);
        }
    }

    /// Adds an event to a batch, behind everything that is in it.
    fn tell(&mut self, batch: &mut Batch, at: Timestamp, kind: EventKind) {
        let number = self.vault.next_number();
        batch.puts.push((number, Record::Event { at, kind }));
    }

    /// Adds a message's new state to a batch, with the event that tells of it. Returns its name.
    fn change(
        &mut self,
        batch: &mut Batch,
        number: RecordNumber,
        now: Timestamp,
        state: MessageState,
    ) -> Result<MessageId, StoreError> {
        let mut message = self.message_at(number)?;
        let event = match state {
            MessageState::Queued => EventKind::Queued(message.id),
            MessageState::UnderWay { .. } => EventKind::UnderWay(message.id),
            MessageState::Delivered { .. } => EventKind::Delivered(message.id),
            MessageState::Failed { .. } => EventKind::Failed(message.id),
            MessageState::Recalled => EventKind::Recalled(message.id),
            MessageState::Received => EventKind::Received(message.id),
        };
        let id = message.id;
        message.state = state;
        batch.puts.push((number, Record::Message(message)));
        self.tell(batch, now, event);
        Ok(id)
    }

    /// A record that the index names.
    fn record(&self, number: RecordNumber) -> Result<Record, StoreError> {
        let bytes = self.vault.read(number)?;
        let bytes = bytes.ok_or_else(|| StoreError::damaged(format!("record {number} is gone")))?;
        Record::parse(&bytes)
    }

    fn message_at(&self, number: RecordNumber) -> Result<Message, StoreError> {
        match self.record(number)? {
            Record::Message(message) => Ok(message),
            _ => Err(StoreError::damaged(format!("record {number} is no message"))),
        }
    }

    /// A message; `None` if there is none, or it was deleted.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn message(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.index.message(id).map(|number| self.message_at(number)).transpose()
    }

    /// How far a message that is under way has come in the session of the moment; `None` before its first part.
    pub fn progress(&self, id: MessageId) -> Option<Progress> {
        self.progress.get(&id).copied()
    }

    /// `true` if a message to a contact waits, or is under way without a receipt.
    pub fn has_open(&self, contact: ContactId) -> bool {
        self.index.has_open(contact)
    }

    /// The contacts to and from whom there are messages.
    pub fn talks(&self) -> Vec<ContactId> {
        self.index.talks().copied().collect()
    }

    /// The messages from and to a contact, in the order in which they were kept, `skip` left out and at most `most`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn messages(
        &self,
        contact: ContactId,
        skip: usize,
        most: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let numbers = self.index.messages(contact).skip(skip).take(most);
        numbers.map(|number| self.message_at(number)).collect()
    }

    /// Shows each message from and to a contact to `visit`, one at a time. Returns their number.
    pub(crate) fn each_message<E: From<StoreError>>(
        &self,
        contact: ContactId,
        mut visit: impl FnMut(&Message) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut count = 0;
        for number in self.index.messages(contact) {
            visit(&self.message_at(number)?)?;
            count += 1;
        }
        Ok(count)
    }

    /// The numberings of a contact, with the record that has them: new ones, if there are none.
    fn streams(&mut self, contact: ContactId, rng: &mut impl CryptoRng) -> (RecordNumber, Streams) {
        if let Some((number, streams)) = self.index.streams(contact) {
            return (number, streams.clone());
        }
        let own = StreamId::draw(rng);
        let streams = Streams { contact, own, handed: 0, receipted: 0, heard: Vec::new() };
        (self.vault.next_number(), streams)
    }
}

fn puts(batch: &Batch) -> Vec<Put> {
    let put = |(number, record): &(RecordNumber, Record)| Put {
        number: *number,
        drawer: record.drawer(),
        content: record.render(),
    };
    batch.puts.iter().map(put).collect()
}
