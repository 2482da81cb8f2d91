//! How a coordinator stands, for those who look after a network. Every shard knows all of it, or anybody
//! could count it from outside: there is nothing about clients.

use antiphon_wire::{Policy, SignedDocument};
use serde::{Deserialize, Serialize};

/// How a coordinator stands. Times are milliseconds since 1970 by the coordinator's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The network file's id, in hexadecimal.
    pub network: String,
    /// The coordinator's clock.
    pub now_ms: u64,
    /// Whether this coordinator leads.
    #[serde(default)]
    pub leadership: LeadershipStatus,
    /// Whether rounds open, and for what they wait otherwise.
    pub rounds: RoundsStatus,
    /// The epoch that runs.
    pub epoch: Option<EpochStatus>,
    /// The epoch that is to follow it.
    pub next_epoch: Option<EpochStatus>,
    /// The epoch that is being planned.
    pub planned: Option<PlannedStatus>,
    /// The shards that are registered, by identity.
    pub shards: Vec<ShardStatus>,
    /// What an epoch planned now would have.
    pub quorum: QuorumStatus,
    /// What the network file asks of every epoch.
    pub guarantee: GuaranteeStatus,
}

/// Whether a coordinator leads, of those that the shards have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadershipStatus {
    /// `alone` (it is the only one), `leader`, `candidate`, `standby` or `stopped`.
    pub role: String,
    /// The term in which it leads or campaigns; for others the highest that shards speak of.
    pub term: u64,
    /// Shards that let it lead; for others those that are linked.
    pub shards: usize,
}

impl LeadershipStatus {
    /// `true` if the coordinator opens rounds: it leads, or is the only one.
    pub fn leads(&self) -> bool {
        matches!(self.role.as_str(), "alone" | "leader")
    }
}

impl Default for LeadershipStatus {
    fn default() -> Self {
        Self { role: "alone".to_owned(), term: 0, shards: 0 }
    }
}

/// How rounds go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundsStatus {
    /// Whether they open: `standby` (another coordinator opens them), `going`, `resuming` (not before the epoch's shards are back), `broken` (not
    /// before the next epoch) or `stopped`.
    pub conduct: String,
    /// The highest number that was opened or skipped.
    pub last: u64,
    /// The rounds that are open.
    pub open: Vec<u64>,
    /// By how much the coordinator's clock is behind those of most shards, in milliseconds; 0 if it is
    /// within two seconds of them.
    pub clock_behind_ms: i64,
    /// Milliseconds after which all but one of the last twenty rounds were over; 0 before the first.
    #[serde(default)]
    pub took_ms: u64,
    /// Milliseconds that they may take without holding up others: the interval, times the rounds that may be open at once.
    #[serde(default)]
    pub may_take_ms: u64,
}

impl RoundsStatus {
    /// How much of the time that rounds may take they took; `None` before the first.
    pub fn share(&self) -> Option<f64> {
        let is_known = self.took_ms > 0 && self.may_take_ms > 0;
        is_known.then(|| self.took_ms as f64 / self.may_take_ms as f64)
    }
}

/// An epoch that all its shards have signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochStatus {
    /// Its number.
    pub epoch: u64,
    /// Its first round.
    pub first_round: u64,
    /// Its last round.
    pub last_round: u64,
    /// When its keys are erased, by the shards' clocks.
    pub expires_at_ms: u64,
    /// Nominal time between its rounds, in milliseconds.
    #[serde(default)]
    pub interval_ms: u32,
    /// Beats that follow each of its rounds; 0 in a classic network.
    #[serde(default)]
    pub beats: u16,
    /// Time between them, in milliseconds.
    #[serde(default)]
    pub beat_ms: u32,
    /// L, the number of layers.
    pub layers: u8,
    /// How many shards it has.
    pub shards: usize,
}

/// An epoch on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStatus {
    /// Its number.
    pub epoch: u64,
    /// How far it is: `calling`, `composing`, `proposing` or `verifying`.
    pub phase: String,
    /// How many shards are still in it.
    pub shards: usize,
}

/// A registered shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardStatus {
    /// Its identity, in hexadecimal.
    pub shard: String,
    /// Its operator's name.
    pub operator: String,
    /// `leaving`, `released`, `garbles` (it was named for that, and sits out), `suspended`, `in_epoch` (that runs or follows) or `waiting` for one.
    pub standing: String,
    /// Epochs that it still sits out, unless a quorum needs it.
    pub sits_out: u32,
    /// By how much its clock is ahead of the coordinator's, in milliseconds.
    pub clock_ahead_ms: i64,
}

/// The operators whose shards could form an epoch now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumStatus {
    /// The weight of the operators present.
    pub present_weight: u64,
    /// The least weight that an epoch takes.
    pub needed_weight: u64,
    /// The weight of all operators.
    pub total_weight: u64,
    /// The names of the operators that are not present.
    pub absent: Vec<String>,
}

/// What the network file asks of every epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuaranteeStatus {
    /// The largest share of the operators' weight that may be malicious.
    pub malicious: f64,
    /// epsilon over all disturbed rounds.
    pub epsilon: f64,
    /// delta of the noise over them.
    pub delta: f64,
    /// The disturbed rounds that the guarantee covers.
    pub disturbed_rounds: u32,
    /// What everything together may add to delta.
    pub total_delta: f64,
    /// The days that `total_delta` is over.
    pub total_over_days: u32,
}

impl EpochStatus {
    pub(crate) fn of(signed: &SignedDocument) -> Self {
        let document = &signed.document;
        Self {
            epoch: document.epoch.0,
            first_round: document.first_round.0,
            last_round: document.last_round.0,
            expires_at_ms: document.expires_at.0,
            interval_ms: document.parameters.interval_ms,
            beats: document.parameters.beats.beats,
            beat_ms: document.parameters.beats.beat_ms,
            layers: document.parameters.layers,
            shards: document.shards.len(),
        }
    }
}

impl GuaranteeStatus {
    pub(crate) fn of(policy: &Policy) -> Self {
        Self {
            malicious: f64::from(policy.malicious_ppm) / 1e6,
            epsilon: policy.epsilon,
            delta: policy.delta,
            disturbed_rounds: policy.disturbed_rounds,
            total_delta: policy.total_delta,
            total_over_days: policy.total_over_days,
        }
    }
}
