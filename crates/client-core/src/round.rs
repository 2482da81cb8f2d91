//! One round below the onions: its deposits, and the replies that have to come back.

use std::collections::BTreeMap;

use antiphon_onion::CellBytes;
use antiphon_wire::{DEAD_DROP_BYTES, Epoch, Geometry, Round};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::beats::Carries;
use crate::conversation::{BodyKeys, Conversation, Meeting, equal};
use crate::{ConversationId, Event, Posting};

#[cfg(test)]
mod tests;

pub(crate) type Conversations = BTreeMap<ConversationId, Conversation>;

/// Place of a round: its epoch, and the shape of its onions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) epoch: Epoch,
    pub(crate) round: Round,
    /// Number of the round among those with dead drops, by which conversations count when they meet.
    pub(crate) turn: Round,
    pub(crate) geometry: Geometry,
    /// Pairs of onions per client.
    pub(crate) pairs: u8,
    /// Size of the cells of the round's beats, if it has any.
    pub(crate) cell: Option<CellBytes>,
}

/// Body that a reply has to be.
enum Expected {
    /// The other body of an idle pair.
    Own,
    /// The body that was deposited for a box.
    Echo,
    /// A conversation partner's body.
    Partners { conversation: ConversationId, keys: BodyKeys },
}

/// A round's deposits, and the replies expected for them.
pub(crate) struct Plan {
    place: Place,
    /// `2 * pairs` deposits, or one in a mailbox round, behind each other.
    deposits: Zeroizing<Vec<u8>>,
    /// For each of them, the reply that has to come back.
    expected: Vec<Expected>,
    /// The conversations that meet, and the number of each one's meeting.
    meetings: Vec<(ConversationId, u64)>,
    /// Use of the circuit that each onion leaves behind, if the round has beats.
    carries: Vec<Carries>,
    /// An item for a box is among the deposits.
    has_posting: bool,
}

/// Result of a round.
pub(crate) enum Result<'a> {
    /// Replies, behind each other, all reply streams removed.
    Replies(&'a mut [u8]),
    /// No replies came back.
    Nothing,
    /// It was aborted, and nothing was revealed.
    Nullified,
}

/// What the replies of a round were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Returned {
    /// All are what they had to be.
    pub(crate) undisturbed: bool,
    /// Replies that came the whole way: what they had to be, or the own body of a deposit that nobody met.
    pub(crate) whole: u16,
}

impl Plan {
    /// Plans a round. With `may_meet`, conversations that meet take their pairs; every other pair is
    /// idle. The result has the same shape whatever conversations do.
    pub(crate) fn new(
        place: Place,
        conversations: &mut Conversations,
        may_meet: bool,
        rng: &mut impl CryptoRng,
        events: &mut Vec<Event>,
    ) -> Self {
        let Place { epoch, round, turn, geometry, pairs, cell } = place;
        let pair_bytes = 2 * geometry.deposit_bytes();
        let mut plan = Self::idle(place, rng);
        let mut taken = 0;
        for (&id, conversation) in conversations {
            // Its pairs are its own in every round, whether or not others meet.
            let first = taken;
            taken += usize::from(conversation.pairs());
            let fits = taken <= usize::from(pairs);
            if !fits && !conversation.told_no_room {
                events.push(Event::NoRoom { conversation: id });
            }
            conversation.told_no_room = !fits;
            if !conversation.has_begun(round) {
                conversation.skip(epoch, round);
                continue;
            }
            let before = conversation.level();
            conversation.begin_round();
            if conversation.level() != before {
                events.push(Event::Rhythm { conversation: id, level: conversation.level() });
            }
            // It may be over by then, and is still open now, if the round is left to a gateway.
            let meets = !conversation.is_over(round) && conversation.meets(turn);
            if !(may_meet && fits && meets) {
                conversation.skip(epoch, round);
                continue;
            }
            let room = &mut plan.deposits[first * pair_bytes..taken * pair_bytes];
            if let Some(meeting) = conversation.deposit(epoch, round, geometry, cell, room) {
                debug_assert_eq!(meeting.bodies.len(), 2 * usize::from(conversation.pairs()));
                plan.seat(id, first, meeting);
            }
        }
        plan
    }

    /// Gives a conversation that meets its pairs, from number `first` on.
    fn seat(&mut self, id: ConversationId, first: usize, meeting: Meeting) {
        self.meetings.push((id, meeting.number));
        for (slot, keys) in self.expected[2 * first..].iter_mut().zip(meeting.bodies) {
            *slot = Expected::Partners { conversation: id, keys };
        }
        for (slot, keys) in self.carries[2 * first..].iter_mut().zip(meeting.circuits) {
            *slot = Carries::Conversation { id, keys };
        }
    }

    /// A plan in which every pair is idle: two random bodies at one random dead drop, to be swapped.
    fn idle(place: Place, rng: &mut impl CryptoRng) -> Self {
        let deposit_bytes = place.geometry.deposit_bytes();
        let pairs = usize::from(place.pairs);
        let mut deposits = Zeroizing::new(vec![0; pairs * 2 * deposit_bytes]);
        rng.fill_bytes(&mut deposits);
        for pair in deposits.chunks_exact_mut(2 * deposit_bytes) {
            pair.copy_within(..DEAD_DROP_BYTES, deposit_bytes);
        }
        let mut expected = Vec::new();
        expected.resize_with(2 * pairs, || Expected::Own);
        let mut carries = Vec::new();
        carries.resize_with(2 * pairs, || Carries::Idle);
        Self { place, deposits, expected, meetings: Vec::new(), carries, has_posting: false }
    }

    /// A plan of a mailbox round: one deposit, which is a dummy for the null box unless there is a posting. Both are random
    /// bytes to everybody but the host of the box.
    pub(crate) fn mailbox(
        place: Place,
        posting: Option<Posting>,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let mut deposits = Zeroizing::new(vec![0; place.geometry.deposit_bytes()]);
        rng.fill_bytes(&mut deposits);
        if let Some(posting) = posting {
            posting.write(place.epoch, &mut deposits);
        }
        let (meetings, carries) = (Vec::new(), Vec::new());
        let (expected, has_posting) = (vec![Expected::Echo], posting.is_some());
        Self { place, deposits, expected, meetings, carries, has_posting }
    }

    /// Returns `true` if an item for a box is among the deposits.
    pub(crate) fn has_posting(&self) -> bool {
        self.has_posting
    }

    /// Hands out the uses of the circuits that the round's onions leave behind, in their order.
    pub(crate) fn take_circuits(&mut self) -> Vec<Carries> {
        std::mem::take(&mut self.carries)
    }

    /// The deposits, behind each other: two for each pair, or one.
    pub(crate) fn deposits(&self) -> &[u8] {
        &self.deposits
    }

    /// Onions of the round: two for each pair, or one.
    pub(crate) fn onions(&self) -> u16 {
        // A client has 255 pairs at most.
        self.expected.len() as u16
    }

    /// Bytes that all replies have together.
    pub(crate) fn reply_bytes(&self) -> usize {
        self.expected.len() * self.place.geometry.body_bytes()
    }

    /// Returns `true` if a conversation meets, so that the round can reveal something about it.
    pub(crate) fn meets(&self) -> bool {
        !self.meetings.is_empty()
    }

    /// Hands the result of the round to the conversations.
    pub(crate) fn settle(
        self,
        result: Result<'_>,
        conversations: &mut Conversations,
        events: &mut Vec<Event>,
    ) -> Returned {
        let mut returned = Returned::default();
        let mut failed = Vec::new();
        let nullified = matches!(result, Result::Nullified);
        match result {
            Result::Replies(replies) if replies.len() == self.reply_bytes() => {
                returned = self.collect(replies, conversations, events, &mut failed);
            }
            _ => failed.extend(self.meetings.iter().map(|(id, _)| *id)),
        }
        let charged = !returned.undisturbed && !nullified;
        for (id, meeting) in self.meetings {
            let Some(conversation) = conversations.get_mut(&id) else { continue };
            let before = conversation.level();
            conversation.finish(meeting, (!nullified).then(|| !failed.contains(&id)), charged);
            let level = conversation.level();
            if level != before {
                events.push(Event::Rhythm { conversation: id, level });
            }
        }
        returned
    }

    fn collect(
        &self,
        replies: &mut [u8],
        conversations: &mut Conversations,
        events: &mut Vec<Event>,
        failed: &mut Vec<ConversationId>,
    ) -> Returned {
        let geometry = self.place.geometry;
        let mut returned = Returned { undisturbed: true, whole: 0 };
        let bodies = replies.chunks_exact_mut(geometry.body_bytes());
        for (onion, (expected, body)) in self.expected.iter().zip(bodies).enumerate() {
            let is_echo = equal(self.body_of(onion), body);
            let came = match expected {
                Expected::Own => equal(self.body_of(onion ^ 1), body),
                Expected::Echo => is_echo,
                Expected::Partners { conversation, keys } => {
                    let came = self.hear(*conversation, keys, body, conversations, events);
                    failed.extend((!came).then_some(*conversation));
                    came
                }
            };
            returned.undisturbed &= came;
            returned.whole += u16::from(came | is_echo);
        }
        returned
    }

    /// Hands a reply to the conversation that met. Returns `true` if it is the partner's body.
    fn hear(
        &self,
        id: ConversationId,
        keys: &BodyKeys,
        body: &mut [u8],
        conversations: &mut Conversations,
        events: &mut Vec<Event>,
    ) -> bool {
        let mut as_it_came = Zeroizing::new(body.to_vec());
        let opened = keys.open(body);
        // One that has closed meanwhile is judged by the key alone.
        let Some(conversation) = conversations.get_mut(&id) else { return opened.is_some() };
        let news = match opened {
            Some(plaintext) => conversation.collect(self.place.round, plaintext),
            None => conversation.look_at_wrong(keys, &mut as_it_came),
        };
        tell(id, news, events);
        opened.is_some()
    }

    fn body_of(&self, onion: usize) -> &[u8] {
        let bytes = self.place.geometry.deposit_bytes();
        &self.deposits[onion * bytes..][DEAD_DROP_BYTES..bytes]
    }
}

pub(crate) fn tell(
    conversation: ConversationId,
    news: crate::conversation::News,
    events: &mut Vec<Event>,
) {
    events.extend(news.met.then_some(Event::Met { conversation }));
    events.extend(news.restarted.then_some(Event::Restarted { conversation }));
    let acknowledged = news.acknowledged.into_iter();
    events.extend(acknowledged.map(|message| Event::Acknowledged { conversation, message }));
    let messages = news.messages.into_iter();
    events.extend(messages.map(|message| Event::Received { conversation, message }));
    events.extend(news.closing.map(|at| Event::Closing { conversation, at }));
    let errors = news.errors.into_iter();
    events.extend(errors.map(|error| Event::PartnerFailed { conversation, error }));
}
