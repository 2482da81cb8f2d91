//! Errors of a server's start and life.

use std::io;
use std::path::PathBuf;

use antiphon_coordinator::ServerError;
use antiphon_process::admin::AdminError;
use antiphon_process::config_file::ConfigError;
use antiphon_shard::{RunError, StartError};

/// Reason why a server does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A configuration file, or a file that it names, is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A shard's configuration does not fit together, or the system refuses something.
    #[error("{config}: {source}")]
    ShardStart {
        /// Path of the configuration file.
        config: PathBuf,
        /// Reason, with the setting that it is about.
        source: StartError,
    },
    /// The admin server cannot start.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A running shard failed.
    #[error("the shard stopped: {0}")]
    Shard(#[from] RunError),
    /// The coordinator cannot start or go on.
    #[error(transparent)]
    Coordinator(#[from] ServerError),
    /// The system gives no runtime, or no signals.
    #[error("the system gives no threads or no signals: {0}")]
    System(#[from] io::Error),
}

impl ServeError {
    /// Returns `true` if the command line or a file given on it is wrong, so that nothing was done.
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Config(_)
                | Self::ShardStart {
                    source: StartError::NoAddress { .. }
                        | StartError::OtherNetwork
                        | StartError::UnknownOperator(_)
                        | StartError::ListSignature { .. }
                        | StartError::NotListed { .. },
                    ..
                }
        )
    }
}
