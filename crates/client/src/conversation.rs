//! One conversation, as applications hold it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use antiphon_client_core::{ConversationId, MessageId, SendError as CoreSendError};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::client::ClientGone;
use crate::driver::{Command, Outgoing};
use crate::inbox::Arrived;
use crate::options::MESSAGE_OVERHEAD;

/// Reason why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The partner would not take it.
    #[error("{length} bytes are too long for one message; at most {limit} are taken")]
    TooLong {
        /// The message's length in bytes.
        length: usize,
        /// The longest message in bytes.
        limit: usize,
    },
    /// The queue is full, for [`ConversationSender::try_send`].
    #[error("the queue is full; wait until messages are acknowledged")]
    QueueFull,
    /// One of the ends is closing the conversation, or it is over.
    #[error("the conversation is closing or over")]
    Closed,
    /// The client is shut down.
    #[error(transparent)]
    Gone(#[from] ClientGone),
}

/// Reason why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// The inbox was full, so messages were dropped here. Later ones follow.
    #[error("{0} messages were dropped as the inbox was full; take messages sooner")]
    Missed(u64),
    /// The conversation is over, or the client shut down. All messages have been taken.
    #[error("the conversation is over")]
    Closed,
}

/// A message that the partner may not have got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the conversation ended before the partner acknowledged the message")]
pub struct Undelivered;

/// A message on its way. As a future, it resolves when the partner has the message. Dropping it
/// changes nothing.
#[derive(Debug)]
#[must_use = "await it to know that the message has arrived, or drop it"]
pub struct Delivery {
    message: MessageId,
    acknowledged: oneshot::Receiver<()>,
}

impl Delivery {
    /// The message's number among those sent in its conversation.
    pub const fn message(&self) -> MessageId {
        self.message
    }
}

impl Future for Delivery {
    type Output = Result<(), Undelivered>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.acknowledged).poll(context).map(|done| done.map_err(|_| Undelivered))
    }
}

/// The sending half of a conversation. Clones send in the same conversation.
#[derive(Clone)]
pub struct ConversationSender {
    id: ConversationId,
    commands: mpsc::Sender<Command>,
    room: Arc<Semaphore>,
    longest: u32,
    /// The client's task holds a weak reference: with the last half dropped, it closes.
    _held: Arc<()>,
}

impl ConversationSender {
    pub(crate) fn new(
        id: ConversationId,
        commands: mpsc::Sender<Command>,
        room: Arc<Semaphore>,
        longest: u32,
        held: Arc<()>,
    ) -> Self {
        Self { id, commands, room, longest, _held: held }
    }

    /// Queues a message of any content; it can be empty. Waits while the queue is full. Returns once
    /// it is queued; the [`Delivery`] tells when the partner has it. Dropping the future before it
    /// returns may or may not send the message.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(&self, message: impl Into<Vec<u8>>) -> Result<Delivery, SendError> {
        let message = message.into();
        let bytes = self.bytes(&message)?;
        // Closed only with the conversation.
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
        self.queue(message, room.map_err(|_| self.over())?).await
    }

    /// Like [`send`](Self::send), but does not wait for room in the queue.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn try_send(&self, message: impl Into<Vec<u8>>) -> Result<Delivery, SendError> {
        let message = message.into();
        let bytes = self.bytes(&message)?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|e| match e {
            tokio::sync::TryAcquireError::NoPermits => SendError::QueueFull,
            tokio::sync::TryAcquireError::Closed => self.over(),
        })?;
        self.queue(message, room).await
    }

    /// Asks the partner to end the conversation with us. Both ends stop at the same round soon;
    /// messages not acknowledged by then are lost. Dropping all halves of a conversation does the
    /// same.
    pub async fn close(&self) {
        // A client that is gone has no conversations.
        let _ = self.commands.send(Command::Close { conversation: self.id }).await;
    }

    /// Ends the conversation at once, without a word to the partner, who is away: with nobody there to agree, each meeting
    /// costs a unit. What is not acknowledged is lost.
    pub async fn end(&self) {
        // A client that is gone has no conversations.
        let _ = self.commands.send(Command::End { conversation: self.id }).await;
    }

    /// Meets in every round for a start once more, because a person knows that the partner is there
    /// now and does the same. Costs up to nine units of the ledger if it is not.
    pub async fn meet_now(&self) {
        // A client that is gone has no conversations.
        let _ = self.commands.send(Command::MeetNow { conversation: self.id }).await;
    }

    /// Tells the client whether its user has made sure who the partner is. Only then do messages travel in
    /// beats, where a network has them; with any other partner, in rounds alone. Neither shows.
    pub async fn set_verified(&self, verified: bool) {
        // A client that is gone has no conversations.
        let _ = self.commands.send(Command::SetVerified { conversation: self.id, verified }).await;
    }

    /// The number by which [`Event`](crate::Event)s name this conversation.
    pub const fn id(&self) -> ConversationId {
        self.id
    }

    fn bytes(&self, message: &[u8]) -> Result<u32, SendError> {
        let (length, limit) = (message.len(), self.longest as usize);
        match u32::try_from(length) {
            Ok(bytes) if length <= limit => Ok(bytes + MESSAGE_OVERHEAD),
            _ => Err(SendError::TooLong { length, limit }),
        }
    }

    async fn queue(
        &self,
        message: Vec<u8>,
        room: tokio::sync::OwnedSemaphorePermit,
    ) -> Result<Delivery, SendError> {
        let (done, acknowledged) = oneshot::channel();
        let (answer, taken) = oneshot::channel();
        let outgoing = Outgoing { message, room, done, answer };
        let command = Command::Send { conversation: self.id, outgoing };
        self.commands.send(command).await.map_err(|_| ClientGone)?;
        match taken.await.map_err(|_| ClientGone)? {
            Ok(message) => Ok(Delivery { message, acknowledged }),
            Err(CoreSendError::TooLong { length, limit }) => {
                Err(SendError::TooLong { length, limit })
            }
            Err(CoreSendError::QueueFull { .. }) => Err(SendError::QueueFull),
            Err(CoreSendError::NoConversation | CoreSendError::Closing) => Err(SendError::Closed),
        }
    }

    fn over(&self) -> SendError {
        match self.commands.is_closed() {
            true => ClientGone.into(),
            false => SendError::Closed,
        }
    }
}

impl fmt::Debug for ConversationSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConversationSender").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A message of the partner that the application has not taken yet: if the client starts again before, it comes once
/// more, with the same number.
#[derive(Debug)]
pub struct Arrival {
    number: u64,
    message: Vec<u8>,
    taken: Arc<AtomicU64>,
}

impl Arrival {
    /// Number of the message among all that the partner sent in the conversation, from 0.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The message.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Takes the message for good, once the application needs it no more or has it on disk.
    pub fn take(self) -> Vec<u8> {
        self.taken.fetch_max(self.number + 1, Ordering::Relaxed);
        self.message
    }
}

/// The receiving half of a conversation.
pub struct ConversationReceiver {
    inbox: mpsc::Receiver<Arrived>,
    /// The message behind a gap that was told of.
    behind_gap: Option<Arrived>,
    /// Number of the next message.
    number: u64,
    taken: Arc<AtomicU64>,
    _held: Arc<()>,
}

impl ConversationReceiver {
    pub(crate) fn new(
        inbox: mpsc::Receiver<Arrived>,
        taken: Arc<AtomicU64>,
        held: Arc<()>,
    ) -> Self {
        let number = taken.load(Ordering::Relaxed);
        Self { inbox, behind_gap: None, number, taken, _held: held }
    }

    /// The next message: whole, in order, once. The future may be dropped and called again without
    /// losing anything. With the process, a message that was received is gone: see [`arrival`](Self::arrival) for
    /// an application that keeps them.
    ///
    /// # Errors
    /// See [`ReceiveError`].
    pub async fn receive(&mut self) -> Result<Vec<u8>, ReceiveError> {
        self.arrival().await.map(Arrival::take)
    }

    /// The next message, which the client keeps in its state file until it is [taken](Arrival::take). An application that
    /// stores messages with their numbers before it takes them has each of them once, whenever it is killed.
    ///
    /// # Errors
    /// See [`ReceiveError`].
    pub async fn arrival(&mut self) -> Result<Arrival, ReceiveError> {
        // A gap is told of once, before the message behind it.
        let mut arrived = match self.behind_gap.take() {
            Some(arrived) => arrived,
            None => self.inbox.recv().await.ok_or(ReceiveError::Closed)?,
        };
        match std::mem::take(&mut arrived.missed_before) {
            0 => {
                let number = self.number;
                self.number += 1;
                Ok(Arrival { number, message: arrived.message, taken: Arc::clone(&self.taken) })
            }
            missed => {
                self.number += missed;
                self.behind_gap = Some(arrived);
                Err(ReceiveError::Missed(missed))
            }
        }
    }
}

impl fmt::Debug for ConversationReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConversationReceiver").finish_non_exhaustive()
    }
}

/// A conversation with one partner.
#[derive(Debug)]
pub struct Conversation {
    sender: ConversationSender,
    receiver: ConversationReceiver,
    next_message: MessageId,
}

impl Conversation {
    /// Queues a message. See [`ConversationSender::send`].
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(&self, message: impl Into<Vec<u8>>) -> Result<Delivery, SendError> {
        self.sender.send(message).await
    }

    /// The next message. See [`ConversationReceiver::receive`].
    ///
    /// # Errors
    /// See [`ReceiveError`].
    pub async fn receive(&mut self) -> Result<Vec<u8>, ReceiveError> {
        self.receiver.receive().await
    }

    /// The next message, kept until it is taken. See [`ConversationReceiver::arrival`].
    ///
    /// # Errors
    /// See [`ReceiveError`].
    pub async fn arrival(&mut self) -> Result<Arrival, ReceiveError> {
        self.receiver.arrival().await
    }

    /// Meets in every round for a start once more. See [`ConversationSender::meet_now`].
    pub async fn meet_now(&self) {
        self.sender.meet_now().await;
    }

    /// Tells the client whether its user has made sure who the partner is. See
    /// [`ConversationSender::set_verified`].
    pub async fn set_verified(&self, verified: bool) {
        self.sender.set_verified(verified).await;
    }

    /// The two halves, to be used from different tasks.
    pub fn split(self) -> (ConversationSender, ConversationReceiver) {
        (self.sender, self.receiver)
    }

    /// Asks the partner to end the conversation with us. See [`ConversationSender::close`].
    pub async fn close(&self) {
        self.sender.close().await;
    }

    /// The number by which [`Event`](crate::Event)s name this conversation.
    pub const fn id(&self) -> ConversationId {
        self.sender.id
    }

    /// The number that the first message sent through this value gets. If the conversation goes on from before a restart,
    /// all messages below it are under way or delivered, and whatever was sent after those is to be sent again: a message is
    /// kept for a restart from the next beat or round on.
    pub const fn next_message(&self) -> MessageId {
        self.next_message
    }

    pub(crate) fn new(
        sender: ConversationSender,
        receiver: ConversationReceiver,
        next_message: MessageId,
    ) -> Self {
        Self { sender, receiver, next_message }
    }
}
