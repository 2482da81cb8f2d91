#![doc = include_str!("../README.md")]

mod account;
mod accountant;
mod allocation;
mod budget;
mod composition;
mod distribution;
mod division;
mod fft;
mod fixed_point;
mod honest_sum;
mod mechanism;
mod privacy_loss;
mod sampler;
mod solve;
mod worst_set;

pub use account::{Account, AccountError, LeftOut};
pub use accountant::{delta, epsilon};
pub use allocation::{
    Achieved, CheckError, MAX_OPERATORS, NoiseAllocation, OperatorShare, ShareError, check,
};
pub use budget::{Budget, BudgetError};
pub use distribution::{
    DistributionError, MAX_ACCOUNTED_VOLUME, MAX_VOLUME, PairDistribution, Sigma,
};
pub use mechanism::{LaplaceNoise, MAX_LOST_NOISE, Mechanism, MechanismError, PoissonNoise};
pub use privacy_loss::Step;
pub use sampler::PairSampler;
pub use solve::{Cut, SolveError, solve, solve_beyond};
