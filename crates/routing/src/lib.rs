#![doc = include_str!("../README.md")]

mod contribution;
mod document;
mod drawn_paths;
mod early_rounds;
mod epoch_size;
mod honest;
mod mixing_bound;
mod path_length;
mod ppm;
mod proposal;
mod proposal_check;
mod round_keys;
mod rules;
mod sampler;
mod seal_draws;
mod total_delta;

pub use contribution::ContributionError;
pub use document::{DocumentError, MAX_ROUNDS, MAX_SHARDS, VerifiedEpoch, beat_bounds, bounds};
pub use drawn_paths::DrawnPaths;
pub use early_rounds::{EARLY_MARKS, EarlyRounds};
pub use epoch_size::{MOST_SEAL_KEYS, most_rounds};
pub use honest::Honest;
pub use mixing_bound::{BoundKind, MixingBound, MixingPopulation, ONIONS_PER_CONVERSATION};
pub use path_length::{
    FEW_HONEST_TARGET, MOST_MIXING_HOPS, PathLengthError, mixing_hops, p_fewer_than_two_honest,
};
pub use ppm::Ppm;
pub use proposal::{AssembleError, Draft, Offer, assemble, assemble_unproven};
pub use proposal_check::{
    CheckedProposal, ProposalCheck, ProposalError, PublishedKeys, check_proposal,
};
pub use round_keys::RoundKeys;
pub use rules::{EpochRules, RulesError, malicious_fraction};
pub use sampler::{DEAD_DROP_PLACEMENT_CONTEXT, OperatorSlice, PathSampler, SamplerError};
pub use seal_draws::{AbortedRounds, MOST_SEAL_DRAWS};
pub use total_delta::{Horizon, TotalDelta};
