//! The observations that a decision goes by. All of it is read anew every time: nothing is remembered from one decision to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use antiphon_wire::IdentityKey;

use crate::window::Window;

/// A shard of the operator, or a coordinator, by the number in its pod's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ordinal(pub(crate) u16);

/// Everything that is known of an operator's part of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// Number of shards asked for.
    pub(crate) wanted: u16,
    /// `true` if no pod is to be replaced for a new image.
    pub(crate) paused: bool,
    /// The part of the day in which pods that serve are replaced, if this is another part.
    pub(crate) closed: Option<Window>,
    /// Number of shards that may be replaced at one hand-over.
    pub(crate) at_once: u16,
    /// `true` if the resource is being deleted.
    pub(crate) deleted: bool,
    /// Rounds that have to be left of the running epoch for a list's shards to change.
    pub(crate) room: u64,
    /// Public keys of the shards whose secret keys are kept.
    pub(crate) keys: BTreeMap<Ordinal, IdentityKey>,
    /// The operator's lists; `None` if it has signed none.
    pub(crate) lists: Option<Lists>,
    /// The number of pods that the StatefulSet keeps; `None` if there is no such set.
    pub(crate) replicas: Option<u16>,
    /// The shards' pods.
    pub(crate) pods: BTreeMap<Ordinal, Pod>,
    /// Shards that have a claim.
    pub(crate) claims: BTreeSet<Ordinal>,
    /// Shards asked for that nobody outside could find yet: their load balancers have no addresses.
    pub(crate) awaited: BTreeSet<Ordinal>,
    /// The coordinators; `None` if they run elsewhere.
    pub(crate) coordinators: Option<Coordinators>,
    /// The view of the coordinator that leads; `None` if it cannot be asked, or none leads.
    pub(crate) network: Option<Network>,
    /// Bounds within which the number of shards follows the load; `None` if people say how many there are.
    pub(crate) scaling: Option<Scaling>,
    /// Computing time of shards over the last rounds, of what their processors have: those that say so.
    pub(crate) computing: BTreeMap<Ordinal, Permille>,
}

/// A share, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Permille(pub(crate) u32);

/// Bounds within which the number of shards follows the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scaling {
    /// The fewest shards.
    pub(crate) least: u16,
    /// The most shards.
    pub(crate) most: u16,
    /// The share of what it has that a shard should need.
    pub(crate) target: Permille,
}

/// The coordinators that run here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coordinators {
    /// Number of coordinators asked for.
    pub(crate) wanted: u16,
    /// Those whose keys are kept.
    pub(crate) keys: BTreeSet<Ordinal>,
    /// Their pods.
    pub(crate) pods: BTreeMap<Ordinal, Pod>,
    /// The one that leads, or the only one.
    pub(crate) leader: Option<Ordinal>,
}

/// The operator's newest list, and the one that it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lists {
    /// The newest list.
    pub(crate) newest: List,
    /// The list before, if the newest one ends it.
    pub(crate) ended: Option<List>,
}

/// A list of shards, as far as decisions go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct List {
    /// Its number.
    pub(crate) number: u32,
    /// The first epoch that it holds for.
    pub(crate) first_epoch: u64,
    /// The last epoch that it holds for.
    pub(crate) last_epoch: u64,
    /// The shards on it; none if it ends the list before.
    pub(crate) shards: BTreeSet<IdentityKey>,
}

/// A pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pod {
    /// `true` if it was told to stop.
    pub(crate) stopping: bool,
    /// `true` if its program answers.
    pub(crate) running: bool,
    /// `true` if its program does not start, or no node takes it.
    pub(crate) failing: bool,
    /// `true` if it says that it takes part in an epoch; of a coordinator, that it could lead.
    pub(crate) ready: bool,
    /// `true` if it was made of an older template than the newest.
    pub(crate) outdated: bool,
    /// The number of the newest list that its program has taken.
    pub(crate) took_list: Option<u32>,
    /// The number of the list that its node was last told to bring.
    pub(crate) told_list: Option<u32>,
}

/// The coordinator's view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Network {
    /// The epoch that runs.
    pub(crate) epoch: Option<u64>,
    /// The highest epoch that is signed, or may become so.
    pub(crate) newest_epoch: u64,
    /// `true` if an epoch is being planned, or one that was has not begun.
    pub(crate) planning: bool,
    /// Rounds that are left of the running epoch.
    pub(crate) rounds_left: u64,
    /// Rounds of the running epoch that were opened.
    pub(crate) rounds_run: u64,
    /// Time of the last rounds, of what they may take; `None` before the first.
    pub(crate) took: Option<Permille>,
    /// Shards of the running epoch, of all operators.
    pub(crate) epoch_shards: u16,
    /// `true` if there has never been a round.
    pub(crate) unopened: bool,
    /// Registered shards, of all operators.
    pub(crate) shards: BTreeMap<IdentityKey, Standing>,
}

/// A registered shard's part in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is in an epoch that runs or follows.
    InEpoch,
    /// It waits for one, or sits some out.
    Waiting,
    /// It is in an epoch, and in none after that.
    Leaving,
    /// Nothing more is wanted of it.
    Released,
}

impl Permille {
    /// The nearest to a share that was measured; `None` for what is none.
    pub(crate) fn of(share: f64) -> Option<Self> {
        let thousandths = (share * 1000.0).round();
        let is_share = (0.0..1e9).contains(&thousandths);
        // In the range of the type, by the line above.
        is_share.then_some(Self(thousandths as u32))
    }
}

impl fmt::Display for Permille {
    /// In steps of five percent: whoever reads it needs no more, and what is told changes seldom.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0.saturating_add(25) / 50 * 5)
    }
}

impl Coordinators {
    /// The coordinators asked for.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = Ordinal> + use<> {
        (0..self.wanted).map(Ordinal)
    }

    /// `true` if a coordinator leads, or could.
    pub(crate) fn is_ready(&self, coordinator: Ordinal) -> bool {
        self.pods.get(&coordinator).is_some_and(|pod| pod.ready && !pod.stopping)
    }

    /// Those that do not lead and could not.
    pub(crate) fn idle(&self) -> Vec<Ordinal> {
        self.wanted().filter(|coordinator| !self.is_ready(*coordinator)).collect()
    }

    /// Those of them that are gone, or whose pods the newest template made.
    pub(crate) fn idle_of_the_newest_template(&self) -> impl Iterator<Item = Ordinal> {
        let outdated: BTreeSet<Ordinal> = self.outdated().collect();
        self.idle().into_iter().filter(move |coordinator| !outdated.contains(coordinator))
    }

    /// Those whose pods an older template made.
    pub(crate) fn outdated(&self) -> impl Iterator<Item = Ordinal> {
        let outdated = self.pods.iter().filter(|(_, pod)| pod.outdated && !pod.stopping);
        outdated.map(|(coordinator, _)| *coordinator)
    }
}

impl Observed {
    /// The shards asked for.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = Ordinal> + use<> {
        (0..self.wanted).map(Ordinal)
    }

    /// The coordinator's word on a shard; `None` if it does not know it, or cannot be asked.
    pub(crate) fn standing(&self, shard: Ordinal) -> Option<Standing> {
        let identity = self.keys.get(&shard)?;
        self.network.as_ref()?.shards.get(identity).copied()
    }

    /// `true` if a shard is in an epoch, by its own word and the coordinator's.
    pub(crate) fn serves(&self, shard: Ordinal) -> bool {
        let pod = self.pods.get(&shard).is_some_and(|pod| pod.ready && !pod.stopping);
        pod && self.standing(shard) == Some(Standing::InEpoch)
    }
}
