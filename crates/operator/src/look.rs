//! What came of a look at one resource.

use std::time::Duration;

use antiphon_process::metrics::labels::{Change, Failure, LookEnding, StepKind};

use crate::cluster::ClusterError;
use crate::decide::Decision;
use crate::step::Step;

/// Pause after something was done, while something is waited for, and otherwise.
pub(crate) const AGAIN: Duration = Duration::from_millis(300);
pub(crate) const WAITING: Duration = Duration::from_secs(2);
pub(crate) const RESTING: Duration = Duration::from_secs(5);

/// What came of a look at one resource.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Look {
    /// What came of it, in one word.
    pub(crate) ending: LookEnding,
    /// What was done, what is waited for, or what went wrong, for people.
    pub(crate) words: String,
    /// The time until the next look.
    pub(crate) again: Duration,
}

impl Look {
    pub(crate) const fn new(ending: LookEnding, words: String) -> Self {
        let again = match ending {
            LookEnding::Acted => AGAIN,
            LookEnding::Waited | LookEnding::Failed => WAITING,
            LookEnding::Settled | LookEnding::Blocked | LookEnding::Refused => RESTING,
        };
        Self { ending, words, again }
    }

    /// The look after which all of this was done.
    pub(crate) fn of(decision: &Decision) -> Self {
        let done = decision.steps.iter().find(|step| !matches!(step, Step::Apply(_)));
        let settled = || "all is as it was asked for".to_owned();
        match (done, &decision.blocked, &decision.waits) {
            (Some(step), ..) => Self::new(LookEnding::Acted, step.to_string()),
            (None, Some(why), _) => Self::new(LookEnding::Blocked, why.clone()),
            (None, None, Some(what)) => Self::new(LookEnding::Waited, what.clone()),
            (None, None, None) => Self::new(LookEnding::Settled, settled()),
        }
    }
}

/// How a step is counted.
pub(crate) const fn counted(step: &Step) -> StepKind {
    match step {
        Step::MakeCoordinatorKeys(_) | Step::MakeKeys(_) => StepKind::MakesKeys,
        Step::Sign { .. } => StepKind::SignsList,
        Step::Apply(_) => StepKind::Applies,
        Step::Scale { from, to, .. } if *from < *to => StepKind::ScalesUp,
        Step::Scale { .. } => StepKind::ScalesDown,
        Step::Stop => StepKind::Stops,
        Step::Tell { .. } => StepKind::BringsList,
        Step::Replace(_) | Step::ReplaceCoordinator(_) => StepKind::ReplacesPod,
        Step::Forget(_) => StepKind::ForgetsShard,
        Step::LetGo => StepKind::LetsGo,
    }
}

/// The change that a step makes at a hand-over from one epoch to the next, if it makes one.
pub(crate) const fn hand_over(step: &Step) -> Option<Change> {
    match step {
        // The end of a list is taken at once; shards change with the one that follows.
        Step::Sign { ended: Some(_), .. } => Some(Change::List),
        Step::Replace(pod) if !pod.is_sick() => Some(Change::Replacement),
        Step::Stop => Some(Change::Departure),
        _ => None,
    }
}

/// How what the cluster refused is counted.
pub(crate) fn failure(error: &ClusterError) -> Failure {
    match error {
        ClusterError::Api(error) => failure_of_api(error),
        ClusterError::Entropy(_) | ClusterError::Object(_) => Failure::Internal,
    }
}

/// How a request to the API server failed. One that says that it cannot answer now is as good as away.
pub(crate) fn failure_of_api(error: &kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) => match status.code {
            401 | 403 => Failure::Forbidden,
            409 => Failure::Conflict,
            429 | 500.. => Failure::Unreachable,
            _ => Failure::Rejected,
        },
        kube::Error::SerdeError(_) | kube::Error::BuildRequest(_) => Failure::Internal,
        _ => Failure::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_told_before_what_blocks_and_that_before_what_is_waited_for() {
        let waits = Decision { waits: Some("w".to_owned()), ..Decision::default() };
        let blocked = Decision { blocked: Some("b".to_owned()), ..waits.clone() };
        let acts = Decision { steps: vec![Step::Stop], ..blocked.clone() };
        for (decision, ending, again) in [
            (Decision::default(), LookEnding::Settled, RESTING),
            (waits, LookEnding::Waited, WAITING),
            (blocked, LookEnding::Blocked, RESTING),
            (acts, LookEnding::Acted, AGAIN),
        ] {
            let look = Look::of(&decision);
            assert_eq!((look.ending, look.again), (ending, again));
        }
    }
}
