//! The task that owns the client's state machine: it hands events to the machine and carries out its outputs.

mod conversations;
mod departures;
mod gateways;
mod line;
mod sleep;
mod turn;

use std::collections::BTreeMap;
use std::io;
use std::mem::Discriminant;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use antiphon_client_core::{
    Checkpoint, Client as Core, ClientConfig as CoreConfig, ConversationId, DocumentRefusal,
    EntropySource, GatewayPolicy, Input, Output, RoundRefusal,
};
use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::{SystemRng, entropy};
use antiphon_process::until;
use antiphon_wire::{
    Blob, Encode as _, Epoch, FromClient, IdentityKey, Round, RoundKind, Timestamp, ToClient,
};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::event::{Event, Status};
use crate::pace::Pace;
use crate::state_file::{StartState, StateFile};
use crate::traffic::Meter;
use crate::used_secrets::UsedSecrets;
use crate::{ClientConfig, ConnectError, Gateway};
pub(crate) use conversations::{Command, Outgoing};
use departures::{Departure, Departures};
use line::Line;
use turn::{Before, Next};

/// Ends of the channels between the task and the application.
pub(crate) struct Handles {
    pub(crate) commands: mpsc::WeakSender<Command>,
    pub(crate) inbound: mpsc::Receiver<Command>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) ready: Option<oneshot::Sender<Result<(), ConnectError>>>,
}

pub(crate) struct Driver {
    config: ClientConfig,
    /// Shared with the thread that verifies a document, while it does.
    core: Arc<Mutex<Core>>,
    rng: SystemRng,
    state: Option<Arc<StateFile>>,
    commands: mpsc::WeakSender<Command>,
    inbound: mpsc::Receiver<Command>,
    events: broadcast::Sender<Event>,
    status: watch::Sender<Status>,
    used_secrets: UsedSecrets,
    conversations: BTreeMap<ConversationId, conversations::Open>,
    line: Line,
    /// The gateway that the line led to last.
    gateway: Option<IdentityKey>,
    /// Rounds up to this one were handed in elsewhere: the line's gateway has no say in them.
    since: Option<Round>,
    /// The line to a newer epoch's gateway, until it is turned to.
    next: Option<Next>,
    /// The line to the gateway before, until its rounds are over.
    before: Option<Before>,
    /// Time to turn to the gateway of the epoch that is due.
    turn_at: Option<Instant>,
    /// Time to stop handing in at the gateway before, come what may.
    turn_by: Option<Instant>,
    gateways: GatewayPolicy,
    departures: Departures,
    /// The round whose checkpoint could not be written.
    unsaved: Option<Round>,
    /// The link is gone until then, as the client sleeps.
    asleep_until: Option<Timestamp>,
    /// `true` once no further round is taken part in.
    stopping: bool,
    /// `true` once connecting has failed for good.
    over: bool,

    /// Until there is a gateway: the application that waits, the end of its patience, and the last failure.
    ready: Option<oneshot::Sender<Result<(), ConnectError>>>,
    connect_by: Instant,
    last_failure: String,
    /// Failures since the last round opened.
    failures: u32,
    /// `true` if the coordinator is to be asked for documents before the next gateway.
    ask: bool,
    /// Times that a coordinator was dialled: each time the next one.
    turns: usize,
    /// Refusal of rounds that the log has told of.
    told_refusal: Option<(Epoch, Discriminant<RoundRefusal>)>,
}

impl Driver {
    /// A driver that has just begun, and its status. Long, as it is one list of all that there is.
    pub(crate) fn new(
        config: ClientConfig,
        (state, used_secrets): (Option<StateFile>, UsedSecrets),
        start: StartState,
        handles: Handles,
    ) -> (Self, watch::Receiver<Status>) {
        let kept = start.checkpoint.filter(|kept| kept.gateway != NOBODY);
        let core = begin(core_config(&config, state.is_some()), start);
        let (status, shown) = watch::channel(status_of(&core, None));
        let driver = Self {
            connect_by: Instant::now() + config.connect_within,
            gateways: policy_of(config.gateway, kept),
            config,
            core: Arc::new(Mutex::new(core)),
            rng: entropy(),
            state: state.map(Arc::new),
            commands: handles.commands,
            inbound: handles.inbound,
            events: handles.events,
            status,
            used_secrets,
            conversations: BTreeMap::new(),
            line: Line::new(),
            gateway: kept.map(|kept| kept.gateway),
            since: None,
            next: None,
            before: None,
            turn_at: None,
            turn_by: None,
            departures: Departures::default(),
            unsaved: None,
            asleep_until: None,
            stopping: false,
            over: false,
            ready: handles.ready,
            last_failure: "none came to an end".to_owned(),
            failures: 0,
            ask: true,
            turns: 0,
            told_refusal: None,
        };
        (driver, shown)
    }

    /// Counter of what the client's links carry.
    pub(crate) fn meter(&self) -> Meter {
        self.line.meter().clone()
    }

    /// Runs until told to stop, or until connecting takes too long.
    pub(crate) async fn run(mut self) {
        loop {
            let due = self.core().next_deadline();
            let tick = due.map(|due| Duration::from_millis(due.ms_since(SystemClock::now())));
            if self.stopping && self.core().oldest_in_flight().is_none() {
                break;
            }
            self.let_go();
            self.leave_if_at_fault().await;
            let departure = self.departures.next();
            let turns = self.turns_between_rounds();
            let connecting = self.ready.is_some().then_some(self.connect_by);
            let quiet = self.quiet_at();
            tokio::select! {
                event = self.line.next() => self.line_event(event).await,
                event = Next::event_of(self.next.as_mut()) => self.next_event(event).await,
                event = Line::next_of(self.before.as_mut().map(|before| &mut before.line)) => {
                    self.before_event(event).await;
                }
                () = until(self.turn_at) => self.turn(),
                () = until(self.turn_by) => self.turn_away().await,
                () = until(turns) => self.turned().await,
                Some(command) = self.inbound.recv() => self.command(command).await,
                () = until(departure) => self.depart(),
                () = sleep(tick.unwrap_or_default()), if tick.is_some() => {
                    self.handle(Input::Tick).await;
                }
                () = until(quiet) => {}
                () = until(connecting) => {
                    let last = std::mem::take(&mut self.last_failure);
                    let within = self.config.connect_within;
                    self.give_up(ConnectError::TimedOut { within, last });
                }
            }
            if self.over {
                return;
            }
            self.show_status();
        }
        self.save_outcome().await;
        self.line.finish().await;
    }

    /// Time at which the gateway in use is left if it opens no round before.
    fn quiet_at(&self) -> Option<Instant> {
        let watched = self.line.gateway().is_some() && !self.stopping;
        let at = self.gateways.quiet_at().filter(|_| watched)?;
        Some(Moment::now().instant_of(at))
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        // Only a panic poisons it, and that ends the task.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn emit(&self, event: Event) {
        // Fails only if nobody listens.
        let _ = self.events.send(event);
    }

    fn give_up(&mut self, error: ConnectError) {
        self.over = true;
        if let Some(ready) = self.ready.take() {
            // Fails only if nobody waits any more.
            let _ = ready.send(Err(error));
        }
    }

    /// Hands an event to the state machine and carries out its outputs. Returns the reason if a document was
    /// refused.
    async fn handle(&mut self, input: Input) -> Option<DocumentRefusal> {
        let arrived = Moment::now();
        let now = arrived.time;
        if matches!(&input, Input::Message(message) if matches!(**message, ToClient::Document { .. }))
        {
            // Checking it can take long for a large network.
            let core = Arc::clone(&self.core);
            let checked = spawn_blocking(move || {
                core.lock().unwrap_or_else(PoisonError::into_inner).handle(now, input);
            });
            if let Err(error) = checked.await
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        } else {
            self.core().handle(now, input);
        }
        self.drain(arrived).await
    }

    /// Carries out all outputs of the state machine after an event that came at `arrived`. Long, as it is one table of
    /// outputs.
    async fn drain(&mut self, arrived: Moment) -> Option<DocumentRefusal> {
        let mut refusal = None;
        loop {
            let output = self.core().poll();
            match output {
                None => return refusal,
                Some(Output::Persist(checkpoint)) => self.persist(checkpoint).await,
                // Its checkpoint is not on disk: after a crash the round could be used twice.
                Some(Output::Submit { round, .. }) if self.unsaved == Some(round) => {}
                Some(Output::Submit { at, epoch, round, ticket, onions }) => {
                    let onions = Blob(onions);
                    let frame = FromClient::Submit { epoch, round, ticket, onions }.to_bytes();
                    let departure = Departure::Onions(frame.into());
                    self.departures.add(arrived.instant_of(at), departure);
                }
                // Their beat is not reserved on disk: after a crash it could be used twice.
                Some(Output::Cells { .. }) if self.unsaved.is_some() => {}
                Some(Output::Cells { at, epoch, round, beat, cells }) => {
                    let cells = Blob(cells);
                    let frame = FromClient::Cells { epoch, round, beat, cells }.to_bytes();
                    let departure = Departure::Cells(round, frame.into());
                    self.departures.add(arrived.instant_of(at), departure);
                }
                // What it may cost is not on disk.
                Some(Output::Leave { .. }) if self.unsaved.is_some() => {}
                Some(Output::Leave { at, epoch, round, ticket, onions, cells }) => {
                    let (onions, cells) = (Blob(onions), Blob(cells));
                    let leave = FromClient::Leave { epoch, round, ticket, onions, cells };
                    let departure = Departure::Onions(leave.to_bytes().into());
                    self.departures.add(arrived.instant_of(at), departure);
                }
                Some(Output::Resume { epoch, round, ticket }) => {
                    if Some(round) > self.since {
                        let frame = FromClient::Resume { epoch, round, ticket }.to_bytes();
                        self.line.send(frame.into());
                    }
                }
                Some(Output::AskBoxes { after }) => {
                    self.line.send(FromClient::AskBoxes { after }.to_bytes().into());
                }
                Some(Output::Event(event)) => {
                    if let antiphon_client_core::Event::DocumentRefused { error } = &event {
                        refusal = Some(error.clone());
                    }
                    self.core_event(event);
                }
            }
        }
    }

    async fn persist(&mut self, checkpoint: Checkpoint) {
        let round = checkpoint.mark.round;
        self.unsaved = None;
        if let Err(error) = self.write(checkpoint).await {
            tracing::error!(%error, "cannot write the state file: nothing is submitted");
            self.unsaved = Some(round);
            self.emit(Event::StateNotWritten { round, reason: error.to_string() });
        }
    }

    async fn write(&mut self, checkpoint: Checkpoint) -> io::Result<()> {
        let checkpoint = Checkpoint { gateway: self.gateway.unwrap_or(NOBODY), ..checkpoint };
        let Some(state) = self.state.clone() else { return Ok(()) };
        self.note_taken();
        let kept = self.core().kept();
        let write = move || state.write(&checkpoint, &kept, &mut entropy());
        spawn_blocking(write).await.map_err(io::Error::other)?
    }

    /// Writes the checkpoint once no round is in flight. The ledger holds no reserve then, and a restart need
    /// not pay for it.
    async fn save_outcome(&mut self) {
        let checkpoint = self.core().checkpoint();
        let Some(checkpoint) = checkpoint else { return };
        if let Err(error) = self.write(checkpoint).await {
            tracing::warn!(%error, "cannot write the state file: the last round counts as charged");
        }
    }

    /// Sends what leaves next.
    fn depart(&mut self) {
        match self.departures.pop() {
            // The gateway of before has the circuits of the rounds that it was given.
            Some(Departure::Cells(round, frame)) if Some(round) <= self.since => {
                if let Some(before) = &mut self.before {
                    before.line.send(frame);
                }
            }
            Some(Departure::Cells(_, frame) | Departure::Onions(frame)) => self.line.send(frame),
            None => {}
        }
    }

    fn show_status(&self) {
        let status = status_of(&self.core(), self.line.gateway());
        self.status.send_if_modified(|shown| std::mem::replace(shown, status) != status);
    }
}

/// What a checkpoint has in place of a gateway.
const NOBODY: IdentityKey = IdentityKey([0; 32]);

fn policy_of(gateway: Gateway, kept: Option<Checkpoint>) -> GatewayPolicy {
    match gateway {
        Gateway::Auto => kept.map_or_else(GatewayPolicy::default, |kept| {
            GatewayPolicy::resumed(kept.mark.epoch, kept.gateway)
        }),
        Gateway::Shard(pinned) => GatewayPolicy::pinned(pinned),
    }
}

/// The state machine, with whatever goes on from before a restart.
fn begin(config: CoreConfig, start: StartState) -> Core {
    let mut core = Core::new(config, start.checkpoint, EntropySource::new(entropy()));
    // A state file that was never written with any has nothing.
    if let Some(kept) = start.kept.filter(|kept| !kept.is_empty())
        && let Err(error) = core.resume(&kept)
    {
        tracing::error!(%error, "conversations of before the restart are lost");
    }
    core
}

fn core_config(config: &ClientConfig, keeps: bool) -> CoreConfig {
    CoreConfig {
        kept_bytes: if keeps { config.inbox_bytes as usize } else { 0 },
        network: config.network.clone(),
        queue_bytes: config.queue_bytes as usize,
        message_bytes: config.longest_message() as usize,
    }
}

fn status_of(core: &Core, gateway: Option<IdentityKey>) -> Status {
    Status {
        ledger: *core.ledger(),
        budget: core.budget(),
        attempts: core.attempts(),
        pace: core.newest_epoch().map(|epoch| Pace::of(epoch)),
        epoch: core.newest_epoch().map(|epoch| epoch.epoch()),
        last_round: core.last_round(),
        gateway,
        clock_ahead_ms: core.clock_ahead_ms(),
        next_call: core.next_round(RoundKind::Calls),
    }
}

/// A moment by both clocks: that of the state machine, and the runtime's.
#[derive(Clone, Copy)]
struct Moment {
    time: Timestamp,
    instant: Instant,
}

impl Moment {
    fn now() -> Self {
        Self { time: SystemClock::now(), instant: Instant::now() }
    }

    /// The runtime's moment at which it is `time`. Nothing that was done since this moment enters it.
    fn instant_of(self, time: Timestamp) -> Instant {
        self.instant + Duration::from_millis(time.ms_since(self.time))
    }
}
