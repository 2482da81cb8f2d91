//! An epoch on its way: called, proposed, signed.

use std::collections::BTreeMap;

use antiphon_wire::{
    Contribution, Digest, Epoch, EpochDocument, IdentityKey, Round, Signable, Signature,
    SignedDocument, Timestamp,
};

/// One try at an epoch. Its number is used up, whatever becomes of it.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) epoch: Epoch,
    pub(crate) first_round: Round,
    pub(crate) last_round: Round,
    pub(crate) called_at: Timestamp,
    /// Whether rounds wait for it.
    pub(crate) urgent: bool,
    /// Whether it is to take over from one that could go on.
    pub(crate) hand_over: bool,
    pub(crate) members: Vec<IdentityKey>,
    pub(crate) deadline: Timestamp,
    pub(crate) phase: Phase,
}

#[derive(Debug)]
pub(crate) enum Phase {
    Calling {
        contributions: BTreeMap<IdentityKey, Contribution>,
        /// Why shards sent no keys.
        refusals: BTreeMap<IdentityKey, String>,
    },
    /// A document is put together of these.
    Composing {
        work: u64,
        contributions: BTreeMap<IdentityKey, Contribution>,
    },
    Proposing {
        proposal: Box<Proposed>,
    },
    /// All have signed, and the signed document is checked.
    Verifying {
        work: u64,
    },
}

/// A proposal and the shards' answers to it.
#[derive(Debug)]
pub(crate) struct Proposed {
    pub(crate) document: EpochDocument,
    pub(crate) digest: Digest,
    /// A signature, or why there is none.
    answers: BTreeMap<IdentityKey, Result<Signature, String>>,
}

impl Attempt {
    /// Takes a shard's keys, if they are what was called for.
    pub(crate) fn contribute(&mut self, identity: IdentityKey, contribution: Contribution) {
        let rounds = self.last_round.0.saturating_add(1).saturating_sub(self.first_round.0);
        let fits = contribution.epoch == self.epoch
            && contribution.first_round == self.first_round
            && contribution.identity == identity
            && contribution.seal_keys.len() as u64 == rounds
            && contribution.seal_proofs.len() as u64 == rounds;
        if let Phase::Calling { contributions, .. } = &mut self.phase
            && fits
            && self.members.contains(&identity)
        {
            contributions.entry(identity).or_insert(contribution);
        }
    }

    /// Takes a shard's signature, if it is one on the document proposed.
    pub(crate) fn endorse(&mut self, identity: IdentityKey, digest: Digest, signature: Signature) {
        if let Phase::Proposing { proposal } = &mut self.phase
            && self.members.contains(&identity)
            && proposal.digest == digest
            && proposal.document.verify_signature(&signature, &identity).is_ok()
        {
            proposal.answers.entry(identity).or_insert(Ok(signature));
        }
    }

    /// Takes a shard's refusal.
    pub(crate) fn refuse(&mut self, identity: IdentityKey, reason: String) {
        if !self.members.contains(&identity) {
            return;
        }
        match &mut self.phase {
            Phase::Calling { contributions, refusals }
                if !contributions.contains_key(&identity) =>
            {
                refusals.entry(identity).or_insert(reason);
            }
            Phase::Proposing { proposal } => {
                proposal.answers.entry(identity).or_insert(Err(reason));
            }
            _ => {}
        }
    }

    /// The number of the work that the attempt waits for.
    pub(crate) fn work(&self) -> Option<u64> {
        match self.phase {
            Phase::Composing { work, .. } | Phase::Verifying { work } => Some(work),
            Phase::Calling { .. } | Phase::Proposing { .. } => None,
        }
    }

    /// Whether all that was asked has been answered.
    pub(crate) fn is_answered(&self) -> bool {
        match &self.phase {
            Phase::Calling { contributions, refusals } => {
                let answered = |id| contributions.contains_key(id) || refusals.contains_key(id);
                self.members.iter().all(answered)
            }
            Phase::Proposing { proposal } => proposal.answers.len() >= self.members.len(),
            Phase::Composing { .. } | Phase::Verifying { .. } => false,
        }
    }

    /// Goes on without a shard. Returns false if that takes a new attempt.
    pub(crate) fn leave_out(&mut self, identity: &IdentityKey) -> bool {
        match &mut self.phase {
            Phase::Calling { contributions, .. } => {
                contributions.remove(identity);
                self.members.retain(|member| member != identity);
                true
            }
            // What is being put together is of no use with it in.
            Phase::Composing { contributions, .. } if contributions.contains_key(identity) => {
                let mut contributions = std::mem::take(contributions);
                contributions.remove(identity);
                self.members.retain(|member| member != identity);
                self.phase = Phase::Calling { contributions, refusals: BTreeMap::new() };
                true
            }
            Phase::Composing { .. } => true,
            Phase::Proposing { .. } | Phase::Verifying { .. } => !self.members.contains(identity),
        }
    }
}

impl Proposed {
    pub(crate) fn new(document: EpochDocument) -> Self {
        Self { digest: document.digest(), document, answers: BTreeMap::new() }
    }

    /// The shards that did not sign, and why.
    pub(crate) fn unsigned(&self) -> Vec<(IdentityKey, String)> {
        let listed = self.document.shards.iter().map(|shard| shard.identity);
        listed
            .filter_map(|shard| match self.answers.get(&shard) {
                Some(Ok(_)) => None,
                Some(Err(reason)) => Some((shard, format!("refused to sign: {reason}"))),
                None => Some((shard, "did not answer a proposal in time".to_owned())),
            })
            .collect()
    }

    /// The document with all signatures, if all are here.
    pub(crate) fn signed(&self) -> Option<SignedDocument> {
        let signature = |shard| self.answers.get(shard)?.as_ref().ok().copied();
        let signatures: Option<Vec<_>> =
            self.document.shards.iter().map(|shard| signature(&shard.identity)).collect();
        Some(SignedDocument { document: self.document.clone(), signatures: signatures? })
    }
}
