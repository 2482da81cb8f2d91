//! Messages of this end, from submission to the receipt.

use std::mem;

use antiphon_wire::Timestamp;
use rand::CryptoRng;

use super::{Batch, Store};
use crate::event::EventKind;
use crate::message::{
    ContactId, MOST_MESSAGE_BYTES, MOST_REASON_BYTES, Message, MessageId, MessageState, Progress,
    StreamId,
};
use crate::piece::ReceiptMark;
use crate::place::Place;
use crate::record::{Record, Streams, Stub, days_before};
use crate::store::forgetting::REMEMBERED_DAYS;
use crate::store_error::StoreError;
use crate::text::{cut, short_hash};

/// Most bytes of an idempotency key.
const MOST_KEY_BYTES: usize = 256;

/// A message to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// Contact that it is for.
    pub contact: ContactId,
    /// Content.
    pub body: &'a [u8],
    /// Key under which a program may submit the same message again, as it does not know whether the first time went
    /// well: for 90 days, that makes one message.
    pub key: Option<&'a str>,
}

/// Outcome of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Name of the message.
    pub id: MessageId,
    /// `false` if it was submitted before, under the same key.
    pub is_new: bool,
}

/// Reason why a message is not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// As many messages wait as may.
    #[error(
        "{limit} messages wait for their contacts, and no more are taken: try again when some have arrived, \
         or recall some"
    )]
    QueueFull {
        /// Messages that may wait.
        limit: usize,
    },
    /// As many bytes of messages wait as may.
    #[error(
        "messages of {limit} bytes wait for their contacts, and no more are taken: try again when some have \
         arrived, or recall some"
    )]
    QueueBytes {
        /// Bytes that may wait.
        limit: usize,
    },
    /// The store holds as many records as it may.
    #[error(
        "the store holds {limit} records, and takes no more: delete messages, or keep them for fewer days"
    )]
    StoreFull {
        /// Records that the store may hold.
        limit: usize,
    },
    /// The message is too long.
    #[error(
        "a message has at most {limit} bytes, and this one {length}: split it, or send it as a file"
    )]
    TooLong {
        /// Bytes of the message.
        length: usize,
        /// Bytes that a message may have.
        limit: usize,
    },
    /// The key was used for something else.
    #[error("this idempotency key was used for another message: take a new key for each message")]
    KeyReused,
    /// The key is too long.
    #[error("an idempotency key has 1 to {MOST_KEY_BYTES} bytes")]
    BadKey,
}

/// Outcome of a receipt.
#[derive(Debug)]
pub(crate) enum Receipt {
    /// These messages are in the contact's store.
    Delivered(Vec<MessageId>),
    /// It is for messages that this store has not sent.
    Strange,
}

/// A message's name, its contact and its content.
type Before = (MessageId, Option<(ContactId, Vec<u8>)>);

/// A message to be handed to a session.
#[derive(Debug)]
pub(crate) enum Handed {
    /// The message under the number.
    Message(Message),
    /// Nothing is left of it: it was given up or deleted.
    Void,
}

impl<P: Place> Store<P> {
    /// Takes a message. It is on disk when this returns.
    ///
    /// # Errors
    /// If it is not taken. What the store then holds is what it held before.
    pub fn submit(
        &mut self,
        now: Timestamp,
        submission: Submission<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Submitted, SubmitError> {
        let Submission { contact, body, key } = submission;
        self.mend(rng)?;
        let key = match key {
            Some(key) if key.is_empty() || key.len() > MOST_KEY_BYTES => {
                return Err(SubmitError::BadKey);
            }
            Some(key) => short_hash("Antiphon 2026 idempotency key", &[key.as_bytes()]),
            None => [0; 16],
        };
        let before = if key == [0; 16] { None } else { self.under_key(key, now)? };
        if let Some((id, before)) = before {
            return match before {
                Some(before) if before != (contact, body.to_vec()) => Err(SubmitError::KeyReused),
                _ => Ok(Submitted { id, is_new: false }),
            };
        }
        self.check_room(body)?;
        let id = MessageId::draw(rng);
        let (state, body) = (MessageState::Queued, body.to_vec());
        let message = Message { id, contact, at: now, state, body, key };
        let mut batch = Batch::default();
        batch.puts.push((self.vault.next_number(), Record::Message(message)));
        self.tell(&mut batch, now, EventKind::Queued(id));
        self.keep(&batch, rng)?;
        Ok(Submitted { id, is_new: true })
    }

    /// The name of what was submitted under a key, if that is remembered, and what it is unless it was deleted.
    fn under_key(&self, key: [u8; 16], now: Timestamp) -> Result<Option<Before>, StoreError> {
        let Some(number) = self.index.under_key(key) else { return Ok(None) };
        let (id, at, content) = match self.record(number)? {
            Record::Message(mut message) => {
                let content = (message.contact, mem::take(&mut message.body));
                (message.id, message.at, Some(content))
            }
            Record::Stub(Stub { id, at, .. }) => (id, at, None),
            _ => return Ok(None),
        };
        Ok((at >= days_before(now, REMEMBERED_DAYS)).then_some((id, content)))
    }

    fn check_room(&self, body: &[u8]) -> Result<(), SubmitError> {
        let (limits, length) = (&self.limits, body.len());
        if length > MOST_MESSAGE_BYTES {
            return Err(SubmitError::TooLong { length, limit: MOST_MESSAGE_BYTES });
        }
        if self.index.open_messages() >= limits.open_messages {
            return Err(SubmitError::QueueFull { limit: limits.open_messages });
        }
        if length > limits.open_bytes.saturating_sub(self.index.open_bytes()) {
            return Err(SubmitError::QueueBytes { limit: limits.open_bytes });
        }
        if self.vault.len() >= limits.records {
            return Err(SubmitError::StoreFull { limit: limits.records });
        }
        Ok(())
    }

    /// Takes a message back, if nothing of it has left. Returns `false` if it is too late for that.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn recall(
        &mut self,
        now: Timestamp,
        id: MessageId,
        rng: &mut impl CryptoRng,
    ) -> Result<bool, StoreError> {
        self.mend(rng)?;
        let number = self.index.message(id).filter(|number| self.index.is_queued(*number));
        let Some(number) = number else { return Ok(false) };
        let mut batch = Batch::default();
        self.change(&mut batch, number, now, MessageState::Recalled)?;
        self.keep(&batch, rng)?;
        Ok(true)
    }

    /// Gives a message up. It may have arrived nevertheless. Returns `false` if it was over already.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn fail(
        &mut self,
        now: Timestamp,
        id: MessageId,
        why: &str,
        rng: &mut impl CryptoRng,
    ) -> Result<bool, StoreError> {
        self.mend(rng)?;
        let number = self.index.message(id).filter(|number| self.index.is_open(*number));
        let Some(number) = number else { return Ok(false) };
        let why = cut(why, MOST_REASON_BYTES).to_owned();
        let mut batch = Batch::default();
        self.change(&mut batch, number, now, MessageState::Failed { why })?;
        self.keep(&batch, rng)?;
        self.progress.remove(&id);
        Ok(true)
    }

    /// Takes note of how far a message has come. Only in memory: it is about the session of the moment.
    pub fn set_progress(&mut self, id: MessageId, progress: Progress) {
        let open = self.index.message(id).is_some_and(|number| self.index.is_open(number));
        if open && !self.index.message(id).is_some_and(|number| self.index.is_queued(number)) {
            self.progress.insert(id, progress);
        }
    }

    /// Messages of this end that are under way, with how far they are: those that are expected first, and at most `most`.
    pub fn under_way(&self, most: usize) -> Vec<(MessageId, Progress)> {
        let progress = self.progress.iter().map(|(id, progress)| (*id, *progress));
        let mut under_way: Vec<_> = progress.collect();
        under_way.sort_by_key(|(id, progress)| (progress.expected_by, *id));
        under_way.truncate(most);
        under_way
    }

    /// The number of the next message to be handed to a contact's session, and its numbering: all before it are in the
    /// contact's store.
    pub(crate) fn sending_from(
        &mut self,
        contact: ContactId,
        rng: &mut impl CryptoRng,
    ) -> Result<(StreamId, u64), StoreError> {
        self.mend(rng)?;
        let (number, streams) = self.streams(contact, rng);
        let from = (streams.own, streams.receipted + 1);
        if self.index.streams(contact).is_none() {
            // Kept before anybody hears of it.
            let mut batch = Batch::default();
            batch.puts.push((number, Record::Streams(streams)));
            self.keep(&batch, rng)?;
        }
        Ok(from)
    }

    /// The message that goes under a number: handed over before, or the one that has waited longest. That it is
    /// handed over is on disk when this returns.
    pub(crate) fn hand_over(
        &mut self,
        now: Timestamp,
        contact: ContactId,
        place: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<Handed>, StoreError> {
        self.mend(rng)?;
        let (record, streams) = self.streams(contact, rng);
        if place <= streams.handed {
            let number = self.index.handed(contact, place);
            let message = number.map(|number| self.message_at(number)).transpose()?;
            return Ok(Some(message.map_or(Handed::Void, Handed::Message)));
        }
        let Some(number) = self.index.first_queued(contact) else { return Ok(None) };
        let handed = streams.handed + 1;
        let mut batch = Batch::default();
        self.change(&mut batch, number, now, MessageState::UnderWay { number: handed })?;
        batch.puts.push((record, Record::Streams(Streams { handed, ..streams })));
        self.keep(&batch, rng)?;
        self.message_at(number).map(|message| Some(Handed::Message(message)))
    }

    /// The number up to which all messages are in the contact's store.
    pub(crate) fn receipted(&self, contact: ContactId) -> u64 {
        self.index.streams(contact).map_or(0, |(_, streams)| streams.receipted)
    }

    /// Takes note that all messages up to a number are in the contact's store, as the contact says with a mark.
    pub(crate) fn receipt(
        &mut self,
        now: Timestamp,
        contact: ContactId,
        place: u64,
        mark: ReceiptMark,
        rng: &mut impl CryptoRng,
    ) -> Result<Receipt, StoreError> {
        self.mend(rng)?;
        let (record, streams) = self.streams(contact, rng);
        if place <= streams.receipted {
            return Ok(Receipt::Delivered(Vec::new()));
        }
        let last = self.index.handed(contact, place);
        let last = last.map(|number| self.message_at(number)).transpose()?.map(|last| last.id);
        let nothing = MessageId([0; 16]);
        let is_of = |id| mark == ReceiptMark::of(streams.own, id);
        if place > streams.handed || !is_of(last.unwrap_or(nothing)) {
            // Of a message that was given up, nobody knows the name any more.
            let unknown = place <= streams.handed && last.is_none();
            return Ok(if unknown { Receipt::Delivered(Vec::new()) } else { Receipt::Strange });
        }
        let mut batch = Batch::default();
        let mut ids = Vec::new();
        for number in self.index.handed_up_to(contact, place) {
            ids.push(self.change(&mut batch, number, now, MessageState::Delivered { at: now })?);
        }
        batch.puts.push((record, Record::Streams(Streams { receipted: place, ..streams })));
        self.keep(&batch, rng)?;
        for id in &ids {
            self.progress.remove(id);
        }
        Ok(Receipt::Delivered(ids))
    }

    /// Begins a new numbering with what is under way: this store was put back from a copy, and the numbers after it
    /// stand for other messages at the contact.
    pub(crate) fn renumber(
        &mut self,
        contact: ContactId,
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        self.mend(rng)?;
        let (record, streams) = self.streams(contact, rng);
        let mut batch = Batch::default();
        let mut handed = 0;
        for number in self.index.handed_up_to(contact, u64::MAX) {
            handed += 1;
            let mut message = self.message_at(number)?;
            message.state = MessageState::UnderWay { number: handed };
            batch.puts.push((number, Record::Message(message)));
        }
        let own = StreamId::draw(rng);
        let streams = Streams { own, handed, receipted: 0, ..streams };
        batch.puts.push((record, Record::Streams(streams)));
        self.keep(&batch, rng)
    }
}
