//! Answering one layer's onions.

use std::ops::Range;
use std::sync::Arc;

use antiphon_onion::ErasingRng;

use super::{PART, Step, StepResult};
use crate::answering::Answering;

#[derive(Debug)]
pub(crate) struct ReplyJob {
    layer: u8,
    answering: Arc<Answering>,
    senders: Range<usize>,
    rng: ErasingRng,
}

/// The work of answering the onions of `layer`; 0 is the gateway's clients.
pub(crate) fn reply_jobs(layer: u8, answering: Answering, rng: &mut ErasingRng) -> Vec<Step> {
    let answering = Arc::new(answering);
    answering
        .parts(PART)
        .into_iter()
        .map(|senders| {
            let (answering, rng) = (Arc::clone(&answering), rng.fork());
            Step::Reply(Box::new(ReplyJob { layer, answering, senders, rng }))
        })
        .collect()
}

impl ReplyJob {
    pub(super) fn run(mut self) -> StepResult {
        let batches = self.answering.answer(self.senders, &mut self.rng);
        StepResult::Replied { layer: self.layer, batches }
    }
}
