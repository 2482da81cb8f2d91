//! An epoch on its way: called, proposed, signed.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_wire::{
    Contribution, Digest, Epoch, EpochDocument, IdentityKey, Round, Signable, Signature,
    SignedDocument, Timestamp,
};

use super::handing_out::HandingOut;
use super::need::Need;

/// One try at an epoch. Its number is used up, whatever becomes of it.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) call: Call,
    /// The shards that are still in it.
    pub(super) members: Vec<IdentityKey>,
    pub(super) phase: Phase,
}

/// Call to shards for their keys: the epoch, its rounds, and the need for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) epoch: Epoch,
    pub(super) first_round: Round,
    pub(super) last_round: Round,
    pub(super) called_at: Timestamp,
    pub(super) need: Need,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// Shards send their keys.
    Calling {
        until: Timestamp,
        contributions: BTreeMap<IdentityKey, Contribution>,
        /// Reasons for which shards sent no keys.
        refusals: BTreeMap<IdentityKey, String>,
    },
    /// A document is put together of these.
    Composing {
        work: u64,
        /// When the call was to be over, should it be taken up again.
        until: Timestamp,
        contributions: BTreeMap<IdentityKey, Contribution>,
    },
    /// Shards sign the document that was proposed to them.
    Proposing { until: Timestamp, proposal: Box<Proposal> },
    /// All have signed, and the signed document is checked.
    Verifying { work: u64 },
}

/// A proposal and the shards' answers to it.
#[derive(Debug)]
pub(super) struct Proposal {
    document: EpochDocument,
    digest: Digest,
    /// A signature, or why there is none.
    answers: BTreeMap<IdentityKey, Result<Signature, String>>,
    handing_out: HandingOut,
}

impl Phase {
    /// Its name, in a word.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Calling { .. } => "calling",
            Self::Composing { .. } => "composing",
            Self::Proposing { .. } => "proposing",
            Self::Verifying { .. } => "verifying",
        }
    }
}

impl Call {
    /// Returns `true` if rounds went on past where the epoch was to begin: shards cannot sign it any more.
    pub(super) fn is_overtaken(&self, last_round: Round) -> bool {
        !self.need.is_urgent() && self.first_round <= last_round
    }

    /// Returns `true` if these are the keys called for.
    fn fits(&self, identity: &IdentityKey, contribution: &Contribution) -> bool {
        let rounds = self.last_round.0.saturating_add(1).saturating_sub(self.first_round.0);
        contribution.epoch == self.epoch
            && contribution.first_round == self.first_round
            && contribution.identity == *identity
            && contribution.seal_keys.len() as u64 == rounds
    }
}

impl Attempt {
    /// Takes a shard's keys, if they are what was called for.
    pub(super) fn contribute(&mut self, identity: IdentityKey, contribution: Contribution) {
        let fits = self.call.fits(&identity, &contribution);
        if let Phase::Calling { contributions, .. } = &mut self.phase
            && fits
            && self.members.contains(&identity)
        {
            contributions.entry(identity).or_insert(contribution);
        }
    }

    /// Takes a shard's signature, if it is one on the document proposed.
    pub(super) fn endorse(&mut self, identity: IdentityKey, digest: Digest, signature: Signature) {
        if let Phase::Proposing { proposal, .. } = &mut self.phase
            && self.members.contains(&identity)
            && proposal.digest == digest
            && proposal.document.verify_signature(&signature, &identity).is_ok()
        {
            proposal.answers.entry(identity).or_insert(Ok(signature));
        }
    }

    /// A contribution to the proposal that a shard asks for, unless it asks for too many.
    pub(super) fn contribution(
        &mut self,
        to: IdentityKey,
        digest: &Digest,
    ) -> Option<Arc<Contribution>> {
        match &mut self.phase {
            Phase::Proposing { proposal, .. } if self.members.contains(&to) => {
                proposal.handing_out.answer(to, digest)
            }
            _ => None,
        }
    }

    /// Takes a shard's refusal.
    pub(super) fn refuse(&mut self, identity: IdentityKey, reason: String) {
        if !self.members.contains(&identity) {
            return;
        }
        match &mut self.phase {
            Phase::Calling { contributions, refusals, .. }
                if !contributions.contains_key(&identity) =>
            {
                refusals.entry(identity).or_insert(reason);
            }
            Phase::Proposing { proposal, .. } => {
                proposal.answers.entry(identity).or_insert(Err(reason));
            }
            // It has sent keys, or is asked nothing now.
            Phase::Calling { .. } | Phase::Composing { .. } | Phase::Verifying { .. } => {}
        }
    }

    /// The number of the work that the attempt waits for.
    pub(super) fn work(&self) -> Option<u64> {
        match self.phase {
            Phase::Composing { work, .. } | Phase::Verifying { work } => Some(work),
            Phase::Calling { .. } | Phase::Proposing { .. } => None,
        }
    }

    /// When what was asked counts as answered.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Calling { until, .. } | Phase::Proposing { until, .. } => Some(until),
            Phase::Composing { .. } | Phase::Verifying { .. } => None,
        }
    }

    /// Returns `true` if all that was asked has been answered, or had time to be.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        match &self.phase {
            Phase::Calling { until, contributions, refusals } => {
                let answered = |id| contributions.contains_key(id) || refusals.contains_key(id);
                now >= *until || self.members.iter().all(answered)
            }
            Phase::Proposing { until, proposal } => {
                now >= *until || proposal.answers.len() >= self.members.len()
            }
            Phase::Composing { .. } | Phase::Verifying { .. } => false,
        }
    }

    /// Goes on without a shard. Returns false if that takes a new attempt.
    pub(super) fn leave_out(&mut self, identity: &IdentityKey) -> bool {
        match &mut self.phase {
            Phase::Calling { contributions, .. } => {
                contributions.remove(identity);
                self.members.retain(|member| member != identity);
                true
            }
            // What is being put together is of no use with it in.
            Phase::Composing { contributions, until, .. }
                if contributions.contains_key(identity) =>
            {
                let (mut contributions, until) = (std::mem::take(contributions), *until);
                contributions.remove(identity);
                self.members.retain(|member| member != identity);
                self.phase = Phase::Calling { until, contributions, refusals: BTreeMap::new() };
                true
            }
            Phase::Composing { .. } => true,
            Phase::Proposing { .. } | Phase::Verifying { .. } => !self.members.contains(identity),
        }
    }
}

impl Proposal {
    pub(super) fn new(document: EpochDocument, handing_out: HandingOut) -> Self {
        Self { digest: document.digest(), document, answers: BTreeMap::new(), handing_out }
    }

    /// The shards that did not sign, and why.
    pub(super) fn unsigned(&self) -> Vec<(IdentityKey, String)> {
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
    pub(super) fn signed(&self) -> Option<SignedDocument> {
        let signature = |shard| self.answers.get(shard)?.as_ref().ok().copied();
        let signatures: Option<Vec<_>> =
            self.document.shards.iter().map(|shard| signature(&shard.identity)).collect();
        Some(SignedDocument { document: self.document.clone(), signatures: signatures? })
    }
}
