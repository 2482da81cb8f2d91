//! Conversations: the application's commands, and the machine's events for it.

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use antiphon_client_core::{
    ConversationId, DocumentRefusal, Event as CoreEvent, MessageId, Opening, PostError, Posting,
    RoundRefusal, SendError, SleepError,
};
use antiphon_wire::{Epoch, Round, RoundKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{Core, Driver, Moment};
use crate::client::OpenConversationError;
use crate::conversation::{Conversation, ConversationReceiver, ConversationSender};
use crate::event::Event;
use crate::inbox::{Inbox, inbox};
use crate::used_secrets::SecretMark;

/// Command of the application.
pub(crate) enum Command {
    Open { options: Opening, answer: oneshot::Sender<Result<Conversation, OpenConversationError>> },
    Send { conversation: ConversationId, outgoing: Outgoing },
    Close { conversation: ConversationId },
    End { conversation: ConversationId },
    MeetNow { conversation: ConversationId },
    SetVerified { conversation: ConversationId, verified: bool },
    Continue { units: u32 },
    ContinueAfterAborts { rounds: u32 },
    Post { kind: RoundKind, make: MakePosting, answer: oneshot::Sender<Result<Round, PostError>> },
    AskBoxes { after: Round },
    Sleep { time: Duration, answer: oneshot::Sender<Result<(), SleepError>> },
    WakeUp,
    ShutDown { noted: oneshot::Sender<()> },
}

/// Makes what is posted in a round, once it is known which one it is.
pub(crate) type MakePosting = Box<dyn FnOnce(Round) -> Option<Posting> + Send>;

/// A message to send, and the channels to report on it.
pub(crate) struct Outgoing {
    pub(crate) message: Vec<u8>,
    /// Its bytes in the queue, given back when it is acknowledged.
    pub(crate) room: OwnedSemaphorePermit,
    pub(crate) done: oneshot::Sender<()>,
    pub(crate) answer: oneshot::Sender<Result<MessageId, SendError>>,
}

/// An open conversation.
pub(super) struct Open {
    inbox: Inbox,
    room: Arc<Semaphore>,
    /// Messages that the partner has not acknowledged.
    unacknowledged: BTreeMap<MessageId, (OwnedSemaphorePermit, oneshot::Sender<()>)>,
    /// Dead once the application has dropped all of its halves.
    held: Weak<()>,
    /// Number of messages that the application has taken since the conversation began.
    taken: Arc<AtomicU64>,
    secret: SecretMark,
    closing: bool,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.room.close();
    }
}

impl Driver {
    /// Carries out a command. Long, as it is one table of commands.
    pub(super) async fn command(&mut self, command: Command) {
        match command {
            Command::Open { options, answer } => {
                self.open(&options, answer);
                self.drain(Moment::now()).await;
            }
            Command::Send { conversation, outgoing } => {
                let Outgoing { message, room, done, answer } = outgoing;
                let taken = self.core().send(conversation, message);
                if let (Ok(id), Some(open)) = (taken, self.conversations.get_mut(&conversation)) {
                    open.unacknowledged.insert(id, (room, done));
                }
                // Fails only if the application does not want to know.
                let _ = answer.send(taken);
            }
            Command::Close { conversation } => self.core().close_conversation(conversation),
            Command::End { conversation } => {
                self.change(|core| core.end_conversation(conversation)).await;
            }
            Command::MeetNow { conversation } => {
                self.change(|core| core.meet_now(conversation)).await;
            }
            Command::SetVerified { conversation, verified } => {
                self.core().set_verified(conversation, verified);
            }
            Command::Continue { units } => self.core().continue_at_a_price(units),
            Command::ContinueAfterAborts { rounds } => self.core().continue_after_aborts(rounds),
            Command::Post { kind, make, answer } => {
                let posted = self.post(kind, make);
                // Fails only if the application does not want to know.
                let _ = answer.send(posted);
            }
            Command::AskBoxes { after } => {
                self.change(|core| core.ask_boxes(after)).await;
            }
            Command::Sleep { time, answer } => {
                let sleeps = self.sleep(time).await;
                // Fails only if the application does not want to know.
                let _ = answer.send(sleeps);
            }
            Command::WakeUp => self.wake_up(),
            Command::ShutDown { noted } => {
                self.stopping = true;
                // Fails only if nobody waits any more.
                let _ = noted.send(());
            }
        }
    }

    /// Changes something in the state machine that it has to say something about.
    async fn change(&mut self, what: impl FnOnce(&mut Core)) {
        what(&mut self.core());
        self.drain(Moment::now()).await;
    }

    /// Posts in the next round of this kind. Nothing else happens to the client in between, so it is still to come.
    fn post(&mut self, kind: RoundKind, make: MakePosting) -> Result<Round, PostError> {
        let mut core = self.core();
        let round = core.next_mailbox_round(kind).ok_or(PostError::NoRounds(kind))?;
        let posting = make(round).ok_or(PostError::NoItem(round))?;
        core.post(posting)?;
        Ok(posting.round)
    }

    fn open(
        &mut self,
        options: &Opening,
        answer: oneshot::Sender<Result<Conversation, OpenConversationError>>,
    ) {
        // Without an application left, there is nobody to answer.
        let Some(commands) = self.commands.upgrade() else { return };
        let mark = SecretMark::of(&options.secret);
        let goes_on = self.core().kept_conversation(options).is_some();
        let opened = match self.used_secrets.contains(&mark) && !goes_on {
            true => Err(OpenConversationError::UsedSecret),
            false => self.core().open_conversation(options).map_err(Into::into),
        };
        let conversation = opened.map(|id| self.hand_over(id, mark, commands));
        // If nobody waits any more, the conversation is dropped here, and closes.
        let _ = answer.send(conversation);
    }

    /// The application's end of a conversation, with the messages of before a restart that it has not taken.
    fn hand_over(
        &mut self,
        id: ConversationId,
        secret: SecretMark,
        commands: mpsc::Sender<Command>,
    ) -> Conversation {
        let (mut inbox, arrived) = inbox(self.config.inbox_bytes);
        let (taken, untaken) = self.core().untaken(id);
        for message in untaken {
            // They fitted into it before.
            let _ = inbox.put(message);
        }
        let room = Arc::new(Semaphore::new(self.config.queue_bytes as usize));
        let (next_message, under_way) = self.core().unacknowledged(id);
        let unacknowledged = under_way.into_iter().filter_map(|(message, bytes)| {
            let bytes = u32::try_from(bytes).ok()?;
            let room = Arc::clone(&room).try_acquire_many_owned(bytes).ok()?;
            // Nobody waits for them any more.
            Some((message, (room, oneshot::channel().0)))
        });
        let (held, taken) = (Arc::new(()), Arc::new(AtomicU64::new(taken)));
        let open = Open {
            inbox,
            unacknowledged: unacknowledged.collect(),
            room: Arc::clone(&room),
            held: Arc::downgrade(&held),
            taken: Arc::clone(&taken),
            secret,
            closing: false,
        };
        self.conversations.insert(id, open);
        let longest = self.config.longest_message();
        let sender = ConversationSender::new(id, commands, room, longest, Arc::clone(&held));
        let receiver = ConversationReceiver::new(arrived, taken, held);
        Conversation::new(sender, receiver, next_message)
    }

    /// Tells the state machine which messages the application has taken.
    pub(super) fn note_taken(&mut self) {
        let mut core = self.core();
        for (id, open) in &self.conversations {
            core.taken(*id, open.taken.load(Ordering::Relaxed));
        }
    }

    /// Acts on an event of the state machine, and passes on to the application what is its business.
    pub(super) fn core_event(&mut self, event: CoreEvent) {
        self.gateways.heed(&event);
        match &event {
            CoreEvent::DocumentRefused { error } => document_refused(error),
            CoreEvent::RoundRefused { epoch, round, error } => {
                self.round_refused(*epoch, *round, error);
            }
            CoreEvent::Met { conversation } => self.met(conversation),
            CoreEvent::Closed { conversation } => drop(self.conversations.remove(conversation)),
            _ => {}
        }
        match event {
            CoreEvent::Received { conversation, message } => self.received(conversation, message),
            CoreEvent::Acknowledged { conversation, message } => {
                self.acknowledged(conversation, message);
            }
            CoreEvent::RoundsLate { rounds } => {
                tracing::warn!(
                    rounds,
                    "rounds arrived late, in a burst: nothing was submitted for them"
                );
            }
            // The gateway's part only.
            CoreEvent::Unanswered { .. } => {}
            CoreEvent::RoundEnded { .. } => {
                self.told_refusal = None;
                self.emit(Event::Core(event));
                self.close_dropped();
            }
            CoreEvent::EpochAdopted { epoch, first_round, last_round } => {
                tracing::info!(%epoch, %first_round, %last_round, "new epoch");
                self.emit(Event::Core(event));
                self.plan_turn();
            }
            CoreEvent::Asleep { until } => {
                tracing::info!(until = until.0, "asleep: the gateway acts for this client");
                self.fall_asleep(until);
                self.emit(Event::Core(event));
            }
            _ => self.emit(Event::Core(event)),
        }
    }

    fn received(&mut self, conversation: ConversationId, message: Vec<u8>) {
        let open = self.conversations.get_mut(&conversation);
        if let Some(Err(missed)) = open.map(|open| open.inbox.put(message)) {
            self.emit(Event::MessagesMissed { conversation, missed });
        }
    }

    fn acknowledged(&mut self, conversation: ConversationId, message: MessageId) {
        let open = self.conversations.get_mut(&conversation);
        if let Some((_, done)) = open.and_then(|o| o.unacknowledged.remove(&message)) {
            // Fails only if the application does not want to know.
            let _ = done.send(());
        }
    }

    fn round_refused(&mut self, epoch: Epoch, round: Round, error: &RoundRefusal) {
        // Of an epoch that is refused for one reason, every round is.
        let kind = Some((epoch, discriminant(error)));
        if std::mem::replace(&mut self.told_refusal, kind) != kind {
            tracing::warn!(%epoch, %round, %error, "rounds are refused from here on");
        }
    }

    fn met(&mut self, conversation: &ConversationId) {
        if let Some(open) = self.conversations.get(conversation) {
            self.used_secrets.remember(open.secret);
        }
    }

    /// Closes the conversations that the application has dropped.
    fn close_dropped(&mut self) {
        // An application that stops lets go of all: they go on when it starts again.
        if self.stopping {
            return;
        }
        let mut dropped = Vec::new();
        for (id, open) in &mut self.conversations {
            if !open.closing && open.held.strong_count() == 0 {
                open.closing = true;
                dropped.push(*id);
            }
        }
        for id in dropped {
            self.core().close_conversation(id);
        }
    }
}

fn document_refused(error: &DocumentRefusal) {
    match error {
        // Gateways send every document that they hold.
        DocumentRefusal::Older { .. } => tracing::debug!(%error, "an old document"),
        _ => tracing::warn!(%error, "an epoch document is refused"),
    }
}
