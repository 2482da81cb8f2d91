//! Where the controller's health is kept for its admin server, which is answered while a look goes on.

use antiphon_process::clock::SystemClock;
use antiphon_process::metrics::controller::FAILURES;
use antiphon_process::metrics::labels::Failure;
use antiphon_process::readiness::Readiness;
use antiphon_process::requests::{Requests, Wanted};
use antiphon_wire::Timestamp;
use tokio::sync::watch;

use crate::health::Health;
use crate::look::failure_of_api;

/// Why a controller takes no part in draining.
const NO_DRAIN: &str = "a controller has nothing to drain: `kubectl scale mixnetworks/NAME --replicas=...` has shards leave, and so \
                        does deleting the MixNetwork";

/// The controller's health, and who is told of it.
#[derive(Debug)]
pub(crate) struct Desk {
    health: watch::Sender<Health>,
    readiness: watch::Sender<Readiness>,
}

impl Desk {
    pub(crate) fn new(me: String) -> Self {
        let health = Health { me, ..Health::default() };
        let readiness = watch::Sender::new(health.readiness());
        Self { health: watch::Sender::new(health), readiness }
    }

    /// The readiness, whenever it changes.
    pub(crate) fn readiness(&self) -> watch::Receiver<Readiness> {
        self.readiness.subscribe()
    }

    /// Answers requests for as long as it is polled.
    pub(crate) fn answer(&self, mut requests: Requests) -> impl Future<Output = ()> + use<> {
        let health = self.health.subscribe();
        async move {
            loop {
                let request = requests.next().await;
                let now = SystemClock::now();
                let answer = match request.wanted {
                    Wanted::Status => Ok(health.borrow().page(now).to_string()),
                    Wanted::Gauges => {
                        health.borrow().set_gauges(now);
                        Ok(String::new())
                    }
                    Wanted::Drain | Wanted::Undo => Err(NO_DRAIN.to_owned()),
                };
                request.answer(answer);
            }
        }
    }

    /// Notes a change of the health.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Health)) {
        self.health.send_modify(change);
        let readiness = self.health.borrow().readiness();
        self.readiness.send_if_modified(|told| {
            let changes = *told != readiness;
            *told = readiness;
            changes
        });
    }

    /// Notes what the API server answered, and counts failures. A refusal is an answer.
    pub(crate) fn asked<T>(&self, answer: &Result<T, kube::Error>, now: Timestamp) {
        let Err(error) = answer else { return self.note(|health| health.away = None) };
        let failure = failure_of_api(error);
        FAILURES.add(failure, 1);
        self.note(|health| {
            if failure == Failure::Unreachable {
                health.away.get_or_insert_with(|| (now, error.to_string()));
            } else {
                health.away = None;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16) -> Result<(), kube::Error> {
        let status = serde_json::json!({ "message": format!("says {code}"), "code": code });
        Err(kube::Error::Api(serde_json::from_value(status).unwrap()))
    }

    #[test]
    fn an_api_server_is_away_from_its_first_silence_to_its_next_answer() {
        let desk = Desk::new("one".to_owned());
        let away = || desk.health.borrow().away.as_ref().map(|(since, _)| since.0);
        desk.asked(&api(503), Timestamp(10));
        desk.asked(&api(500), Timestamp(20));
        assert_eq!(away(), Some(10));
        assert!(desk.readiness().borrow().to_string().contains("says 503"));
        desk.asked(&api(403), Timestamp(30));
        assert_eq!(away(), None, "a refusal is an answer");
        desk.asked(&api(503), Timestamp(40));
        desk.asked(&Ok(()), Timestamp(50));
        assert_eq!(away(), None);
    }

    #[tokio::test]
    async fn a_drain_is_refused_in_words_that_say_how_shards_leave() {
        let (asker, requests) = antiphon_process::requests::channel();
        let answering = tokio::spawn(Desk::new("one".to_owned()).answer(requests));
        let refused = asker.ask(Wanted::Drain).await.unwrap().unwrap_err();
        assert!(refused.contains("kubectl scale"), "{refused}");
        let status = asker.ask(Wanted::Status).await.unwrap().unwrap();
        assert!(status.contains("no Lease"), "{status}");
        answering.abort();
    }
}
