//! Rounds for which nothing is submitted.

use antiphon_onion::{BuildError, KeyError};

/// Reason why nothing is submitted for a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoundRefusal {
    /// No document of the epoch is held.
    #[error("no document of this epoch is known; the gateway has to send it first")]
    UnknownEpoch,
    /// The epoch does not have the round.
    #[error("the round is outside its epoch")]
    OutsideEpoch,
    /// A newer epoch has taken the round over.
    #[error("a newer epoch has taken this round over")]
    Superseded,
    /// The epoch has expired.
    #[error("the epoch's document has expired; if it should not have, check this computer's clock")]
    Expired,
    /// The client's state was restored from a backup, and the epoch may have been used before.
    #[error(
        "the state was restored from a backup, and a newer one may have used this epoch: the next \
         epoch to start is served"
    )]
    AfterRestore,
    /// The round is open before it can be.
    #[error("the round opened {0} ms before it can have; check this computer's clock")]
    BeforeItsTime(u64),
    /// The round is open long after it should be.
    #[error("the round opened {0} ms later than is accepted; check this computer's clock")]
    AfterItsTime(u64),
    /// Rounds follow each other faster than the network file allows.
    #[error("rounds follow each other faster than the network file allows, by {0} ms")]
    TooSoon(u64),
    /// The round's keys cannot be used.
    #[error("the round's keys cannot be used: {0}")]
    Keys(#[from] KeyError),
    /// The onions cannot be built.
    #[error("the round's onions cannot be built: {0}")]
    Build(#[from] BuildError),
}
