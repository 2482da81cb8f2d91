//! Collecting verdicts until every shard is satisfied over the same filters, or one is not.

use antiphon_wire::{
    Announcement, BadSignature, Digest, Epoch, Finding, IdentityKey, Reason, Round, ShardIndex,
    Signed, Verdict,
};

/// The proof that every shard signed that it is satisfied over the same filters in this round, and that the
/// round was announced alike to all.
///
/// Only a [`VerdictBoard`] makes one, and no seal key is released without one.
#[derive(Debug)]
pub struct AllSatisfied {
    epoch: Epoch,
    round: Round,
    announcement: Digest,
}

impl AllSatisfied {
    /// Returns `true` if the proof is about this round.
    pub(crate) fn is_for(&self, epoch: Epoch, round: Round) -> bool {
        (self.epoch, self.round) == (epoch, round)
    }

    /// Hash of the announcement that all have in common.
    pub(crate) fn announcement(&self) -> Digest {
        self.announcement
    }
}

/// Reason why a verdict does not count at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerdictError {
    /// It is about another round.
    #[error("the verdict is about another round")]
    OtherRound,
    /// There is no such shard.
    #[error("there is no shard {0}")]
    UnknownShard(ShardIndex),
    /// Its shard did not sign it.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

/// The verdicts of one round, as one shard receives them.
#[derive(Debug)]
pub struct VerdictBoard {
    epoch: Epoch,
    round: Round,
    announcement: Digest,
    filters: Digest,
    satisfied: Vec<bool>,
    refused: bool,
}

/// Result of the verdicts so far.
#[derive(Debug)]
pub enum Standing {
    /// Not all are in.
    Waiting,
    /// Every shard is satisfied. Said once.
    AllSatisfied(AllSatisfied),
    /// The seal key must be withheld.
    Refused(Reason),
}

impl VerdictBoard {
    /// A board for `shards` shards, over the filters that this shard received, of the round that was announced
    /// to it so.
    pub fn new(announcement: &Announcement, filters: Digest, shards: usize) -> Self {
        let Announcement { epoch, round, .. } = *announcement;
        let announcement = announcement.digest();
        Self { epoch, round, announcement, filters, satisfied: vec![false; shards], refused: false }
    }

    /// The finding of a shard that misses nothing.
    pub fn satisfied(&self) -> Finding {
        Finding::Satisfied { filters: self.filters, announcement: self.announcement }
    }

    /// Takes in a verdict; `identities` are those of the shards, in their order.
    ///
    /// # Errors
    /// If it is not a verdict of one of these shards on this round; nothing has changed then.
    pub fn record(
        &mut self,
        verdict: &Signed<Verdict>,
        identities: &[IdentityKey],
    ) -> Result<Standing, VerdictError> {
        let claimed = verdict.claimed();
        if (claimed.epoch, claimed.round) != (self.epoch, self.round) {
            return Err(VerdictError::OtherRound);
        }
        let shard = claimed.shard;
        let (Some(identity), true) =
            (identities.get(shard.position()), shard.position() < self.satisfied.len())
        else {
            return Err(VerdictError::UnknownShard(shard));
        };
        let reason = match verdict.verify(identity)?.finding {
            finding if finding == self.satisfied() => return Ok(self.satisfy(shard)),
            Finding::Satisfied { .. } => Reason::OtherFilters { shard },
            Finding::Complaint { at, missing } => {
                Reason::MissingOnions { complainant: shard, at, missing }
            }
        };
        self.refused = true;
        Ok(Standing::Refused(reason))
    }

    fn satisfy(&mut self, shard: ShardIndex) -> Standing {
        let news = !std::mem::replace(&mut self.satisfied[shard.position()], true);
        if news && !self.refused && self.satisfied.iter().all(|&satisfied| satisfied) {
            let Self { epoch, round, announcement, .. } = *self;
            Standing::AllSatisfied(AllSatisfied { epoch, round, announcement })
        } else {
            Standing::Waiting
        }
    }

    /// The first shard whose verdict has not come.
    pub fn first_missing(&self) -> Option<ShardIndex> {
        let position = self.satisfied.iter().position(|&satisfied| !satisfied)?;
        Some(ShardIndex(position as u16))
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::Timestamp;

    use super::*;
    use crate::testing::{identities, signing_keys};

    const EPOCH: Epoch = Epoch(3);
    const ROUND: Round = Round(40);

    fn verdict(shard: u16, round: Round, finding: Finding) -> Signed<Verdict> {
        let key = &signing_keys(3)[usize::from(shard)];
        Signed::new(Verdict { epoch: EPOCH, round, shard: ShardIndex(shard), finding }, key)
    }

    const ANNOUNCED: Announcement = Announcement::classic(EPOCH, ROUND);

    fn board() -> VerdictBoard {
        VerdictBoard::new(&ANNOUNCED, Digest([5; 32]), 3)
    }

    fn satisfied() -> Finding {
        Finding::Satisfied { filters: Digest([5; 32]), announcement: ANNOUNCED.digest() }
    }

    #[test]
    fn the_proof_takes_every_shard() {
        let (mut board, ids) = (board(), identities(3));
        for shard in [0, 2, 2, 0] {
            let standing = board.record(&verdict(shard, ROUND, satisfied()), &ids).unwrap();
            assert!(matches!(standing, Standing::Waiting));
        }
        assert_eq!(board.first_missing(), Some(ShardIndex(1)));
        let standing = board.record(&verdict(1, ROUND, satisfied()), &ids).unwrap();
        assert!(matches!(standing, Standing::AllSatisfied(_)));
    }

    #[test]
    fn a_complaint_other_filters_or_another_announcement_refuse_for_good() {
        let complaint = Finding::Complaint { at: ShardIndex(2), missing: 4 };
        let announcement = ANNOUNCED.digest();
        let others = Finding::Satisfied { filters: Digest([6; 32]), announcement };
        let moved = Announcement { first_beat: Timestamp(1), ..ANNOUNCED }.digest();
        let announced = Finding::Satisfied { filters: Digest([5; 32]), announcement: moved };
        for (finding, expected) in [
            (
                complaint,
                Reason::MissingOnions { complainant: ShardIndex(1), at: ShardIndex(2), missing: 4 },
            ),
            (others, Reason::OtherFilters { shard: ShardIndex(1) }),
            (announced, Reason::OtherFilters { shard: ShardIndex(1) }),
        ] {
            let (mut board, ids) = (board(), identities(3));
            let standing = board.record(&verdict(1, ROUND, finding), &ids).unwrap();
            assert!(matches!(standing, Standing::Refused(reason) if reason == expected));
            for shard in [0, 1, 2] {
                let standing = board.record(&verdict(shard, ROUND, satisfied()), &ids).unwrap();
                assert!(matches!(standing, Standing::Waiting), "a shard changed its mind");
            }
        }
    }

    #[test]
    fn forged_and_misplaced_verdicts_do_not_count() {
        let (mut board, ids) = (board(), identities(3));
        let forged = Signed::new(
            Verdict { epoch: EPOCH, round: ROUND, shard: ShardIndex(0), finding: satisfied() },
            &signing_keys(3)[1],
        );
        assert!(matches!(board.record(&forged, &ids), Err(VerdictError::Signature(_))));
        let late = verdict(0, Round(39), satisfied());
        assert!(matches!(board.record(&late, &ids), Err(VerdictError::OtherRound)));
        assert_eq!(board.first_missing(), Some(ShardIndex(0)));
    }
}
