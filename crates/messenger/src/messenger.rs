//! The messenger as an application holds it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use antiphon_client::{
    Client, ClientConfig, ClientGone, FileWitness, Pace, SleepError, StateError, StateOrigin,
    Status,
};
use antiphon_contacts::{CallRound, Expiry, OwnCode, Phrase, Side};
use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_profile::{
    ContactId, Event, EventId, Message, MessageId, Profile, Progress, StoreError, Submission,
    Submitted,
};
use antiphon_wire::Policy;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::book;
use crate::calls::caller::{Caller, Changes};
use crate::calls::line::CallMarks;
use crate::contact::Contact;
use crate::error::MessengerError;
use crate::invitations::inviter::Inviter;
use crate::invitations::{Request, requests, sent};
use crate::shared::Shared;
use crate::status::{Observed, PathReport, Standing, TalkState, keep, observe};
use crate::talk::Talk;
use crate::talks::Talks;

/// Messages under way that are shown at most.
const MOST_UNDER_WAY: usize = 16;
/// The longest that a round is waited for beside the time between rounds.
const A_ROUND: Duration = Duration::from_mins(1);

/// Reason why a messenger does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The client's state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The profile's store cannot be read or written.
    #[error("{folder}: {source}")]
    Store {
        /// Folder of the profile.
        folder: PathBuf,
        /// Error of the store.
        source: StoreError,
    },
    /// The contacts cannot be read.
    #[error("{folder}: {source}")]
    Contacts {
        /// Folder of the profile.
        folder: PathBuf,
        /// Error of the book.
        source: MessengerError,
    },
    /// The witness beside the client's state cannot be opened.
    #[error("cannot use {path}: {source}")]
    Witness {
        /// Path of the witness.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },
}

/// One user's contacts and messages, in the network for as long as this lives.
#[derive(Debug)]
pub struct Messenger {
    shared: Arc<Shared>,
    client: Arc<Client>,
    observed: Arc<Observed>,
    /// Ends with this.
    observer: Observer,
    talks: Arc<Talks>,
    /// In a network with calls, what the caller is to look at.
    calls: Option<Calls>,
}

/// The task that watches the client.
#[derive(Debug)]
struct Observer(JoinHandle<()>);

impl Drop for Observer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The caller that runs.
#[derive(Debug)]
struct Calls {
    changes: Arc<Changes>,
    task: JoinHandle<()>,
    /// Somebody is to be invited.
    invites: Arc<Notify>,
    inviter: JoinHandle<()>,
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.task.abort();
        self.inviter.abort();
    }
}

impl Messenger {
    /// Starts a client on a profile, and a conversation with each contact. The client's state lies in the profile's
    /// folder, and opens with what opens the profile. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the profile's store or the client's state cannot be used. Nothing that happens in the network ends it.
    pub fn start(mut profile: Profile, config: ClientConfig) -> Result<Self, StartError> {
        let folder = profile.folder().to_owned();
        let store = profile.store_mut();
        let failed = |source| StartError::Store { folder: folder.clone(), source };
        let key = store.device_key(&mut entropy()).map_err(failed)?;
        let contacts = book::contacts(store)
            .map_err(|source| StartError::Contacts { folder: folder.clone(), source })?;
        let path = profile.witness_file();
        let witness = FileWitness::open_sealed(&path, &key)
            .map_err(|source| StartError::Witness { path, source })?;
        let network = config.network.id();
        let policy = config.network.policy.clone();
        let is_kept = profile.state_file().exists();
        let config = ClientConfig {
            state: Some(profile.state_file()),
            witness: Some(Arc::new(witness)),
            ..config
        };
        let observed = Arc::new(Observed::of(profile.store()));
        let client = Arc::new(Client::start(config)?);
        let shared = Arc::new(Shared::new(profile, network));
        let talks = Arc::default();
        let is_kept = is_kept && client.origin() != StateOrigin::Restored;
        let calls = policy.services.has_mailboxes().then(|| {
            let (shared, client) = (Arc::clone(&shared), Arc::clone(&client));
            call(shared, client, Arc::clone(&talks), policy, is_kept)
        });
        let events = client.events();
        let (watched, by) = (Arc::clone(&client), Arc::clone(&observed));
        let observer = tokio::spawn(observe(Arc::clone(&shared), watched, events, by));
        let observer = Observer(observer);
        let messenger = Self { shared, client, observed, observer, talks, calls };
        for contact in contacts {
            if !contact.is_blocked() {
                messenger.talk(contact.id());
            }
        }
        Ok(messenger)
    }

    /// Leaves the network after the round in flight, which everybody sees: when a person says so, or at a time that was
    /// fixed beforehand.
    pub async fn shut_down(&self) {
        // Before the conversations are let go of, or they would be closed.
        self.client.stop().await;
        if let Some(calls) = &self.calls {
            calls.task.abort();
            calls.inviter.abort();
        }
        self.talks.clear();
        self.client.shut_down().await;
        keep(&self.shared, &self.client, &self.observed).await;
        self.observer.0.abort();
        self.profile_is_let_go_of().await;
    }

    /// Waits for tasks that were stopped, which hold the profile until their next turn: whoever opens it again
    /// once this messenger has gone is not to be told that it is in use.
    async fn profile_is_let_go_of(&self) {
        for _ in 0..500 {
            if Arc::strong_count(&self.shared) == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Begins to talk to a contact: at once, or once a call has opened a session.
    fn talk(&self, contact: ContactId) {
        let signals = self.talks.signals(contact);
        if let Some(calls) = &self.calls {
            calls.changes.of(contact);
            return;
        }
        let talk = Talk {
            shared: Arc::clone(&self.shared),
            client: Arc::clone(&self.client),
            contact,
            signals,
            changes: None,
        };
        self.talks.run(contact, tokio::spawn(talk.run()));
    }

    fn wake(&self, contact: ContactId) {
        if let Some(signals) = self.talks.known(contact) {
            signals.wake();
        }
        if let Some(calls) = &self.calls {
            calls.changes.of(contact);
        }
    }

    /// Makes a contact code to be given to one person, known by its label.
    ///
    /// # Errors
    /// If the label is no label or taken, or the code cannot be kept.
    pub async fn make_code(&self, label: &str, expiry: Expiry) -> Result<OwnCode, MessengerError> {
        let (label, network) = (label.to_owned(), self.shared.network);
        let made = self
            .shared
            .store(move |store, rng| book::make_code(store, network, &label, expiry, rng));
        made.await
    }

    /// The codes that were made.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn codes(&self) -> Result<Vec<OwnCode>, MessengerError> {
        self.shared.store(|store, _| book::codes(store)).await
    }

    /// Takes a code back that no contact is known by.
    ///
    /// # Errors
    /// If there is none, it serves a contact, or the store cannot be written.
    pub async fn revoke_code(&self, label: &str) -> Result<(), MessengerError> {
        let label = label.to_owned();
        self.shared.store(move |store, rng| book::revoke_code(store, &label, rng)).await
    }

    /// Makes a contact of the code that a person gave, and begins to talk to it. `own` is the label of the code that the
    /// person was given; without it, that is the name, and if there is no code of that label yet, one is made:
    /// give [`Contact::own_code`] to the person.
    ///
    /// # Errors
    /// If the code is none or of no use, or the name is taken.
    pub async fn add_contact(
        &self,
        name: &str,
        code: &str,
        own: Option<&str>,
    ) -> Result<Contact, MessengerError> {
        let (name, code, own) = (name.to_owned(), code.to_owned(), own.map(str::to_owned));
        let network = self.shared.network;
        let added = self.shared.store(move |store, rng| {
            book::add(store, network, SystemClock::now(), &name, &code, own.as_deref(), rng)
        });
        let contact = added.await?;
        self.talk(contact.id());
        Ok(contact)
    }

    /// Makes a phrase for one person, and a contact of it: tell the person the five words, who puts them in. Returns both.
    ///
    /// # Errors
    /// If the name is refused or taken, or the network has no calls.
    pub async fn make_phrase(&self, name: &str) -> Result<(Contact, String), MessengerError> {
        let phrase = Phrase::generate(&mut entropy());
        let text = phrase.to_text().to_string();
        Ok((self.meet_by(name, phrase, Side::First).await?, text))
    }

    /// Makes a contact of the five words that a person told, whose program made them.
    ///
    /// # Errors
    /// If they are no phrase, the name is refused or taken, or the network has no calls.
    pub async fn add_phrase(&self, name: &str, words: &str) -> Result<Contact, MessengerError> {
        self.meet_by(name, Phrase::parse(words)?, Side::Second).await
    }

    async fn meet_by(
        &self,
        name: &str,
        phrase: Phrase,
        side: Side,
    ) -> Result<Contact, MessengerError> {
        if self.calls.is_none() {
            return Err(MessengerError::NoCalls);
        }
        let (network, network_id) = (self.shared.network, self.shared.network_id);
        // Most of a second, and 64 MiB: not while others wait for the store.
        let root = tokio::task::spawn_blocking(move || phrase.call_root(&network_id)).await;
        let root = root.map_err(|_| MessengerError::Interrupted)?;
        let name = name.to_owned();
        let added = self.shared.store(move |store, rng| {
            let now = SystemClock::now();
            book::add_by_phrase(store, network, now, &name, (&root, side), rng)
        });
        let contact = added.await?;
        self.talk(contact.id());
        Ok(contact)
    }

    /// Makes a contact of the code that a person gave who has none of this user's, and invites the person. Nothing says who
    /// invites, until the person has accepted and both have told in a session.
    ///
    /// # Errors
    /// If the code is none or of no use, the name is refused or taken, or the network has no calls.
    pub async fn invite(&self, name: &str, code: &str) -> Result<Contact, MessengerError> {
        let Some(calls) = &self.calls else { return Err(MessengerError::NoCalls) };
        let (name, code, network) = (name.to_owned(), code.to_owned(), self.shared.network);
        let invited = self.shared.store(move |store, rng| {
            sent::invite(store, network, SystemClock::now(), &name, &code, rng)
        });
        let contact = invited.await?;
        calls.invites.notify_one();
        self.talk(contact.id());
        Ok(contact)
    }

    /// Those who ask to talk, by a code of this user, and wait for an answer.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn requests(&self) -> Result<Vec<Request>, MessengerError> {
        self.shared.store(|store, _| requests::waiting(store)).await
    }

    /// Makes a contact of a request, and begins to call it: only this tells the person that the request was seen.
    ///
    /// # Errors
    /// If there is none of that id, or the name is refused or taken.
    pub async fn accept(&self, id: ContactId, name: &str) -> Result<Contact, MessengerError> {
        let (name, network) = (name.to_owned(), self.shared.network);
        let accepted = self.shared.store(move |store, rng| {
            requests::accept(store, (network, SystemClock::now()), id, &name, rng)
        });
        let contact = accepted.await?;
        self.talk(contact.id());
        Ok(contact)
    }

    /// Refuses a request for good. With `revoke`, the code by which it came is taken back as well, so that nobody asks by it
    /// again. Local: the person does not learn of it.
    ///
    /// # Errors
    /// If there is none of that id, or the store cannot be written.
    pub async fn decline(&self, id: ContactId, revoke: bool) -> Result<(), MessengerError> {
        let declined = self.shared.store(move |store, rng| {
            requests::decline(store, SystemClock::now(), (id, revoke), rng)
        });
        declined.await
    }

    /// The contacts, by name.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn contacts(&self) -> Result<Vec<Contact>, MessengerError> {
        self.shared.store(|store, _| book::contacts(store)).await
    }

    /// One contact.
    ///
    /// # Errors
    /// If there is none of that id.
    pub async fn contact(&self, id: ContactId) -> Result<Contact, MessengerError> {
        self.shared.store(move |store, _| book::contact(store, id)).await
    }

    /// Notes that the user has compared the safety number with the contact, and that it is this. Local: the contact does
    /// not learn of it. From now on, messages to it go in beats as well, where the network has them.
    ///
    /// # Errors
    /// If the number is another one, or there is no such contact.
    pub async fn verify(&self, id: ContactId, number: &str) -> Result<Contact, MessengerError> {
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        let given = digits(number);
        let verified = self.shared.store(move |store, rng| {
            let mut contact = book::contact(store, id)?;
            let Some(number) = contact.safety_number() else {
                return Err(MessengerError::NoNumber(contact.name().to_owned()));
            };
            if digits(&number.to_string()) != given {
                return Err(MessengerError::OtherNumber(contact.name().to_owned()));
            }
            contact.set_verified();
            book::keep(store, &contact, rng)?;
            Ok(contact)
        });
        let contact = verified.await?;
        if let Some(signals) = self.talks.known(id) {
            signals.verified();
        }
        Ok(contact)
    }

    /// Wants nothing of a contact any more, or wants it again. Messages that wait for it stay in the queue.
    ///
    /// # Errors
    /// If there is no such contact, or the store cannot be written.
    pub async fn block(&self, id: ContactId, blocked: bool) -> Result<Contact, MessengerError> {
        let changed = self.shared.store(move |store, rng| {
            let mut contact = book::contact(store, id)?;
            contact.set_blocked(blocked);
            // Its session is closed by agreement, and the next one follows a call.
            let calls = CallMarks { session: None, tell: true, ..contact.calls() };
            contact.set_calls(calls, CallRound(0));
            book::keep(store, &contact, rng)?;
            Ok::<_, MessengerError>(contact)
        });
        let contact = changed.await?;
        self.talks.remove(id);
        match &self.calls {
            _ if !blocked => self.talk(id),
            Some(calls) => calls.changes.of(id),
            None => {}
        }
        Ok(contact)
    }

    /// Takes a message to a contact. It is on disk when this returns. With a key, the same message submitted again is
    /// the same message.
    ///
    /// # Errors
    /// If it is not taken.
    pub async fn send(
        &self,
        contact: ContactId,
        body: Vec<u8>,
        key: Option<&str>,
    ) -> Result<Submitted, MessengerError> {
        let key = key.map(str::to_owned);
        let submitted = self.shared.store(move |store, rng| {
            let to = book::contact(store, contact)?;
            if to.is_blocked() {
                return Err(MessengerError::Blocked(to.name().to_owned()));
            }
            let submission = Submission { contact, body: &body, key: key.as_deref() };
            Ok(store.submit(SystemClock::now(), submission, rng)?)
        });
        let submitted = submitted.await?;
        self.wake(contact);
        Ok(submitted)
    }

    /// Takes a message back of which nothing has left.
    ///
    /// # Errors
    /// If it is too late for that, or there is no such message.
    pub async fn recall(&self, id: MessageId) -> Result<Message, MessengerError> {
        let recalled = self.shared.store(move |store, rng| {
            if store.message(id)?.is_none() {
                return Err(MessengerError::NoMessage(id.to_string()));
            }
            if !store.recall(SystemClock::now(), id, rng)? {
                return Err(MessengerError::TooLate);
            }
            store.message(id)?.ok_or_else(|| MessengerError::NoMessage(id.to_string()))
        });
        recalled.await
    }

    /// A message, and how far it has come if it is under way.
    ///
    /// # Errors
    /// If there is none of that id.
    pub async fn message(
        &self,
        id: MessageId,
    ) -> Result<(Message, Option<Progress>), MessengerError> {
        let found = self.shared.store(move |store, _| {
            let message = store.message(id)?;
            let message = message.ok_or_else(|| MessengerError::NoMessage(id.to_string()))?;
            Ok((message, store.progress(id)))
        });
        found.await
    }

    /// Messages from and to a contact in the order in which they were kept, `skip` left out and at most `most`.
    ///
    /// # Errors
    /// If there is no such contact, or the store cannot be read.
    pub async fn messages(
        &self,
        contact: ContactId,
        skip: usize,
        most: usize,
    ) -> Result<Vec<(Message, Option<Progress>)>, MessengerError> {
        let found = self.shared.store(move |store, _| {
            book::contact(store, contact)?;
            let messages = store.messages(contact, skip, most)?;
            let with_progress = |message: Message| {
                let progress = store.progress(message.id);
                (message, progress)
            };
            Ok(messages.into_iter().map(with_progress).collect())
        });
        found.await
    }

    /// The events after this one, in order and at most `most`.
    ///
    /// # Errors
    /// If events after it were dropped for their age, or the store cannot be read.
    pub async fn events_after(
        &self,
        after: EventId,
        most: usize,
    ) -> Result<Vec<Event>, MessengerError> {
        Ok(self.shared.store(move |store, _| store.events_after(after, most)).await?)
    }

    /// The id of the newest event, as it rises.
    pub fn newest_event(&self) -> watch::Receiver<EventId> {
        self.shared.newest()
    }

    /// State of the conversation with a contact.
    pub fn talk_state(&self, contact: ContactId) -> TalkState {
        self.talks.state(contact)
    }

    /// Speed of a conversation, by the newest epoch.
    pub fn pace(&self) -> Option<Pace> {
        self.client.status().pace
    }

    /// State of the client, the store and the conversations.
    pub async fn standing(&self) -> Standing {
        let read = self.shared.store(|store, _| {
            let under_way = store.under_way(MOST_UNDER_WAY);
            (store.counts(), store.last_event(), under_way)
        });
        let (counts, last_event, under_way) = read.await;
        let status = self.client.status();
        Standing {
            is_online: status.gateway.is_some(),
            epoch: status.epoch,
            last_round: status.last_round,
            pace: status.pace,
            budget: status.budget,
            attempts: status.attempts,
            is_restored: self.client.origin() == StateOrigin::Restored,
            counts,
            last_event,
            places: self.talks.places(),
            under_way,
            clock_ahead_ms: status.clock_ahead_ms,
            next_call: status.next_call,
            path: self.observed.path(),
            data: self.observed.data(SystemClock::now(), self.client.traffic()),
            trouble: self.observed.trouble(),
            asleep_until: self.observed.asleep_until(SystemClock::now()),
        }
    }

    /// Waits until `rounds` more rounds have ended, or should have long since, and says what came back of this client's own
    /// onions; without a link to a gateway at once, as nothing does. Nothing is sent for it, and nothing is charged.
    pub async fn self_test(&self, rounds: u64) -> PathReport {
        let Status { gateway: Some(_), pace: Some(pace), .. } = self.client.status() else {
            return PathReport::default();
        };
        let interval_ms = u64::from(pace.interval_ms);
        let within = Duration::from_millis(2 * rounds.saturating_mul(interval_ms)) + A_ROUND;
        self.observed.test(rounds, within).await
    }

    /// Sleeps for `time`, about, as [`Client::sleep`] says: the gateway takes part in the rounds that open meanwhile, and this
    /// device may stand still. [`Standing::asleep_until`] says from when, and until when.
    ///
    /// Everybody sees that it sleeps: because a person says so or at a fixed time, and never because of what a
    /// conversation does.
    ///
    /// # Errors
    /// If the network has no beats, no round has opened yet, it sleeps already, or the client is gone.
    pub async fn sleep(&self, time: Duration) -> Result<(), MessengerError> {
        self.client.sleep(time).await.map_err(|error| match error {
            SleepError::Refused(why) => MessengerError::NoSleep(why),
            SleepError::Gone(_) => MessengerError::Interrupted,
        })
    }

    /// Links again before the time, and fetches what has come: because a person says so.
    ///
    /// # Errors
    /// If the client is gone.
    pub async fn wake_up(&self) -> Result<(), MessengerError> {
        self.client.wake_up().await.map_err(|_| MessengerError::Interrupted)
    }

    /// Allows disturbed and aborted rounds beyond what the network's guarantee covers. A decision for a person.
    ///
    /// # Errors
    /// If the client is gone.
    pub async fn allow(&self, units: u32, aborts: u32) -> Result<(), ClientGone> {
        self.client.continue_at_a_price(units).await?;
        self.client.continue_after_aborts(aborts).await
    }
}

/// Starts to call and to be called.
fn call(
    shared: Arc<Shared>,
    client: Arc<Client>,
    talks: Arc<Talks>,
    policy: Policy,
    is_kept: bool,
) -> Calls {
    let changes = Arc::new(Changes::default());
    let invites = Arc::new(Notify::new());
    let (its, by) = (Arc::clone(&shared), Arc::clone(&client));
    let inviter = Inviter::new(its, by, policy.services, Arc::clone(&invites));
    let inviter = tokio::spawn(inviter.run());
    let with = (talks, Arc::clone(&changes));
    let task = tokio::spawn(async move {
        if let Ok(caller) = Caller::new(shared, client, with, &policy, is_kept).await {
            caller.run().await;
        }
    });
    Calls { changes, task, invites, inviter }
}
