//! Computation that a shard hands out, so that it can run on any core while the shard goes on.

use std::sync::Arc;

use antiphon_onion::{PeelKey, Peeled, RoundContext, peel_batch};
use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{Epoch, Layer, Round, ShardIndex};
use rand_chacha::ChaCha20Rng;

use crate::noise::{NoiseBatch, NoiseMaker};

/// A piece of work. It holds all that it needs.
#[derive(Debug)]
pub struct Work(pub(crate) Job);

#[derive(Debug)]
pub(crate) enum Job {
    Peel(PeelJob),
    Noise(Box<NoiseJob>),
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
        })
    }

    /// Whether a round is waiting for this: build noise only when nothing urgent is left.
    pub fn is_urgent(&self) -> bool {
        matches!(self.0, Job::Peel(_))
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
