//! Conversations: the application's commands, and the machine's events for it.

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::sync::{Arc, Weak};

use antiphon_client_core::{
    ConversationId, DocumentRefusal, Event as CoreEvent, MessageId, Opening, RoundRefusal,
    SendError,
};
use antiphon_wire::{Epoch, Round};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{Driver, Moment};
use crate::client::OpenConversationError;
use crate::conversation::Conversation;
use crate::event::Event;
use crate::inbox::{Inbox, inbox};
use crate::used_secrets::SecretMark;

/// Command of the application.
pub(crate) enum Command {
    Open { options: Opening, answer: oneshot::Sender<Result<Conversation, OpenConversationError>> },
    Send { conversation: ConversationId, outgoing: Outgoing },
    Close { conversation: ConversationId },
    MeetNow { conversation: ConversationId },
    SetVerified { conversation: ConversationId, verified: bool },
    Continue { units: u32 },
    ContinueAfterAborts { rounds: u32 },
    ShutDown,
}

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
    secret: SecretMark,
    closing: bool,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.room.close();
    }
}

impl Driver {
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
            Command::MeetNow { conversation } => {
                self.core().meet_now(conversation);
                self.drain(Moment::now()).await;
            }
            Command::SetVerified { conversation, verified } => {
                self.core().set_verified(conversation, verified);
            }
            Command::Continue { units } => self.core().continue_at_a_price(units),
            Command::ContinueAfterAborts { rounds } => self.core().continue_after_aborts(rounds),
            Command::ShutDown => self.stopping = true,
        }
    }

    fn open(
        &mut self,
        options: &Opening,
        answer: oneshot::Sender<Result<Conversation, OpenConversationError>>,
    ) {
        // Without an application left, there is nobody to answer.
        let Some(commands) = self.commands.upgrade() else { return };
        let mark = SecretMark::of(&options.secret);
        let opened = match self.used_secrets.contains(&mark) {
            true => Err(OpenConversationError::UsedSecret),
            false => self.core().open_conversation(options).map_err(Into::into),
        };
        let conversation = opened.map(|id| {
            let (inbox, arrived) = inbox(self.config.inbox_bytes);
            let room = Arc::new(Semaphore::new(self.config.queue_bytes as usize));
            let held = Arc::new(());
            let open = Open {
                inbox,
                room: Arc::clone(&room),
                unacknowledged: BTreeMap::new(),
                held: Arc::downgrade(&held),
                secret: mark,
                closing: false,
            };
            self.conversations.insert(id, open);
            Conversation::new(id, commands, room, self.config.longest_message(), arrived, held)
        });
        // If nobody waits any more, the conversation is dropped here, and closes.
        let _ = answer.send(conversation);
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
