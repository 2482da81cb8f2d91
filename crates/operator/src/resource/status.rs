//! The status of the resource.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of the operator's part of the network.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MixNetworkStatus {
    /// The generation of the specification that all this is about.
    pub(crate) observed_generation: i64,
    /// Shards in the epoch that runs.
    pub(crate) shards: u16,
    /// The labels of the shards' pods, for `kubectl scale` and its like.
    pub(crate) selector: String,
    /// The epoch that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) epoch: Option<u64>,
    /// Its layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) layers: Option<u8>,
    /// The weight of operators present beyond the least that an epoch takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quorum_margin: Option<i64>,
    /// The operator's newest list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) list: Option<ListTold>,
    /// The shards, one by one.
    pub(crate) shard_states: Vec<ShardTold>,
    /// Conditions, in words.
    pub(crate) conditions: Vec<Condition>,
}

/// An operator's list.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListTold {
    /// Its number.
    pub(crate) number: u32,
    /// The first epoch that it holds for.
    pub(crate) first_epoch: u64,
    /// The last epoch that it holds for.
    pub(crate) last_epoch: u64,
}

/// A shard.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShardTold {
    /// The pod's name.
    pub(crate) name: String,
    /// Its public key, in hexadecimal.
    pub(crate) identity: String,
    /// Joining, Serving, Leaving or Drained.
    pub(crate) state: String,
}

/// Something that holds or does not.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Condition {
    /// The subject of the condition.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// True, False or Unknown.
    pub(crate) status: String,
    /// The reason as one word.
    pub(crate) reason: String,
    /// The reason for people, with what to do.
    pub(crate) message: String,
    /// Since when the status is what it is.
    pub(crate) last_transition_time: String,
}
