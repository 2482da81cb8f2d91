//! Computation that a shard hands out, so that it can run on any core while the shard goes on.

use std::sync::Arc;

use antiphon_onion::{PeelKey, Peeled, RoundContext, peel_batch};
use antiphon_routing::{
    CheckedProposal, DocumentError, ProposalError, VerifiedEpoch, check_proposal,
};
use antiphon_wire::{
    Contribution, Epoch, EpochDocument, Layer, NetworkFile, Round, ShardIndex, SignedDocument,
};
use rand_chacha::ChaCha20Rng;

use crate::epoch_keys::{KeyRequest, OfferedKeys};
use crate::noise::{NoiseBatch, NoiseMaker};

/// A piece of work. It holds all that it needs.
#[derive(Debug)]
pub struct Work(pub(crate) Job);

#[derive(Debug)]
pub(crate) enum Job {
    Peel(PeelJob),
    Noise(Box<NoiseJob>),
    Keys(Box<(KeyRequest, ChaCha20Rng)>),
    Proposal(Box<ProposalJob>),
    Document(Box<SignedDocument>, Arc<NetworkFile>),
}

#[derive(Debug)]
pub(crate) struct ProposalJob {
    pub(crate) document: EpochDocument,
    pub(crate) contributions: Vec<Contribution>,
    pub(crate) network: Arc<NetworkFile>,
    pub(crate) rng: ChaCha20Rng,
}

#[derive(Debug)]
pub(crate) struct PeelJob {
    pub(crate) key: Arc<PeelKey>,
    pub(crate) context: RoundContext,
    pub(crate) layer: Layer,
    pub(crate) sender: ShardIndex,
    /// The position in the sender's batch of the first onion.
    pub(crate) first: u32,
    pub(crate) onions: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct NoiseJob {
    pub(crate) epoch: Arc<VerifiedEpoch>,
    pub(crate) maker: Arc<NoiseMaker>,
    pub(crate) round: Round,
    pub(crate) rng: ChaCha20Rng,
}

/// What came of a piece of work.
#[derive(Debug)]
pub struct WorkDone(pub(crate) Done);

#[derive(Debug)]
pub(crate) enum Done {
    Peeled { epoch: Epoch, round: Round, layer: Layer, chunk: Chunk },
    Noise { epoch: Epoch, round: Round, noise: Option<NoiseBatch> },
    Keys(Epoch, Option<Box<OfferedKeys>>),
    Proposal(Epoch, Result<Box<CheckedProposal>, ProposalError>),
    Document(Epoch, Result<Arc<VerifiedEpoch>, DocumentError>),
}

/// Onions of one sender that have been peeled in place.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) sender: ShardIndex,
    pub(crate) first: u32,
    pub(crate) onions: Vec<u8>,
    pub(crate) peeled: Peeled,
}

impl Work {
    /// Does the work. Takes from microseconds to seconds, and no locks.
    pub fn run(self) -> WorkDone {
        WorkDone(match self.0 {
            Job::Peel(job) => job.run(),
            Job::Noise(mut job) => {
                let noise = job.maker.build(&job.epoch, job.round, &mut job.rng);
                Done::Noise { epoch: job.epoch.epoch(), round: job.round, noise }
            }
            Job::Keys(job) => {
                let (request, mut rng) = *job;
                Done::Keys(request.epoch, OfferedKeys::generate(&request, &mut rng).map(Box::new))
            }
            Job::Proposal(job) => job.run(),
            Job::Document(document, network) => {
                let epoch = document.document.epoch;
                let verified = VerifiedEpoch::verify(*document, &network);
                Done::Document(epoch, verified.map(|verified| Arc::new(verified.with_tables())))
            }
        })
    }

    /// Whether a round is waiting for this: everything else is for rounds to come.
    pub fn is_urgent(&self) -> bool {
        matches!(self.0, Job::Peel(_))
    }
}

impl ProposalJob {
    fn run(self) -> Done {
        let Self { document, contributions, network, mut rng } = self;
        let epoch = document.epoch;
        let checked = check_proposal(document, &contributions, &network, &mut rng);
        Done::Proposal(epoch, checked.map(Box::new))
    }
}

impl PeelJob {
    fn run(mut self) -> Done {
        let mut peeled = Peeled::default();
        // The shard hands out whole onions of a layer of the epoch. Should it ever not, none of
        // them opens.
        if peel_batch(&self.key, self.context, self.layer, &mut self.onions, &mut peeled).is_err() {
            self.onions.clear();
        }
        Done::Peeled {
            epoch: self.context.epoch,
            round: self.context.round,
            layer: self.layer,
            chunk: Chunk { sender: self.sender, first: self.first, onions: self.onions, peeled },
        }
    }
}
