//! What a decision goes by. All of it is read anew every time: nothing is remembered from one decision to the next.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::IdentityKey;

/// A shard of the operator, by the number in its pod's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ordinal(pub(crate) u16);

/// Everything that is known of an operator's part of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// Number of shards asked for.
    pub(crate) wanted: u16,
    /// `true` if no pod is to be replaced for a new image.
    pub(crate) paused: bool,
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
    /// `true` if the coordinator's key is kept; `None` if the coordinator runs elsewhere.
    pub(crate) coordinator_key: Option<bool>,
    /// The coordinator's pod, where it runs here.
    pub(crate) coordinator: Option<Pod>,
    /// The coordinator's view of the network; `None` if it cannot be asked.
    pub(crate) network: Option<Network>,
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
    /// `true` if it says that it takes part in an epoch.
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

impl Observed {
    /// The shards asked for.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = Ordinal> + use<> {
        (0..self.wanted).map(Ordinal)
    }

    /// What the coordinator says of a shard; `None` if it does not know it, or cannot be asked.
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
