//! The profile, which many ask for things, and news of it.

use std::sync::{Arc, Mutex, PoisonError};

use antiphon_contacts::NetworkMark;
use antiphon_process::entropy::{SystemRng, entropy};
use antiphon_profile::{EventId, Folder, Profile, Store};
use antiphon_wire::Digest;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

/// Profile, network and news, which all parts of a messenger have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    profile: Mutex<Profile>,
    pub(crate) network: NetworkMark,
    /// The network file's id.
    pub(crate) network_id: Digest,
    newest: watch::Sender<EventId>,
}

impl Shared {
    pub(crate) fn new(profile: Profile, network_id: Digest) -> Self {
        let network = NetworkMark::of(&network_id);
        let newest = watch::Sender::new(profile.store().last_event());
        Self { profile: Mutex::new(profile), network, network_id, newest }
    }

    /// Does something with the store, on a thread that may wait for the disk.
    pub(crate) async fn store<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Store<Folder>, &mut SystemRng) -> T + Send + 'static,
    ) -> T {
        let shared = Arc::clone(self);
        let done = spawn_blocking(move || {
            let mut profile = shared.profile.lock().unwrap_or_else(PoisonError::into_inner);
            let done = work(profile.store_mut(), &mut entropy());
            let last = profile.store().last_event();
            shared.newest.send_if_modified(|newest| std::mem::replace(newest, last) != last);
            done
        });
        match done.await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is going away, and this with it.
            Err(_) => std::future::pending().await,
        }
    }

    /// The newest event, from now on.
    pub(crate) fn newest(&self) -> watch::Receiver<EventId> {
        self.newest.subscribe()
    }
}
