//! The conditions of a resource, in words for people.

use std::collections::BTreeMap;

use antiphon_wire::NetworkFile;

use crate::decide::{Decision, outdated};
use crate::observed::{Observed, Ordinal, Pod, Standing};
use crate::resource::{Condition, ListTold, ShardTold};
use crate::step::{Step, named, named_coordinators};

/// Epochs before a list's end at which people are told.
const ENDS_SOON: u64 = 100;

/// Facts about the network beside those that decisions go by.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told<'a> {
    /// Weight of operators present beyond the least that an epoch takes.
    pub(crate) quorum_margin: Option<i64>,
    /// The operators that are not present.
    pub(crate) absent: &'a [String],
    /// The weight of all operators of the network that this controller looks after.
    pub(crate) weight_here: u64,
}

/// The conditions, those that hold and those that do not.
pub(crate) fn conditions(
    seen: &Observed,
    decision: &Decision,
    network: &NetworkFile,
    told: &Told<'_>,
) -> Vec<Condition> {
    let conditions = [
        ready(seen),
        progressing(decision),
        degraded(seen, decision),
        quorum(told),
        guarantee(network),
        list(seen),
        any_trust(network, told),
        up_to_date(seen),
    ];
    conditions.into_iter().chain(autoscaling(decision)).collect()
}

/// The condition that the number of shards follows the load, and the number that it asks for.
fn autoscaling(decision: &Decision) -> Option<Condition> {
    let outlook = decision.scaling.as_ref()?;
    Some(condition("Autoscaling", outlook.follows, outlook.reason, &outlook.words))
}

/// The conditions of a specification that is refused: nothing was touched for it.
pub(crate) fn refused(words: &str) -> Vec<Condition> {
    vec![
        condition("Progressing", false, "Refused", words),
        condition("Degraded", true, "Refused", words),
    ]
}

fn ready(seen: &Observed) -> Condition {
    let idle: Vec<Ordinal> = seen.wanted().filter(|shard| !seen.serves(*shard)).collect();
    if idle.is_empty() {
        let words = format!("all {} shards are in an epoch", seen.wanted);
        return condition("Ready", true, "AllServe", &words);
    }
    condition("Ready", false, "ShardsMissing", &format!("{} not in an epoch", is_or_are(&idle)))
}

fn progressing(decision: &Decision) -> Condition {
    let does = decision.steps.iter().find(|step| !matches!(step, Step::Apply(_)));
    match (does, &decision.waits) {
        (Some(step), _) => condition("Progressing", true, step.name(), &step.to_string()),
        (None, Some(waits)) => condition("Progressing", true, "Waits", waits),
        (None, None) => condition("Progressing", false, "Settled", "all is as it was asked for"),
    }
}

fn degraded(seen: &Observed, decision: &Decision) -> Condition {
    if let Some(words) = &decision.blocked {
        return condition("Degraded", true, "Blocked", words);
    }
    let stuck = stuck(seen);
    if !stuck.is_empty() {
        let words = format!(
            "not running: {}. `kubectl describe pod` says why. No other pod is replaced meanwhile; if it is the \
             image, put the former one into the specification",
            stuck.join(" and ")
        );
        return condition("Degraded", true, "PodsDoNotRun", &words);
    }
    if seen.network.is_none() && seen.replicas.is_some() {
        let words = "no coordinator that leads answers: ask its /ready, and see its log";
        return condition("Degraded", true, "NoCoordinator", words);
    }
    condition("Degraded", false, "Runs", "every pod runs, or is being replaced")
}

/// Pods of the newest template that do not run, in words.
fn stuck(seen: &Observed) -> Vec<String> {
    let is_stuck = |pod: &Pod| pod.failing && !pod.outdated && !pod.running && !pod.stopping;
    let among = |pods: &BTreeMap<Ordinal, Pod>| -> Vec<Ordinal> {
        pods.iter().filter(|(_, pod)| is_stuck(pod)).map(|(which, _)| *which).collect()
    };
    let mut stuck = Vec::new();
    let shards: Vec<Ordinal> =
        among(&seen.pods).into_iter().filter(|shard| shard.0 < seen.wanted).collect();
    if !shards.is_empty() {
        stuck.push(named(&shards));
    }
    let coordinators = seen.coordinators.as_ref().map(|all| among(&all.pods)).unwrap_or_default();
    if !coordinators.is_empty() {
        stuck.push(named_coordinators(&coordinators));
    }
    stuck
}

fn quorum(told: &Told<'_>) -> Condition {
    let absent = told.absent.join(", ");
    match told.quorum_margin {
        None => unknown("QuorumAtRisk", "the coordinator does not answer"),
        Some(margin) if margin > 0 => {
            let words = format!("operators present weigh {margin} more than an epoch takes");
            condition("QuorumAtRisk", false, "Margin", &words)
        }
        Some(0) => {
            let words =
                "an epoch takes every operator that is present: without one more, rounds stop";
            condition("QuorumAtRisk", true, "NoMargin", words)
        }
        Some(margin) => {
            let words = format!(
                "operators present weigh {} too little for an epoch: absent are {absent}",
                -margin
            );
            condition("QuorumAtRisk", true, "NoQuorum", &words)
        }
    }
}

fn guarantee(network: &NetworkFile) -> Condition {
    let policy = &network.policy;
    let words = format!(
        "the network file promises epsilon {:.3} at delta {:e} over {} disturbed rounds, with {} operators, which is \
         all that was asked for",
        policy.epsilon,
        policy.delta,
        policy.disturbed_rounds,
        network.operators.len()
    );
    condition("GuaranteeMet", true, "Promised", &words)
}

fn list(seen: &Observed) -> Condition {
    let (Some(lists), Some(network)) = (&seen.lists, &seen.network) else {
        return unknown("ListExpiring", "there is no list yet, or the coordinator does not answer");
    };
    let left = lists.newest.last_epoch.saturating_sub(network.newest_epoch);
    let words = format!("list {} holds for {left} more epochs", lists.newest.number);
    condition(
        "ListExpiring",
        left < ENDS_SOON,
        if left < ENDS_SOON { "Soon" } else { "Far" },
        &words,
    )
}

/// Whoever administers the cluster is all the operators in it.
fn any_trust(network: &NetworkFile, told: &Told<'_>) -> Condition {
    let (here, most) = (told.weight_here, network.malicious_weight());
    if here <= most {
        let words = format!(
            "the MixNetworks that this controller looks after hold weight {here}, and {most} may be malicious. Those of \
             other namespaces count as well: whoever administers the cluster is all operators in it"
        );
        return condition("AnyTrust", true, "OneOfMany", &words);
    }
    let words = format!(
        "this cluster holds weight {here} of {}, and {most} may be malicious: whoever administers it can link all users",
        network.total_weight()
    );
    condition("AnyTrust", false, "OneParty", &words)
}

fn up_to_date(seen: &Observed) -> Condition {
    let outdated = outdated(seen);
    if outdated.is_empty() {
        return condition("UpToDate", true, "AllNew", "every pod is of the newest template");
    }
    let words = format!("of an older template: {}", outdated.join(" and "));
    condition("UpToDate", false, "Outdated", &words)
}

fn is_or_are(shards: &[Ordinal]) -> String {
    format!("{} {}", named(shards), if shards.len() == 1 { "is" } else { "are" })
}

fn condition(kind: &str, holds: bool, reason: &str, message: &str) -> Condition {
    told(kind, if holds { "True" } else { "False" }, reason, message)
}

fn unknown(kind: &str, message: &str) -> Condition {
    told(kind, "Unknown", "NotKnown", message)
}

fn told(kind: &str, status: &str, reason: &str, message: &str) -> Condition {
    let [kind, status, reason, message] = [kind, status, reason, message].map(str::to_owned);
    Condition { kind, status, reason, message, last_transition_time: String::new() }
}

/// The shards one by one.
pub(crate) fn shards(seen: &Observed, pod_name: impl Fn(Ordinal) -> String) -> Vec<ShardTold> {
    let told = seen.keys.iter().map(|(shard, identity)| ShardTold {
        name: pod_name(*shard),
        identity: identity.to_hex(),
        state: state(seen, *shard).to_owned(),
    });
    told.collect()
}

fn state(seen: &Observed, shard: Ordinal) -> &'static str {
    let stays = shard.0 < seen.wanted && seen.pods.get(&shard).is_none_or(|pod| !pod.stopping);
    match (seen.standing(shard), stays) {
        (Some(Standing::InEpoch), true) => "Serving",
        (Some(Standing::InEpoch | Standing::Leaving), _) => "Leaving",
        (_, true) => "Joining",
        (_, false) => "Drained",
    }
}

/// The newest list.
pub(crate) fn newest_list(seen: &Observed) -> Option<ListTold> {
    let list = &seen.lists.as_ref()?.newest;
    let (number, first_epoch, last_epoch) = (list.number, list.first_epoch, list.last_epoch);
    Some(ListTold { number, first_epoch, last_epoch })
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{Operator, Policy};
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::observed::{List, Lists, Network};

    /// Operators of these weights, of which a fifth may be malicious.
    fn network(weights: &[u32]) -> NetworkFile {
        let operators = weights.iter().zip(1..).map(|(weight, at)| Operator {
            name: format!("operator {at}"),
            key: antiphon_wire::IdentityKey::of(&SigningKey::from_bytes(&[at; 32])),
            weight: *weight,
        });
        let policy = Policy { trusts_heavy_operators: true, ..Policy::DEFAULT };
        NetworkFile::new(operators.collect(), policy).unwrap()
    }

    /// The condition of a kind: its status, reason and words.
    fn of(kind: &str, seen: &Observed, told: &Told<'_>, network: &NetworkFile) -> [String; 3] {
        let all = conditions(seen, &Decision::default(), network, told);
        let found = all.into_iter().find(|each| each.kind == kind).unwrap();
        [found.status, found.reason, found.message]
    }

    #[test]
    fn a_cluster_with_more_weight_than_may_be_malicious_is_one_party_and_says_so() {
        for (weights, here, status, reason) in [
            (&[1, 1, 1, 1, 1][..], 1, "True", "OneOfMany"),
            (&[1, 1, 1, 1, 1], 2, "False", "OneParty"),
            (&[1, 1, 1, 1, 1], 5, "False", "OneParty"),
            (&[3, 3, 2, 1, 1], 2, "True", "OneOfMany"),
            (&[3, 3, 2, 1, 1], 3, "False", "OneParty"),
            // Of three, a fifth is nobody: each could link all users.
            (&[1, 1, 1], 1, "False", "OneParty"),
        ] {
            let told = Told { weight_here: here, ..Told::default() };
            let network = network(weights);
            let found = of("AnyTrust", &Observed::default(), &told, &network);
            assert_eq!(found[..2], [status, reason], "{weights:?} with {here}");
            assert!(found[2].contains("whoever administers"), "{}", found[2]);
            if status == "False" {
                let share = format!("weight {here} of {}", network.total_weight());
                assert!(found[2].contains(&share), "{}", found[2]);
            }
        }
    }

    #[test]
    fn a_quorum_is_at_risk_when_no_operator_can_be_spared_and_the_absent_are_named() {
        let absent = ["delta".to_owned(), "epsilon".to_owned()];
        for (margin, status, words) in [
            (Some(1), "False", "weigh 1 more"),
            (Some(0), "True", "without one more, rounds stop"),
            (Some(-1), "True", "weigh 1 too little for an epoch: absent are delta, epsilon"),
            (None, "Unknown", "does not answer"),
        ] {
            let told = Told { quorum_margin: margin, absent: &absent, ..Told::default() };
            let found = of("QuorumAtRisk", &Observed::default(), &told, &network(&[1; 5]));
            assert_eq!(found[0], status, "{margin:?}");
            assert!(found[2].contains(words), "{}", found[2]);
        }
    }

    #[test]
    fn a_list_expires_soon_when_fewer_epochs_are_left_than_its_renewal_takes() {
        for (newest_epoch, status) in
            [(100, "False"), (900, "False"), (901, "True"), (2000, "True")]
        {
            let newest = List {
                number: 3,
                first_epoch: 1,
                last_epoch: 1000,
                shards: std::collections::BTreeSet::new(),
            };
            let seen = Observed {
                lists: Some(Lists { newest, ended: None }),
                network: Some(Network { newest_epoch, ..Network::default() }),
                ..Observed::default()
            };
            let found = of("ListExpiring", &seen, &Told::default(), &network(&[1; 5]));
            assert_eq!(found[0], status, "{newest_epoch}");
            let left =
                format!("list 3 holds for {} more epochs", 1000_u64.saturating_sub(newest_epoch));
            assert_eq!(found[2], left);
        }
    }
}
