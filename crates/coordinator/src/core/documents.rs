//! Making and checking epoch documents.

use antiphon_routing::{
    AssembleError, DocumentError, Draft, Offer, ProposalError, VerifiedEpoch, assemble,
    check_proposal,
};
use antiphon_wire::{
    Contribution, Digest, Encode, EpochDocument, IdentityKey, NetworkFile, ShardIndex,
    SignedDocument,
};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

/// Why a document is not to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The shard to leave out, where it is one shard's fault.
    pub(crate) shard: Option<IdentityKey>,
    pub(crate) reason: String,
}

/// A document that honest shards sign, with the contributions in its order.
pub(crate) type Proposal = (EpochDocument, Vec<Contribution>);

/// How documents are made and checked; the machine's own tests have a quicker way.
pub(crate) trait Documents: Send {
    /// Puts a document together that honest shards will sign.
    fn propose(&self, draft: Draft, offers: &[Offer]) -> Result<Proposal, Fault>;

    /// Checks a document that everybody has signed.
    fn verify(&self, signed: &SignedDocument) -> Result<(), String>;
}

/// The rules of `antiphon-routing`.
pub(crate) struct Routing {
    pub(crate) network: NetworkFile,
}

impl Documents for Routing {
    fn propose(&self, draft: Draft, offers: &[Offer]) -> Result<Proposal, Fault> {
        let document = assemble(draft, offers, &self.network).map_err(|error| {
            let shard = match &error {
                AssembleError::SealKey { shard, .. } | AssembleError::Rounds { shard } => {
                    Some(*shard)
                }
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
        if let Err(error) =
            check_proposal(document.clone(), &contributions, &self.network, &mut rng)
        {
            let shard = culprit(&error)
                .and_then(|shard| document.shards.get(shard.position()))
                .map(|shard| shard.identity);
            return Err(Fault { shard, reason: error.to_string() });
        }
        Ok((document, contributions))
    }

    fn verify(&self, signed: &SignedDocument) -> Result<(), String> {
        VerifiedEpoch::verify(signed.clone(), &self.network)
            .map(|_| ())
            .map_err(|error| error.to_string())
    }
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
