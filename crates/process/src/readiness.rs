//! Whether a process can do its work.

use std::fmt;

/// Whether a process can do its work, in words for those who look after it. Nothing about users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It can, and what it takes part in.
    Ready(String),
    /// It cannot yet, or no more, and why.
    NotReady(String),
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(what) => write!(f, "ready: {what}"),
            Self::NotReady(why) => write!(f, "not ready: {why}"),
        }
    }
}
