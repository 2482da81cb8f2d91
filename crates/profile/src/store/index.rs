//! What is where: built from the records when a store is opened, and kept in memory. It holds no content.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use antiphon_wire::Timestamp;

use super::StoreCounts;
use crate::keepsake::KeepsakeKind;
use crate::message::{ContactId, MessageId, MessageState};
use crate::record::{Record, Streams, Stub};
use crate::vault::RecordNumber;

/// Where a message of this end stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Queued,
    UnderWay(u64),
    Over,
}

#[derive(Debug)]
enum Entry {
    Message {
        id: MessageId,
        contact: ContactId,
        at: Timestamp,
        bytes: usize,
        key: [u8; 16],
        stand: Stand,
    },
    Stub {
        id: MessageId,
        at: Timestamp,
        key: [u8; 16],
    },
    Event {
        at: Timestamp,
    },
    Streams(ContactId),
    Keepsake(KeepsakeKind, String),
    Session(ContactId),
    Dropped,
    DeviceKey,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    entries: BTreeMap<RecordNumber, Entry>,
    /// Messages, and what is left of deleted ones.
    ids: HashMap<MessageId, RecordNumber>,
    keys: HashMap<[u8; 16], RecordNumber>,
    talks: BTreeMap<ContactId, BTreeSet<RecordNumber>>,
    queued: BTreeMap<ContactId, BTreeSet<RecordNumber>>,
    under_way: BTreeMap<ContactId, BTreeMap<u64, RecordNumber>>,
    open_messages: usize,
    open_bytes: usize,
    events: BTreeSet<RecordNumber>,
    streams: BTreeMap<ContactId, (RecordNumber, Streams)>,
    keepsakes: BTreeMap<(KeepsakeKind, String), RecordNumber>,
    sessions: BTreeMap<ContactId, RecordNumber>,
    dropped: Option<(RecordNumber, u64)>,
    device_key: Option<RecordNumber>,
}

impl Index {
    /// Takes note of a record, in place of what had its number. Long, as it has an arm for each kind of record.
    pub(super) fn put(&mut self, number: RecordNumber, record: &Record) {
        self.remove(number);
        let entry = match record {
            Record::Message(message) => {
                let (id, contact, key) = (message.id, message.contact, message.key);
                let (at, bytes) = (message.at, message.body.len());
                let stand = match message.state {
                    MessageState::Queued => {
                        self.queued.entry(contact).or_default().insert(number);
                        Stand::Queued
                    }
                    MessageState::UnderWay { number: place } => {
                        self.under_way.entry(contact).or_default().insert(place, number);
                        Stand::UnderWay(place)
                    }
                    _ => Stand::Over,
                };
                self.open_messages += usize::from(message.is_open());
                self.open_bytes += if message.is_open() { bytes } else { 0 };
                self.name(number, id, key);
                self.talks.entry(contact).or_default().insert(number);
                Entry::Message { id, contact, at, bytes, key, stand }
            }
            Record::Stub(Stub { id, at, key }) => {
                self.name(number, *id, *key);
                Entry::Stub { id: *id, at: *at, key: *key }
            }
            Record::Event { at, .. } => {
                self.events.insert(number);
                Entry::Event { at: *at }
            }
            Record::Streams(streams) => {
                self.streams.insert(streams.contact, (number, streams.clone()));
                Entry::Streams(streams.contact)
            }
            Record::Keepsake(keepsake) => {
                let (kind, name) = (keepsake.kind, keepsake.name.clone());
                self.keepsakes.insert((kind, name.clone()), number);
                Entry::Keepsake(kind, name)
            }
            Record::Session(state) => {
                self.sessions.insert(state.contact, number);
                Entry::Session(state.contact)
            }
            Record::Dropped(event) => {
                self.dropped = Some((number, *event));
                Entry::Dropped
            }
            Record::DeviceKey(_) => {
                self.device_key = Some(number);
                Entry::DeviceKey
            }
        };
        self.entries.insert(number, entry);
    }

    fn name(&mut self, number: RecordNumber, id: MessageId, key: [u8; 16]) {
        self.ids.insert(id, number);
        if key != [0; 16] {
            self.keys.insert(key, number);
        }
    }

    /// Forgets a record.
    pub(super) fn remove(&mut self, number: RecordNumber) {
        match self.entries.remove(&number) {
            Some(Entry::Message { id, contact, bytes, key, stand, .. }) => {
                self.ids.remove(&id);
                self.keys.remove(&key);
                take(&mut self.talks, contact, number);
                match stand {
                    Stand::Over => return,
                    Stand::Queued => take(&mut self.queued, contact, number),
                    Stand::UnderWay(place) => {
                        self.under_way.entry(contact).or_default().remove(&place);
                    }
                }
                self.open_messages -= 1;
                self.open_bytes -= bytes;
            }
            Some(Entry::Stub { id, key, .. }) => {
                self.ids.remove(&id);
                self.keys.remove(&key);
            }
            Some(Entry::Event { .. }) => {
                self.events.remove(&number);
            }
            Some(Entry::Streams(contact)) => {
                self.streams.remove(&contact);
            }
            Some(Entry::Keepsake(kind, name)) => {
                self.keepsakes.remove(&(kind, name));
            }
            Some(Entry::Session(contact)) => {
                self.sessions.remove(&contact);
            }
            Some(Entry::Dropped) => self.dropped = None,
            Some(Entry::DeviceKey) => self.device_key = None,
            None => {}
        }
    }

    pub(super) fn counts(&self) -> StoreCounts {
        StoreCounts {
            messages: self.talks.values().map(BTreeSet::len).sum(),
            open_messages: self.open_messages,
            events: self.events.len(),
            keepsakes: self.keepsakes.len(),
            records: self.entries.len(),
        }
    }

    pub(super) fn open_messages(&self) -> usize {
        self.open_messages
    }

    pub(super) fn open_bytes(&self) -> usize {
        self.open_bytes
    }

    /// The record of a message that is not deleted.
    pub(super) fn message(&self, id: MessageId) -> Option<RecordNumber> {
        self.ids.get(&id).copied().filter(|number| self.is_message(*number))
    }

    fn is_message(&self, number: RecordNumber) -> bool {
        matches!(self.entries.get(&number), Some(Entry::Message { .. }))
    }

    /// `true` if there was such a message, also if it is deleted by now.
    pub(super) fn knows(&self, id: MessageId) -> bool {
        self.ids.contains_key(&id)
    }

    /// The record of the message, or of what is left of it, that was submitted under a key.
    pub(super) fn under_key(&self, key: [u8; 16]) -> Option<RecordNumber> {
        self.keys.get(&key).copied()
    }

    pub(super) fn talks(&self) -> impl Iterator<Item = &ContactId> {
        self.talks.keys()
    }

    pub(super) fn messages(&self, contact: ContactId) -> impl Iterator<Item = RecordNumber> {
        self.talks.get(&contact).into_iter().flatten().copied()
    }

    /// The message to a contact that has waited longest.
    pub(super) fn first_queued(&self, contact: ContactId) -> Option<RecordNumber> {
        self.queued.get(&contact).and_then(BTreeSet::first).copied()
    }

    /// `true` if a message to a contact waits, or is under way.
    pub(super) fn has_open(&self, contact: ContactId) -> bool {
        let queued = self.queued.get(&contact).is_some_and(|numbers| !numbers.is_empty());
        queued || self.under_way.get(&contact).is_some_and(|numbers| !numbers.is_empty())
    }

    /// The message that was handed over under a number.
    pub(super) fn handed(&self, contact: ContactId, place: u64) -> Option<RecordNumber> {
        self.under_way.get(&contact)?.get(&place).copied()
    }

    /// The messages that were handed over under numbers up to `place`, in order.
    pub(super) fn handed_up_to(&self, contact: ContactId, place: u64) -> Vec<RecordNumber> {
        let numbers = self.under_way.get(&contact).into_iter();
        numbers.flat_map(|numbers| numbers.range(..=place)).map(|(_, number)| *number).collect()
    }

    pub(super) fn is_queued(&self, number: RecordNumber) -> bool {
        matches!(self.entries.get(&number), Some(Entry::Message { stand: Stand::Queued, .. }))
    }

    pub(super) fn is_open(&self, number: RecordNumber) -> bool {
        let entry = self.entries.get(&number);
        matches!(entry, Some(Entry::Message { stand: Stand::Queued | Stand::UnderWay(_), .. }))
    }

    /// The events after the one with this number.
    pub(super) fn events_after(&self, event: RecordNumber) -> impl Iterator<Item = RecordNumber> {
        self.events.range(event.saturating_add(1)..).copied()
    }

    pub(super) fn last_event(&self) -> Option<RecordNumber> {
        self.events.last().copied()
    }

    /// The record of the last event that was dropped, and its number.
    pub(super) fn dropped(&self) -> Option<(RecordNumber, u64)> {
        self.dropped
    }

    pub(super) fn streams(&self, contact: ContactId) -> Option<(RecordNumber, &Streams)> {
        self.streams.get(&contact).map(|(number, streams)| (*number, streams))
    }

    pub(super) fn keepsake(&self, kind: KeepsakeKind, name: &str) -> Option<RecordNumber> {
        self.keepsakes.get(&(kind, name.to_owned())).copied()
    }

    pub(super) fn keepsakes(&self) -> impl Iterator<Item = RecordNumber> {
        self.keepsakes.values().copied()
    }

    pub(super) fn session(&self, contact: ContactId) -> Option<RecordNumber> {
        self.sessions.get(&contact).copied()
    }

    pub(super) fn device_key(&self) -> Option<RecordNumber> {
        self.device_key
    }

    /// The events, the messages that are over and the stubs that are older than these times.
    pub(super) fn older(&self, events: Timestamp, messages: Timestamp, stubs: Timestamp) -> Older {
        let mut older = Older::default();
        for (number, entry) in &self.entries {
            match entry {
                Entry::Event { at } if *at < events => older.events.push(*number),
                Entry::Message { at, stand: Stand::Over, .. } if *at < messages => {
                    older.messages.push(*number);
                }
                Entry::Stub { at, .. } if *at < stubs => older.stubs.push(*number),
                _ => {}
            }
        }
        older
    }
}

/// Records that are older than they are kept.
#[derive(Debug, Default)]
pub(super) struct Older {
    pub(super) events: Vec<RecordNumber>,
    pub(super) messages: Vec<RecordNumber>,
    pub(super) stubs: Vec<RecordNumber>,
}

fn take(
    sets: &mut BTreeMap<ContactId, BTreeSet<RecordNumber>>,
    contact: ContactId,
    number: RecordNumber,
) {
    if let Some(set) = sets.get_mut(&contact) {
        set.remove(&number);
        if set.is_empty() {
            sets.remove(&contact);
        }
    }
}
