//! What an end of a conversation keeps over a restart, so that its partner notices nothing but a pause.
//!
//! Keys are kept as far as they are not used yet. Meetings that are under way are not: whatever was sent in them is sent
//! again, and the partner takes each fragment once.

use antiphon_wire::{Decode, DecodeError, Encode, Reader, Round};
use zeroize::Zeroize;

use super::{Conversation, ConversationSecret, UnderWay};
use crate::Opening;
use crate::reliability::{Receiver, Sender};

const MARK_CONTEXT: &str = "Antiphon 2026 kept conversation secret";

/// Mark of a secret, by which the conversation is found that it was opened with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct SecretMark([u8; 16]);

impl SecretMark {
    pub(super) fn of(secret: &ConversationSecret) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(MARK_CONTEXT);
        hasher.update(&secret.0);
        let mut mark = [0; 16];
        hasher.finalize_xof().fill(&mut mark);
        hasher.zeroize();
        Self(mark)
    }
}

/// Bounds of what is read: those of the client that reads it.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) queue_bytes: usize,
    pub(crate) message_bytes: usize,
    pub(crate) kept_bytes: usize,
}

impl Conversation {
    /// Keeps messages until the application has taken them.
    pub(crate) fn keep_messages(&mut self, bytes: usize) {
        self.receiver.keep(bytes);
    }

    /// Returns `true` if it is the conversation of before a restart that `opening` opens again.
    pub(crate) fn is_opened_by(&self, opening: &Opening) -> bool {
        let is_it = self.mark == SecretMark::of(&opening.secret);
        is_it && self.is_orphan && self.keys.role() == opening.role
    }

    /// Returns `true` if it is one of before a restart that the application has not opened again.
    pub(crate) fn is_orphan(&self) -> bool {
        self.is_orphan
    }

    /// The application has opened it again.
    pub(crate) fn adopt(&mut self, opening: &Opening) {
        self.is_orphan = false;
        self.verified = opening.verified;
        self.first = opening.first;
    }

    pub(crate) fn sender(&self) -> &Sender {
        &self.sender
    }

    pub(crate) fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    pub(crate) fn receiver_mut(&mut self) -> &mut Receiver {
        &mut self.receiver
    }

    pub(crate) fn encode_to(&self, out: &mut Vec<u8>) {
        self.mark.0.encode(out);
        self.keys.encode(out);
        self.instances.encode(out);
        self.schedule.encode(out);
        self.sender.encode_to(out);
        self.receiver.encode_to(out);
        out.push(self.pairs);
        out.push(u8::from(self.restarted) | u8::from(self.verified) << 1);
        self.spread.encode(out);
        self.closing.encode(out);
        // Of a round's meeting it will not be known what came of it. At most as many are in flight as rounds.
        out.push(self.rounds.len() as u8);
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// If it is nothing that was.
    pub(crate) fn decode(input: &mut Reader<'_>, limits: Limits) -> Result<Self, DecodeError> {
        let mark = SecretMark(Decode::decode(input)?);
        let (keys, instances, schedule) =
            (Decode::decode(input)?, Decode::decode(input)?, Decode::decode(input)?);
        let sender = Sender::decode(input, limits.queue_bytes, limits.message_bytes)?;
        let receiver = Receiver::decode(input, limits.message_bytes, limits.kept_bytes)?;
        let (pairs, bits) = (u8::decode(input)?, u8::decode(input)?);
        let mut conversation = Self {
            mark,
            is_orphan: true,
            keys,
            instances,
            restarted: bits & 1 == 1,
            schedule,
            sender,
            receiver,
            pairs,
            verified: bits & 2 == 2,
            rounds: UnderWay::default(),
            beats: UnderWay::default(),
            spread: Decode::decode(input)?,
            // Whoever opens it again says so.
            first: Round(0),
            closing: Decode::decode(input)?,
            is_ahead: false,
            heard_ahead: false,
            told_no_room: false,
        };
        for _ in 0..u8::decode(input)? {
            conversation.schedule.charged();
            conversation.schedule.disturbed();
        }
        Ok(conversation)
    }
}
