//! Shards that an epoch can have. Operators count as present only with more than half of their list, and
//! those present must hold more than (1+f)/2 of the network file's weight.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{Epoch, IdentityKey, NetworkFile, OperatorIndex, OperatorList, Signed};

use super::roster::Roster;
use crate::faults::Suspensions;

/// Share of the network file's weight that is present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// The weight of the operators present.
    pub present_weight: u64,
    /// The weight of all operators.
    pub total_weight: u64,
    /// Shards of operators that are present.
    pub shards: usize,
    /// The names of the operators that are not.
    pub absent: Vec<String>,
}

/// The shards for an epoch, and what they amount to.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    pub(super) shards: Vec<IdentityKey>,
    pub(crate) presence: Presence,
    /// True if every shard on the lists of all operators is among them.
    pub(super) complete: bool,
    pub(crate) is_quorum: bool,
}

/// The list of each operator that holds for `epoch`: the newest that more than half of its shards have
/// registered with. Shards get a new list one after the other, and sign with no other than they have.
pub(super) fn lists(
    roster: &Roster,
    epoch: Epoch,
) -> BTreeMap<OperatorIndex, &Signed<OperatorList>> {
    // The lists in use, and how many shards have registered with each: all of them are on it.
    let mut in_use: BTreeMap<_, (&Signed<OperatorList>, usize)> = BTreeMap::new();
    for (_, member) in roster.members() {
        let list = member.list().claimed();
        if (list.first_epoch..=list.last_epoch).contains(&epoch) {
            let key = (member.operator(), list.number);
            in_use.entry(key).or_insert_with(|| (member.list(), 0)).1 += 1;
        }
    }
    let mut lists = BTreeMap::new();
    let has_most = |list: &Signed<OperatorList>, has| 2 * has > list.claimed().shards.len();
    // By rising numbers: a newer one with fewer gives way to one that more than half have.
    for ((operator, _), (list, has)) in in_use {
        let kept = lists.entry(operator).or_insert((list, has));
        if has_most(list, has) || !has_most(kept.0, kept.1) {
            *kept = (list, has);
        }
    }
    lists.into_iter().map(|(operator, (list, _))| (operator, list)).collect()
}

/// The operator and the number of the list that a shard has registered with.
fn registered(roster: &Roster, shard: &IdentityKey) -> Option<(OperatorIndex, u32)> {
    roster.member(shard).map(|member| (member.operator(), member.list().claimed().number))
}

/// The shards among `candidates` whose operators are present in `epoch`.
///
/// Long, as weight, shards and the words on who is absent come of one walk over the operators.
pub(crate) fn select(
    roster: &Roster,
    network: &NetworkFile,
    epoch: Epoch,
    least_shards: u16,
    candidates: &BTreeSet<IdentityKey>,
) -> Selection {
    let lists = lists(roster, epoch);
    let mut selection = Selection {
        shards: Vec::new(),
        presence: Presence { total_weight: network.total_weight(), ..Presence::default() },
        complete: true,
        is_quorum: false,
    };
    for (position, operator) in network.operators.iter().enumerate() {
        // At most 1000 operators, as the network file's parser checks.
        let list = lists.get(&OperatorIndex(position as u16)).map(|list| list.claimed());
        let listed: BTreeSet<_> = list.iter().flat_map(|list| &list.shards).copied().collect();
        let here: Vec<_> = listed
            .iter()
            .filter(|id| candidates.contains(id))
            .filter(|id| {
                let list = list.map(|list| (list.operator, list.number));
                list.is_some() && registered(roster, id) == list
            })
            .copied()
            .collect();
        selection.complete &= !listed.is_empty() && here.len() == listed.len();
        if 2 * here.len() > listed.len() {
            selection.presence.present_weight += u64::from(operator.weight);
            selection.shards.extend(here);
        } else {
            let ended = list.is_none().then(|| ended(roster, position, epoch)).flatten();
            let ended = ended.map(|end| format!(" (its list ended with epoch {end})"));
            let name = format!("{}{}", operator.name, ended.unwrap_or_default());
            selection.presence.absent.push(name);
        }
    }
    selection.presence.shards = selection.shards.len();
    selection.is_quorum = holds(network, selection.presence.present_weight)
        && selection.shards.len() >= usize::from(least_shards.max(1));
    selection
}

/// The first and the last epoch of each operator's list that ends last.
pub(super) fn terms(roster: &Roster) -> Vec<(Epoch, Epoch, OperatorIndex)> {
    let mut terms: BTreeMap<OperatorIndex, (Epoch, Epoch)> = BTreeMap::new();
    for (_, member) in roster.members() {
        let OperatorList { first_epoch, last_epoch, .. } = *member.list().claimed();
        let kept = terms.entry(member.operator()).or_insert((first_epoch, last_epoch));
        if kept.1 < last_epoch {
            *kept = (first_epoch, last_epoch);
        }
    }
    terms.into_iter().map(|(operator, (first, last))| (first, last, operator)).collect()
}

/// The last epoch of the lists of an operator whose shards are here, if that is before `epoch`.
fn ended(roster: &Roster, operator: usize, epoch: Epoch) -> Option<Epoch> {
    let own = roster.members().filter(|(_, member)| member.operator().position() == operator);
    own.map(|(_, member)| member.list().claimed().last_epoch).max().filter(|last| *last < epoch)
}

/// The shards for `epoch`: all that are registered, not leaving and not suspended, and as many
/// suspended ones, the least suspended first, as a quorum takes.
pub(super) fn choose(
    roster: &Roster,
    network: &NetworkFile,
    epoch: Epoch,
    least_shards: u16,
    suspensions: &Suspensions,
) -> Selection {
    let (mut suspended, free): (Vec<_>, Vec<_>) =
        staying(roster).partition(|id| suspensions.is_suspended(id));
    let mut candidates: BTreeSet<_> = free.into_iter().collect();
    // Suspended shards are taken in one by one, those with least left first, until a quorum stands.
    suspended.sort_by_key(|id| (suspensions.epochs_left(id), *id));
    let mut selection = select(roster, network, epoch, least_shards, &candidates);
    for id in suspended {
        if selection.is_quorum {
            break;
        }
        candidates.insert(id);
        selection = select(roster, network, epoch, least_shards, &candidates);
    }
    selection
}

/// The shards that are registered and not leaving.
fn staying(roster: &Roster) -> impl Iterator<Item = IdentityKey> {
    roster.members().filter(|(_, member)| !member.is_leaving()).map(|(id, _)| *id)
}

/// Returns `true` if `present` is more than (1+f)/2 of the network's weight.
fn holds(network: &NetworkFile, present: u64) -> bool {
    present >= least_weight(network)
}

/// The least weight that is more than (1+f)/2 of the network's.
pub(crate) fn least_weight(network: &NetworkFile) -> u64 {
    let f = u128::from(network.policy.malicious_ppm);
    let half = (1_000_000 + f) * u128::from(network.total_weight()) / 2_000_000;
    u64::try_from(half).map_or(u64::MAX, |half| half.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use antiphon_wire::{Operator, PROTOCOL_VERSION, Policy, Registration, Standing, Timestamp};
    use ed25519_dalek::SigningKey;

    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn shards(seeds: &[u8]) -> Vec<IdentityKey> {
        seeds.iter().map(|seed| IdentityKey::of(&key(*seed))).collect()
    }

    struct Members {
        network: NetworkFile,
        roster: Roster,
    }

    impl Members {
        fn new() -> Self {
            let operator =
                Operator { name: "alpha".into(), key: IdentityKey::of(&key(99)), weight: 1 };
            let policy = Policy { trusts_heavy_operators: true, ..Policy::default() };
            let network = NetworkFile::new(vec![operator], policy).unwrap();
            Self { network, roster: Roster::default() }
        }

        /// A shard registers with the list of this number.
        fn register(&mut self, seed: u8, (number, listed): (u32, &[u8])) {
            let list = OperatorList {
                network: self.network.id(),
                operator: OperatorIndex(0),
                number,
                first_epoch: Epoch(1),
                last_epoch: Epoch(9),
                shards: shards(listed),
            };
            let registration = Registration {
                version: PROTOCOL_VERSION,
                list: Signed::new(list, &key(99)),
                peer_addresses: SocketAddr::from(([127, 0, 0, 1], 1)).into(),
                client_addresses: SocketAddr::from(([127, 0, 0, 1], 2)).into(),
            };
            let [identity] = shards(&[seed])[..] else { unreachable!("one seed, one shard") };
            self.roster.connect(identity);
            let registered = (registration, Standing::default());
            let when = (Epoch(1), Timestamp(0));
            self.roster.register(identity, registered, &self.network, when).unwrap();
        }

        fn chosen(&self) -> Vec<IdentityKey> {
            let candidates = self.roster.members().map(|(identity, _)| *identity).collect();
            select(&self.roster, &self.network, Epoch(5), 1, &candidates).shards
        }
    }

    #[test]
    fn a_new_list_counts_when_more_than_half_of_its_shards_have_it_and_then_for_those_alone() {
        let old: (u32, &[u8]) = (1, &[1, 2, 3]);
        let new: (u32, &[u8]) = (3, &[1, 2, 3, 4, 5]);
        let mut members = Members::new();
        (1..=3).for_each(|seed| members.register(seed, old));
        let sorted = |seeds: &[u8]| {
            let mut keys = shards(seeds);
            keys.sort_unstable();
            keys
        };
        assert_eq!(members.chosen(), sorted(&[1, 2, 3]));
        members.register(4, new);
        members.register(5, new);
        assert_eq!(members.chosen(), sorted(&[1, 2, 3]), "two of five");
        members.register(1, new);
        assert_eq!(members.chosen(), sorted(&[1, 4, 5]), "2 and 3 would not sign with it");
        (2..=3).for_each(|seed| members.register(seed, new));
        assert_eq!(members.chosen(), sorted(&[1, 2, 3, 4, 5]));
    }
}
