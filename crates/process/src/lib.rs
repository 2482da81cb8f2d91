#![doc = include_str!("../README.md")]

#[cfg(feature = "admin")]
pub mod admin;
pub mod backoff;
pub mod clock;
pub mod config_file;
pub mod descriptors;
pub mod entropy;
pub mod grace;
pub mod kept_file;
pub mod keyfile;
#[cfg(feature = "logging")]
pub mod logging;
#[cfg(feature = "metrics")]
pub mod metrics;
pub mod readiness;
pub mod redial;
pub mod requests;
#[cfg(unix)]
pub mod signals;
#[cfg(feature = "telemetry")]
pub mod telemetry;
mod until;
pub mod verdict;

pub use until::until;
