//! The client's rounds: from open to settled.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_onion::{CellBytes, Keep, ReplyKeys};
use antiphon_routing::{RoundKeys, VerifiedEpoch};
use antiphon_verify::{AbortKind, judge_abort};
use antiphon_wire::{
    Epoch, MOST_ROUNDS_IN_FLIGHT, MOST_ROUNDS_LEFT, Round, RoundKind, SealStatement, Signed,
    Ticket, Timestamp,
};
use rand::{CryptoRng, Rng as _};
use zeroize::Zeroizing;

use super::Client;
use crate::beats::Circuits;
use crate::clock::{Haste, plausible};
use crate::hold::leaves_at;
use crate::round::{Place, Plan, Result as RoundResult, Returned};
use crate::{Event, Outcome, Output, RoundMark, RoundRefusal};

/// Rounds of unknown outcome at a time, those of a sleep apart: as many as can be open, and those that were open when
/// the coordinator was restarted. The oldest of more counts as disturbed.
const MOST_IN_FLIGHT: usize = 2 * MOST_ROUNDS_IN_FLIGHT;

/// Time that links and clocks add to a round's deadlines, in milliseconds.
const GRACE_MS: u64 = 10_000;

/// A round whose onions were built and whose outcome is not known.
pub(super) struct InFlight {
    document: Arc<VerifiedEpoch>,
    round: Round,
    /// `None` of a round that the gateway has been left.
    onions: Option<Vec<u8>>,
    /// Secret that fetches the replies over another link.
    ticket: Ticket,
    reply_keys: ReplyKeys,
    plan: Plan,
    /// Time at which the onions leave.
    leaves: Timestamp,
    /// Milliseconds from then until replies came, if any have.
    after_ms: Option<u64>,
    /// Time from which on nothing can come of the round any more.
    pub(super) due: Timestamp,
}

/// A round's onions, and all that a client keeps of it.
pub(super) struct Prepared {
    pub(super) onions: Vec<u8>,
    pub(super) ticket: Ticket,
    pub(super) reply_keys: ReplyKeys,
    pub(super) plan: Plan,
    /// `None` if the round has no beats.
    pub(super) circuits: Option<Circuits>,
}

impl InFlight {
    /// A round that the gateway has been left.
    pub(super) fn left(
        document: Arc<VerifiedEpoch>,
        round: Round,
        ticket: Ticket,
        reply_keys: ReplyKeys,
        plan: Plan,
        due: Timestamp,
    ) -> Self {
        let (onions, leaves, after_ms) = (None, due, None);
        Self { document, round, onions, ticket, reply_keys, plan, leaves, after_ms, due }
    }

    /// Returns `true` if the gateway has been left all of it, and its end is fetched.
    pub(super) fn is_left(&self) -> bool {
        self.onions.is_none()
    }

    pub(super) fn round(&self) -> Round {
        self.round
    }

    fn submission(&self, at: Timestamp) -> Option<Output> {
        let (epoch, round) = (self.document.epoch(), self.round);
        let (ticket, onions) = (self.ticket.digest(), self.onions.clone()?);
        Some(Output::Submit { at, epoch, round, ticket, onions })
    }

    /// Returns `true` if the round deposits for a conversation. Nothing else looks different for whom its
    /// client talks to, so no other round is charged.
    pub(super) fn counts(&self) -> bool {
        self.plan.meets()
    }
}

/// A round that may be served: its epoch, and the keys to build its onions with.
type Admitted = (Arc<VerifiedEpoch>, RoundKeys<Arc<VerifiedEpoch>>);

impl Client {
    pub(super) fn opened(
        &mut self,
        now: Timestamp,
        epoch: Epoch,
        round: Round,
        closes_in_ms: u32,
    ) -> Result<(), RoundRefusal> {
        if let Some(at) = self.position(epoch, round) {
            let again = self.in_flight[at].submission(leaves_at(now, closes_in_ms));
            self.outputs.extend(again);
            return Ok(());
        }
        if self.mark.is_some_and(|mark| round <= mark.round) {
            return Ok(());
        }
        let Some((document, keys)) = self.admit(now, epoch, round)? else { return Ok(()) };
        self.documents.enter(epoch);
        self.make_way(false, MOST_IN_FLIGHT);
        self.end_closed(round);
        // From here on the round's keys are used up, whatever follows.
        (self.mark, self.opened_at) = (Some(RoundMark { epoch, round }), Some(now));
        let submitted = self.submit(now, document, keys, closes_in_ms);
        self.leave_rounds(now);
        submitted
    }

    /// Checks that a round may be served now. `None` if it came too late to take part, in a burst.
    fn admit(
        &mut self,
        now: Timestamp,
        epoch: Epoch,
        round: Round,
    ) -> Result<Option<Admitted>, RoundRefusal> {
        let document = self.documents.of_round(epoch, round)?;
        if document.document().starts_at <= self.epochs_after {
            return Err(RoundRefusal::AfterRestore);
        }
        plausible(document.document(), &self.config.network.policy, round, now)?;
        let keys =
            RoundKeys::new(Arc::clone(&document), round).ok_or(RoundRefusal::OutsideEpoch)??;
        // Last, since it counts the round.
        match self.clock.admit(now, document.parameters().interval_ms) {
            Ok(0) => {}
            Ok(rounds) => self.event(Event::RoundsLate { rounds }),
            // Told of once, when the burst is over.
            Err(Haste::Late) => return Ok(None),
            Err(Haste::TooSoon(ms)) => return Err(RoundRefusal::TooSoon(ms)),
        }
        Ok(Some((document, keys)))
    }

    /// Plans a round, builds its onions and hands them out, after the checkpoint that has to be on disk
    /// first.
    fn submit(
        &mut self,
        now: Timestamp,
        document: Arc<VerifiedEpoch>,
        keys: RoundKeys<Arc<VerifiedEpoch>>,
        closes_in_ms: u32,
    ) -> Result<(), RoundRefusal> {
        let (epoch, round) = (document.epoch(), keys.context().round);
        let (reserved, before) = (self.reserved(), self.outputs.len());
        let Prepared { onions, ticket, reply_keys, plan, circuits } =
            self.prepare(&document, keys)?;
        if let Some(circuits) = circuits {
            self.set_up(&document, round, circuits);
        }
        let may_cost = reserved + u32::from(plan.meets());
        let checkpoint = self.checkpoint_at(RoundMark { epoch, round }, may_cost);
        let due = now.plus_ms(longest_ms(&document, closes_in_ms));
        self.expect_boxes(round, due);
        let (onions, leaves, after_ms) = (Some(onions), leaves_at(now, closes_in_ms), None);
        let flight =
            InFlight { document, round, onions, ticket, reply_keys, plan, leaves, after_ms, due };
        // In this order: the charge is on disk before the onions leave, or a crash would not pay for it.
        let events = self.outputs.split_off(before);
        self.outputs.push_back(Output::Persist(checkpoint));
        self.outputs.extend(flight.submission(leaves));
        self.outputs.extend(events);
        self.follow(flight);
        Ok(())
    }

    /// Plans a round and builds its onions. Tells of what comes of planning.
    pub(super) fn prepare(
        &mut self,
        document: &Arc<VerifiedEpoch>,
        keys: RoundKeys<Arc<VerifiedEpoch>>,
    ) -> Result<Prepared, RoundRefusal> {
        let (epoch, round) = (document.epoch(), keys.context().round);
        let may_meet = self.may_meet(self.reserved());
        let place = place_of(document, round);
        let (mut events, mut rng) = (Vec::new(), self.entropy.generator());
        let mut plan = self.plan(place, document.kind_of(round), may_meet, &mut rng, &mut events);
        let keep = if place.cell.is_some() { Keep::CIRCUITS } else { Keep::NOTHING };
        let built = keys.entries_keeping(plan.deposits(), keep, &mut rng);
        let mut ticket = Ticket([0; 32]);
        rng.fill_bytes(&mut ticket.0);
        drop((rng, keys));
        let (onions, built) = match built {
            Ok(built) => built,
            Err(error) => {
                plan.settle(RoundResult::Nullified, &mut self.conversations, &mut events);
                self.outputs.extend(events.into_iter().map(Output::Event));
                return Err(error.into());
            }
        };
        self.outputs.extend(events.into_iter().map(Output::Event));
        let circuits = place.cell.zip(built.circuits).map(|(cell, keys)| {
            Circuits::new((epoch, round), cell, ticket, keys, plan.take_circuits())
        });
        Ok(Prepared { onions, ticket, reply_keys: built.replies, plan, circuits })
    }

    /// Plans a round of this kind.
    fn plan(
        &mut self,
        place: Place,
        kind: RoundKind,
        may_meet: bool,
        rng: &mut impl CryptoRng,
        events: &mut Vec<Event>,
    ) -> Plan {
        let posting = self.take_posting(place.round);
        match kind {
            RoundKind::DeadDrops => {
                Plan::new(place, &mut self.conversations, may_meet, rng, events)
            }
            RoundKind::Calls | RoundKind::Invitations => Plan::mailbox(place, posting, rng),
        }
    }

    /// Returns `true` if conversations may meet while `reserved` rounds may be charged yet. Whatever is left may be
    /// spent by those. Where it may all be, nobody meets: the round is idle whoever talks, and costs nothing.
    fn may_meet(&self, reserved: u32) -> bool {
        self.ledger.left() > reserved && self.attempts.left() > reserved
    }

    /// Keeps the circuits that the round's onions leave behind.
    fn set_up(&mut self, document: &Arc<VerifiedEpoch>, round: Round, circuits: Circuits) {
        let document = Arc::clone(document);
        self.beats.set_up(document, round, circuits, &mut self.conversations);
    }

    /// Takes the oldest rounds in flight for disturbed, of those that were left to a gateway or of the others, so that one
    /// more makes no more than `most`.
    pub(super) fn make_way(&mut self, left: bool, most: usize) {
        let is_of_them = |flight: &InFlight| flight.is_left() == left;
        while self.in_flight.iter().filter(|flight| is_of_them(flight)).count() >= most {
            let Some(oldest) = self.in_flight.iter().position(is_of_them) else { return };
            self.settle(oldest, RoundResult::Nothing, Outcome::Disturbed);
        }
    }

    pub(super) fn follow(&mut self, flight: InFlight) {
        self.in_flight.push_back(flight);
        debug_assert!(
            self.in_flight.len() <= MOST_IN_FLIGHT + MOST_ROUNDS_LEFT,
            "more rounds in flight than settled"
        );
        debug_assert!(
            self.in_flight.iter().is_sorted_by_key(|flight| flight.round),
            "a round was served after a later one"
        );
    }

    pub(super) fn replies(&mut self, now: Timestamp, epoch: Epoch, round: Round, replies: Vec<u8>) {
        let mut replies = Zeroizing::new(replies);
        let Some(at) = self.position(epoch, round) else { return };
        let flight = &mut self.in_flight[at];
        if replies.len() == flight.plan.reply_bytes() {
            let body_bytes = flight.document.geometry().body_bytes();
            for (onion, body) in replies.chunks_exact_mut(body_bytes).enumerate() {
                flight.reply_keys.open(onion, body);
            }
            flight.after_ms = (!flight.is_left()).then(|| now.ms_since(flight.leaves));
        } else {
            self.event(Event::Unanswered { round });
        }
        self.settle(at, RoundResult::Replies(&mut replies), Outcome::Disturbed);
    }

    pub(super) fn aborted(
        &mut self,
        epoch: Epoch,
        round: Round,
        statements: &[Signed<SealStatement>],
    ) {
        let Some(at) = self.position(epoch, round) else { return };
        let document = self.in_flight[at].document.document();
        // A shard makes one statement: a gateway cannot have more to show, only more to check.
        let statements = &statements[..statements.len().min(document.shards.len())];
        match judge_abort(document, &self.config.network, round, statements) {
            AbortKind::Free => self.settle(at, RoundResult::Nullified, Outcome::FreeAbort),
            AbortKind::Charged => self.settle(at, RoundResult::Nothing, Outcome::ChargedAbort),
        }
    }

    pub(super) fn refused(&mut self, epoch: Epoch, round: Round) {
        if let Some(at) = self.position(epoch, round) {
            self.event(Event::Unanswered { round });
            self.settle(at, RoundResult::Nothing, Outcome::Disturbed);
        }
    }

    /// Asks the gateway about the rounds under way, and about those whose circuits it has: always about all of
    /// them, whatever they are for.
    pub(super) fn linked(&mut self) {
        self.wake_up();
        let in_flight = self.in_flight.iter().map(|flight| {
            let epoch = flight.document.epoch();
            (epoch, flight.round, flight.ticket)
        });
        let asked: BTreeMap<_, _> = in_flight
            .chain(self.beats.tickets())
            .map(|(epoch, round, ticket)| ((round, epoch), ticket))
            .collect();
        let ask = |((round, epoch), ticket)| Output::Resume { epoch, round, ticket };
        self.outputs.extend(asked.into_iter().map(ask));
        self.ask_missed_boxes();
    }

    pub(super) fn link_lost(&mut self) {
        self.wake_up();
        self.beats.forget(&mut self.conversations);
        while !self.in_flight.is_empty() {
            self.settle(0, RoundResult::Nothing, Outcome::Disturbed);
        }
    }

    pub(super) fn settle_overdue(&mut self, now: Timestamp) {
        while let Some(at) = self.in_flight.iter().position(|flight| flight.due <= now) {
            let round = self.in_flight[at].round;
            self.event(Event::Unanswered { round });
            self.settle(at, RoundResult::Nothing, Outcome::Disturbed);
        }
    }

    /// Ends the round at `at` of those in flight, with `outcome` unless all its replies are as they have to
    /// be.
    fn settle(&mut self, at: usize, result: RoundResult<'_>, outcome: Outcome) {
        let Some(flight) = self.in_flight.remove(at) else { return };
        let mut events = Vec::new();
        // An idle round shows the same whoever talks, so its end costs nothing.
        let counts = flight.counts();
        let has_posting = flight.plan.has_posting();
        let (round, sent, after_ms) = (flight.round, flight.plan.onions(), flight.after_ms);
        let returned = flight.plan.settle(result, &mut self.conversations, &mut events);
        let Returned { undisturbed, whole } = returned;
        events.push(Event::Returned { round, sent, whole, after_ms });
        let outcome = if undisturbed { Outcome::Undisturbed } else { outcome };
        if matches!(outcome, Outcome::FreeAbort | Outcome::ChargedAbort) {
            self.mailboxes.give_up(flight.round);
        }
        if has_posting {
            events.push(Event::Posted { round: flight.round, arrived: undisturbed });
        }
        self.outputs.extend(events.into_iter().map(Output::Event));
        self.event(Event::RoundEnded { round: flight.round, outcome });
        match outcome {
            _ if !counts => {}
            Outcome::Undisturbed => {}
            Outcome::Disturbed | Outcome::ChargedAbort => {
                if self.ledger.charge() {
                    self.event(Event::Resting { charged: self.ledger.charged() });
                }
            }
            Outcome::FreeAbort => {
                if self.attempts.charge() {
                    self.event(Event::RestingAfterAborts { aborted: self.attempts.charged() });
                }
            }
        }
    }

    /// Number of rounds in flight that may be charged yet.
    pub(super) fn reserved(&self) -> u32 {
        // At most MOST_IN_FLIGHT.
        self.in_flight.iter().filter(|flight| flight.counts()).count() as u32
    }

    fn position(&self, epoch: Epoch, round: Round) -> Option<usize> {
        self.in_flight
            .iter()
            .position(|flight| flight.round == round && flight.document.epoch() == epoch)
    }

    fn end_closed(&mut self, round: Round) {
        let over: Vec<_> = self
            .conversations
            .extract_if(.., |_, open| open.is_over(round))
            .map(|(id, _)| id)
            .collect();
        for conversation in over {
            self.event(Event::Closed { conversation });
        }
    }
}

/// The place of an epoch's round, with the size of the cells of its beats if it has any.
fn place_of(document: &VerifiedEpoch, round: Round) -> Place {
    let (epoch, geometry) = (document.epoch(), document.geometry());
    let parameters = document.parameters();
    // A document's cells have a possible size, as was checked.
    let cell = CellBytes::new(parameters.beats.cell_bytes).ok();
    let cell = cell.filter(|_| document.has_beats(round));
    let turn = Round(document.services().turn(round));
    Place { epoch, round, turn, geometry, pairs: parameters.pairs_per_client, cell }
}

/// The longest that a round can take from its opening: until it closes, then the deadlines of every
/// layer there and back and of the three steps of verification, in milliseconds.
fn longest_ms(document: &VerifiedEpoch, closes_in_ms: u32) -> u64 {
    let parameters = document.parameters();
    let layers = u64::from(parameters.layers);
    let open = u64::from(closes_in_ms.min(parameters.submit_ms));
    let layer_ms = u64::from(parameters.layer_ms) + u64::from(parameters.reply_ms);
    open + layers * layer_ms + 3 * u64::from(parameters.verify_ms) + GRACE_MS
}
