//! The client, as applications hold it: it starts the driver's task and talks to it.

use std::fmt;
use std::time::Duration;

use antiphon_client_core::{OpenError, Opening, PostError, Posting, SleepError as SleepRefusal};
use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_wire::{Round, RoundKind};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::driver::{Command, Driver, Handles};
use crate::event::{Event, Events, Status};
use crate::state_file::{StartState, StateFile, StateOrigin};
use crate::traffic::Meter;
use crate::used_secrets::UsedSecrets;
use crate::{ClientConfig, ConnectError, Conversation, StateError, Traffic};

/// Commands waiting for the client's task.
const COMMANDS: usize = 64;
/// Events kept for an application that is slow to take them.
const EVENTS: usize = 1024;

/// The client is shut down, or its runtime is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client is shut down")]
pub struct ClientGone;

/// Reason why a conversation was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenConversationError {
    /// There is no room for it.
    #[error(transparent)]
    Refused(#[from] OpenError),
    /// Both ends have met with this secret before.
    #[error(
        "this secret has served a conversation before, and its numbers would be used twice: make a \
         new one and give it to both ends"
    )]
    UsedSecret,
    /// The client is shut down.
    #[error(transparent)]
    Gone(#[from] ClientGone),
}

/// Reason why nothing was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostingError {
    /// The round or the item does not fit.
    #[error(transparent)]
    Refused(#[from] PostError),
    /// The client is shut down.
    #[error(transparent)]
    Gone(#[from] ClientGone),
}

/// Reason why a client does not sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SleepError {
    /// It cannot, or does so already.
    #[error(transparent)]
    Refused(#[from] SleepRefusal),
    /// The client is shut down.
    #[error(transparent)]
    Gone(#[from] ClientGone),
}

/// A client that takes part in every round. Dropped without [`shut_down`](Self::shut_down) it stops
/// at once, and a round in flight may be charged.
pub struct Client {
    commands: mpsc::Sender<Command>,
    events: broadcast::WeakSender<Event>,
    status: watch::Receiver<Status>,
    meter: Meter,
    origin: StateOrigin,
    _task: Task,
}

/// Ends the client's task when it is dropped.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Client {
    /// Starts a client that looks for a gateway for as long as it runs, and returns at once.
    /// Conversations can be opened from the beginning. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the state file cannot be used. Nothing that happens in the network ends the client.
    pub fn start(config: ClientConfig) -> Result<Self, StateError> {
        Self::begin(config, None)
    }

    /// Asks the coordinator for the epoch document and links up with a gateway, trying again for
    /// as long as the configuration says. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(config: ClientConfig) -> Result<Self, ConnectError> {
        let (ready, connected) = oneshot::channel();
        let client = Self::begin(config, Some(ready))?;
        connected.await.map_err(|_| ConnectError::RuntimeGone)??;
        Ok(client)
    }

    fn begin(
        config: ClientConfig,
        ready: Option<oneshot::Sender<Result<(), ConnectError>>>,
    ) -> Result<Self, StateError> {
        let (state, start) = match &config.state {
            Some(file) => {
                let (witness, now) = (config.witness.clone(), SystemClock::now());
                let opened = StateFile::open(file, witness, &config.network, now, &mut entropy())?;
                let (state, start) = opened;
                let used = state.used_secrets()?;
                ((Some(state), used), start)
            }
            None => {
                tracing::warn!("no state file: a restart forgets what conversations have cost");
                ((None, UsedSecrets::in_memory()), StartState::FRESH)
            }
        };
        let origin = start.origin;
        if origin == StateOrigin::Restored {
            tracing::warn!(
                "the state file was copied, moved or restored from a backup, so that nobody knows what \
                 was charged since: the client takes part from the next epoch on, and its ledger \
                 counts as used up, so that conversations rest. No attack has been seen. Either go on \
                 with the newest state, in its place, or allow a number of units at a price"
            );
        }
        let (commands, inbound) = mpsc::channel(COMMANDS);
        let (events, _) = broadcast::channel(EVENTS);
        let weak_events = events.downgrade();
        let handles = Handles { commands: commands.downgrade(), inbound, events, ready };
        let (driver, status) = Driver::new(config, state, start, handles);
        let meter = driver.meter();
        let task = Task(tokio::spawn(driver.run()));
        Ok(Self { commands, events: weak_events, status, meter, origin, _task: task })
    }

    /// Opens a conversation. It takes part from the next round on. Both ends agree on all options but
    /// the role. A secret serves one conversation only.
    ///
    /// With a state file, conversations go on when the client starts again, and take part at once. Opened with the same
    /// secret, such a one is the application's again: see [`Conversation::next_message`] for what to send anew. One
    /// that is not wanted any more has to be opened and closed.
    ///
    /// # Errors
    /// If there is no room for it, its secret was used before, or the client is gone.
    pub async fn open(&self, options: Opening) -> Result<Conversation, OpenConversationError> {
        let (answer, opened) = oneshot::channel();
        let command = Command::Open { options, answer };
        self.commands.send(command).await.map_err(|_| ClientGone)?;
        opened.await.map_err(|_| ClientGone)?
    }

    /// Events from here on.
    pub fn events(&self) -> Events {
        let receiver = match self.events.upgrade() {
            Some(events) => events.subscribe(),
            None => broadcast::channel(1).1,
        };
        Events(receiver)
    }

    /// State that the client started from. Tell its user of a restored one.
    pub fn origin(&self) -> StateOrigin {
        self.origin
    }

    /// Status of the client at the moment.
    pub fn status(&self) -> Status {
        *self.status.borrow()
    }

    /// Bytes that the client's links have carried since it started.
    pub fn traffic(&self) -> Traffic {
        self.meter.read()
    }

    /// Allows `units` disturbed rounds beyond what the network's guarantee covers, so that resting
    /// conversations meet again. A decision for a person: each unit is charged at the price that the
    /// product states.
    ///
    /// # Errors
    /// If the client is gone.
    pub async fn continue_at_a_price(&self, units: u32) -> Result<(), ClientGone> {
        self.commands.send(Command::Continue { units }).await.map_err(|_| ClientGone)
    }

    /// Allows `rounds` aborted rounds beyond those that the network's guarantee allows for. A decision
    /// for a person, as [`continue_at_a_price`](Self::continue_at_a_price) is.
    ///
    /// # Errors
    /// If the client is gone.
    pub async fn continue_after_aborts(&self, rounds: u32) -> Result<(), ClientGone> {
        self.commands.send(Command::ContinueAfterAborts { rounds }).await.map_err(|_| ClientGone)
    }

    /// Deposits an item in the next round of this kind that has none yet, in the place of a dummy: what leaves, and when, is
    /// the same with or without. `make` is told the round and makes the item for it. Returns the round.
    /// [`CoreEvent::Posted`](crate::CoreEvent::Posted) says whether it arrived, [`CoreEvent::Box`](crate::CoreEvent::Box)
    /// brings every box, and neither shows to anybody else.
    ///
    /// # Errors
    /// If the network has no such rounds, too many items wait, `make` makes nothing, or the client is gone.
    pub async fn post(
        &self,
        kind: RoundKind,
        make: impl FnOnce(Round) -> Option<Posting> + Send + 'static,
    ) -> Result<Round, PostingError> {
        let (answer, posted) = oneshot::channel();
        let command = Command::Post { kind, make: Box::new(make), answer };
        self.commands.send(command).await.map_err(|_| ClientGone)?;
        Ok(posted.await.map_err(|_| ClientGone)??)
    }

    /// Asks the gateway for boxes of rounds after `after`, which it keeps: a few for each round that opens. They come as
    /// [`CoreEvent::Box`](crate::CoreEvent::Box), as long as the documents of their epochs are known.
    ///
    /// Everybody sees on the link that it asks: do it because the client was away, and for as long, and never because of
    /// who is expected to call, of what a box held, or of what a conversation does.
    ///
    /// # Errors
    /// If the client is gone.
    pub async fn ask_boxes(&self, after: Round) -> Result<(), ClientGone> {
        self.commands.send(Command::AskBoxes { after }).await.map_err(|_| ClientGone)
    }

    /// Sleeps for `time`, about: leaves the rounds that open meanwhile to the gateway, which hands in onions and cells that
    /// are made now, and keeps what comes back. The client goes on until the beats of the first of these rounds begin, which can
    /// take as long as a round's interval. Then its link goes, and [`CoreEvent::Asleep`](crate::CoreEvent::Asleep) says
    /// until when: the program may stand still that long. At that time it links again and fetches what came.
    ///
    /// It sleeps for whole rounds, for twelve and to the last but one of its epoch at most. Messages that are sent meanwhile wait
    /// until it is back; those queued before travel. For that time partners get through no more than can be under way
    /// without an acknowledgement: some seven kilobytes.
    ///
    /// Everybody sees that it sleeps: do it when a person says so or at a fixed time, and never because of what a conversation
    /// does.
    ///
    /// # Errors
    /// If the network has no beats, no round has opened yet, it sleeps already, or the client is gone.
    pub async fn sleep(&self, time: Duration) -> Result<(), SleepError> {
        let (answer, sleeps) = oneshot::channel();
        let command = Command::Sleep { time, answer };
        self.commands.send(command).await.map_err(|_| ClientGone)?;
        Ok(sleeps.await.map_err(|_| ClientGone)??)
    }

    /// Links again before the time, and fetches what has come: because a person says so. The rounds that were left stay left, so
    /// that nothing new is sent before the time.
    ///
    /// # Errors
    /// If the client is gone.
    pub async fn wake_up(&self) -> Result<(), ClientGone> {
        self.commands.send(Command::WakeUp).await.map_err(|_| ClientGone)
    }

    /// Leaves the network, which everybody sees: do it when a person says so, or at a time that was
    /// fixed beforehand, and never because of what a conversation does or how rounds end.
    ///
    /// Takes part in no further round, waits for the outcome of those in flight, at most until their
    /// deadline, and closes the link.
    pub async fn shut_down(&self) {
        self.stop().await;
        // Its end of the channel goes with the task.
        self.commands.closed().await;
    }

    /// Takes part in no further round from when this returns, and closes no conversation that is dropped after that: they
    /// go on when the client starts again. For an application whose parts hold conversations, and let go of them
    /// before [`shut_down`](Self::shut_down), which waits for the rounds in flight.
    pub async fn stop(&self) {
        let (noted, stops) = oneshot::channel();
        // Both fail only if the client is gone.
        if self.commands.send(Command::ShutDown { noted }).await.is_ok() {
            let _ = stops.await;
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
