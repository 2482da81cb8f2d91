//! Computation that a shard hands out: it runs on any core while the shard goes on.

mod cells;
mod exchange;
mod headers;
mod leave;
mod peel;
mod reply;
mod seal;

use std::sync::Arc;
use std::time::Duration;

use antiphon_onion::ErasingRng;
use antiphon_routing::{
    CheckedProposal, DocumentError, ProposalCheck, ProposalError, VerifiedEpoch,
};
use antiphon_wire::{
    Contribution, Epoch, EpochDocument, NetworkFile, Round, ShardIndex, SignedDocument,
};

use crate::epoch_keys::{KeyRequest, OfferedKeys};
use crate::noise::{NoiseBatch, NoiseJob, NoisePiece};

pub(crate) use cells::{CellJob, MovedCells, Prints, Task};
pub(crate) use exchange::{ExchangeJob, Exchanged};
#[cfg(test)]
pub(crate) use headers::tests::header;
pub(crate) use headers::{HeadersJob, UnsignedHeader};
pub(crate) use leave::{Departing, GatherJob, Gathered, LeaveJob, Left, first_hop};
pub(crate) use peel::{PeelJob, PeeledBlock};
pub(crate) use reply::{Replied, ReplyJob};
pub(crate) use seal::{FilterJob, Filtered, JudgeJob, Judged};

/// A piece of work. It holds all that it needs.
#[derive(Debug)]
pub struct Work(pub(crate) Job);

/// In which order work is to be done, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A beat waits for it, which waits for nobody. Takes well below a millisecond.
    Beat,
    /// A running round waits for it. Takes about a millisecond.
    Round(Round),
    /// Noise for a round to come, in pieces of about a millisecond, and before that what is left to do
    /// for a round that is over: for idle moments.
    Noise(Round),
    /// Keys and documents of epochs to come. May take seconds.
    Epoch,
}

#[derive(Debug)]
pub(crate) enum Job {
    Round { epoch: Epoch, round: Round, step: Step },
    Cells(Box<CellJob>),
    Noise(Box<NoiseJob>),
    Keys(Box<(KeyRequest, ErasingRng)>),
    Proposal(ProposalJob),
    Document(Box<SignedDocument>, Arc<NetworkFile>),
}

/// A piece of a round's work.
#[derive(Debug)]
pub(crate) enum Step {
    Headers(HeadersJob),
    /// Headers of a round that is over.
    Evidence(HeadersJob),
    Peel(Box<PeelJob>),
    Leave(Box<LeaveJob>),
    Gather(GatherJob),
    Filter(Box<FilterJob>),
    Judge(Box<JudgeJob>),
    Exchange(Box<ExchangeJob>),
    Reply(Box<ReplyJob>),
}

/// Part of the check of a proposal, which has this number.
#[derive(Debug)]
pub(crate) struct ProposalJob {
    pub(crate) number: u64,
    pub(crate) step: ProposalStep,
}

/// How far the check of a proposal is.
#[derive(Debug)]
pub(crate) enum ProposalStep {
    /// Nothing is checked.
    Document(Box<EpochDocument>, Arc<NetworkFile>),
    /// The document is, and some contributions; those beside it are not.
    Check(Box<ProposalCheck>, Vec<(ShardIndex, Arc<Contribution>)>),
    /// All is.
    Checked(Box<CheckedProposal>),
}

/// The result of a piece of work.
#[derive(Debug)]
pub struct WorkDone {
    pub(crate) done: Done,
    pub(crate) took: Duration,
}

#[derive(Debug)]
pub(crate) enum Done {
    Round { epoch: Epoch, round: Round, result: StepResult },
    Cells(Box<MovedCells>),
    Noise { epoch: Epoch, round: Round, noise: Option<NoiseBatch> },
    NoiseGoesOn(Box<NoiseJob>),
    Keys(Epoch, Option<Box<OfferedKeys>>),
    Proposal(u64, Result<ProposalStep, ProposalError>),
    Document(Epoch, Result<Arc<VerifiedEpoch>, DocumentError>),
}

/// The result of a piece of a round's work.
#[derive(Debug)]
pub(crate) enum StepResult {
    Checked(Vec<UnsignedHeader>),
    Peeled(PeeledBlock),
    Left(Box<Left>),
    Gathered(Gathered),
    Filtered(Filtered),
    Judged(Judged),
    Exchanged(Box<Exchanged>),
    Replied(Replied),
}

impl Work {
    /// Does the work. Takes no locks that others hold for long.
    pub fn run(self) -> WorkDone {
        let done = match self.0 {
            Job::Round { epoch, round, step } => Done::Round { epoch, round, result: step.run() },
            Job::Cells(job) => Done::Cells(Box::new(job.run())),
            Job::Noise(job) => {
                let (epoch, round) = (job.epoch(), job.round());
                match job.run() {
                    NoisePiece::GoesOn(job) => Done::NoiseGoesOn(job),
                    NoisePiece::Built(noise) => Done::Noise { epoch, round, noise: Some(*noise) },
                    NoisePiece::Impossible => Done::Noise { epoch, round, noise: None },
                }
            }
            Job::Keys(job) => {
                let (request, mut rng) = *job;
                Done::Keys(request.epoch, OfferedKeys::generate(&request, &mut rng).map(Box::new))
            }
            Job::Proposal(ProposalJob { number, step }) => Done::Proposal(number, step.run()),
            Job::Document(document, network) => {
                let epoch = document.document.epoch;
                let verified = VerifiedEpoch::verify(*document, &network);
                Done::Document(epoch, verified.map(|verified| Arc::new(verified.with_tables())))
            }
        };
        WorkDone { done, took: Duration::ZERO }
    }

    /// Its urgency: the least priority goes first.
    pub fn priority(&self) -> Priority {
        match &self.0 {
            Job::Round { round, step: Step::Evidence(_), .. } => Priority::Noise(*round),
            Job::Round { round, .. } => Priority::Round(*round),
            Job::Cells(_) => Priority::Beat,
            Job::Noise(job) => Priority::Noise(job.round()),
            Job::Keys(_) | Job::Proposal(_) | Job::Document(..) => Priority::Epoch,
        }
    }

    /// The kind of work that it is, for metrics.
    pub fn name(&self) -> &'static str {
        match &self.0 {
            Job::Round { step, .. } => match step {
                Step::Headers(_) | Step::Evidence(_) => "headers",
                Step::Peel(_) => "peel",
                Step::Leave(_) | Step::Gather(_) => "shuffle",
                Step::Filter(_) | Step::Judge(_) => "filter",
                Step::Exchange(_) => "exchange",
                Step::Reply(_) => "replies",
            },
            Job::Cells(_) => "cells",
            Job::Noise(_) => "noise",
            Job::Keys(_) | Job::Proposal(_) | Job::Document(..) => "epoch",
        }
    }
}

impl WorkDone {
    /// Notes how long the work took its thread, for traces: machines have no clock.
    #[must_use]
    pub fn taking(self, took: Duration) -> Self {
        Self { took, ..self }
    }
}

impl Step {
    fn run(self) -> StepResult {
        match self {
            Self::Headers(job) | Self::Evidence(job) => StepResult::Checked(job.run()),
            Self::Peel(job) => StepResult::Peeled(job.run()),
            Self::Leave(job) => StepResult::Left(Box::new(job.run())),
            Self::Gather(job) => StepResult::Gathered(job.run()),
            Self::Filter(job) => StepResult::Filtered(job.run()),
            Self::Judge(job) => StepResult::Judged(job.run()),
            Self::Exchange(job) => StepResult::Exchanged(Box::new(job.run())),
            Self::Reply(job) => StepResult::Replied(job.run()),
        }
    }
}

impl ProposalStep {
    fn run(self) -> Result<Self, ProposalError> {
        let check = match self {
            Self::Document(document, network) => Box::new(ProposalCheck::new(*document, &network)?),
            Self::Check(mut check, fresh) => {
                fresh.into_iter().try_for_each(|(shard, keys)| check.take(shard, keys))?;
                check
            }
            checked @ Self::Checked(_) => return Ok(checked),
        };
        if check.is_complete() {
            return Ok(Self::Checked(Box::new(check.finish()?)));
        }
        Ok(Self::Check(check, Vec::new()))
    }
}
