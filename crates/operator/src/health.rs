//! The health of the controller itself, in words for those who look after it: whether it may act, whether the API server
//! answers, and what came of the last look at each resource.

use std::collections::BTreeMap;

use antiphon_process::metrics::controller::{LAST_LOOK, LEADS, RESOURCES};
use antiphon_process::metrics::labels::{Label as _, LookEnding};
use antiphon_process::readiness::Readiness;
use antiphon_process::verdict::{Advice, Verdict};
use antiphon_wire::Timestamp;
use serde_json::{Value, json};

use crate::cluster::written;
use crate::look::Look;

/// The health of the controller.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Health {
    /// The name by which it holds the Lease.
    pub(crate) me: String,
    /// The holder of the Lease, as last read; `None` if it has none, or was never read.
    pub(crate) holder: Option<String>,
    /// The time until which this controller may act.
    pub(crate) acts_until: Option<Timestamp>,
    /// Since when the API server cannot be asked, and what it failed with first.
    pub(crate) away: Option<(Timestamp, String)>,
    /// Time at which all resources were last looked at without a failure.
    pub(crate) last_look: Option<Timestamp>,
    /// The last look at each resource, by namespace and name; none while another controller acts.
    pub(crate) looks: BTreeMap<String, Look>,
}

impl Health {
    /// Ready if the controller does its work, which is waiting while another one acts; the reason otherwise.
    pub(crate) fn readiness(&self) -> Readiness {
        if let Some((since, error)) = &self.away {
            let since = written(*since);
            let why = format!("the API server cannot be asked since {since}: {error}");
            return Readiness::NotReady(why);
        }
        match &self.holder {
            None => Readiness::NotReady("no Lease: nobody holds it yet".to_owned()),
            Some(holder) if *holder != self.me => {
                Readiness::Ready(format!("stands by: {holder} holds the Lease"))
            }
            Some(_) => self.readiness_to_act(),
        }
    }

    fn readiness_to_act(&self) -> Readiness {
        let mut failed = self.looks.iter().filter(|(_, look)| look.ending == LookEnding::Failed);
        if let Some((name, look)) = failed.next() {
            return Readiness::NotReady(format!("cannot look after {name}: {}", look.words));
        }
        match (self.last_look, self.looks.len()) {
            (None, _) => Readiness::NotReady(
                "it holds the Lease, and has not looked at all resources yet".to_owned(),
            ),
            (Some(_), 0) => Readiness::Ready("acts: there is no MixNetwork".to_owned()),
            (Some(_), 1) => Readiness::Ready("acts: looks after one MixNetwork".to_owned()),
            (Some(_), many) => Readiness::Ready(format!("acts: looks after {many} MixNetworks")),
        }
    }

    /// Its health, as JSON.
    pub(crate) fn page(&self, now: Timestamp) -> Value {
        let readiness = self.readiness();
        let resources = self.looks.iter().map(|(name, look)| {
            json!({ "name": name, "outcome": look.ending.value(), "words": look.words })
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "verdict": self.verdict(),
            "controller": self.me,
            "now_ms": now.0,
            "ready": readiness.is_ready(),
            "words": readiness.to_string(),
            "lease": { "holder": self.holder, "acts": self.may_act(now) },
            "api_server_away_since_ms": self.away.as_ref().map(|(since, _)| since.0),
            "last_look_ms": self.last_look.map(|at| at.0),
            "resources": resources.collect::<Vec<_>>(),
        })
    }

    fn verdict(&self) -> Verdict {
        let mut advice = Vec::new();
        if let Readiness::NotReady(why) = self.readiness() {
            advice.push(Advice::bad(format!("The controller is not ready: {why}.")));
        }
        for (name, look) in &self.looks {
            match look.ending {
                LookEnding::Refused => advice.push(Advice::bad(format!(
                    "The specification of {name} is refused, and nothing is done for it: {}.",
                    look.words
                ))),
                LookEnding::Blocked => advice.push(Advice::bad(format!(
                    "{name} waits for somebody to do something: {}.",
                    look.words
                ))),
                _ => {}
            }
        }
        let stands_by = self.holder.as_ref().is_some_and(|holder| *holder != self.me);
        let well = if stands_by {
            "The controller stands by"
        } else {
            "The controller looks after all resources"
        };
        Verdict::of(advice, well)
    }

    /// Sets the gauges. A controller that does not act counts no resources: the one that does counts them.
    pub(crate) fn set_gauges(&self, now: Timestamp) {
        LEADS.set_whether((), self.may_act(now));
        LAST_LOOK.set((), self.last_look.map_or(0.0, |at| at.0 as f64 / 1000.0));
        for ending in LookEnding::ALL {
            let count = self.looks.values().filter(|look| look.ending == *ending).count();
            RESOURCES.set_count(*ending, count);
        }
    }

    fn may_act(&self, now: Timestamp) -> bool {
        self.acts_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use antiphon_process::verdict::Urgency;

    use super::*;

    fn acting() -> Health {
        Health {
            me: "one".to_owned(),
            holder: Some("one".to_owned()),
            acts_until: Some(Timestamp(9_000)),
            last_look: Some(Timestamp(5_000)),
            ..Health::default()
        }
    }

    fn with(ending: LookEnding) -> Health {
        let look = Look::new(ending, "some words".to_owned());
        Health { looks: [("space/mix".to_owned(), look)].into(), ..acting() }
    }

    #[test]
    fn readiness_says_in_words_what_the_controller_lacks() {
        let away = Some((Timestamp(1_000), "connection refused".to_owned()));
        for (health, ready, words) in [
            (Health::default(), false, "no Lease"),
            (Health { last_look: None, ..acting() }, false, "has not looked at all resources yet"),
            (
                Health { away, ..acting() },
                false,
                "cannot be asked since 1970-01-01T00:00:01Z: connection refused",
            ),
            (with(LookEnding::Failed), false, "cannot look after space/mix: some words"),
            (acting(), true, "there is no MixNetwork"),
            // Waiting for people is not the controller's failure.
            (with(LookEnding::Refused), true, "looks after one MixNetwork"),
            (Health { me: "two".to_owned(), ..acting() }, true, "stands by: one holds the Lease"),
        ] {
            let readiness = health.readiness();
            assert_eq!(readiness.is_ready(), ready, "{readiness}");
            assert!(readiness.to_string().contains(words), "{readiness}");
        }
    }

    #[test]
    fn what_somebody_has_to_do_is_urgent_and_what_goes_on_by_itself_is_not() {
        for ending in LookEnding::ALL {
            let page = with(*ending).page(Timestamp(6_000));
            let needs_somebody =
                matches!(ending, LookEnding::Failed | LookEnding::Refused | LookEnding::Blocked);
            let expected = if needs_somebody { Urgency::Bad } else { Urgency::Good };
            assert_eq!(page["verdict"]["urgency"], json!(expected), "{ending:?}");
            let told = page["verdict"].to_string().contains("space/mix");
            assert_eq!(told, needs_somebody, "{page}");
        }
    }

    #[test]
    fn a_controller_whose_claim_has_run_out_does_not_say_that_it_acts() {
        let acts = |now| acting().page(Timestamp(now))["lease"]["acts"].clone();
        assert_eq!((acts(8_999), acts(9_000)), (json!(true), json!(false)));
    }
}
