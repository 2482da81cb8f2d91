//! Making and checking epoch documents: seconds of computing with a hundred shards, and so work
//! that is done beside the deciding.

use std::collections::BTreeMap;

use antiphon_routing::{AssembleError, Draft, Offer, ProposalCheck, VerifiedEpoch, assemble};
use antiphon_wire::{Contribution, EpochDocument, IdentityKey, NetworkFile, SignedDocument};

/// Something to compute that takes long. It holds all that it needs, and runs on any thread.
#[derive(Clone, Debug)]
pub struct Work {
    pub(crate) number: u64,
    pub(crate) network: NetworkFile,
    pub(crate) job: Job,
}

#[derive(Clone, Debug)]
pub(crate) enum Job {
    /// Put a document together.
    Compose { draft: Draft, offers: Vec<Offer> },
    /// Check a document that everybody has signed.
    Verify(Box<SignedDocument>),
}

/// Result of a [`Work`], with its number.
#[derive(Clone, Debug)]
pub struct WorkDone {
    pub(crate) number: u64,
    pub(crate) result: Done,
}

#[derive(Clone, Debug)]
pub(crate) enum Done {
    Composed(Result<Box<Composed>, Fault>),
    Verified(Result<Box<SignedDocument>, String>),
}

/// Reason for which a document is not to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The shard to leave out, where it is one shard's fault.
    pub(crate) shard: Option<IdentityKey>,
    pub(crate) reason: String,
}

/// A document that honest shards sign, with the contributions in its order.
pub(crate) type Composed = (EpochDocument, Vec<Contribution>);

impl Work {
    /// Does the work, on the thread that calls it.
    pub fn run(self) -> WorkDone {
        let Self { number, network, job } = self;
        let result = match job {
            Job::Compose { draft, offers } => {
                Done::Composed(compose(draft, &offers, &network).map(Box::new))
            }
            Job::Verify(signed) => Done::Verified(verify(&signed, &network).map(|()| signed)),
        };
        WorkDone { number, result }
    }
}

/// Puts a document together that honest shards will sign.
fn compose(draft: Draft, offers: &[Offer], network: &NetworkFile) -> Result<Composed, Fault> {
    let document = assemble(draft, offers, network).map_err(|error| {
        let shard = match &error {
            AssembleError::Keys { shard, .. } | AssembleError::Rounds { shard } => Some(*shard),
            _ => None,
        };
        Fault { shard, reason: error.to_string() }
    })?;
    // What shards will find wrong with it is found before it costs a proposal.
    ProposalCheck::new(document.clone(), network)
        .map_err(|error| Fault { shard: None, reason: error.to_string() })?;
    let offers: BTreeMap<_, _> =
        offers.iter().map(|offer| (offer.contribution.identity, offer)).collect();
    let contributions = document
        .shards
        .iter()
        .filter_map(|shard| Some(offers.get(&shard.identity)?.contribution.clone()))
        .collect();
    Ok((document, contributions))
}

/// Checks a document that everybody has signed.
pub(crate) fn verify(signed: &SignedDocument, network: &NetworkFile) -> Result<(), String> {
    VerifiedEpoch::verify(signed.clone(), network).map(|_| ()).map_err(|error| error.to_string())
}
