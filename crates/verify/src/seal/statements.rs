//! The seal statements of a round, as one shard collects them.

use antiphon_onion::{SealPublicKey, SealSecretKey};
use antiphon_wire::{
    Announcement, BadSignature, Digest, Epoch, IdentityKey, Reason, Round, SealAct, SealStatement,
    ShardIndex, Signed,
};

/// Reason why a statement does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// It is about another round or network.
    #[error("the statement is about another round or network")]
    OtherRound,
    /// There is no such shard.
    #[error("there is no shard {0}")]
    UnknownShard(ShardIndex),
    /// Its shard did not sign it.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// It releases for another announcement than this shard's, or before the round was opened here.
    #[error("shard {0} released its seal key for another announcement of the round")]
    OtherAnnouncement(ShardIndex),
    /// The released secret is not that of the shard's published key.
    #[error("shard {0} released a secret that does not belong to its seal key")]
    WrongSecret(ShardIndex),
}

/// The statements of a round's shards, released or withheld, and the secrets in them.
#[derive(Debug)]
pub struct SealBoard {
    network: Digest,
    epoch: Epoch,
    round: Round,
    /// Hash of the announcement that opened the round here, once one has.
    announcement: Option<Digest>,
    published: Vec<SealPublicKey>,
    released: Vec<Option<SealSecretKey>>,
    withheld: Vec<Option<Reason>>,
    statements: Vec<Signed<SealStatement>>,
}

impl SealBoard {
    /// A board for a round whose published seal keys are these, in the order of the shards.
    pub fn new(network: Digest, epoch: Epoch, round: Round, published: Vec<SealPublicKey>) -> Self {
        let shards = published.len();
        Self {
            network,
            epoch,
            round,
            announcement: None,
            published,
            released: (0..shards).map(|_| None).collect(),
            withheld: vec![None; shards],
            statements: Vec::new(),
        }
    }

    /// The round is open here, announced so. No key can have been released without this shard's verdict, so
    /// that none counts before.
    pub fn open(&mut self, announcement: &Announcement) {
        self.announcement = Some(announcement.digest());
    }

    /// Takes in a statement, and returns `true` if it is new. `identities` are those of the shards, in their
    /// order.
    ///
    /// # Errors
    /// If it is no statement of one of these shards about this round, or releases a wrong secret.
    pub fn record(
        &mut self,
        signed: &Signed<SealStatement>,
        identities: &[IdentityKey],
    ) -> Result<bool, StatementError> {
        let claimed = signed.claimed();
        if (claimed.network, claimed.epoch, claimed.round) != (self.network, self.epoch, self.round)
        {
            return Err(StatementError::OtherRound);
        }
        let shard = claimed.shard;
        let position = shard.position();
        let (Some(identity), true) = (identities.get(position), position < self.published.len())
        else {
            return Err(StatementError::UnknownShard(shard));
        };
        // Checking costs a signature; a repetition costs nothing.
        let known = match claimed.act {
            SealAct::Released { .. } => self.released[position].is_some(),
            SealAct::Withheld { .. } => self.withheld[position].is_some(),
        };
        if known {
            return Ok(false);
        }
        match &signed.verify(identity)?.act {
            SealAct::Released { announcement, .. } if self.announcement != Some(*announcement) => {
                return Err(StatementError::OtherAnnouncement(shard));
            }
            SealAct::Released { secret, .. } => {
                let secret = SealSecretKey::from_bytes(secret.0)
                    .ok()
                    .filter(|secret| self.published[position].matches(secret))
                    .ok_or(StatementError::WrongSecret(shard))?;
                self.released[position] = Some(secret);
            }
            SealAct::Withheld { reason } => self.withheld[position] = Some(*reason),
        }
        self.statements.push(signed.clone());
        self.check();
        Ok(true)
    }

    /// There is one statement for each key released and for each withheld, and no other.
    fn check(&self) {
        let released = self.released.iter().flatten().count();
        let withheld = self.withheld.iter().flatten().count();
        debug_assert_eq!(self.statements.len(), released + withheld);
    }

    /// All secrets, in the order of the shards, once every shard has released its own.
    pub fn secrets(&self) -> Option<Vec<&SealSecretKey>> {
        self.released.iter().map(Option::as_ref).collect()
    }

    /// The first shard that has withheld, and why.
    pub fn first_withheld(&self) -> Option<(ShardIndex, Reason)> {
        let (position, reason) =
            self.withheld.iter().enumerate().find_map(|(i, reason)| Some((i, (*reason)?)))?;
        Some((ShardIndex(position as u16), reason))
    }

    /// The first shard that has not released.
    pub fn first_unreleased(&self) -> Option<ShardIndex> {
        let position = self.released.iter().position(Option::is_none)?;
        Some(ShardIndex(position as u16))
    }

    /// Returns `true` once every shard has released or withheld.
    pub fn is_complete(&self) -> bool {
        self.released.iter().zip(&self.withheld).all(|(r, w)| r.is_some() || w.is_some())
    }

    /// Erases the released secrets: the round is over.
    pub fn erase_secrets(&mut self) {
        self.released.iter_mut().for_each(|secret| *secret = None);
        self.statements.retain(|signed| matches!(signed.claimed().act, SealAct::Withheld { .. }));
        self.check();
    }

    /// All statements recorded, to pass on.
    pub fn statements(&self) -> &[Signed<SealStatement>] {
        &self.statements
    }
}
