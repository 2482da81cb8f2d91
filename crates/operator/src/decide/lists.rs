//! The operator's lists: the first, the end of one before its shards change, the next, and renewals.

use std::collections::BTreeSet;

use super::Decision;
use crate::observed::{List, Lists, Network, Observed, Ordinal};
use crate::step::{Step, identities, named};

/// Epochs that a list holds for. It is renewed long before it ends, and a shard that leaves is off the next one.
const EPOCHS: u64 = 1000;
/// Epochs before its end at which a list is renewed.
const RENEWED_AT: u64 = 200;

/// The operator's first list, before anything of it runs.
pub(super) fn first(seen: &Observed) -> Decision {
    if !seen.pods.is_empty() || seen.replicas.is_some_and(|replicas| replicas > 0) {
        return Decision::blocked(
            "the ConfigMap with the operator's lists is gone, though its shards run: put it back from a backup, or \
             put the newest list there by hand, since another one of the same number would be refused"
                .to_owned(),
        );
    }
    let first_epoch = seen.network.as_ref().map_or(0, |network| network.newest_epoch) + 1;
    let shards = identities(seen, seen.wanted());
    sign(List { number: 1, first_epoch, last_epoch: first_epoch + EPOCHS, shards }, None)
}

/// The next list, if the shards on the newest one are not those asked for, or it ends soon.
pub(super) fn change(seen: &Observed) -> Decision {
    let Some(lists) = &seen.lists else { return Decision::default() };
    let wanted = identities(seen, seen.wanted());
    match lists {
        Lists { newest, ended: Some(ended) } if newest.shards.is_empty() => {
            follow(seen, newest, ended)
        }
        Lists { newest, .. } if newest.shards.is_empty() => Decision::blocked(
            "the newest list ends another one that the ConfigMap does not hold: put the ConfigMap back from a backup"
                .to_owned(),
        ),
        Lists { newest, .. } if newest.shards == wanted => renew(seen, newest),
        Lists { newest, .. } => end(seen, newest),
    }
}

/// A shard that never came would count as absent, and the operator with it: new ones are listed once they run.
fn may_be_listed(seen: &Observed, before: &List, shard: Ordinal) -> bool {
    let listed = seen.keys.get(&shard).is_some_and(|key| before.shards.contains(key));
    listed || seen.pods.get(&shard).is_some_and(|pod| pod.running)
}

/// Ends a list whose shards are not those asked for.
fn end(seen: &Observed, newest: &List) -> Decision {
    let absent: Vec<Ordinal> =
        seen.wanted().filter(|shard| !may_be_listed(seen, newest, *shard)).collect();
    if !absent.is_empty() {
        return Decision::waits(format!(
            "waits for {} to run, before a list names them",
            named(&absent)
        ));
    }
    match first_epoch(seen, newest) {
        Err(reason) => Decision::waits(reason),
        Ok(first_epoch) => {
            let shards = BTreeSet::new();
            let last_epoch = first_epoch + EPOCHS;
            let list = List { number: newest.number + 1, first_epoch, last_epoch, shards };
            sign(list, Some(newest.clone()))
        }
    }
}

/// Signs the list after an end that more than half of the ended list's shards have taken: without that, two
/// documents could be signed for one epoch.
fn follow(seen: &Observed, end: &List, ended: &List) -> Decision {
    let has_taken = |shard: &Ordinal| {
        let pod = seen.pods.get(shard);
        pod.is_some_and(|pod| pod.took_list.is_some_and(|taken| taken >= end.number))
    };
    let listed = seen.keys.iter().filter(|(_, key)| ended.shards.contains(*key));
    let taken = listed.filter(|(shard, _)| has_taken(shard)).count();
    if 2 * taken > ended.shards.len() {
        let shards = seen.wanted().filter(|shard| may_be_listed(seen, ended, *shard));
        let shards = identities(seen, shards);
        if shards.is_empty() {
            return Decision::waits(
                "waits for a shard to run that the next list can name".to_owned(),
            );
        }
        return sign(List { number: end.number + 1, shards, ..end.clone() }, None);
    }
    // Shards that have signed for its first epoch meanwhile never take it.
    let late = seen.network.as_ref().filter(|network| network.newest_epoch >= end.first_epoch);
    match late.filter(|network| !network.planning) {
        Some(network) => {
            let first_epoch = network.newest_epoch + 1;
            let last_epoch = first_epoch + EPOCHS;
            let list = List { number: end.number + 1, first_epoch, last_epoch, ..end.clone() };
            sign(list, Some(ended.clone()))
        }
        None => Decision::waits(format!(
            "waits for more than half of {} shards to take the end of their list: {taken} have",
            ended.shards.len()
        )),
    }
}

/// Signs a list anew before it ends, or if some of its shards cannot take it: they have signed for its first epoch
/// before they read it. The same shards need no end of the one before.
fn renew(seen: &Observed, newest: &List) -> Decision {
    let Some(network) = &seen.network else { return Decision::default() };
    let ends_soon = network.newest_epoch + RENEWED_AT > newest.last_epoch;
    let began = network.newest_epoch >= newest.first_epoch;
    let is_needed = ends_soon || (began && is_refused(seen, newest));
    if !is_needed {
        return Decision::default();
    }
    match first_epoch(seen, newest) {
        Err(reason) => Decision::waits(reason),
        Ok(first_epoch) => {
            let (number, last_epoch) = (newest.number + 1, first_epoch + EPOCHS);
            let shards = newest.shards.clone();
            sign(List { number, first_epoch, last_epoch, shards }, None)
        }
    }
}

/// `true` if a shard goes by an older list than the one that its node has brought.
fn is_refused(seen: &Observed, newest: &List) -> bool {
    let older = |taken: u32| taken < newest.number;
    let mut pods = seen.wanted().filter_map(|shard| seen.pods.get(&shard));
    pods.any(|pod| {
        pod.running && pod.told_list == Some(newest.number) && pod.took_list.is_some_and(older)
    })
}

/// The first epoch of a list that is signed now: one that nobody signs a document for before all shards have
/// the list. The error says what is waited for.
fn first_epoch(seen: &Observed, newest: &List) -> Result<u64, String> {
    let Some(network) = &seen.network else {
        return Err("cannot ask the coordinator how the network stands".to_owned());
    };
    let Network { epoch, newest_epoch, planning, rounds_left, unopened, .. } = *network;
    if epoch.is_none() && unopened && !planning {
        return Ok(newest.first_epoch.max(newest_epoch + 1));
    }
    if epoch.is_none() {
        return Err("waits for an epoch to run before shards change".to_owned());
    }
    if planning || rounds_left < seen.room {
        return Err(
            "waits for the next epoch before shards change: one is about to be planned".to_owned()
        );
    }
    Ok(newest.first_epoch.max(newest_epoch + 1))
}

fn sign(list: List, ended: Option<List>) -> Decision {
    Decision::step(Step::Sign { list, ended })
}
