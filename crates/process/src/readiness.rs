//! The readiness of a process for its work.

use std::fmt;

/// Readiness of a process for its work, in words for those who look after it. Nothing about users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It is ready, and takes part in this.
    Ready(String),
    /// It is not ready yet, or no more, for this reason.
    NotReady(String),
}

impl Readiness {
    /// Returns `true` if it is ready.
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(what) => write!(f, "ready: {what}"),
            Self::NotReady(why) => write!(f, "not ready: {why}"),
        }
    }
}
