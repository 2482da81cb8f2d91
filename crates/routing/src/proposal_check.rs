//! Everything that a shard checks of a proposal before it signs, contribution by contribution.

use std::sync::Arc;

use antiphon_onion::{SealKeySum, SealPublicKey};
use antiphon_wire::{
    Addresses, Contribution, EpochDocument, IdentityKey, NetworkFile, Round, ShardIndex,
};

use crate::contribution::{ContributionError, ReadKeys};
use crate::document::{self, DocumentError};

/// Reason why a shard does not sign a proposal.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProposalError {
    /// The document itself breaks a rule.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A contribution is not that of the listed shard, or is missing.
    #[error("the contribution for shard {shard} does not belong to the document")]
    Contribution {
        /// Shard that the contribution should be from.
        shard: ShardIndex,
    },
    /// A shard's keys are of no use.
    #[error("shard {shard}: {error}")]
    Keys {
        /// Shard whose keys they are.
        shard: ShardIndex,
        /// Reason why they are of no use.
        error: ContributionError,
    },
    /// A joint seal key is not the sum of the shards' seal keys.
    #[error("the joint seal key of round {round} is not the sum of the shards' seal keys")]
    Sum {
        /// Round whose key it is.
        round: Round,
    },
}

/// A document that is being checked: its contributions come one by one, in any order.
#[derive(Debug)]
pub struct ProposalCheck {
    document: EpochDocument,
    /// The contributions that are in order, by shard.
    taken: Vec<Option<Arc<Contribution>>>,
    /// For each round, the sum of the seal keys in them.
    sums: Vec<SealKeySum>,
}

/// A document that this shard may sign, with every shard's published seal keys.
#[derive(Debug)]
pub struct CheckedProposal {
    document: EpochDocument,
    keys: PublishedKeys,
}

/// The seal keys of all shards of an epoch, as they were contributed.
#[derive(Clone, Debug)]
pub struct PublishedKeys {
    /// In the order of the shards, with a key for each round of the epoch.
    contributions: Vec<Arc<Contribution>>,
}

impl ProposalCheck {
    /// Checks the document without its seal keys.
    ///
    /// # Errors
    /// Names the rule that is broken.
    pub fn new(document: EpochDocument, network: &NetworkFile) -> Result<Self, ProposalError> {
        document::content(&document, network)?;
        let taken = vec![None; document.shards.len()];
        let sums = vec![SealKeySum::default(); document.joint_seal_keys.len()];
        Ok(Self { document, taken, sums })
    }

    /// Checks and takes the contribution of a shard, once.
    ///
    /// # Errors
    /// Names the rule that is broken.
    pub fn take(
        &mut self,
        shard: ShardIndex,
        offered: Arc<Contribution>,
    ) -> Result<(), ProposalError> {
        let Self { document, taken, sums } = self;
        let (Some(entry), Some(place @ None)) =
            (document.shards.get(shard.position()), taken.get_mut(shard.position()))
        else {
            return Err(ProposalError::Contribution { shard });
        };
        if offered.identity != entry.identity
            || offered.epoch != document.epoch
            || offered.first_round != document.first_round
            || offered.onion_key != entry.onion_key
            || offered.kem_key != entry.kem_key
            || offered.seal_keys.len() != sums.len()
        {
            return Err(ProposalError::Contribution { shard });
        }
        let keys = ReadKeys::proven(&offered, &document.network, entry.operator)
            .map_err(|error| ProposalError::Keys { shard, error })?;
        sums.iter_mut().zip(&keys.seals).for_each(|(sum, key)| sum.add(key));
        *place = Some(offered);
        Ok(())
    }

    /// The shards but for `me`, with their addresses for each other.
    pub fn peers(&self, me: &IdentityKey) -> Vec<(IdentityKey, Addresses)> {
        let others = self.document.shards.iter().filter(|shard| shard.identity != *me);
        others.map(|shard| (shard.identity, shard.peer_addresses.clone())).collect()
    }

    /// Returns `true` once every contribution was taken.
    pub fn is_complete(&self) -> bool {
        self.taken.iter().all(Option::is_some)
    }

    /// The document to sign, once every contribution was taken.
    ///
    /// # Errors
    /// Names the rule that is broken.
    pub fn finish(self) -> Result<CheckedProposal, ProposalError> {
        let Self { document, taken, sums } = self;
        if let Some(missing) = taken.iter().position(Option::is_none) {
            return Err(ProposalError::Contribution { shard: ShardIndex(missing as u16) });
        }
        // A joint key that was made up would let its maker open a seal alone.
        for (position, (sum, expected)) in sums.iter().zip(&document.joint_seal_keys).enumerate() {
            if sum.key().map(|sum| sum.to_bytes()).as_ref() != Ok(expected) {
                let round = Round(document.first_round.0 + position as u64);
                return Err(ProposalError::Sum { round });
            }
        }
        let contributions = taken.into_iter().flatten().collect();
        Ok(CheckedProposal { document, keys: PublishedKeys { contributions } })
    }
}

impl CheckedProposal {
    /// The document to sign.
    pub fn document(&self) -> &EpochDocument {
        &self.document
    }

    /// The shards' seal keys.
    pub fn into_keys(self) -> PublishedKeys {
        self.keys
    }
}

impl PublishedKeys {
    /// The seal keys of one round, in the order of the shards; `offset` counts from the epoch's first round.
    /// `None` if the epoch has no such round.
    pub fn of_round(&self, offset: usize) -> Option<Vec<SealPublicKey>> {
        let key = |offered: &Arc<Contribution>| {
            SealPublicKey::from_bytes(*offered.seal_keys.get(offset)?).ok()
        };
        self.contributions.iter().map(key).collect()
    }
}

/// Checks everything that a shard has to check before it signs `document`, except that its own keys
/// are in it unchanged, which only it can know. `contributions` are in the order of the shards.
///
/// # Errors
/// Names the rule that is broken.
pub fn check_proposal(
    document: EpochDocument,
    contributions: Vec<Contribution>,
    network: &NetworkFile,
) -> Result<CheckedProposal, ProposalError> {
    let mut check = ProposalCheck::new(document, network)?;
    for (position, offered) in contributions.into_iter().enumerate() {
        let shard = u16::try_from(position).map_or(ShardIndex(u16::MAX), ShardIndex);
        check.take(shard, Arc::new(offered))?;
    }
    check.finish()
}
