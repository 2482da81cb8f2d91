//! One round's circuits: the cells that leave in a beat, and those that come back.

use std::collections::BTreeMap;

use antiphon_onion::{BeatContext, CellBytes, CircuitKey, CircuitKeys};
use antiphon_wire::{Decode, DecodeError, Encode, Epoch, Reader, Round, Ticket, Timestamp};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::conversation::{BeatKeys, CellKey, CellKeys, equal};
use crate::round::{Conversations, tell};
use crate::{CircuitMark, ConversationId, Event};

/// Use of a circuit in the beats of its round.
pub(crate) enum Carries {
    /// Random content, which comes back on the pair's other circuit.
    Idle,
    /// Cells of a conversation, for which the circuit met the partner's.
    Conversation { id: ConversationId, keys: CellKeys },
}

impl Carries {
    fn conversation(&self) -> Option<ConversationId> {
        match self {
            Self::Idle => None,
            Self::Conversation { id, .. } => Some(*id),
        }
    }
}

/// A conversation's part in a beat that is under way.
struct Meeting {
    conversation: ConversationId,
    number: u64,
    /// First of the conversation's circuits.
    first: usize,
    /// Keys of the cells that are to come back on them.
    partners: Vec<CellKey>,
}

/// A beat whose cells have not come back.
struct UnderWay {
    /// Time after which they are taken to be lost.
    due: Timestamp,
    /// What the cells carry at layer L, for comparing what comes back on idle circuits.
    contents: Zeroizing<Vec<u8>>,
    meetings: Vec<Meeting>,
}

/// Cells of a beat for which it can be told whether they came back as they had to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) arrived: u16,
    pub(crate) spoilt: u16,
}

impl Tally {
    fn count(&mut self, arrived: bool) {
        // A client has at most 32 circuits.
        if arrived { self.arrived += 1 } else { self.spoilt += 1 }
    }
}

/// The keys that the circuits' cells are wrapped with, and what the circuits carry.
pub(super) struct Secrets {
    keys: CircuitKeys,
    carries: Vec<Carries>,
}

/// The circuits that a client's onions of one round left behind.
pub(crate) struct Circuits {
    epoch: Epoch,
    round: Round,
    cell: CellBytes,
    /// Secret by which the gateway knows the round's client on another link.
    ticket: Ticket,
    /// Number of circuits.
    count: usize,
    /// Number of the first beat for which no cells were made: none are made for one before it again.
    unused_from: u64,
    /// Erased once the round's last beat is back. Cells are random then.
    secrets: Option<Secrets>,
    under_way: BTreeMap<u64, UnderWay>,
    /// Cells of all beats were made at once: the round may have fewer.
    is_left: bool,
}

impl Circuits {
    pub(crate) fn new(
        (epoch, round): (Epoch, Round),
        cell: CellBytes,
        ticket: Ticket,
        keys: CircuitKeys,
        carries: Vec<Carries>,
    ) -> Self {
        debug_assert_eq!(keys.len(), carries.len(), "a use for each circuit");
        let count = carries.len();
        let secrets = Some(Secrets { keys, carries });
        let (unused_from, under_way, is_left) = (0, BTreeMap::new(), false);
        Self { epoch, round, cell, ticket, count, unused_from, secrets, under_way, is_left }
    }

    /// `count` circuits of before a restart, with the secrets that were kept. Without any, their cells carry nothing.
    pub(super) fn resumed(
        mark: &CircuitMark,
        secrets: Option<Secrets>,
        cell: CellBytes,
        count: usize,
    ) -> Self {
        let CircuitMark { epoch, round, ticket, unused_from } = *mark;
        let secrets = secrets.filter(|secrets| secrets.carries.len() == count);
        let (under_way, is_left) = (BTreeMap::new(), false);
        Self { epoch, round, cell, ticket, count, unused_from, secrets, under_way, is_left }
    }

    /// Epoch and round that the circuits are of, and the secrets, unless these are erased.
    pub(super) fn secrets(&self) -> Option<((Epoch, Round), &Secrets)> {
        self.secrets.as_ref().map(|secrets| ((self.epoch, self.round), secrets))
    }

    /// What a restarted client needs to go on.
    pub(crate) fn mark(&self) -> CircuitMark {
        let (epoch, round, ticket) = (self.epoch, self.round, self.ticket);
        CircuitMark { epoch, round, ticket, unused_from: self.unused_from }
    }

    /// Number of the first beat for which cells may be made.
    pub(crate) fn unused_from(&self) -> u64 {
        self.unused_from
    }

    /// Takes note that cells are made for beat `beat`.
    pub(crate) fn reserve(&mut self, beat: u64) {
        self.unused_from = self.unused_from.max(beat.saturating_add(1));
    }

    pub(crate) fn has_beats_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Time at which the oldest beat under way is taken to be lost.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.under_way.values().map(|beat| beat.due).min()
    }

    fn context(&self, beat: u64) -> BeatContext {
        BeatContext { epoch: self.epoch, round: self.round, beat, cell: self.cell }
    }

    /// Makes the cells of a beat, as many and as large as of every beat, whatever they carry.
    pub(crate) fn make(
        &mut self,
        beat: u64,
        due: Timestamp,
        conversations: &mut Conversations,
        rng: &mut impl CryptoRng,
    ) -> Vec<u8> {
        let context = self.context(beat);
        let mut cells = self.random(rng);
        let Some(Secrets { keys, carries }) = &mut self.secrets else { return cells };
        let (mut meetings, mut first) = (Vec::new(), 0);
        for group in carries.chunk_by_mut(|one, next| one.conversation() == next.conversation()) {
            let room = &mut cells[first * context.cell.bytes()..];
            let room = &mut room[..group.len() * context.cell.bytes()];
            meetings.extend(meet(group, first, context, conversations, room));
            first += group.len();
        }
        let contents = Zeroizing::new(cells.clone());
        keys.wrap(context, &mut cells);
        self.under_way.insert(beat, UnderWay { due, contents, meetings });
        cells
    }

    /// Makes the cells of the first `beats` beats at once, for whoever hands them on, one beat's behind the other's. They
    /// are expected back by `due`.
    pub(crate) fn make_all(
        &mut self,
        beats: u64,
        due: Timestamp,
        conversations: &mut Conversations,
        rng: &mut impl CryptoRng,
    ) -> Vec<u8> {
        self.is_left = true;
        let mut all = Vec::with_capacity(beats as usize * self.beat_bytes());
        for beat in 0..beats {
            all.extend(self.make(beat, due, conversations, rng));
            self.reserve(beat);
        }
        all
    }

    /// Bytes of the cells of one beat.
    pub(super) fn beat_bytes(&self) -> usize {
        self.count * self.cell.bytes()
    }

    /// Cells that carry nothing: for every hop they look like any others.
    pub(crate) fn random(&self, rng: &mut impl CryptoRng) -> Vec<u8> {
        let mut cells = vec![0; self.beat_bytes()];
        rng.fill_bytes(&mut cells);
        cells
    }

    /// Takes the cells that came back in a beat, whatever they are, and hands conversations their content.
    /// `None` if the beat is not under way.
    pub(crate) fn collect(
        &mut self,
        beat: u64,
        cells: Vec<u8>,
        conversations: &mut Conversations,
        events: &mut Vec<Event>,
    ) -> Option<Tally> {
        let mut cells = Zeroizing::new(cells);
        let under_way = self.under_way.remove(&beat)?;
        let context = self.context(beat);
        let Some(Secrets { keys, carries }) = &self.secrets else {
            debug_assert!(false, "secrets stay until no beat is under way");
            return None;
        };
        // Of another size, they are no cells of this client's.
        cells.resize(under_way.contents.len(), 0);
        keys.unwrap(context, &mut cells);
        let mut tally = idle(carries, context.cell, &under_way.contents, &cells);
        for meeting in under_way.meetings {
            let its = &mut cells[meeting.first * context.cell.bytes()..];
            meeting.hear(context, its, conversations, events, &mut tally);
        }
        Some(tally)
    }

    /// Takes note that nothing came back of the beats that are due by `now`. Returns their numbers and tallies.
    pub(crate) fn settle_overdue(
        &mut self,
        now: Timestamp,
        conversations: &mut Conversations,
    ) -> Vec<(u64, Tally)> {
        let overdue: Vec<_> =
            self.under_way.extract_if(.., |_, under_way| under_way.due <= now).collect();
        let settle =
            |(beat, under_way): (u64, UnderWay)| (beat, self.lose(under_way, conversations));
        overdue.into_iter().map(settle).collect()
    }

    /// Gives up all that is under way, and the keys.
    pub(crate) fn abandon(mut self, conversations: &mut Conversations) {
        for (_, under_way) in std::mem::take(&mut self.under_way) {
            self.lose(under_way, conversations);
        }
    }

    /// Erases the keys, once the round's last beat is back.
    pub(crate) fn erase_keys(&mut self) {
        debug_assert!(
            self.under_way.is_empty(),
            "cells that come back could not be opened any more"
        );
        self.secrets = None;
    }

    fn lose(&self, under_way: UnderWay, conversations: &mut Conversations) -> Tally {
        let mut tally = Tally::default();
        let carries = self.secrets.iter().flat_map(|secrets| &secrets.carries);
        let idle = carries.filter(|carries| matches!(carries, Carries::Idle)).count();
        (0..idle).for_each(|_| tally.count(false));
        for meeting in under_way.meetings {
            // That a beat did not come about says nothing of what is lost on the way.
            let came = vec![false; if self.is_left { 0 } else { meeting.partners.len() }];
            came.iter().for_each(|came| tally.count(*came));
            if let Some(conversation) = conversations.get_mut(&meeting.conversation) {
                conversation.finish_beat(meeting.number, &came);
            }
        }
        tally
    }
}

/// Lets the conversation of these neighbouring circuits, if it is one's and open, write into `room`. The keys of
/// the beat are gone afterwards, whether or not it does.
fn meet(
    circuits: &mut [Carries],
    first: usize,
    context: BeatContext,
    conversations: &mut Conversations,
    room: &mut [u8],
) -> Option<Meeting> {
    let id = circuits.first()?.conversation()?;
    let keys = circuits.iter_mut().map(|carries| match carries {
        Carries::Idle => None,
        Carries::Conversation { keys, .. } => keys.take(context.beat),
    });
    let keys: Vec<BeatKeys> = keys.collect::<Option<_>>()?;
    let conversation = conversations.get_mut(&id)?;
    let number = conversation.cells(keys.iter().map(|keys| &keys.mine), context, room)?;
    let partners = keys.into_iter().map(|keys| keys.partners).collect();
    Some(Meeting { conversation: id, number, first, partners })
}

/// Compares what came back on idle circuits with what was sent on the other one of each pair.
fn idle(carries: &[Carries], cell: CellBytes, sent: &[u8], came: &[u8]) -> Tally {
    let mut tally = Tally::default();
    let of = |cells, circuit: usize| -> &[u8] {
        let cells: &[u8] = cells;
        &cells[circuit * cell.bytes()..][..cell.bytes()]
    };
    for (circuit, carries) in carries.iter().enumerate() {
        if matches!(carries, Carries::Idle) {
            tally.count(equal(of(sent, circuit ^ 1), of(came, circuit)));
        }
    }
    tally
}

impl Meeting {
    /// Hands what came back to the conversation.
    fn hear(
        self,
        context: BeatContext,
        cells: &mut [u8],
        conversations: &mut Conversations,
        events: &mut Vec<Event>,
        tally: &mut Tally,
    ) {
        let mut came = Vec::with_capacity(self.partners.len());
        for (key, cell) in self.partners.iter().zip(cells.chunks_exact_mut(context.cell.bytes())) {
            let opened = key.open(context, cell);
            came.push(opened.is_some());
            tally.count(opened.is_some());
            // One that has closed meanwhile is judged by the key alone.
            if let (Some(content), Some(conversation)) =
                (opened, conversations.get_mut(&self.conversation))
            {
                tell(self.conversation, conversation.collect(context.round, content), events);
            }
        }
        if let Some(conversation) = conversations.get_mut(&self.conversation) {
            conversation.finish_beat(self.number, &came);
        }
    }
}

impl Encode for Secrets {
    fn encode(&self, out: &mut Vec<u8>) {
        let layers = self.keys.of(0).len();
        out.extend([layers as u8, self.carries.len() as u8]);
        for (circuit, carries) in self.carries.iter().enumerate() {
            self.keys.of(circuit).iter().for_each(|key| key.as_bytes().encode(out));
            match carries {
                Carries::Idle => out.push(0),
                Carries::Conversation { id, keys } => {
                    out.push(1);
                    id.0.encode(out);
                    keys.encode(out);
                }
            }
        }
    }
}

impl Decode for Secrets {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (layers, count) = (u8::decode(input)?, u8::decode(input)?);
        if layers == 0 || count == 0 {
            return Err(DecodeError::OutOfRange("number of circuits or of their layers"));
        }
        let (mut keys, mut carries) = (Vec::new(), Vec::new());
        for _ in 0..count {
            for _ in 0..layers {
                keys.push(CircuitKey::from_bytes(Decode::decode(input)?));
            }
            carries.push(match u8::decode(input)? {
                0 => Carries::Idle,
                _ => Carries::Conversation {
                    id: ConversationId(Decode::decode(input)?),
                    keys: Decode::decode(input)?,
                },
            });
        }
        Ok(Self { keys: CircuitKeys::of_circuits(layers.into(), keys), carries })
    }
}
