//! The metrics of a controller, which looks after an operator's shards in a cluster.

use super::catalogue;
use super::labels::{Change, Failure, LookEnding, StepKind};

/// Upper bounds of the buckets for looks, in seconds.
const LOOK_BUCKETS: [f64; 10] = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0];

const OF_OBJECTS: &str =
    "It is about objects of the operator's own in the cluster, of which nothing depends on users.";
const IN_LISTS: &str =
    "Lists and epoch documents, which everybody can read, show shards that come and go.";

catalogue! {
    /// Everything that a controller counts of its own.
    CONTROLLER:
    LEADS: Gauge<()> = "antiphon_controller_leads", "0 or 1",
        "1 at the controller that holds the Lease and acts, 0 at those that stand by", OF_OBJECTS;
    LOOKS: Counter<LookEnding> = "antiphon_controller_looks_total", "looks",
        "Looks at one resource each, by what came of them", OF_OBJECTS;
    LOOK_TIME: Histogram<LookEnding> = "antiphon_controller_look_seconds", "seconds" in LOOK_BUCKETS,
        "Time of a look at one resource, with what was done for it", OF_OBJECTS;
    LAST_LOOK: Gauge<()> = "antiphon_controller_last_look_timestamp_seconds", "seconds",
        "When this controller last looked at all resources without a failure, in seconds since 1970; 0 before", OF_OBJECTS;
    FAILURES: Counter<Failure> = "antiphon_controller_failures_total", "failures",
        "Requests and looks that failed, by why", OF_OBJECTS;
    STEPS: Counter<StepKind> = "antiphon_controller_steps_total", "steps",
        "Things done for resources, by kind", IN_LISTS;
    HAND_OVERS: Counter<Change> = "antiphon_controller_hand_overs_total", "changes",
        "Changes of which each takes a hand-over from one epoch to the next", IN_LISTS;
    RESOURCES: Gauge<LookEnding> = "antiphon_controller_resources", "resources",
        "Resources, by what came of the last look at each", OF_OBJECTS;
}
