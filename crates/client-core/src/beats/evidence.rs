//! The evidence whose beats run.

use antiphon_onion::{KeyError, SealKeySum, SealSecretKey};
use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{
    Announcement, BadSignature, Epoch, SealAct, SealStatement, ShardIndex, Signed,
};

/// Reason why a round's beats are not taken to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// No document of the epoch is held.
    #[error("no document of epoch {0} is known")]
    UnknownEpoch(Epoch),
    /// The epoch does not have the round.
    #[error("the round is outside its epoch")]
    OutsideEpoch,
    /// Other beats are announced than the epoch has, or it has none.
    #[error("its beats are announced otherwise than the epoch's document has them")]
    OtherBeats,
    /// There is not exactly one statement for each shard.
    #[error("{found} statements from {shards} shards: one of each is needed")]
    Count {
        /// Number of statements.
        found: usize,
        /// Number of shards.
        shards: usize,
    },
    /// A statement is about another round, network or shard than it stands for.
    #[error("the statement in the place of shard {0} is about something else")]
    OtherStatement(ShardIndex),
    /// A shard was satisfied with another announcement of the round.
    #[error("shard {0} released its seal key for another announcement of the round")]
    OtherAnnouncement(ShardIndex),
    /// A shard withheld its key.
    #[error("shard {0} withheld its seal key")]
    Withheld(ShardIndex),
    /// A shard did not sign its statement.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// A released secret is none.
    #[error("shard {0} released what is no secret: {1}")]
    Secret(ShardIndex, KeyError),
    /// The released secrets do not open the round.
    #[error("the released secrets do not belong to the round's joint seal key")]
    OtherKey,
}

/// Checks that the seal of the announced round has opened: every shard released the secret of its seal key for
/// this announcement, and together they are the secret of the joint key in the document. They come in any order. So whoever withheld, or
/// released anything else, leaves no evidence for anybody.
pub(crate) fn check(
    epoch: &VerifiedEpoch,
    announced: &Announcement,
    statements: &[Signed<SealStatement>],
) -> Result<(), EvidenceError> {
    let joint = epoch.joint_seal_key(announced.round).ok_or(EvidenceError::OutsideEpoch)?;
    let beats = &epoch.parameters().beats;
    if beats.is_classic() || announced.beats != *beats {
        return Err(EvidenceError::OtherBeats);
    }
    let (found, shards) = (statements.len(), epoch.shards().len());
    if found != shards {
        return Err(EvidenceError::Count { found, shards });
    }
    let mut by_shard: Vec<_> = statements.iter().collect();
    by_shard.sort_by_key(|signed| signed.claimed().shard);
    let mut sum = SealKeySum::default();
    for (index, signed) in epoch.shard_indices().zip(by_shard) {
        let secret = released(epoch, announced, index, signed)?;
        sum.add(&secret.public_key());
    }
    match sum.key() {
        Ok(key) if key.is_the_key(joint) => Ok(()),
        _ => Err(EvidenceError::OtherKey),
    }
}

/// The secret that the shard at `index` released for the announced round.
fn released(
    epoch: &VerifiedEpoch,
    announced: &Announcement,
    index: ShardIndex,
    signed: &Signed<SealStatement>,
) -> Result<SealSecretKey, EvidenceError> {
    let claimed = signed.claimed();
    let about_this = claimed.network == epoch.document().network
        && claimed.epoch == announced.epoch
        && claimed.round == announced.round
        && claimed.shard == index;
    if !about_this {
        return Err(EvidenceError::OtherStatement(index));
    }
    let statement = signed.verify(&epoch.shards()[index.position()].identity)?;
    let SealAct::Released { secret, announcement } = &statement.act else {
        return Err(EvidenceError::Withheld(index));
    };
    if *announcement != announced.digest() {
        return Err(EvidenceError::OtherAnnouncement(index));
    }
    SealSecretKey::from_bytes(secret.0).map_err(|error| EvidenceError::Secret(index, error))
}
