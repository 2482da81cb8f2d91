//! Carries out what the switchboard decides: tokens into call rounds, boxes out of them, sessions in between.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_client::{BoxContent, Client, CoreEvent, Event, Events, Outcome, Round, RoundKind};
use antiphon_contacts::CallRound;
use antiphon_process::clock::SystemClock;
use antiphon_profile::ContactId;
use antiphon_wire::Policy;
use tokio::sync::{Notify, mpsc};

use super::line::{CallMarks, Line};
use super::switchboard::{Act, Switchboard};
use crate::book::{self, ReadMark};
use crate::contact::Contact;
use crate::shared::Shared;
use crate::talk::{Over, Talk};
use crate::talks::Talks;

/// Time after which a session of before is over, as for the partner this end was away for too long.
const AWAY_MS: u64 = 60 * 60_000;
/// Ends of sessions that wait to be heard of.
const REPORTS: usize = 64;

/// Contacts of which something has changed: they are new, blocked or gone, or a message waits for them.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    contacts: Mutex<BTreeSet<ContactId>>,
    news: Notify,
}

impl Changes {
    /// Takes note of a change.
    pub(crate) fn of(&self, contact: ContactId) {
        self.contacts.lock().unwrap_or_else(PoisonError::into_inner).insert(contact);
        self.news.notify_one();
    }

    fn take(&self) -> BTreeSet<ContactId> {
        std::mem::take(&mut self.contacts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// End of a session.
struct Report {
    contact: ContactId,
    session: CallRound,
    slept: bool,
}

/// Calls contacts and is called, for as long as the client runs.
pub(crate) struct Caller {
    shared: Arc<Shared>,
    client: Arc<Client>,
    talks: Arc<Talks>,
    changes: Arc<Changes>,
    events: Events,
    board: Switchboard,
    boxes: u16,
    /// Sessions of before this process go on.
    goes_on: bool,
    /// A contact waits for the place of another one.
    wanted: Arc<AtomicBool>,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
}

impl Caller {
    /// A caller for the contacts that `changes` will name. Sessions of before this process go on if the client's state
    /// `is_kept`, and it was not away for too long.
    pub(crate) async fn new(
        shared: Arc<Shared>,
        client: Arc<Client>,
        (talks, changes): (Arc<Talks>, Arc<Changes>),
        policy: &Policy,
        is_kept: bool,
    ) -> Result<Self, crate::MessengerError> {
        let events = client.events();
        let read = shared.store(|store, _| book::read(store)).await.inspect_err(|_| {
            tracing::error!("the store does not say which calls were read: nobody is called");
        })?;
        let services = policy.services;
        let boxes = services.call_boxes;
        let now = SystemClock::now();
        let was_here = |read: ReadMark| now.ms_since(read.at) < AWAY_MS;
        // Each end has half of the calls that are covered.
        let most_calls = policy.disturbed_rounds / 2;
        let board = Switchboard::new(services, most_calls, read.map(|read| read.round));
        let goes_on = is_kept && read.is_none_or(was_here);
        let (wanted, reports) = (Arc::default(), mpsc::channel(REPORTS));
        Ok(Self { shared, client, talks, changes, events, board, boxes, goes_on, wanted, reports })
    }

    /// Calls and answers until the client is gone.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::select! {
                event = self.events.next() => match event {
                    Some(Event::Core(event)) => self.heed(&event),
                    Some(_) => {}
                    None => return,
                },
                () = self.changes.news.notified() => {
                    for contact in self.changes.take() {
                        self.changed(contact).await;
                    }
                }
                Some(report) = self.reports.1.recv() => {
                    let Report { contact, session, slept } = report;
                    self.board.over(SystemClock::now(), contact, session, slept);
                    self.changed(contact).await;
                }
            }
            let pairs = self.client.status().pace.map_or(1, |pace| pace.pairs);
            self.board.set_places(pairs.into());
            self.post().await;
            while let Some(act) = self.board.poll() {
                self.carry_out(act).await;
            }
            self.show();
        }
    }

    fn heed(&mut self, event: &CoreEvent) {
        match event {
            CoreEvent::Box { round, number, content: BoxContent::Calls(calls) } => {
                self.board.read(*round, *number, calls);
            }
            CoreEvent::BoxMissing { round, .. } => self.board.missed(*round),
            CoreEvent::RoundEnded { round, outcome } => {
                if matches!(outcome, Outcome::FreeAbort | Outcome::ChargedAbort) {
                    self.board.missed(*round);
                }
            }
            _ => {}
        }
    }

    /// Looks at a contact again.
    async fn changed(&mut self, contact: ContactId) {
        let look = self.shared.store(move |store, _| {
            let found = book::contact(store, contact)?;
            Ok::<_, crate::MessengerError>((found, store.has_open(contact)))
        });
        match look.await {
            Ok((found, waits)) if !found.is_blocked() => {
                match self.board.line(contact) {
                    Some(_) => {
                        let lapses = found.lapses();
                        self.board.reload(contact, found.into_roots(), lapses);
                    }
                    None => {
                        // Whoever was not met yet has to be greeted from the beginning.
                        let goes_on = self.goes_on && found.lapses().is_none();
                        let mut line = found.into_line(self.boxes);
                        line.begin(goes_on);
                        self.board.add(contact, line);
                    }
                }
                self.board.wants(contact, waits);
            }
            Err(error) if error.kind() != crate::ErrorKind::NotFound => {
                // Without its words, which may name the contact.
                tracing::error!(kind = ?error.kind(), "a contact cannot be read; trying again later");
            }
            _ => self.board.remove(contact),
        }
    }

    /// Has a token leave in the next call round that is free, if there is any.
    async fn post(&mut self) {
        let status = self.client.status();
        // A session would rest at this end, and cost the other one.
        let rests = status.budget.left == 0 || status.attempts.left == 0;
        let Some(last) = status.last_round.filter(|_| !rests) else { return };
        let Some((contact, intent)) = self.board.next(SystemClock::now(), last) else { return };
        let postings = self.board.postings(contact, intent, last);
        let make = move |round| postings.into_iter().find(|posting| posting.round == round);
        // Refused if the client was faster than its status: the next event is another opportunity.
        if let Ok(round) = self.client.post(RoundKind::Calls, make).await {
            self.board.posted(contact, intent, round);
        }
    }

    async fn carry_out(&mut self, act: Act) {
        match act {
            Act::Keep(contact) => self.keep(contact).await,
            Act::Confirm(contact, round) => {
                self.change(contact, move |found| found.confirm_root(round)).await;
            }
            Act::Open { contact, first } => self.open(contact, first),
            Act::End(contact) => {
                if let Some(signals) = self.talks.known(contact) {
                    signals.end();
                }
            }
            Act::Read(round) => self.keep_read(round).await,
        }
    }

    async fn keep(&self, contact: ContactId) {
        let marks: Option<CallMarks> = self.board.line(contact).map(Line::marks);
        let (Some(marks), needed) = (marks, self.board.first_needed()) else { return };
        self.change(contact, move |found| found.set_calls(marks, needed)).await;
    }

    /// Changes what is kept of a contact.
    async fn change(&self, contact: ContactId, what: impl FnOnce(&mut Contact) + Send + 'static) {
        let kept = self.shared.store(move |store, rng| {
            let mut found = book::contact(store, contact)?;
            what(&mut found);
            book::keep(store, &found, rng)
        });
        if let Err(error) = kept.await {
            tracing::error!(kind = ?error.kind(), "what was called cannot be kept");
        }
    }

    async fn keep_read(&self, round: Round) {
        let read = ReadMark { round, at: SystemClock::now() };
        let kept = self.shared.store(move |store, rng| book::keep_read(store, read, rng));
        if let Err(error) = kept.await {
            tracing::error!(kind = ?error.kind(), "which calls were read cannot be kept");
        }
    }

    /// Talks in the session that stands.
    fn open(&self, contact: ContactId, first: Round) {
        let Some(session) = self.board.line(contact).and_then(|line| line.marks().session) else {
            return;
        };
        let talk = Talk {
            shared: Arc::clone(&self.shared),
            client: Arc::clone(&self.client),
            contact,
            signals: self.talks.signals(contact),
            changes: Some(Arc::clone(&self.changes)),
        };
        let (wanted, reports) = (Arc::clone(&self.wanted), self.reports.0.clone());
        let task = tokio::spawn(async move {
            let over = talk.once(session, first, wanted).await;
            if over != Over::Gone {
                let slept = over == Over::Slept;
                // Fails only if this process ends.
                let _ = reports.send(Report { contact, session, slept }).await;
            }
        });
        self.talks.run(contact, task);
    }

    /// Shows how all contacts stand whose sessions do not.
    fn show(&self) {
        self.wanted.store(self.board.wants_place(), Ordering::Relaxed);
        for contact in self.board.contacts() {
            if let Some(state) = self.board.state(SystemClock::now(), contact) {
                self.talks.signals(contact).show(state);
            }
        }
    }
}
