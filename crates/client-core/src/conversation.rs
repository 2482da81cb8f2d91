//! One conversation: its keys, its schedule and its messages.

mod bare;
mod body;
mod cells;
mod instances;
mod kdf;
mod kept;
mod keys;
mod spread;
#[cfg(test)]
mod tests;
mod tree;
mod under_way;

use antiphon_onion::{BeatContext, CellBytes};
use antiphon_wire::{DEAD_DROP_BYTES, DecodeError, Epoch, Geometry, Round};
use rand::CryptoRng;

pub use bare::BareMeeting;
pub(crate) use body::{Acknowledgement, BodyKey, Fragment, equal};
pub(crate) use cells::{BeatKeys, CellKey, CellKeys};
pub(crate) use kdf::Key;
pub(crate) use kept::Limits;
use kept::SecretMark;
pub use keys::{ConversationSecret, Role};

use crate::reliability::{Carrier, Receiver, Sender};
use crate::schedule::Schedule;
use crate::{Level, MessageId, Opening, ReceiveError, SendError};
use body::{Content, Item, payload_bytes};
use instances::{Instances, Speaker};
use keys::ConversationKeys;
use spread::Spread;
use under_way::UnderWay;

/// Returns `true` if a decrypted body's plaintext can be read.
#[cfg(fuzzing)]
pub(crate) fn reads_as_body(plaintext: &[u8]) -> bool {
    body::read(plaintext).is_ok()
}

/// Faults of a partner that no honest partner has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartnerError {
    /// A body that opens but cannot be read.
    #[error("the partner sent an unreadable body: {0}")]
    Unreadable(#[from] DecodeError),
    /// Fragments out of order, or a message that is too long.
    #[error(transparent)]
    Message(#[from] ReceiveError),
    /// An acknowledgement of what was never sent.
    #[error("the partner acknowledges what was never sent")]
    Acknowledgement,
    /// A close at a round that makes no sense.
    #[error("the partner wants to close at a round too far away")]
    Closing,
    /// The reply was made with this end's own keys, by somebody else.
    #[error(
        "somebody else uses the secret in the same role: one end has to be first and the other \
         second, and only one program may use the secret at each end"
    )]
    SameRole,
}

/// The fewest rounds between asking to close and closing.
pub const CLOSING_ROUNDS: u64 = 16;
/// The fewest meetings in that time, at the schedule of the moment.
const CLOSING_MEETINGS: u64 = 4;
/// The farthest close that a partner may ask for, in rounds.
const FARTHEST_CLOSE: u64 = 1 << 12;

/// News in a reply of the partner.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// The partner was heard for the first time.
    pub(crate) met: bool,
    /// One of the ends turned out to have begun anew.
    pub(crate) restarted: bool,
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) acknowledged: Vec<MessageId>,
    pub(crate) closing: Option<Round>,
    pub(crate) errors: Vec<PartnerError>,
}

/// One meeting, and the keys of the bodies that come back from it.
pub(crate) struct Meeting {
    /// The meeting's number among the conversation's.
    pub(crate) number: u64,
    /// The keys of each body that is to come back.
    pub(crate) bodies: Vec<BodyKeys>,
    /// The keys of the circuits that the deposits' onions leave behind, in a round that sets circuits up.
    pub(crate) circuits: Vec<CellKeys>,
}

/// The keys of the two bodies at one dead drop.
pub(crate) struct BodyKeys {
    partners: BodyKey,
    own: BodyKey,
}

impl BodyKeys {
    /// Decrypts the partner's body in place and returns its plaintext; `None` if the body is not the
    /// partner's.
    pub(crate) fn open<'a>(&self, body: &'a mut [u8]) -> Option<&'a [u8]> {
        body::open(&self.partners, body)
    }
}

pub(crate) struct Conversation {
    /// Mark of its secret, from which nothing follows about it.
    mark: SecretMark,
    /// It is one of before a restart, and the application has not opened it again yet.
    is_orphan: bool,
    keys: ConversationKeys,
    instances: Instances,
    /// One of the ends has begun anew: nothing but closing is left to say.
    restarted: bool,
    schedule: Schedule,
    sender: Sender,
    receiver: Receiver,
    pairs: u8,
    /// `true` if the user has made sure who the partner is: then cells carry content.
    verified: bool,
    rounds: UnderWay,
    beats: UnderWay,
    spread: Spread,
    /// The first round in which it meets.
    first: Round,
    /// What it writes is left to a gateway, for a sleep.
    is_ahead: bool,
    /// The partner's part in the meeting that is being settled was made ahead.
    heard_ahead: bool,
    /// The first round without this conversation.
    closing: Option<Round>,
    /// `true` once the application knows that there is no room for it.
    pub(crate) told_no_room: bool,
}

impl Conversation {
    pub(crate) fn new(
        opening: &Opening,
        queue_limit: usize,
        message_limit: usize,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let (keys, schedule) = ConversationKeys::new(&opening.secret, opening.role);
        Self {
            mark: SecretMark::of(&opening.secret),
            is_orphan: false,
            keys,
            instances: Instances::draw(rng),
            restarted: false,
            schedule: Schedule::new(schedule, opening.start),
            sender: Sender::new(queue_limit, message_limit),
            receiver: Receiver::new(message_limit),
            pairs: opening.pairs,
            verified: opening.verified,
            rounds: UnderWay::default(),
            beats: UnderWay::default(),
            spread: Spread::default(),
            first: opening.first,
            is_ahead: false,
            heard_ahead: false,
            closing: None,
            told_no_room: false,
        }
    }

    /// Pairs of onions per meeting.
    pub(crate) fn pairs(&self) -> u8 {
        self.pairs
    }

    pub(crate) fn level(&self) -> Level {
        self.schedule.level()
    }

    /// Begins the schedule anew: meets in every round again, as at a dense start.
    pub(crate) fn meet_now(&mut self) {
        self.schedule.begin_anew();
    }

    pub(crate) fn send(&mut self, message: Vec<u8>) -> Result<MessageId, SendError> {
        match self.closing {
            Some(_) => Err(SendError::Closing),
            None => self.sender.queue(message),
        }
    }

    /// Asks the partner to stop meeting soon after `last`, the newest round so far.
    pub(crate) fn close(&mut self, last: Round) {
        let rounds = CLOSING_ROUNDS.max(CLOSING_MEETINGS * self.level().rounds());
        self.close_at(Round(last.0.saturating_add(1 + rounds)));
    }

    fn close_at(&mut self, round: Round) {
        self.closing = Some(self.closing.map_or(round, |closing| closing.min(round)));
    }

    /// Returns `true` if the conversation is over by `round`.
    pub(crate) fn is_over(&self, round: Round) -> bool {
        self.closing.is_some_and(|closing| closing <= round)
    }

    /// Returns `true` if the conversation has begun by `round`.
    pub(crate) fn has_begun(&self, round: Round) -> bool {
        self.first <= round
    }

    /// Returns `true` if the conversation meets in `round`.
    pub(crate) fn meets(&self, round: Round) -> bool {
        self.schedule.meets(round)
    }

    /// Counts one more planned round.
    pub(crate) fn begin_round(&mut self) {
        self.schedule.begin_round();
    }

    /// Erases the keys of a round in which there is no meeting.
    pub(crate) fn skip(&mut self, epoch: Epoch, round: Round) {
        self.keys.skip(epoch, round);
    }

    /// Writes the deposits of a meeting, two for each of the conversation's pairs, behind each other into
    /// `out`. In a round whose beats have cells of `cell` bytes, fragments fit into these as well. Returns
    /// `None` if the round's keys are gone; `out` is unchanged then.
    pub(crate) fn deposit(
        &mut self,
        epoch: Epoch,
        round: Round,
        geometry: Geometry,
        cell: Option<CellBytes>,
        out: &mut [u8],
    ) -> Option<Meeting> {
        let keys = self.keys.take_with(epoch, round, self.pairs, cell.is_some())?;
        let number = self.rounds.begin();
        let body_bytes = geometry.body_bytes();
        let capacity = payload_bytes(cell.map_or(body_bytes, |cell| cell.bytes().min(body_bytes)));
        let acknowledgement = self.receiver.acknowledgement();
        let mut bodies = Vec::with_capacity(keys.len());
        let mut circuits = Vec::with_capacity(keys.len());
        for (i, (keys, deposit)) in
            keys.into_iter().zip(out.chunks_exact_mut(geometry.deposit_bytes())).enumerate()
        {
            let item = match self.closing {
                Some(at) if i == 0 => Item::Closing(at),
                _ => {
                    let next = self.sender.next(Carrier::Rounds, number, capacity);
                    next.map_or(Item::Nothing, Item::Fragment)
                }
            };
            let (dead_drop, body) = deposit.split_at_mut(DEAD_DROP_BYTES);
            dead_drop.copy_from_slice(&keys.dead_drop[..]);
            let (instances, is_ahead) = (self.instances, self.is_ahead);
            Content { instances, acknowledgement, is_ahead, item }.seal(&keys.mine, body);
            bodies.push(BodyKeys { partners: keys.partners, own: keys.mine });
            circuits.extend(keys.cells);
        }
        Some(Meeting { number, bodies, circuits })
    }

    /// Writes the cells of a meeting in a beat, one for each of the conversation's circuits, behind each other
    /// into `out`, and seals them with `keys`. Returns the meeting's number. With a partner of whom the user
    /// has not made sure, there is none and `out` stays as it is: one that tells the network what arrives
    /// could find out this client's link.
    pub(crate) fn cells<'a>(
        &mut self,
        keys: impl Iterator<Item = &'a CellKey>,
        context: BeatContext,
        out: &mut [u8],
    ) -> Option<u64> {
        if !self.verified {
            return None;
        }
        let number = self.beats.begin();
        let capacity = payload_bytes(context.cell.bytes());
        let acknowledgement = self.receiver.acknowledgement();
        let repeats = self.spread.repeats();
        let pair_bytes = 2 * context.cell.bytes();
        for (pair, cells) in out.chunks_exact_mut(pair_bytes).enumerate() {
            let (one, other) = cells.split_at_mut(context.cell.bytes());
            let mut write = |first: bool, cell: &mut [u8]| {
                let item = match self.closing {
                    Some(at) if first => Item::Closing(at),
                    _ => {
                        let next = self.sender.next(Carrier::Beats, number, capacity);
                        next.map_or(Item::Nothing, Item::Fragment)
                    }
                };
                let (instances, is_ahead) = (self.instances, self.is_ahead);
                let content = Content { instances, acknowledgement, is_ahead, item };
                cells::write(&content, cell);
            };
            write(pair == 0, one);
            if repeats {
                other.copy_from_slice(one);
            } else {
                write(false, other);
            }
        }
        for (key, cell) in keys.zip(out.chunks_exact_mut(context.cell.bytes())) {
            key.seal(context, cell);
        }
        Some(number)
    }

    /// Takes note of what came of a meeting in a beat: for each circuit, whether the partner's cell came.
    /// Nothing that shows follows from it.
    pub(crate) fn finish_beat(&mut self, meeting: u64, came: &[bool]) {
        came.iter().for_each(|came| self.spread.heed(*came));
        let settled = self.beats.end(meeting);
        let heard_ahead = std::mem::take(&mut self.heard_ahead);
        if !came.contains(&true) {
            self.sender.lost(Carrier::Beats, meeting);
        } else if !heard_ahead {
            // As for rounds: the other end may hear of a beat just after it makes the next one's cells.
            self.sender.heard(Carrier::Beats, settled.saturating_sub(1));
        }
    }

    /// Writes ahead from here on, or no longer: partners do not take what is not acknowledged for lost.
    pub(crate) fn set_ahead(&mut self, is_ahead: bool) {
        self.is_ahead = is_ahead;
    }

    /// Lets cells carry content from here on, or not.
    pub(crate) fn set_verified(&mut self, verified: bool) {
        self.verified = verified;
    }

    /// Takes the body that the partner deposited in `round`.
    pub(crate) fn collect(&mut self, round: Round, plaintext: &[u8]) -> News {
        let mut news = News::default();
        match body::read(plaintext) {
            Ok(content) => self.take(round, content, &mut news),
            Err(error) => news.errors.push(error.into()),
        }
        news
    }

    /// Looks at a body that came back in the place of the partner's, and is not it.
    pub(crate) fn look_at_wrong(&self, keys: &BodyKeys, body: &mut [u8]) -> News {
        let mut news = News::default();
        // Whoever is alone at a dead drop gets its own body back.
        let anothers = |plaintext| {
            body::read(plaintext).is_ok_and(|said| said.instances.own != self.instances.own)
        };
        if body::open(&keys.own, body).is_some_and(anothers) {
            news.errors.push(PartnerError::SameRole);
        }
        news
    }

    fn take(&mut self, round: Round, content: Content<'_>, news: &mut News) {
        self.heard_ahead |= content.is_ahead;
        match self.instances.hear(content.instances) {
            Speaker::Another if !self.restarted => {
                self.restarted = true;
                news.restarted = true;
                self.close(round);
            }
            Speaker::Another | Speaker::Known => {}
            Speaker::New => news.met = true,
        }
        if self.restarted {
            // Its numbers are of another conversation. Only when to stop can be agreed on.
            if let Item::Closing(at) = content.item
                && at.0.saturating_sub(round.0) <= FARTHEST_CLOSE
            {
                self.close_at(at);
            }
            return;
        }
        match self.sender.acknowledge(content.acknowledgement) {
            Ok(acknowledged) => news.acknowledged = acknowledged,
            Err(_) => news.errors.push(PartnerError::Acknowledgement),
        }
        match content.item {
            Item::Nothing => {}
            Item::Fragment(fragment) => {
                let delivered = self.receiver.accept(fragment);
                news.messages = delivered.messages;
                news.errors.extend(delivered.error.map(PartnerError::from));
            }
            Item::Closing(at) if at.0.saturating_sub(round.0) > FARTHEST_CLOSE => {
                news.errors.push(PartnerError::Closing);
            }
            Item::Closing(at) => {
                let known = self.closing;
                self.close_at(at);
                news.closing = self.closing.filter(|_| known.is_none());
            }
        }
    }

    /// Takes note of a meeting's outcome. `went_well` is `None` if it was aborted with nothing revealed. With
    /// `charged`, its round may have revealed something, whether or not the meeting went well.
    pub(crate) fn finish(&mut self, meeting: u64, went_well: Option<bool>, charged: bool) {
        let settled = self.rounds.end(meeting);
        let heard_ahead = std::mem::take(&mut self.heard_ahead);
        if went_well != Some(true) {
            self.sender.lost(Carrier::Rounds, meeting);
        } else if !heard_ahead {
            // One end may hear of a round just before the next opens and the other just after: the
            // partner is taken to have known of one meeting less.
            self.sender.heard(Carrier::Rounds, settled.saturating_sub(1));
        }
        if charged {
            self.schedule.charged();
        }
        match went_well {
            Some(true) => self.schedule.succeeded(),
            Some(false) => self.schedule.disturbed(),
            None => {}
        }
    }
}
