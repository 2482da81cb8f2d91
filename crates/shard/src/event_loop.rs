//! The one task that owns the machine.

mod closing;
mod gauges;
mod output;
mod readiness;
mod requests;
mod rosters;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use antiphon_mix::{ClientId, Input, Shard, SignerState, WorkDone};
use antiphon_process::clock::SystemClock;
use antiphon_process::grace::HAND_OVER;
use antiphon_process::kept_file::KeptFile;
use antiphon_process::readiness::Readiness;
use antiphon_process::requests::Requests;
use antiphon_transport::PeerDialer;
use antiphon_wire::{IdentityKey, OperatorList, Round, Signed, ToClient, ToShard};
use bytes::Bytes;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::clients::{ClientEvent, ClientLink};
use crate::coordinator::{self, CoordinatorEvent};
use crate::doors::Doors;
use crate::notice::Told;
use crate::outbound::Outbound;
use crate::peers::PeerLinks;
use crate::phase::Phase;
use crate::send_times::SendTimes;
use crate::server::endpoints::Served;
use crate::status::Drain;
use crate::through::Through;
use crate::traces::Traces;
use crate::workers::Workers;
use crate::{ShardNotice, StateFileError};
use readiness::Part;
use rosters::Rosters;

/// Results of jobs and inputs from peers that are handled in a row, at most.
const AT_A_TIME: usize = 64;

/// Reason why a running shard failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// State that must not be forgotten could not be made durable. Nothing was signed since.
    #[error(transparent)]
    State(#[from] StateFileError),
    /// A task panicked: a bug.
    #[error("the shard ended unexpectedly: this is a bug, and its log says where")]
    Panicked,
}

/// Receivers of every event that the loop handles.
pub(crate) struct Sources {
    pub(crate) results: mpsc::UnboundedReceiver<WorkDone>,
    pub(crate) coordinators: mpsc::Receiver<coordinator::Event>,
    pub(crate) served: Served,
    pub(crate) phase: watch::Receiver<Phase>,
    /// New lists of the operator.
    pub(crate) lists: watch::Receiver<Option<Signed<OperatorList>>>,
    /// What those who look after the shard ask.
    pub(crate) requests: Requests,
    pub(crate) coordinator_tasks: Vec<AbortOnDrop>,
}

/// A task that ends with whoever holds this.
pub(crate) struct AbortOnDrop(pub(crate) JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Means by which the loop carries outputs out.
pub(crate) struct Hands {
    pub(crate) state_file: Option<Arc<KeptFile>>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) workers: Arc<Workers>,
    pub(crate) results: mpsc::UnboundedSender<WorkDone>,
    pub(crate) dialer: Arc<PeerDialer>,
    pub(crate) links: Arc<PeerLinks>,
    pub(crate) doors: Doors,
    pub(crate) notices: broadcast::Sender<ShardNotice>,
}

/// The machine and everything it acts on. Its inputs and outputs pass through a `T`.
pub(crate) struct EventLoop<T> {
    machine: Shard,
    through: T,
    hands: Hands,
    /// Highest round served so far.
    served: Round,
    rosters: Rosters,
    outbound: BTreeMap<IdentityKey, Outbound>,
    /// Queues of the coordinators that are linked.
    coordinators: HashMap<IdentityKey, mpsc::Sender<Bytes>>,
    clients: HashMap<ClientId, ClientLink>,
    /// Clients found gone while outputs were carried out: the machine is told afterwards.
    gone: Vec<ClientId>,
    /// The last message encoded for clients, since many get the same.
    encoded: Option<(Arc<ToClient>, Bytes)>,
    send_times: SendTimes,
    traces: Traces,
    /// Whether it is to leave and stay up.
    drain: Drain,
    /// Time until which a shard that leaves to stop goes on as before.
    leaving_until: Option<Instant>,
    stopping: bool,
    /// Moment that traces are measured from.
    started: Instant,
    part: Part,
    told: Told,
}

impl<T: Through> EventLoop<T> {
    pub(crate) fn new(
        machine: Shard,
        through: T,
        state: SignerState,
        hands: Hands,
        readiness: watch::Sender<Readiness>,
    ) -> Self {
        Self {
            machine,
            through,
            hands,
            served: state.served_round,
            rosters: Rosters::default(),
            outbound: BTreeMap::new(),
            coordinators: HashMap::new(),
            clients: HashMap::new(),
            gone: Vec::new(),
            encoded: None,
            send_times: SendTimes::default(),
            traces: Traces::default(),
            drain: Drain::No,
            leaving_until: None,
            stopping: false,
            started: Instant::now(),
            part: Part::new(readiness),
            told: Told::default(),
        }
    }

    /// Runs until told to stop, or until state that must be durable cannot be made so.
    pub(crate) async fn run(
        mut self,
        mut sources: Sources,
        phase: watch::Sender<Phase>,
    ) -> Result<(), RunError> {
        let result = self.take_part(&mut sources).await;
        if let Err(error) = &result {
            tracing::error!(%error, "the shard stops");
        }
        self.leave(sources, &phase).await;
        result
    }

    async fn take_part(&mut self, sources: &mut Sources) -> Result<(), RunError> {
        let mut give_up = Instant::now();
        while self.goes_on(give_up) {
            if !self.stopping && self.has_left() {
                self.stopping = true;
                give_up = Instant::now() + self.rosters.longest_round();
                continue;
            }
            let leave_by = self.leaving_until.unwrap_or(give_up);
            let wait = self.until_deadline();
            let input = tokio::select! {
                // The task that serves an endpoint ends after this one: `None` never comes.
                Some(done) = sources.results.recv() => Some(Input::WorkDone(done)),
                Some((from, event)) = sources.coordinators.recv() => self.coordinator_event(from, event),
                Some(input) = sources.served.peer_messages.recv() => self.peer_input(input),
                Some(input) = sources.served.peer_chunks.recv() => self.peer_input(input),
                Some(event) = sources.served.clients.recv() => self.client_event(event),
                Ok(()) = sources.lists.changed() => {
                    sources.lists.borrow_and_update().clone().map(Input::List)
                }
                request = sources.requests.next() => {
                    self.answer(request).await?;
                    None
                }
                () = sleep(wait) => Some(Input::Tick),
                () = sleep_until(self.lingers_by().unwrap_or(give_up)), if self.stopping => None,
                () = sleep_until(leave_by), if self.leaving_until.is_some() && !self.stopping => None,
                _ = sources.phase.changed(), if self.leaving_until.is_none() => {
                    self.leaving_until = Some(Instant::now() + HAND_OVER);
                    Some(Input::Leave)
                }
            };
            if let Some(input) = input {
                self.handle(input).await?;
            }
            // Results and peers' inputs come in crowds, and `select!` looks at every source for each.
            self.catch_up(sources).await?;
            self.follow_drain().await?;
            self.tell_part();
        }
        Ok(())
    }

    /// Returns `true` if a shard that leaves is needed no more, or has waited long enough.
    fn has_left(&self) -> bool {
        self.leaving_until.is_some_and(|until| {
            self.coordinators.is_empty()
                || self.machine.departure().may_stop()
                || Instant::now() >= until
        })
    }

    /// Returns `true` while there is anything to do: a round, or beats of one, until `give_up`.
    fn goes_on(&self, give_up: Instant) -> bool {
        let is_busy = || self.machine.is_busy() && Instant::now() < give_up;
        !self.stopping || self.lingers_by().is_some() || is_busy()
    }

    /// Moment until which a shard that was let go keeps its links to clients, which may have no other gateway yet: no
    /// later than it waits for a hand-over. `None` if it is over, or there are none.
    fn lingers_by(&self) -> Option<Instant> {
        let until = self.machine.lingers_until().filter(|_| !self.clients.is_empty())?;
        let by = Instant::now() + Duration::from_millis(until.ms_since(SystemClock::now()));
        let by = self.leaving_until.map_or(by, |leave_by| by.min(leave_by));
        (Instant::now() < by).then_some(by)
    }

    /// Handles inputs of which many may wait, without asking after the rest in between.
    async fn catch_up(&mut self, sources: &mut Sources) -> Result<(), RunError> {
        for _ in 0..AT_A_TIME {
            let input = match sources.results.try_recv() {
                Ok(done) => Some(Input::WorkDone(done)),
                Err(_) => {
                    let message = sources.served.peer_messages.try_recv();
                    match message.or_else(|_| sources.served.peer_chunks.try_recv()) {
                        Ok(input) => self.peer_input(input),
                        Err(_) => return Ok(()),
                    }
                }
            };
            if let Some(input) = input {
                self.handle(input).await?;
            }
        }
        Ok(())
    }

    /// Lets the machine handle `input` and carries out all of its outputs.
    async fn handle(&mut self, input: Input) -> Result<(), RunError> {
        self.tell_machine(input);
        // Whoever is found gone meanwhile is an input of its own, until nobody is.
        loop {
            while let Some(output) = self.machine.poll() {
                if let Some(output) = self.through.output(output) {
                    self.carry_out(output).await?;
                }
            }
            let Some(client) = self.gone.pop() else { return Ok(()) };
            self.tell_machine(Input::ClientLeft(client));
        }
    }

    fn tell_machine(&mut self, input: Input) {
        if let Some(input) = self.through.input(input) {
            self.machine.handle_at(SystemClock::now(), self.started.elapsed(), input);
        }
    }

    /// Time until the machine wants to be told the time. Never zero: a deadline that has passed while the
    /// machine waits for a thread to finish peeling stays where it is.
    fn until_deadline(&self) -> Duration {
        let wait = self.machine.next_deadline().map(|at| at.ms_since(SystemClock::now()));
        // Without a deadline, something else comes first.
        Duration::from_millis(wait.unwrap_or(60_000).clamp(1, 60_000))
    }

    fn coordinator_event(&mut self, from: IdentityKey, event: CoordinatorEvent) -> Option<Input> {
        match event {
            CoordinatorEvent::Reached(peers, clients) => Some(Input::Addresses { peers, clients }),
            CoordinatorEvent::Linked(queue) => {
                self.coordinators.insert(from, queue);
                self.part.unlinked = None;
                self.notify(ShardNotice::CoordinatorLinked);
                Some(Input::CoordinatorLinked(from))
            }
            CoordinatorEvent::Lost(why) => {
                self.coordinators.remove(&from);
                if self.coordinators.is_empty() {
                    self.part.unlinked = Some(why.clone());
                }
                self.notify(ShardNotice::CoordinatorLost { why });
                Some(Input::CoordinatorLost(from))
            }
            // A shard that stops begins nothing new.
            CoordinatorEvent::Said(message) if self.stopping => {
                let goes_on = matches!(*message, ToShard::Reject { .. });
                goes_on.then_some(Input::Coordinator { from, message: *message })
            }
            CoordinatorEvent::Said(message) => {
                if !matches!(*message, ToShard::Reject { .. }) {
                    self.part.rejected = None;
                }
                Some(Input::Coordinator { from, message: *message })
            }
        }
    }

    fn peer_input(&self, input: Input) -> Option<Input> {
        // Peers' messages start rounds too.
        let new = self.stopping
            && matches!(&input, Input::Peer { message, .. }
                if message.round().is_some_and(|(_, round)| round > self.served));
        (!new).then_some(input)
    }

    fn client_event(&mut self, event: ClientEvent) -> Option<Input> {
        match event {
            ClientEvent::Joined(..) if self.stopping => None,
            ClientEvent::Joined(id, link) => {
                self.clients.insert(id, link);
                Some(Input::ClientJoined(id))
            }
            // The machine ignores what clients say whom it has dropped.
            ClientEvent::Said(from, message) => Some(Input::Client { from, message }),
            ClientEvent::Left(id) => self.clients.remove(&id).map(|_| Input::ClientLeft(id)),
        }
    }
}
