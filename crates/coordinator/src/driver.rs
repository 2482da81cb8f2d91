//! Feeds the decisions with what links bring and the clock, and does what they say, in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use antiphon_coordinator_core::{Input, Notice, Output, Replica, State, Status, WorkDone};
use antiphon_process::clock::SystemClock;
use antiphon_process::readiness::Readiness;
use antiphon_process::requests::{Answer, Requests, Wanted};
use antiphon_process::until;
use antiphon_process::verdict::Verdict;
use antiphon_wire::{Encode, Epoch, IdentityKey, SignedDocument, ToClient, ToCoordinator, ToShard};
use bytes::Bytes;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};

use crate::advice;
use crate::links::{Heed, Links, ShardLink};
use crate::metrics::{self, Doors};
use crate::store::Store;
use crate::{ServerError, StoreError, traces};

/// Pause before another try to keep the state.
const RETRY: Duration = Duration::from_secs(1);
/// Of failures in a row, how many go by for each that is told.
const SAID_EVERY: u32 = 30;

/// An event on a shard's link. `link` tells a shard's links apart, newer ones being higher.
#[expect(clippy::large_enum_variant, reason = "nearly all of them are messages")]
pub(crate) enum LinkEvent {
    /// It is up; frames for the shard go to `frames`, and dropping that closes the link.
    Up { identity: IdentityKey, link: u64, address: SocketAddr, frames: mpsc::Sender<Bytes> },
    /// A message came.
    Message { identity: IdentityKey, link: u64, message: ToCoordinator },
    /// It is gone.
    Down { identity: IdentityKey, link: u64 },
}

/// The documents that a new client needs, by rising epoch, as frames.
pub(crate) type Documents = Vec<(Epoch, Bytes)>;

/// Those who are told how the coordinator stands.
pub(crate) struct Telling {
    pub(crate) notices: broadcast::Sender<Notice>,
    pub(crate) readiness: watch::Sender<Readiness>,
}

impl Telling {
    fn notice(&self, notice: Notice) {
        if notice.is_error() {
            tracing::error!("{notice}");
        } else if notice.is_warning() {
            tracing::warn!("{notice}");
        } else {
            tracing::info!("{notice}");
        }
        metrics::record(&notice);
        traces::note(&notice);
        match &notice {
            Notice::EpochPublished { epoch, .. } => {
                self.ready(format!("epoch {epoch} is published"));
            }
            Notice::EpochBroken { epoch, .. } => {
                self.ready(format!("epoch {epoch} is broken, and the next is planned"));
            }
            Notice::Elected { term, .. } => self.ready(format!("it leads in term {term}")),
            Notice::Deposed { .. } => self.ready("it stands by: another may lead".to_owned()),
            Notice::WaitingForQuorum(_) => self.ready("waiting for a quorum of shards".to_owned()),
            _ => {}
        }
        // Fails only when nobody watches.
        let _ = self.notices.send(notice);
    }

    fn ready(&self, what: String) {
        self.readiness.send_replace(Readiness::Ready(what));
    }

    fn not_ready(&self, why: String) {
        self.readiness.send_replace(Readiness::NotReady(why));
    }
}

/// The answer to whoever asks how the coordinator stands.
#[derive(Serialize)]
struct Page {
    version: &'static str,
    verdict: Verdict,
    #[serde(flatten)]
    status: Status,
}

/// The reason for which one of several coordinators is not ready.
pub(crate) const CANNOT_LEAD: &str = "too few shards are linked for it to be elected";

pub(crate) struct Driver {
    coordinator: Replica,
    store: Store,
    links: Links,
    documents: watch::Sender<Documents>,
    doors: Doors,
    tell: Telling,
    /// Time at which the last round was opened, or the process began.
    opened: Instant,
    /// The message encoded last: most go to many shards in a row.
    encoded: Option<(Arc<ToShard>, Bytes)>,
    /// The work that is computed meanwhile, on a thread of its own.
    work: Option<JoinHandle<WorkDone>>,
    /// Told `true` to give up what does not succeed.
    stop: watch::Receiver<bool>,
    /// The last word on whether shards could elect it.
    could_lead: bool,
}

impl Driver {
    pub(crate) fn new(
        coordinator: Replica,
        store: Store,
        documents: watch::Sender<Documents>,
        doors: Doors,
        tell: Telling,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let (links, could_lead) = (Links::default(), coordinator.could_lead());
        Self {
            coordinator,
            store,
            links,
            documents,
            doors,
            tell,
            opened: Instant::now(),
            encoded: None,
            work: None,
            stop,
            could_lead,
        }
    }

    /// Runs until told to stop and no round is open any more, or the state cannot be kept.
    ///
    /// Long, as it is one loop over everything that can happen: each event is a line, and the loop decides
    /// nothing.
    pub(crate) async fn run(
        self,
        mut events: mpsc::Receiver<LinkEvent>,
        mut requests: Requests,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), ServerError> {
        let mut driver = on_thread(self, Self::carry_out).await?;
        let mut stopping = false;
        loop {
            if stopping && driver.coordinator.open_rounds().next().is_none() {
                return Ok(());
            }
            let wait = driver.coordinator.next_deadline().map_or(Duration::from_secs(3600), |at| {
                Duration::from_millis(at.ms_since(SystemClock::now()))
            });
            let answers = driver.links.next_deadline();
            driver = tokio::select! {
                event = events.recv() => match event {
                    Some(event) => on_thread(driver, |driver| driver.take(event)).await?,
                    None => return Ok(()),
                },
                done = finished(&mut driver.work) => {
                    let done = done.map_err(|_| ServerError::Ended)?;
                    driver.work = None;
                    on_thread(driver, |driver| driver.handle(Input::WorkDone(done))).await?
                }
                request = requests.next() => on_thread(driver, |driver| {
                    let answer = driver.answer(request.wanted);
                    request.answer(answer);
                    Ok(())
                }).await?,
                () = until(answers) => on_thread(driver, Self::give_up_mute).await?,
                () = sleep(wait) => {
                    on_thread(driver, |driver| driver.handle(Input::Tick)).await?
                }
                changed = stop.changed(), if !stopping => {
                    // A server that is gone without a word stops this task anyway.
                    stopping = changed.is_err() || *stop.borrow();
                    driver.tell.not_ready("it stops after the running round".to_owned());
                    on_thread(driver, |driver| {
                        driver.coordinator.stop();
                        driver.handle(Input::Tick)
                    }).await?
                }
            };
        }
    }

    fn take(&mut self, event: LinkEvent) -> Result<(), StoreError> {
        match event {
            LinkEvent::Up { identity, link: number, address, frames } => {
                let link = ShardLink { number, address, frames };
                let heed = self.links.up(identity, link, Instant::now());
                self.heed(identity, heed)
            }
            LinkEvent::Message { identity, link, message } => {
                let heed = self.links.said(identity, link, message);
                self.heed(identity, heed)
            }
            LinkEvent::Down { identity, link } => {
                let heed = self.links.down(identity, link);
                self.heed(identity, heed)
            }
        }
    }

    fn heed(&mut self, identity: IdentityKey, heed: Heed) -> Result<(), StoreError> {
        match heed {
            Heed::Nothing => Ok(()),
            Heed::Connected => self.handle(Input::Connected { identity }),
            Heed::Said(message) => self.handle(Input::Message { identity, message }),
            Heed::Gone => self.handle(Input::Disconnected { identity }),
            Heed::Replaced(rival) => {
                let (link, said) = rival.said_by(Instant::now());
                self.handle(Input::Disconnected { identity })?;
                self.links.take_in(identity, link);
                self.handle(Input::Connected { identity })?;
                said.into_iter()
                    .try_for_each(|message| self.handle(Input::Message { identity, message }))
            }
        }
    }

    /// Lets links go that do not answer while another with the same identity waits.
    fn give_up_mute(&mut self) -> Result<(), StoreError> {
        for identity in self.links.mute(Instant::now()) {
            let heed = self.links.drop_link(identity);
            self.heed(identity, heed)?;
        }
        Ok(())
    }

    fn answer(&self, wanted: Wanted) -> Answer {
        match wanted {
            Wanted::Gauges => {
                metrics::set_gauges(&self.coordinator.status(), self.links.len());
                metrics::set_links(&self.doors);
                Ok(String::new())
            }
            Wanted::Status => Ok(self.status()),
            Wanted::Drain | Wanted::Undo => {
                Err("this is a coordinator, which is in no epoch: drain a shard".to_owned())
            }
        }
    }

    /// The coordinator's status, as JSON.
    fn status(&self) -> String {
        let status = self.coordinator.status();
        let verdict = advice::verdict(&status, self.could_lead, self.opened.elapsed());
        let page = Page { version: env!("CARGO_PKG_VERSION"), verdict, status };
        serde_json::to_string(&page).unwrap_or_else(|_| unreachable!("numbers and texts are JSON"))
    }

    fn handle(&mut self, input: Input) -> Result<(), StoreError> {
        self.coordinator.handle(SystemClock::now(), input);
        self.carry_out()
    }

    fn carry_out(&mut self) -> Result<(), StoreError> {
        while let Some(output) = self.coordinator.poll() {
            match output {
                Output::Persist(state) => self.save(&state)?,
                Output::Publish(document) => self.publish(&document),
                Output::Notice(notice) => {
                    if matches!(notice, Notice::RoundOpened { .. }) {
                        self.opened = Instant::now();
                    }
                    self.tell.notice(notice);
                }
                Output::Send { to, message } => self.send(to, &message),
                // Within the runtime that `run` was spawned on.
                Output::Work(work) => self.work = Some(spawn_blocking(|| work.run())),
            }
        }
        self.encoded = None;
        self.tell_whether_it_could_lead();
        Ok(())
    }

    /// Whoever replaces coordinators one after the other waits for each to be of use to the network.
    fn tell_whether_it_could_lead(&mut self) {
        let could_lead = self.coordinator.could_lead();
        if std::mem::replace(&mut self.could_lead, could_lead) == could_lead {
            return;
        }
        match self.coordinator.leads_in() {
            Some(term) => self.tell.ready(format!("it leads in term {term}")),
            None if could_lead => self.tell.ready("it stands by: another may lead".to_owned()),
            None => self.tell.not_ready(CANNOT_LEAD.to_owned()),
        }
    }

    fn send(&mut self, to: IdentityKey, message: &Arc<ToShard>) {
        let frame = match &self.encoded {
            Some((last, frame)) if Arc::ptr_eq(last, message) => frame.clone(),
            _ => Bytes::from(message.to_bytes()),
        };
        self.encoded = Some((Arc::clone(message), frame.clone()));
        let Some(frames) = self.links.queue(&to) else { return };
        let is_full = frames.try_send(frame).is_err();
        // A shard that reads nothing is as good as gone; one that is rejected has to go, and one that
        // waits for its place dials again.
        if is_full || matches!(**message, ToShard::Reject { .. }) {
            self.links.drop_link(to);
            self.coordinator.handle(SystemClock::now(), Input::Disconnected { identity: to });
        }
    }

    /// Keeps the state, however long it takes: nothing that depends on it is done before.
    fn save(&mut self, state: &State) -> Result<(), StoreError> {
        let mut failures = 0_u32;
        while let Err(error) = self.store.save(state) {
            if failures.is_multiple_of(SAID_EVERY) {
                tracing::error!(%error, "nothing is planned or opened before the state is kept");
            }
            self.tell.not_ready(error.to_string());
            failures += 1;
            if self.stops_within(RETRY) {
                return Err(error);
            }
        }
        if failures > 0 {
            tracing::info!("the state is kept again: going on");
            self.tell.ready("the state is kept again".to_owned());
        }
        Ok(())
    }

    /// Returns `true` if the coordinator is told to stop meanwhile. On a thread that may wait.
    fn stops_within(&self, wait: Duration) -> bool {
        let mut stop = self.stop.clone();
        Handle::current()
            .block_on(async { timeout(wait, stop.wait_for(|stop| *stop)).await.is_ok() })
    }

    /// Keeps the newest document and the one before it, whose rounds may still run.
    fn publish(&self, signed: &SignedDocument) {
        let epoch = signed.document.epoch;
        let message = ToClient::Document { document: signed.clone() };
        let frame = Bytes::from(message.to_bytes());
        self.documents.send_modify(|documents| {
            documents.retain(|(older, _)| *older < epoch);
            documents.push((epoch, frame));
            let surplus = documents.len().saturating_sub(2);
            documents.drain(..surplus);
        });
    }
}

/// The outcome of the work, if there is any; otherwise this waits for ever.
async fn finished(work: &mut Option<JoinHandle<WorkDone>>) -> Result<WorkDone, JoinError> {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

/// Works on a thread where computing and waiting for the disk hold up no link.
async fn on_thread(
    mut driver: Driver,
    work: impl FnOnce(&mut Driver) -> Result<(), StoreError> + Send + 'static,
) -> Result<Driver, ServerError> {
    spawn_blocking(move || work(&mut driver).map(|()| driver))
        .await
        .map_err(|_| ServerError::Ended)?
        .map_err(ServerError::from)
}
