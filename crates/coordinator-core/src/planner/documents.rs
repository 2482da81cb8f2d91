//! Making and checking epoch documents: seconds of computing with a hundred shards, and so work
//! that is done beside the deciding.

use antiphon_routing::{
    AssembleError, DocumentError, Draft, Offer, ProposalError, VerifiedEpoch, assemble,
    check_proposal,
};
use antiphon_wire::{
    Contribution, Digest, Encode, EpochDocument, IdentityKey, NetworkFile, ShardIndex,
    SignedDocument,
};
use chacha20::ChaCha20Rng;
use rand::SeedableRng;

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
            AssembleError::SealKey { shard, .. } | AssembleError::Rounds { shard } => Some(*shard),
            _ => None,
        };
        Fault { shard, reason: error.to_string() }
    })?;
    let contributions: Vec<_> = document
        .shards
        .iter()
        .filter_map(|shard| offers.iter().find(|o| o.contribution.identity == shard.identity))
        .map(|offer| offer.contribution.clone())
        .collect();
    // The same check that every shard makes finds a bad proof before it costs a proposal. It
    // weighs proofs with factors that nobody knows before the proofs are fixed.
    let mut rng = ChaCha20Rng::from_seed(Digest::of(&contributions.to_bytes()).0);
    if let Err(error) = check_proposal(document.clone(), &contributions, network, &mut rng) {
        let shard = culprit(&error)
            .and_then(|shard| document.shards.get(shard.position()))
            .map(|shard| shard.identity);
        return Err(Fault { shard, reason: error.to_string() });
    }
    Ok((document, contributions))
}

/// Checks a document that everybody has signed.
pub(crate) fn verify(signed: &SignedDocument, network: &NetworkFile) -> Result<(), String> {
    VerifiedEpoch::verify(signed.clone(), network).map(|_| ()).map_err(|error| error.to_string())
}

fn culprit(error: &ProposalError) -> Option<ShardIndex> {
    match error {
        ProposalError::Contribution { shard }
        | ProposalError::Key { shard, .. }
        | ProposalError::Possession { shard }
        | ProposalError::Document(DocumentError::OnionKey { shard, .. }) => Some(*shard),
        _ => None,
    }
}
