//! The replies for one layer's onions.

use std::ops::Range;
use std::sync::Arc;

use antiphon_onion::ErasingRng;

use crate::layer::answering::Answering;
use crate::layer::origin::Origin;
use crate::layer::routes::{Batch, ONIONS_PER_JOB};

/// Answers the onions that some senders sent.
#[derive(Debug)]
pub(crate) struct ReplyJob {
    layer: Origin,
    answering: Arc<Answering>,
    senders: Range<usize>,
    rng: ErasingRng,
}

/// Replies in the order of their onions, for some of a layer's senders.
#[derive(Debug)]
pub(crate) struct Replied {
    /// The layer whose onions they answer. At the gateway, its clients' are answered.
    pub(crate) layer: Origin,
    pub(crate) batches: Vec<Batch>,
}

impl ReplyJob {
    /// The work of answering the onions of `layer`.
    pub(crate) fn all(layer: Origin, answering: Answering, rng: &mut ErasingRng) -> Vec<Self> {
        let answering = Arc::new(answering);
        let parts = answering.parts(ONIONS_PER_JOB).into_iter();
        parts
            .map(|senders| {
                let (answering, rng) = (Arc::clone(&answering), rng.fork());
                Self { layer, answering, senders, rng }
            })
            .collect()
    }

    pub(super) fn run(mut self) -> Replied {
        let batches = self.answering.answer(self.senders, &mut self.rng);
        Replied { layer: self.layer, batches }
    }
}
