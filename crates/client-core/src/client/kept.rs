//! What a client keeps over a restart beside its checkpoint: conversations, and the secrets of circuits.

use antiphon_wire::{Decode, DecodeError, Encode, Reader};
use zeroize::Zeroizing;

use super::Client;
use crate::conversation::{Conversation, Limits};
use crate::{ConversationId, Event, MessageId, Opening};

/// Room for what is kept beside messages, in bytes, so that it need not grow and leave copies behind.
const USUAL_BYTES: usize = 256 << 10;

impl Client {
    /// Conversations and circuits as things stand, to be kept beside each checkpoint that is written, where nobody else
    /// can read it. Only the newest of it may ever be [resumed](Self::resume): a copy would use keys twice.
    pub fn kept(&self) -> Zeroizing<Vec<u8>> {
        let each = self.conversations.values();
        let messages = each.map(|open| open.sender().bytes() + open.receiver().bytes());
        let room = messages.fold(USUAL_BYTES, usize::saturating_add);
        let mut out = Zeroizing::new(Vec::with_capacity(room));
        self.next_conversation.encode(&mut out);
        // Each takes a pair of the 255 at most that clients have.
        out.push(self.conversations.len() as u8);
        for (id, conversation) in &self.conversations {
            id.0.encode(&mut out);
            conversation.encode_to(&mut out);
        }
        self.beats.encode_to(&mut out);
        out
    }

    /// Goes on with what was kept beside the checkpoint that this client was made from. Conversations wait for the
    /// application to open them again, and take part meanwhile.
    ///
    /// # Errors
    /// If it is nothing that was kept. The client is as it was then.
    pub fn resume(&mut self, kept: &[u8]) -> Result<(), DecodeError> {
        let mut input = Reader::new(kept);
        let limits = Limits {
            queue_bytes: self.config.queue_bytes,
            message_bytes: self.config.message_bytes,
            kept_bytes: self.config.kept_bytes,
        };
        let next = u64::decode(&mut input)?;
        let mut conversations = Vec::new();
        for _ in 0..u8::decode(&mut input)? {
            let id = ConversationId(Decode::decode(&mut input)?);
            conversations.push((id, Conversation::decode(&mut input, limits)?));
        }
        self.beats.decode_from(&mut input)?;
        self.next_conversation = next;
        self.conversations.extend(conversations);
        Ok(())
    }

    /// The conversation of before a restart that `opening` would open again.
    pub fn kept_conversation(&self, opening: &Opening) -> Option<ConversationId> {
        let mut open = self.conversations.iter();
        open.find(|(_, conversation)| conversation.is_opened_by(opening)).map(|(id, _)| *id)
    }

    /// Lets conversations of before a restart go that were not opened again, until `pairs` more fit into `available`.
    /// Returns how many are needed then.
    pub(super) fn make_room(&mut self, pairs: u8, available: u8) -> u32 {
        loop {
            let open = self.conversations.values().map(|open| u32::from(open.pairs()));
            let needed = open.sum::<u32>() + u32::from(pairs);
            let orphan = self.conversations.iter().find(|(_, open)| open.is_orphan());
            let Some((&id, _)) = orphan.filter(|_| needed > u32::from(available)) else {
                return needed;
            };
            self.conversations.remove(&id);
            self.event(Event::Closed { conversation: id });
        }
    }

    pub(super) fn adopt(&mut self, id: ConversationId, opening: &Opening) {
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.adopt(opening);
        }
    }

    /// Takes note that the application has taken the first `count` messages of a conversation, for good. They are not
    /// kept any longer.
    pub fn taken(&mut self, id: ConversationId, count: u64) {
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.receiver_mut().take(count);
        }
    }

    /// The messages of a conversation that the application has not taken, and the number of the first of them among
    /// all that have arrived.
    pub fn untaken(&self, id: ConversationId) -> (u64, Vec<Vec<u8>>) {
        let Some(conversation) = self.conversations.get(&id) else { return (0, Vec::new()) };
        let (first, messages) = conversation.receiver().untaken();
        (first, messages.map(<[u8]>::to_vec).collect())
    }

    /// The number that a conversation's next message gets, and those before it that are not acknowledged, with the
    /// bytes that each takes up in the queue.
    pub fn unacknowledged(&self, id: ConversationId) -> (MessageId, Vec<(MessageId, usize)>) {
        let Some(conversation) = self.conversations.get(&id) else {
            return (MessageId(0), Vec::new());
        };
        let sender = conversation.sender();
        (sender.next_message(), sender.unacknowledged().collect())
    }
}
