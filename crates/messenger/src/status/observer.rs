//! What a client tells of itself, kept for whoever asks how things stand.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use antiphon_client::{Client, CoreEvent, Event, Events, Traffic};
use antiphon_process::clock::SystemClock;
use antiphon_profile::{Folder, Keepsake, KeepsakeKind, Store};
use antiphon_wire::Timestamp;
use rand::CryptoRng;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::data_use::DataUse;
use super::path_test::{PathReport, PathTest, Returned};
use crate::error::MessengerError;
use crate::shared::Shared;

/// Interval at which the data use is kept, whatever happens: a crash forgets at most as much.
const KEPT_EVERY: Duration = Duration::from_mins(10);
const DATA_USE: &str = "data use";
const DATA_USE_VERSION: u16 = 1;

/// What was seen of a client so far.
#[derive(Debug)]
pub(crate) struct Observed {
    path: Mutex<PathTest>,
    data: Mutex<DataUse>,
    trouble: Mutex<Option<String>>,
    asleep_until: Mutex<Option<Timestamp>>,
    ended: watch::Sender<u64>,
}

impl Observed {
    /// Goes on from the data use that the store has. What cannot be read is begun anew: it is worth no refusal.
    pub(crate) fn of(store: &Store<Folder>) -> Self {
        let data = data_use(store).unwrap_or_else(|| {
            tracing::warn!("the data use of before cannot be read, and counts anew");
            DataUse::default()
        });
        let (path, ended) = (Mutex::default(), watch::Sender::new(0));
        let (trouble, asleep_until) = Default::default();
        Self { path, data: Mutex::new(data), trouble, asleep_until, ended }
    }

    /// What the links of all processes on this profile have carried.
    pub(crate) fn data(&self, now: Timestamp, so_far: Traffic) -> DataUse {
        let mut data = lock(&self.data);
        data.add(now, so_far);
        data.clone()
    }

    /// What came back in the last rounds.
    pub(crate) fn path(&self) -> PathReport {
        lock(&self.path).report(u64::MAX)
    }

    /// What stands in the way at the moment, in words.
    pub(crate) fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// Until when the gateway acts for the client; `None` from then on, or if it does not sleep.
    pub(crate) fn asleep_until(&self, now: Timestamp) -> Option<Timestamp> {
        lock(&self.asleep_until).filter(|until| *until > now)
    }

    /// Waits until so many more rounds have ended, `within` at most, and says what came back in them.
    pub(crate) async fn test(&self, rounds: u64, within: Duration) -> PathReport {
        let before = lock(&self.path).ended();
        let mut ended = self.ended.subscribe();
        tokio::select! {
            // Fails only when this is gone.
            _ = ended.wait_for(|ended| *ended >= before + rounds) => {}
            () = sleep(within) => {}
        }
        let path = lock(&self.path);
        path.report((path.ended() - before).min(rounds))
    }

    fn heed(&self, now: Timestamp, event: &Event) {
        match event {
            Event::Connected { .. } => {
                *lock(&self.trouble) = None;
                *lock(&self.asleep_until) = None;
            }
            Event::Disconnected { reason, .. } => *lock(&self.trouble) = Some(reason.clone()),
            Event::AttemptFailed { reason } => {
                *lock(&self.trouble) = Some(reason.clone());
                // It dials, so it sleeps no more.
                *lock(&self.asleep_until) = None;
            }
            Event::GatewayMissing { .. } => {
                let words =
                    "the gateway that the configuration names is not in the network at the moment";
                *lock(&self.trouble) = Some(words.to_owned());
            }
            Event::StateNotWritten { reason, .. } => {
                let words = "nothing is handed in, as the client's state cannot be written";
                *lock(&self.trouble) = Some(format!("{words}: {reason}"));
            }
            Event::Core(event) => self.heed_core(now, event),
            Event::MessagesMissed { .. } | Event::EventsMissed(_) => {}
        }
    }

    fn heed_core(&self, now: Timestamp, event: &CoreEvent) {
        match event {
            CoreEvent::DocumentRefused { error } => {
                *lock(&self.trouble) = Some(error.to_string());
            }
            CoreEvent::RoundRefused { error, .. } => {
                *lock(&self.trouble) = Some(error.to_string());
            }
            CoreEvent::Asleep { until } => *lock(&self.asleep_until) = Some(*until),
            CoreEvent::Returned { round, sent, whole, after_ms } => {
                let (round, sent, whole, after_ms) = (*round, *sent, *whole, *after_ms);
                if whole > 0 {
                    *lock(&self.trouble) = None;
                }
                let mut path = lock(&self.path);
                path.note(Returned { round, at: now, sent, whole, after_ms });
                self.ended.send_replace(path.ended());
            }
            _ => {}
        }
    }
}

/// Watches a client for as long as it runs, and keeps its data use at fixed times.
pub(crate) async fn observe(
    shared: Arc<Shared>,
    client: Arc<Client>,
    mut events: Events,
    observed: Arc<Observed>,
) {
    let mut keep_at = Instant::now() + KEPT_EVERY;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => observed.heed(SystemClock::now(), &event),
                None => return,
            },
            () = sleep_until(keep_at) => {
                keep_at += KEPT_EVERY;
                keep(&shared, &client, &observed).await;
            }
        }
    }
}

/// Keeps the data use in the store.
pub(crate) async fn keep(shared: &Arc<Shared>, client: &Client, observed: &Observed) {
    let data = observed.data(SystemClock::now(), client.traffic());
    let kept = shared.store(move |store, rng| keep_data_use(store, &data, rng)).await;
    if let Err(error) = kept {
        tracing::warn!(%error, "the data use cannot be kept; trying again");
    }
}

fn keep_data_use(
    store: &mut Store<Folder>,
    data: &DataUse,
    rng: &mut impl CryptoRng,
) -> Result<(), MessengerError> {
    let (kind, name, bytes) = (KeepsakeKind::Setting, DATA_USE.to_owned(), data.to_bytes());
    Ok(store.keep_keepsake(Keepsake { kind, name, version: DATA_USE_VERSION, bytes }, rng)?)
}

/// The data use that was kept; `None` if it cannot be read.
fn data_use(store: &Store<Folder>) -> Option<DataUse> {
    match store.keepsake(KeepsakeKind::Setting, DATA_USE) {
        Ok(None) => Some(DataUse::default()),
        Ok(Some(kept)) if kept.version == DATA_USE_VERSION => DataUse::from_bytes(&kept.bytes).ok(),
        Ok(Some(_)) | Err(_) => None,
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while holding it.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use antiphon_client::IdentityKey;

    use super::*;

    fn observed() -> Observed {
        let (path, data, trouble, asleep_until) = Default::default();
        Observed { path, data, trouble, asleep_until, ended: watch::Sender::new(0) }
    }

    #[test]
    fn a_client_is_asleep_from_when_it_says_so_until_the_time_or_a_link_and_no_longer() {
        let (now, until) = (Timestamp(1000), Timestamp(5000));
        let asleep = Event::Core(CoreEvent::Asleep { until });
        let dials = Event::AttemptFailed { reason: "nobody answers".to_owned() };
        let linked = Event::Connected { gateway: IdentityKey([1; 32]) };
        for back in [dials, linked] {
            let seen = observed();
            assert_eq!(seen.asleep_until(now), None);
            seen.heed(now, &asleep);
            assert_eq!(seen.asleep_until(Timestamp(4999)), Some(until));
            assert_eq!(seen.asleep_until(until), None, "it is due");
            seen.heed(now, &back);
            assert_eq!(seen.asleep_until(now), None);
        }
    }
}
