//! What one contact is called for, how often, and at which price.

use antiphon_contacts::{CallRound, Roots};
use antiphon_wire::Timestamp;

/// Call rounds that there are for an answer.
pub(super) const ANSWER_TURNS: u64 = 3;
/// Call rounds for which the place of whoever was called is held free: longer than an answer can take.
const EXPECT_TURNS: u64 = 5;
/// Call rounds from the first call that nobody answered to the second; from there on the time doubles.
const FIRST_GAP: u64 = 5;
/// Doublings at most: 1,024 call rounds are some 17 hours of 60 s.
const MOST_DOUBLINGS: u32 = 8;
/// Time in which the units of a session that fell asleep are made good: as many as an hour of absence costs, at the rate
/// that a thinned-out conversation may spend.
const NAP_MS: u64 = 3 * 3_600_000;
/// Sessions that may fall asleep one right after the other.
const NAPS_AT_ONCE: u64 = 3;

/// What a contact's record keeps of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallMarks {
    /// The call round whose session stands.
    pub(crate) session: Option<CallRound>,
    /// The contact is to be called though nothing waits for it: it does not know yet that this end is there.
    pub(crate) tell: bool,
    /// The contact was invited, and has not called yet: it is not called, as it may never have accepted.
    pub(crate) awaits: bool,
    /// Calls and answers that have left.
    pub(crate) calls: u32,
    /// Time until which sessions that fell asleep are made good.
    pub(crate) naps_until: Timestamp,
}

/// A contact as far as calls go.
#[derive(Debug)]
pub(crate) struct Line {
    pub(super) roots: Roots,
    /// The partner's box.
    pub(super) number: u16,
    pub(super) marks: CallMarks,
    /// A message waits for the contact.
    pub(super) wants: bool,
    /// The partner has called; the turn until which it waits for an answer.
    pub(super) owes_until: Option<u64>,
    /// This end has called; the turn until which an answer may come, and its place is held free.
    pub(super) expects_until: Option<u64>,
    /// The first turn in which it may be called again.
    next_turn: u64,
    doublings: u32,
    /// Time from which on it is called no more: a phrase that nobody else has put in.
    lapses: Option<Timestamp>,
    /// The turn of the last token, so that each contact has its turn.
    pub(super) last_turn: u64,
}

impl Line {
    /// The line to a contact who listens at box `number`.
    pub(crate) fn new(roots: Roots, number: u16, marks: CallMarks) -> Self {
        Self {
            roots,
            number,
            marks,
            wants: false,
            owes_until: None,
            expects_until: None,
            next_turn: 0,
            doublings: 0,
            lapses: None,
            last_turn: 0,
        }
    }

    /// The same, which is called until a time.
    pub(crate) fn until(self, lapses: Option<Timestamp>) -> Self {
        Self { lapses, ..self }
    }

    /// Takes the call roots as they are kept, and until when it is called.
    pub(super) fn reload(&mut self, roots: Roots, lapses: Option<Timestamp>) {
        self.roots = roots;
        self.lapses = lapses;
    }

    /// `true` if it is called no more.
    pub(super) fn has_lapsed(&self, now: Timestamp) -> bool {
        self.lapses.is_some_and(|lapses| lapses <= now)
    }

    /// What the contact's record has to keep.
    pub(super) const fn marks(&self) -> CallMarks {
        self.marks
    }

    /// Takes the line up in a new process. If it `goes_on` from the one before, a session that stood does; otherwise the
    /// contact is told by a call, and a new session follows.
    pub(super) fn begin(&mut self, goes_on: bool) {
        if !goes_on {
            self.marks.session = None;
            self.marks.tell = true;
        }
    }

    /// `true` if the contact is to be called.
    pub(super) fn has_reason(&self) -> bool {
        self.marks.session.is_none() && !self.marks.awaits && (self.wants || self.marks.tell)
    }

    /// `true` if a call may leave in this turn.
    pub(super) fn may_call(&self, turn: u64) -> bool {
        self.has_reason() && self.expects_until.is_none() && turn >= self.next_turn
    }

    /// `true` if the sessions that fell asleep lately leave room for another one: whoever spoils them would otherwise spend
    /// units faster than by spoiling a conversation that stands.
    pub(super) fn may_open(&self, now: Timestamp) -> bool {
        self.marks.naps_until <= now.plus_ms((NAPS_AT_ONCE - 1) * NAP_MS)
    }

    /// `true` if it holds a place, or one is held free for it.
    pub(super) fn holds_place(&self) -> bool {
        self.marks.session.is_some() || self.expects_until.is_some()
    }

    /// The call stood in the partner's box.
    pub(super) fn called(&mut self, turn: u64) {
        self.marks.tell = false;
        self.expects_until = Some(turn + EXPECT_TURNS);
        self.next_turn = turn + (FIRST_GAP << self.doublings);
        self.doublings = (self.doublings + 1).min(MOST_DOUBLINGS);
    }

    /// The partner is there: what it did not answer before does not count. If it was invited, it has accepted.
    pub(super) fn heard(&mut self) {
        self.marks.awaits = false;
        self.doublings = 0;
        self.next_turn = 0;
    }

    /// A turn is over: what was waited for in vain is given up. Whom this end could not answer is called back.
    pub(super) fn pass(&mut self, turn: u64) {
        self.expects_until = self.expects_until.filter(|until| *until > turn);
        if self.owes_until.is_some_and(|until| until <= turn) {
            self.owes_until = None;
            self.marks.tell = true;
        }
    }

    /// The session fell asleep.
    pub(super) fn slept(&mut self, now: Timestamp) {
        self.marks.naps_until = self.marks.naps_until.max(now).plus_ms(NAP_MS);
    }
}
