//! How a shard stands, for those who look after it. Every other shard knows all of it: there is nothing about
//! clients.

use antiphon_process::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::advice;

/// How a shard stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// The network file's id, in hexadecimal.
    pub network: String,
    /// The shard's identity, in hexadecimal.
    pub shard: String,
    /// Whether it takes part in an epoch, as `/ready` says.
    pub ready: bool,
    /// The same in words, with the reason if it does not.
    pub words: String,
    /// The newest epoch that it is part of.
    pub epoch: Option<u64>,
    /// How far it is with leaving at the wish of those who look after it.
    pub drain: Drain,
    /// Whether the process is stopping.
    pub stopping: bool,
    /// Why there is no link to the coordinator, if there is none.
    pub unlinked: Option<String>,
    /// The operator's list that it registers with.
    pub list: ListStatus,
}

/// How far a shard is with leaving at the wish of those who look after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Drain {
    /// Nobody wants it to leave.
    #[default]
    No,
    /// It serves until an epoch without it takes over.
    Leaving,
    /// It is in no epoch, and may be stopped at any time.
    Drained,
    /// It stays, since no epoch could come about without it.
    Refused {
        /// Who would be missing, in words.
        why: String,
    },
}

/// The operator's list that a shard registers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListStatus {
    /// Its number.
    pub number: u32,
    /// The first epoch that it is for.
    pub first_epoch: u64,
    /// The last epoch that it is for.
    pub last_epoch: u64,
    /// Whether the newest list has the shard.
    pub has_shard: bool,
}

/// What is answered to whoever asks how the shard stands.
#[derive(Serialize)]
struct Page<'a> {
    verdict: Verdict,
    #[serde(flatten)]
    status: &'a Status,
}

impl Status {
    pub(crate) fn to_json(&self) -> String {
        let page = Page { verdict: advice::verdict(self), status: self };
        serde_json::to_string(&page).unwrap_or_else(|_| unreachable!("numbers and texts are JSON"))
    }
}
