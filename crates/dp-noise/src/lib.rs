#![doc = include_str!("../README.md")]

mod accountant;
mod allocation;
mod budget;
mod distribution;
mod fft;
mod fixed;
mod honest_sum;
mod privacy_loss;
mod sampler;
mod solve;
mod worst_set;

pub use accountant::{delta, epsilon};
pub use allocation::{
    Achieved, CheckError, MAX_OPERATORS, NoiseAllocation, OperatorShare, ShareError, check,
};
pub use budget::{Budget, BudgetError};
pub use distribution::{DistributionError, MAX_VOLUME, PairDistribution, Sigma};
pub use privacy_loss::Step;
pub use sampler::PairSampler;
pub use solve::{SolveError, solve};
