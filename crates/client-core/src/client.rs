//! The client's machine: documents, rounds, conversations and the ledger.

mod beats;
mod kept;
mod mailboxes;
mod rounds;
mod sleep;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use antiphon_onion::EntropySource;
use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{
    Epoch, IdentityKey, NetworkFile, Round, RoundKind, SignedDocument, Timestamp, ToClient,
};

use crate::beats::Beats;
use crate::clock::RoundClock;
use crate::conversation::Conversation;
use crate::documents::Documents;
use crate::mailboxes::Mailboxes;
use crate::round::Conversations;
use crate::{
    Budget, Checkpoint, ConversationId, Event, Input, Ledger, MessageId, OpenError, Opening,
    Output, RoundMark, SendError,
};
use rounds::InFlight;
pub use sleep::SleepError;
use sleep::Sleeping;

/// Configuration of a client.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The network that the client belongs to.
    pub network: NetworkFile,
    /// Bytes of messages queued per conversation, counting each message 64 bytes longer than it is.
    pub queue_bytes: usize,
    /// The longest message sent or received, in bytes. Partners should agree on it.
    pub message_bytes: usize,
    /// Bytes of whole messages kept per conversation, counted likewise, until the application
    /// [has taken](Client::taken) them; 0 if none are kept. What there is no room for stays with the partner.
    pub kept_bytes: usize,
}

impl ClientConfig {
    /// Messages of up to 16 MiB, twice that in a queue.
    pub const fn new(network: NetworkFile) -> Self {
        Self { network, queue_bytes: 32 << 20, message_bytes: 16 << 20, kept_bytes: 0 }
    }
}

/// A client. It is told of events with [`handle`](Self::handle), and says what to do with
/// [`poll`](Self::poll), which should be asked until it says nothing.
pub struct Client {
    config: ClientConfig,
    entropy: EntropySource,
    documents: Documents,
    clock: RoundClock,
    mark: Option<RoundMark>,
    /// Time at which the marked round opened, or is to open if it was left to a gateway, unless that was before a restart.
    opened_at: Option<Timestamp>,
    /// Milliseconds that the gateway's clock was ahead of this one when it was shown last.
    clock_ahead_ms: Option<i64>,
    sleeping: Sleeping,
    /// No epoch is served that starts by then.
    epochs_after: Timestamp,
    ledger: Ledger,
    /// Rounds aborted with nothing revealed, in which a conversation would have met.
    attempts: Ledger,
    conversations: Conversations,
    next_conversation: u64,
    /// Rounds whose outcome is not known yet, the oldest first.
    in_flight: VecDeque<InFlight>,
    beats: Beats,
    mailboxes: Mailboxes,
    outputs: VecDeque<Output>,
}

impl Client {
    /// A client that continues from `restored`, the last checkpoint that was written, or starts afresh. The
    /// randomness of each round is drawn from `entropy` anew.
    pub fn new(config: ClientConfig, restored: Option<Checkpoint>, entropy: EntropySource) -> Self {
        let policy = &config.network.policy;
        let kept = restored.unwrap_or_default();
        Self {
            entropy,
            documents: Documents::new(kept.mark.epoch),
            clock: RoundClock::resumed(policy, &kept.pace),
            mark: restored.map(|kept| kept.mark),
            opened_at: None,
            clock_ahead_ms: None,
            sleeping: Sleeping::default(),
            epochs_after: kept.epochs_after,
            ledger: Ledger::new(policy.disturbed_rounds, kept.charged, kept.extended),
            attempts: Ledger::new(policy.attempts, kept.attempts, kept.attempts_extended),
            conversations: Conversations::new(),
            next_conversation: 0,
            in_flight: VecDeque::new(),
            beats: Beats::resumed(kept.circuits),
            mailboxes: Mailboxes::default(),
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Tells the client of an event. Nothing that comes from outside makes it panic.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        self.settle_overdue(now);
        self.miss_boxes(now);
        match input {
            Input::Message(message) => self.message(now, *message),
            Input::Linked => self.linked(),
            Input::LinkLost => self.link_lost(),
            Input::Tick => {}
        }
        self.make_cells(now);
        self.fall_asleep(now);
    }

    fn message(&mut self, now: Timestamp, message: ToClient) {
        match message {
            ToClient::Document { document } => self.offered(now, document),
            ToClient::Opened { epoch, round, closes_in_ms } => {
                if let Err(error) = self.opened(now, epoch, round, closes_in_ms) {
                    self.event(Event::RoundRefused { epoch, round, error });
                }
            }
            ToClient::Replies { epoch, round, replies } => {
                self.replies(now, epoch, round, replies.0);
            }
            ToClient::Aborted { epoch, round, statements } => {
                self.aborted(epoch, round, &statements);
            }
            ToClient::Refused { epoch, round, .. } => self.refused(epoch, round),
            ToClient::Circuits { announcement, statements } => {
                self.evidence(announcement, &statements);
            }
            ToClient::Cells { epoch, round, beat, cells } => {
                self.cells(now, (epoch, round, beat), cells.0);
            }
            ToClient::Backlog { epoch, round, cells } => self.backlog((epoch, round), &cells.0),
            ToClient::Box { published } => self.published(&published),
            ToClient::Clock { now: theirs } => {
                self.clock_ahead_ms = Some(ahead_ms(now, theirs));
                self.beats.heed_clock(now, theirs);
            }
        }
    }

    fn offered(&mut self, now: Timestamp, signed: SignedDocument) {
        match self.documents.offer(signed, &self.config.network, now) {
            Ok(Some(adopted)) => {
                let document = adopted.document();
                self.event(Event::EpochAdopted {
                    epoch: document.epoch,
                    first_round: document.first_round,
                    last_round: document.last_round,
                });
            }
            Ok(None) => {}
            Err(error) => self.event(Event::DocumentRefused { error }),
        }
    }

    /// The next output, in the order in which outputs have to be carried out.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Time of the next [`Input::Tick`], unless something else happens before.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let rounds = self.in_flight.iter().map(|round| round.due);
        let others = [self.mailboxes.next_deadline(), self.sleep_deadline()];
        rounds.chain(self.beats.next_deadline()).chain(others.into_iter().flatten()).min()
    }

    /// Opens a conversation. It takes part from the next round on. One of before a restart that had the same secret
    /// goes on instead; others that were not opened again give way, if there is no room beside them.
    ///
    /// # Errors
    /// If it takes no pair, or if the epoch has too few pairs for it beside those that are open.
    pub fn open_conversation(&mut self, opening: &Opening) -> Result<ConversationId, OpenError> {
        if let Some(id) = self.kept_conversation(opening) {
            self.adopt(id, opening);
            return Ok(id);
        }
        if opening.pairs == 0 {
            return Err(OpenError::NoPairs);
        }
        // Before the first document, a pair is what there is sure to be.
        let document = self.documents.epochs().newest();
        let available = document.map_or(1, |epoch| epoch.parameters().pairs_per_client);
        let needed = self.make_room(opening.pairs, available);
        if needed > u32::from(available) {
            return Err(OpenError::TooMany { needed, available });
        }
        let id = ConversationId(self.next_conversation);
        self.next_conversation += 1;
        let config = &self.config;
        let (queue, message) = (config.queue_bytes, config.message_bytes);
        let mut conversation =
            Conversation::new(opening, queue, message, &mut self.entropy.generator());
        conversation.keep_messages(config.kept_bytes);
        self.conversations.insert(id, conversation);
        if self.ledger.left() == 0 {
            self.event(Event::Resting { charged: self.ledger.charged() });
        }
        if self.attempts.left() == 0 {
            self.event(Event::RestingAfterAborts { aborted: self.attempts.charged() });
        }
        Ok(id)
    }

    /// Queues a message, which can be of any content and empty. Sending changes nothing about the
    /// traffic.
    ///
    /// # Errors
    /// If the queue is too full, the message too long, or the conversation closing or not open.
    pub fn send(&mut self, id: ConversationId, message: Vec<u8>) -> Result<MessageId, SendError> {
        self.conversations.get_mut(&id).ok_or(SendError::NoConversation)?.send(message)
    }

    /// Meets in every round for a start once more, because a person knows that the partner is there
    /// now. Costs up to nine units if it is not, as a dense start does.
    pub fn meet_now(&mut self, id: ConversationId) {
        let Some(conversation) = self.conversations.get_mut(&id) else { return };
        let before = conversation.level();
        conversation.meet_now();
        let level = conversation.level();
        if level != before {
            self.event(Event::Rhythm { conversation: id, level });
        }
    }

    /// Takes note whether the user has made sure who the partner is: see [`Opening::verified`].
    pub fn set_verified(&mut self, id: ConversationId, verified: bool) {
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.set_verified(verified);
        }
    }

    /// Asks the partner to end the conversation with us. Both ends stop at the same round soon,
    /// when [`Event::Closed`] comes; messages not acknowledged by then are lost.
    pub fn close_conversation(&mut self, id: ConversationId) {
        let first = self.documents.epochs().current().map(|epoch| epoch.document().first_round);
        let last = self.mark.map(|mark| mark.round).max(first).unwrap_or_default();
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.close(last);
        }
    }

    /// Ends a conversation at once, without a word to the partner: one that is away could not agree, and each meeting without
    /// it costs a unit. [`Event::Closed`] follows. Meetings in flight are judged and charged like any others.
    pub fn end_conversation(&mut self, id: ConversationId) {
        if self.conversations.remove(&id).is_some() {
            self.event(Event::Closed { conversation: id });
        }
    }

    /// Rounds that conversations have been charged.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// State of the ledger, rounds in flight included.
    pub fn budget(&self) -> Budget {
        self.ledger.budget(self.reserved())
    }

    /// State of the count of aborted rounds, rounds in flight included.
    pub fn attempts(&self) -> Budget {
        self.attempts.budget(self.reserved())
    }

    /// Checkpoint as things stand. Writing it with no round in flight saves a restart from paying for those
    /// that were.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        self.mark.map(|mark| self.checkpoint_at(mark, self.reserved()))
    }

    fn checkpoint_at(&self, mark: RoundMark, reserved: u32) -> Checkpoint {
        Checkpoint {
            mark,
            charged: self.ledger.charged_with_reserve(reserved),
            extended: self.ledger.extended(),
            attempts: self.attempts.charged_with_reserve(reserved),
            attempts_extended: self.attempts.extended(),
            epochs_after: self.epochs_after,
            circuits: self.beats.marks(),
            pace: self.clock.pace(),
            ..Checkpoint::default()
        }
    }

    /// Allows `units` disturbed rounds beyond what the network's guarantee covers, so that resting
    /// conversations meet again. A decision for a person: each unit is charged at the price that the
    /// product states.
    pub fn continue_at_a_price(&mut self, units: u32) {
        self.ledger.extend(units);
    }

    /// Allows `rounds` aborted rounds beyond those that the network's guarantee allows for, so that
    /// conversations that rest because of them meet again. A decision for a person, as
    /// [`continue_at_a_price`](Self::continue_at_a_price) is.
    pub fn continue_after_aborts(&mut self, rounds: u32) {
        self.attempts.extend(rounds);
    }

    /// The epoch whose rounds open at `now`, or those that will first: the one that a
    /// [`GatewayPolicy`](crate::GatewayPolicy) draws from.
    pub fn epoch_at(&self, now: Timestamp) -> Option<&Arc<VerifiedEpoch>> {
        self.documents.epochs().at(now)
    }

    /// The epoch to whose gateway a client that uses `present` turns next: the one [at](Self::epoch_at) `now`, or one
    /// to come that `present` does not serve.
    pub fn epoch_to_turn_to(
        &self,
        now: Timestamp,
        present: &IdentityKey,
    ) -> Option<&Arc<VerifiedEpoch>> {
        self.documents.epochs().to_turn_to(now, present)
    }

    /// The epoch for whose gateway a client that uses `present` has to plan its next turn: the first that `present` does
    /// not serve, or else the newest.
    pub fn epoch_to_plan_for(
        &self,
        now: Timestamp,
        present: Option<&IdentityKey>,
    ) -> Option<&Arc<VerifiedEpoch>> {
        self.documents.epochs().to_plan_for(now, present)
    }

    /// Returns `true` if the document of this epoch is held.
    pub fn knows(&self, epoch: Epoch) -> bool {
        self.documents.epochs().of_epoch(epoch).is_some()
    }

    /// The oldest round whose outcome is not known, those apart that the gateway was left.
    pub fn oldest_in_flight(&self) -> Option<Round> {
        self.in_flight.iter().filter(|flight| !flight.is_left()).map(InFlight::round).min()
    }

    /// The oldest round whose gateway is still needed: its outcome is not known, or its circuits carry cells or may
    /// do so.
    pub fn oldest_served(&self) -> Option<Round> {
        self.oldest_in_flight().into_iter().chain(self.beats.oldest()).min()
    }

    /// The epoch with the highest number.
    pub fn newest_epoch(&self) -> Option<&Arc<VerifiedEpoch>> {
        self.documents.epochs().newest()
    }

    /// The newest round for which onions were built.
    pub fn last_round(&self) -> Option<Round> {
        self.mark.map(|mark| mark.round)
    }

    /// Milliseconds that the gateway's clock is ahead of this client's; negative if it is behind. `None` before it was
    /// shown. Only a person can know which of the two is wrong.
    pub fn clock_ahead_ms(&self) -> Option<i64> {
        self.clock_ahead_ms
    }

    /// The next round of a kind to open, and when it does if rounds keep to their interval. `None` if the network has
    /// none of this kind, or no document is held.
    pub fn next_round(&self, kind: RoundKind) -> Option<(Round, Timestamp)> {
        let document = self.documents.epochs().current()?.document();
        let first = document.first_round;
        let (last, at) = match (self.mark, self.opened_at) {
            (Some(mark), Some(at)) if mark.round >= first => (mark.round, at),
            _ => (first, document.starts_at),
        };
        let from = self.mark.map(|mark| mark.round.next()).max(Some(first))?;
        let round = self.config.network.policy.services.next(kind, from)?;
        let interval_ms = u64::from(document.parameters.interval_ms);
        let ahead_ms = round.0.saturating_sub(last.0).saturating_mul(interval_ms);
        Some((round, Timestamp(at.0.saturating_add(ahead_ms))))
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// Milliseconds from `own` to `theirs`, which is negative if `own` is later.
fn ahead_ms(own: Timestamp, theirs: Timestamp) -> i64 {
    let held = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    held(theirs.ms_since(own)).saturating_sub(held(own.ms_since(theirs)))
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("mark", &self.mark).finish_non_exhaustive()
    }
}
