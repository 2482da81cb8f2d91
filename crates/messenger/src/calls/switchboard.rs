//! The calls of all contacts: whose token leaves in the next call round, and which sessions the boxes open.
//!
//! A session is opened by an answer and by nothing else, since both ends see it: the one that wrote it and the one that it is
//! for read the same box. So neither deposits alone, as far as boxes arrive.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use antiphon_client::{CallBox, Item, Posting, Round, RoundKind, Token};
use antiphon_contacts::{CallRound, Heard, Intent, Roots, Which};
use antiphon_profile::ContactId;
use antiphon_wire::{Services, Timestamp};

use super::line::{ANSWER_TURNS, Line};
use crate::status::TalkState;

/// Rounds from a call round to the first in which the session meets that it opens: by then the box is at both ends.
const LEAD: u64 = 4;
/// Rounds after which nothing is known any more of a token that left.
const DOUBTFUL_ROUNDS: u64 = 16;
/// Call rounds that this end may miss without telling its contacts that it is back: who calls tries again about as soon.
const MISSED_TURNS: u64 = 5;
/// Call rounds for which a token is made beforehand: the client says in which of them it leaves.
const AHEAD: usize = 4;
/// Turns for which a session takes to be closed by agreement, at most.
const CLOSING_TURNS: u64 = 5;
/// Turns after which the keys of rounds that are over are erased on disk as well.
const ERASED_EVERY: u64 = 32;

/// Something to be done, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Keep what the contact's record has to hold, before anything that follows.
    Keep(ContactId),
    /// Keep that the partner has the fresh call root, since this round.
    Confirm(ContactId, CallRound),
    /// Open the session of a call round. It meets from `first` on.
    Open {
        /// Contact to talk to.
        contact: ContactId,
        /// First round in which the session meets.
        first: Round,
    },
    /// End the contact's session without a word: the partner has lost it.
    End(ContactId),
    /// Keep that the boxes of all rounds up to this one were read.
    Read(Round),
}

/// A token that is on its way to a box.
#[derive(Clone, Copy, Debug)]
struct Posted {
    round: Round,
    contact: ContactId,
    intent: Intent,
    token: Token,
}

/// The lines to all contacts, of which one has the next call round.
#[derive(Debug)]
pub(super) struct Switchboard {
    services: Services,
    /// Calls and answers to each contact at most.
    most_calls: u32,
    /// Sessions that can stand at once.
    places: usize,
    lines: BTreeMap<ContactId, Line>,
    /// The turns until which contacts that were let go still have a place: their sessions are closed by agreement.
    closing: Vec<u64>,
    posted: Option<Posted>,
    /// Call rounds whose box was read since this began.
    turn: u64,
    /// The last of them, also of before.
    read: Option<Round>,
    acts: VecDeque<Act>,
}

impl Switchboard {
    /// For somebody who has read the boxes of all rounds up to `read`.
    pub(super) fn new(services: Services, most_calls: u32, read: Option<Round>) -> Self {
        Self {
            services,
            most_calls,
            places: 1,
            lines: BTreeMap::new(),
            closing: Vec::new(),
            posted: None,
            turn: 0,
            read,
            acts: VecDeque::new(),
        }
    }

    /// The next thing to be done.
    pub(super) fn poll(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    /// Takes note of how many sessions can stand at once.
    pub(super) fn set_places(&mut self, places: usize) {
        self.places = places;
    }

    /// Takes a contact on. If its session stands, it goes on from where it was.
    pub(super) fn add(&mut self, contact: ContactId, line: Line) {
        if line.marks.session.is_some() {
            self.acts.push_back(Act::Open { contact, first: Round(0) });
        }
        self.lines.insert(contact, line);
    }

    /// Lets a contact go.
    pub(super) fn remove(&mut self, contact: ContactId) {
        let line = self.lines.remove(&contact);
        if line.is_some_and(|line| line.marks.session.is_some()) {
            self.closing.push(self.turn + CLOSING_TURNS);
        }
        self.posted = self.posted.filter(|posted| posted.contact != contact);
    }

    /// Takes note whether a message waits for a contact.
    pub(super) fn wants(&mut self, contact: ContactId, wants: bool) {
        if let Some(line) = self.lines.get_mut(&contact) {
            line.wants = wants;
        }
    }

    /// A contact as far as calls go.
    pub(super) fn line(&self, contact: ContactId) -> Option<&Line> {
        self.lines.get(&contact)
    }

    /// All contacts.
    pub(super) fn contacts(&self) -> impl Iterator<Item = ContactId> {
        self.lines.keys().copied()
    }

    /// The first round whose keys are still needed: that of the boxes that are read.
    pub(super) fn first_needed(&self) -> CallRound {
        CallRound(self.read.map_or(0, |read| read.0))
    }

    /// Takes the call roots of a contact as they are kept: a session may have brought a fresh one.
    pub(super) fn reload(&mut self, contact: ContactId, roots: Roots, lapses: Option<Timestamp>) {
        let needed = self.first_needed();
        if let Some(line) = self.lines.get_mut(&contact) {
            line.reload(roots, lapses);
            line.roots.forget_before(needed);
        }
    }

    /// State of a contact's conversation; `None` while its session stands, which knows better.
    pub(super) fn state(&self, now: Timestamp, contact: ContactId) -> Option<TalkState> {
        let line = self.lines.get(&contact)?;
        Some(match line {
            _ if line.marks.session.is_some() => return None,
            _ if line.has_lapsed(now) => TalkState::Lapsed,
            _ if line.marks.awaits => TalkState::Invited,
            _ if line.marks.calls >= self.most_calls => TalkState::CallsUsedUp,
            _ if line.expects_until.is_some() => TalkState::Calling,
            _ if !line.has_reason() && line.owes_until.is_none() => TalkState::Asleep,
            _ if self.free() == 0 => TalkState::NoPlace,
            _ => TalkState::Calling,
        })
    }

    /// `true` if a contact waits for a place that another one's session has.
    pub(super) fn wants_place(&self) -> bool {
        let waits = |line: &Line| line.has_reason() || line.owes_until.is_some();
        self.free() == 0 && self.lines.values().any(|line| waits(line) && !line.holds_place())
    }

    fn free(&self) -> usize {
        let held = self.lines.values().filter(|line| line.holds_place()).count();
        self.places.saturating_sub(held + self.closing.len())
    }

    /// Whose token is to leave in the next call round, if any: answers first, then calls for which a message waits, and among
    /// these whoever has waited longest.
    pub(super) fn next(
        &mut self,
        now: Timestamp,
        last_round: Round,
    ) -> Option<(ContactId, Intent)> {
        match self.posted {
            Some(posted) if posted.round.0 + DOUBTFUL_ROUNDS > last_round.0 => return None,
            _ => self.posted = None,
        }
        let (free, turn, most) = (self.free(), self.turn, self.most_calls);
        let due = self.lines.iter().filter_map(|(contact, line)| {
            let has_place = line.expects_until.is_some() || free > 0;
            let intent = match line.owes_until {
                Some(_) => Intent::Answer,
                None if line.may_call(turn) => Intent::Call,
                None => return None,
            };
            let may = has_place && line.marks.calls < most && line.may_open(now);
            let may = may && !line.has_lapsed(now);
            let order = (intent == Intent::Call, !line.wants, line.last_turn, *contact);
            may.then_some((order, intent))
        });
        due.min_by_key(|(order, _)| *order).map(|((.., contact), intent)| (contact, intent))
    }

    /// The tokens for a contact in the call rounds after `last_round`, of which the client takes the one of the first that
    /// is free.
    pub(super) fn postings(
        &self,
        contact: ContactId,
        intent: Intent,
        last_round: Round,
    ) -> Vec<Posting> {
        let Some(line) = self.lines.get(&contact) else { return Vec::new() };
        let next = |after: &Round| self.services.next(RoundKind::Calls, after.next());
        let rounds = std::iter::successors(next(&last_round), next).take(AHEAD);
        let posting = |round: Round| {
            let token = line.roots.token(CallRound(round.0), intent)?;
            Some(Posting { round, number: line.number, item: Item::Call(token) })
        };
        rounds.filter_map(posting).collect()
    }

    /// A token was handed to the client for a round.
    pub(super) fn posted(&mut self, contact: ContactId, intent: Intent, round: Round) {
        let turn = self.turn;
        let Some(line) = self.lines.get_mut(&contact) else { return };
        let Some(token) = line.roots.token(CallRound(round.0), intent) else { return };
        line.last_turn = turn + 1;
        line.marks.calls += 1;
        self.posted = Some(Posted { round, contact, intent, token });
        self.acts.push_back(Act::Keep(contact));
    }

    /// A round was aborted or its box is missing: what was posted in it is made anew for a later one.
    pub(super) fn missed(&mut self, round: Round) {
        self.posted = self.posted.filter(|posted| posted.round != round);
    }

    /// Reads a box of a call round.
    pub(super) fn read(&mut self, round: Round, number: u16, published: &CallBox) {
        if let Some(posted) = self.posted
            && posted.round == round
            && self.lines.get(&posted.contact).is_some_and(|line| line.number == number)
        {
            self.posted = None;
            if published.holds(posted.token) {
                self.arrived(&posted);
            }
        }
        match self.read {
            // Later boxes were read, and the keys of this one are gone.
            Some(read) if round < read => return,
            Some(read) if round == read => {}
            _ => self.pass(round),
        }
        // Every client gets every box, and contacts may have agreed on any.
        let call = CallRound(round.0);
        let lines = self.lines.iter();
        let heard: Vec<(ContactId, Heard)> = lines
            .filter_map(|(contact, line)| Some((*contact, line.roots.heard(call, published)?)))
            .collect();
        heard.into_iter().for_each(|(contact, heard)| self.heard(contact, heard));
    }

    /// A call round is over. After several that were missed, contacts are told that this end is back: whoever called it
    /// in the meantime may not try again soon.
    fn pass(&mut self, round: Round) {
        let cycle =
            u64::from(self.services.dead_drop_rounds) + u64::from(self.services.mailbox_rounds);
        let missed = self.read.map_or(0, |read| (round.0 - read.0) / cycle);
        self.read = Some(round);
        self.turn += 1;
        let turn = self.turn;
        self.closing.retain(|until| *until > turn);
        for (contact, line) in &mut self.lines {
            line.pass(turn);
            // Of this round there may be other boxes. The token that is on its way has its own copy.
            line.roots.forget_before(CallRound(round.0));
            if turn.is_multiple_of(ERASED_EVERY) {
                self.acts.push_back(Act::Keep(*contact));
            }
        }
        self.acts.push_back(Act::Read(round));
        if missed > MISSED_TURNS {
            self.tell_all();
        }
    }

    /// Calls all contacts with whom no session stands, one after the other.
    pub(super) fn tell_all(&mut self) {
        let asleep = self.lines.iter_mut().filter(|(_, line)| line.marks.session.is_none());
        for (contact, line) in asleep {
            line.marks.tell = true;
            self.acts.push_back(Act::Keep(*contact));
        }
    }

    /// The own token stood in the partner's box.
    fn arrived(&mut self, posted: &Posted) {
        let turn = self.turn;
        match posted.intent {
            Intent::Answer => self.open(posted.contact, posted.round),
            Intent::Call => {
                if let Some(line) = self.lines.get_mut(&posted.contact) {
                    line.called(turn);
                    self.acts.push_back(Act::Keep(posted.contact));
                }
            }
        }
    }

    /// The partner's token stood in a box.
    fn heard(&mut self, contact: ContactId, heard: Heard) {
        let turn = self.turn;
        let Some(line) = self.lines.get_mut(&contact) else { return };
        let awaited = line.marks.awaits;
        line.heard();
        if awaited {
            self.acts.push_back(Act::Keep(contact));
        }
        if heard.root == Which::Pending {
            line.roots.confirmed(heard.round);
            self.acts.push_back(Act::Confirm(contact, heard.round));
        }
        match (heard.root, heard.intent, line.marks.session) {
            // One calls back, under the root that replaced it.
            (Which::Old, ..) => line.marks.tell = true,
            (_, Intent::Answer, _) => self.open(contact, Round(heard.round.0)),
            // It was on its way when the session was opened.
            (_, Intent::Call, Some(session)) if heard.round.0 < session.0 + LEAD => {}
            (_, Intent::Call, session) => {
                line.owes_until = Some(turn + ANSWER_TURNS);
                if session.is_some() {
                    line.marks.session = None;
                    self.acts.extend([Act::End(contact), Act::Keep(contact)]);
                }
            }
        }
    }

    fn open(&mut self, contact: ContactId, round: Round) {
        let free = self.free();
        let Some(line) = self.lines.get_mut(&contact) else { return };
        let session = Some(CallRound(round.0));
        // The partner answers in vain, and sleeps again after a few minutes: it was not called.
        if line.marks.session >= session || !line.holds_place() && free == 0 {
            return;
        }
        if line.marks.session.is_some() {
            self.acts.push_back(Act::End(contact));
        }
        line.marks.session = session;
        line.marks.tell = false;
        line.owes_until = None;
        line.expects_until = None;
        let first = Round(round.0.saturating_add(LEAD));
        self.acts.extend([Act::Keep(contact), Act::Open { contact, first }]);
    }

    /// The session of a call round is over; `slept` if it ended without a word, as the partner was away.
    pub(super) fn over(
        &mut self,
        now: Timestamp,
        contact: ContactId,
        session: CallRound,
        slept: bool,
    ) {
        let Some(line) = self.lines.get_mut(&contact) else { return };
        if slept {
            line.slept(now);
        }
        if line.marks.session == Some(session) {
            line.marks.session = None;
        }
        self.acts.push_back(Act::Keep(contact));
    }
}
