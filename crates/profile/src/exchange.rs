//! A contact's messages over one session: what is handed to the session, and what is done with what comes out of it.
//!
//! A session carries bytes in order and each once, for as long as it stands, and may end at any time with some of them
//! lost. Each end says first how its messages are numbered and from which on it sends; a receipt names the number up to
//! which all are in the receiver's store. What has no receipt is sent again in the next session, under the same
//! number; so each message is kept once, in order, whatever ends when.
//!
//! A process may end while its session goes on. The next one says its numbering anew and gives a receipt for all
//! that it has; messages whose number it does not know any more it leaves out, and asks for them again.

use std::mem;

use antiphon_wire::{Decode as _, DecodeError, Encode as _, Timestamp};
use rand::CryptoRng;

use crate::message::{ContactId, MessageId};
use crate::piece::{Piece, ReceiptMark};
use crate::place::Place;
use crate::record::Heard;
use crate::store::{Handed, Receipt, Received, RoomError, Store};
use crate::store_error::StoreError;

/// Messages under way to a contact without a receipt, at most.
const WINDOW: u64 = 64;
/// Receipts for something else that a session bears: more are not on their way when it changes its numbering.
const MOST_STRANGE: u32 = 2 * WINDOW as u32;

/// Fault of a contact that no honest contact has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContactError {
    /// Bytes that cannot be read.
    #[error("the contact sent what cannot be read: {0}")]
    Unreadable(#[from] DecodeError),
    /// A numbering from zero.
    #[error("the contact numbers its messages from zero")]
    Numbering,
    /// Receipts for what was never sent, again and again.
    #[error("the contact acknowledges what was never sent to it")]
    Receipt,
}

/// Reason why what came out of a session is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ArrivalError {
    /// There is no room for it yet: the same bytes are to be given again later, or in the next session.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// The contact is at fault: the session is of no use.
    #[error(transparent)]
    Contact(#[from] ContactError),
}

impl From<StoreError> for ArrivalError {
    fn from(error: StoreError) -> Self {
        Self::Room(RoomError::Store(error))
    }
}

/// News in what came out of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// Message that is in the store now.
    pub received: Option<MessageId>,
    /// Messages of this end that are in the contact's store.
    pub delivered: Vec<MessageId>,
}

/// Piece to be handed to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Bytes for the session. Whatever they depend on is on disk.
    pub bytes: Vec<u8>,
    /// Message that they are of.
    pub message: Option<MessageId>,
}

/// One session with a contact.
#[derive(Clone, Debug)]
pub struct Exchange {
    contact: ContactId,
    /// Number of the next message to be handed over; `None` before the numbering is said.
    next: Option<u64>,
    /// Number of the contact's next message; `None` before it has said its numbering.
    awaited: Option<u64>,
    /// The contact has not been told of all that is in this store.
    owes: bool,
    /// The contact is to be asked for its numbering.
    asks: bool,
    /// It was asked, and has not said it yet.
    asked: bool,
    /// Receipts that were for something else.
    strange: u32,
}

impl Exchange {
    /// A session with a contact: one that begins, or one that goes on after this process was started again.
    pub const fn new(contact: ContactId) -> Self {
        let (next, awaited) = (None, None);
        Self { contact, next, awaited, owes: true, asks: false, asked: false, strange: 0 }
    }

    /// The next piece for the session; `None` if there is nothing to be said at the moment. What it depends on is on disk
    /// when this returns.
    ///
    /// # Errors
    /// If the store cannot be written: nothing leaves then.
    pub fn next<P: Place>(
        &mut self,
        now: Timestamp,
        store: &mut Store<P>,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<Outgoing>, StoreError> {
        let piece = |piece: Piece| Ok(Some(Outgoing { bytes: piece.to_bytes(), message: None }));
        let Some(next) = self.next else {
            let (stream, from) = store.sending_from(self.contact, rng)?;
            self.next = Some(from);
            return piece(Piece::Begin { stream, from });
        };
        if mem::take(&mut self.asks) {
            self.asked = true;
            return piece(Piece::Again);
        }
        if mem::take(&mut self.owes)
            && let Some(Heard { stream, have, last }) = store.heard(self.contact)
        {
            return piece(Piece::Receipt { up_to: have, mark: ReceiptMark::of(stream, last) });
        }
        if next > store.receipted(self.contact) + WINDOW {
            return Ok(None);
        }
        let Some(handed) = store.hand_over(now, self.contact, next, rng)? else { return Ok(None) };
        self.next = Some(next + 1);
        match handed {
            Handed::Void => piece(Piece::Void),
            Handed::Message(message) => {
                let (id, body) = (message.id, message.body.clone());
                let bytes = Piece::Content { id, body }.to_bytes();
                Ok(Some(Outgoing { bytes, message: Some(id) }))
            }
        }
    }

    /// Takes what came out of the session. What it is said to bring is on disk when this returns.
    ///
    /// # Errors
    /// If there is no room, or the contact is at fault.
    pub fn arrived<P: Place>(
        &mut self,
        now: Timestamp,
        store: &mut Store<P>,
        bytes: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<Arrival, ArrivalError> {
        let mut arrival = Arrival::default();
        match (Piece::from_bytes(bytes).map_err(ContactError::Unreadable)?, self.awaited) {
            (Piece::Begin { stream, from }, _) if from > 0 => {
                let heard = store.hear(now, self.contact, stream, from, rng)?;
                (self.awaited, self.asks, self.asked) = (Some(from), false, false);
                self.owes = heard.have >= from;
            }
            (Piece::Content { id, body }, Some(number)) => {
                let message = Some((id, &body[..]));
                let received = store.receive(now, self.contact, number, message, rng)?;
                if let Received::New(id) = received {
                    arrival.received = Some(id);
                }
                (self.awaited, self.owes) = (Some(number + 1), true);
            }
            (Piece::Void, Some(number)) => {
                store.receive(now, self.contact, number, None, rng)?;
                (self.awaited, self.owes) = (Some(number + 1), true);
            }
            (Piece::Receipt { up_to, mark }, _) => {
                arrival.delivered = self.receipt(now, store, up_to, mark, rng)?;
            }
            (Piece::Again, _) => self.next = None,
            // Of before this process was started: it comes once more, behind its numbering.
            (Piece::Content { .. } | Piece::Void, None) => self.asks = !self.asked,
            (Piece::Begin { .. }, _) => return Err(ContactError::Numbering.into()),
        }
        Ok(arrival)
    }

    fn receipt<P: Place>(
        &mut self,
        now: Timestamp,
        store: &mut Store<P>,
        up_to: u64,
        mark: ReceiptMark,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<MessageId>, ArrivalError> {
        match store.receipt(now, self.contact, up_to, mark, rng)? {
            Receipt::Delivered(ids) => Ok(ids),
            // Of the numbering before, and on their way when this session changed over to another.
            Receipt::Strange if self.strange > 0 => {
                self.strange += 1;
                if self.strange > MOST_STRANGE {
                    Err(ContactError::Receipt.into())
                } else {
                    Ok(Vec::new())
                }
            }
            Receipt::Strange => {
                store.renumber(self.contact, rng)?;
                (self.next, self.strange) = (None, 1);
                Ok(Vec::new())
            }
        }
    }
}
