//! Sleep: rounds that are left to the gateway beforehand, so that the client need not be there.
//!
//! When a client sleeps, for how long, and what it sends and fetches for it follow from a choice of its user's, the
//! document and the clock. No message, reply or loss moves any of it.

use std::sync::Arc;

use antiphon_routing::{RoundKeys, VerifiedEpoch};
use antiphon_wire::{MOST_ROUNDS_LEFT, Round, Timestamp};

use super::Client;
use super::rounds::{InFlight, Prepared};
use crate::{Event, Output, RoundMark};

/// Milliseconds after which rounds are handed over once they are made, so that the time it takes to make and save them
/// does not show.
const LEAVES_AFTER_MS: u64 = 1000;

/// Milliseconds before a round's opening in which none is left any more, at most: what would come too late is left
/// once that round has opened.
const MARGIN_MS: u64 = 20_000;

/// Milliseconds before the first round that is not left at which a client that sleeps links again, at most.
const WAKES_BEFORE_MS: u64 = 20_000;

/// Milliseconds that a client which is awake again waits for what its gateway kept, beside two rounds.
const FETCH_WITHIN_MS: u64 = 60_000;

/// Reason why a client cannot sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SleepError {
    /// Rounds are not followed by beats.
    #[error("the network has no beats: a client that is away takes no part")]
    Classic,
    /// No round has opened since the client started.
    #[error("no round has opened yet: a client can sleep once it has taken part")]
    NoRound,
    /// It is asleep, or about to be.
    #[error("the client sleeps already")]
    Asleep,
}

/// How far a client is with sleeping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sleeping {
    /// It takes part itself.
    #[default]
    Awake,
    /// It leaves rounds as soon as one has opened.
    Wanted {
        /// The time to sleep, in milliseconds.
        for_ms: u64,
    },
    /// Rounds are left, and the beats of none of them have begun.
    Leaving {
        /// The first of them.
        first: Round,
        /// Time at which it has to be there again.
        until: Timestamp,
    },
    /// Its gateway acts for it.
    Asleep,
}

/// The rounds that a sleep covers, and its end.
struct Span {
    first: Round,
    last: Round,
    until: Timestamp,
}

impl Client {
    /// Sleeps for `for_ms` milliseconds, about: leaves the rounds that open in that time to the gateway, at once or when
    /// the next one has opened. The client goes on until the beats of the first of them begin; then
    /// [`Event::Asleep`] says until when its link may be gone. What came meanwhile is fetched when there is
    /// [a link](crate::Input::Linked) again.
    ///
    /// It sleeps for whole rounds, for [`MOST_ROUNDS_LEFT`] and to the last but one of its epoch at most. That it sleeps,
    /// and for how many rounds, shows: it must not follow from what anybody sends.
    ///
    /// # Errors
    /// If there are no beats, if no round has opened yet, or if it sleeps already.
    pub fn sleep(&mut self, now: Timestamp, for_ms: u64) -> Result<(), SleepError> {
        if self.sleeping != Sleeping::Awake {
            return Err(SleepError::Asleep);
        }
        let document = self.documents.epochs().current().ok_or(SleepError::NoRound)?;
        if document.parameters().beats.is_classic() {
            return Err(SleepError::Classic);
        }
        let opened = self.opened_at.ok_or(SleepError::NoRound)?;
        self.sleeping = Sleeping::Wanted { for_ms };
        let interval_ms = u64::from(document.parameters().interval_ms);
        let margin_ms = LEAVES_AFTER_MS + MARGIN_MS.min(interval_ms / 4);
        if now.plus_ms(margin_ms) < opened.plus_ms(interval_ms) {
            self.leave_rounds(now);
        }
        Ok(())
    }

    /// Leaves rounds if that is wanted. A round has opened, and the next one is still to come.
    pub(super) fn leave_rounds(&mut self, now: Timestamp) {
        let Sleeping::Wanted { for_ms } = self.sleeping else { return };
        let document = self.documents.epochs().current().map(Arc::clone);
        let Some((document, span)) = document.and_then(|document| {
            let span = self.span(&document, for_ms)?;
            Some((document, span))
        }) else {
            return;
        };
        let Span { first, last, until } = span;
        let interval_ms = u64::from(document.parameters().interval_ms);
        let due = until.plus_ms(2 * interval_ms + FETCH_WITHIN_MS);
        let at = now.plus_ms(LEAVES_AFTER_MS);
        self.sleeping = Sleeping::Leaving { first, until };
        // From here on their keys are used up, whatever follows.
        self.mark = Some(RoundMark { epoch: document.epoch(), round: last });
        let rounds_ms = (last.0 + 1 - first.0) * interval_ms;
        self.opened_at = self.opened_at.map(|opened| opened.plus_ms(rounds_ms));
        self.conversations.values_mut().for_each(|open| open.set_ahead(true));
        let rounds = (first.0..=last.0).map(Round);
        // Rounds without beats are not taken part in.
        let left: Vec<_> = rounds
            .filter(|round| document.has_beats(*round))
            .map_while(|round| self.leave_round(&document, round, due, at))
            .collect();
        self.conversations.values_mut().for_each(|open| open.set_ahead(false));
        // In this order: what they may cost is on disk before they leave.
        self.outputs.extend(self.checkpoint().map(Output::Persist));
        self.outputs.extend(left);
    }

    /// The rounds of a sleep from the next one on. `None` if the epoch has none that could be left: a client that comes
    /// back has to find its gateway, and a round to take part in.
    fn span(&self, document: &VerifiedEpoch, for_ms: u64) -> Option<Span> {
        let (mark, opened) = (self.mark?, self.opened_at?);
        if mark.epoch != document.epoch() {
            return None;
        }
        let interval_ms = u64::from(document.parameters().interval_ms);
        let wanted = for_ms.div_ceil(interval_ms).clamp(1, MOST_ROUNDS_LEFT as u64);
        let there = document.document().last_round.0.saturating_sub(mark.round.0 + 1);
        let rounds = Some(wanted.min(there)).filter(|rounds| *rounds > 0)?;
        let before_ms = WAKES_BEFORE_MS.min(interval_ms / 4);
        let until = opened.plus_ms((rounds + 1) * interval_ms - before_ms);
        Some(Span { first: mark.round.next(), last: Round(mark.round.0 + rounds), until })
    }

    /// Makes all that there is to leave for one round. `None` if it cannot be made.
    fn leave_round(
        &mut self,
        document: &Arc<VerifiedEpoch>,
        round: Round,
        due: Timestamp,
        at: Timestamp,
    ) -> Option<Output> {
        let epoch = document.epoch();
        let keys = RoundKeys::new(Arc::clone(document), round)?.ok()?;
        self.make_way(true, MOST_ROUNDS_LEFT);
        let Prepared { onions, ticket, reply_keys, plan, circuits } =
            self.prepare(document, keys).ok()?;
        let mut circuits = circuits?;
        let mut rng = self.entropy.generator();
        let beats = document.parameters().beats.beats.into();
        let cells = circuits.make_all(beats, due, &mut self.conversations, &mut rng);
        drop(rng);
        self.beats.leave(Arc::clone(document), round, circuits, &mut self.conversations);
        let digest = ticket.digest();
        let flight = InFlight::left(Arc::clone(document), round, ticket, reply_keys, plan, due);
        self.follow(flight);
        Some(Output::Leave { at, epoch, round, ticket: digest, onions, cells })
    }

    /// Falls asleep once the beats of a round that was left begin.
    pub(super) fn fall_asleep(&mut self, now: Timestamp) {
        let Sleeping::Leaving { first, until } = self.sleeping else { return };
        if self.beats.asleep_from(first).is_some_and(|from| from <= now) {
            self.sleeping = Sleeping::Asleep;
            self.event(Event::Asleep { until });
        } else if now >= until {
            // None of its rounds opened, and it was never gone.
            self.sleeping = Sleeping::Awake;
        }
    }

    /// The next moment at which sleeping begins or is over.
    pub(super) fn sleep_deadline(&self) -> Option<Timestamp> {
        let Sleeping::Leaving { first, until } = self.sleeping else { return None };
        Some(self.beats.asleep_from(first).map_or(until, |from| from.min(until)))
    }

    /// Returns `true` from when rounds are left until the client is back.
    pub fn sleeps(&self) -> bool {
        matches!(self.sleeping, Sleeping::Leaving { .. } | Sleeping::Asleep)
    }

    /// There is a link again, or the gateway that acted for it is given up.
    pub(super) fn wake_up(&mut self) {
        if self.sleeping == Sleeping::Asleep {
            self.sleeping = Sleeping::Awake;
        }
    }
}
