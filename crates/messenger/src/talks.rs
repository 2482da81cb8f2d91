//! The conversations with all contacts: how each stands, and the task that talks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon_profile::ContactId;
use tokio::task::JoinHandle;

use crate::status::{Place, TalkState};
use crate::talk::Signals;

/// Conversations by contact.
#[derive(Debug, Default)]
pub(crate) struct Talks(Mutex<BTreeMap<ContactId, Open>>);

/// A contact's conversation.
#[derive(Debug, Default)]
struct Open {
    signals: Arc<Signals>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Talks {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ContactId, Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The signals of a contact's conversation, from now on.
    pub(crate) fn signals(&self, contact: ContactId) -> Arc<Signals> {
        Arc::clone(&self.lock().entry(contact).or_default().signals)
    }

    /// The signals of a contact's conversation, if there is one.
    pub(crate) fn known(&self, contact: ContactId) -> Option<Arc<Signals>> {
        self.lock().get(&contact).map(|open| Arc::clone(&open.signals))
    }

    /// Has a task talk to a contact. The one before is over, or has been told to end.
    pub(crate) fn run(&self, contact: ContactId, task: JoinHandle<()>) {
        self.lock().entry(contact).or_default().task = Some(task);
    }

    /// Lets a contact's conversation go.
    pub(crate) fn remove(&self, contact: ContactId) {
        self.lock().remove(&contact);
    }

    /// Lets all go.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// State of a contact's conversation.
    pub(crate) fn state(&self, contact: ContactId) -> TalkState {
        self.known(contact).map_or(TalkState::Closed, |signals| signals.state())
    }

    /// States of all.
    pub(crate) fn places(&self) -> Vec<Place> {
        let open = self.lock();
        let place = |(contact, open): (&ContactId, &Open)| Place {
            contact: *contact,
            state: open.signals.state(),
        };
        open.iter().map(place).collect()
    }
}
