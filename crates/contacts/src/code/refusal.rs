//! Why a right code is not one to invite.

use antiphon_wire::Timestamp;

use super::{ContactCode, NetworkMark, OwnCodes};

/// Reason why a contact code is refused, although it reads well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeRefusal {
    /// Made in another network.
    #[error(
        "this contact code is of another network than the one that this client is in: ask for one of this \
         network, or use the network file that its owner uses"
    )]
    Network,
    /// One of the user's own.
    #[error(
        "this is your own contact code, \"{0}\": give it to somebody else, who can then invite you"
    )]
    Own(String),
    /// Over.
    #[error("this contact code ended {}: ask its owner for a new one", ago(*.0))]
    Expired(u64),
}

fn ago(hours: u64) -> String {
    match hours {
        0 => "less than an hour ago".into(),
        1..48 => format!("{hours} hours ago"),
        _ => format!("{} days ago", hours / 24),
    }
}

pub(super) fn check(
    code: &ContactCode,
    network: NetworkMark,
    now: Timestamp,
    own: &OwnCodes,
) -> Result<(), CodeRefusal> {
    if code.network != network {
        return Err(CodeRefusal::Network);
    }
    if let Some(mine) = own.all().iter().find(|mine| mine.code().key == code.key) {
        return Err(CodeRefusal::Own(mine.label().to_owned()));
    }
    match code.expiry.ends() {
        Some(ends) if ends <= now => Err(CodeRefusal::Expired(now.ms_since(ends) / super::HOUR_MS)),
        _ => Ok(()),
    }
}
