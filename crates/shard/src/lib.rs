#![doc = include_str!("../README.md")]

mod advertised;
mod advice;
mod clients;
mod config;
mod coordinator;
mod doors;
mod event_loop;
mod file;
mod metrics;
mod notice;
mod outbound;
mod peers;
mod phase;
mod redial;
mod send_times;
mod server;
mod state_file;
mod status;
#[cfg(test)]
mod test_header;
mod through;
mod traces;
mod workers;

pub use advertised::{Advertised, NotAdvertised};
pub use config::{CoordinatorAddress, ServerLimits, ShardServerConfig};
pub use event_loop::RunError;
pub use file::{ConfigError, ConfigFile};
pub use notice::ShardNotice;
pub use server::{ShardServer, StartError};
pub use state_file::StateFileError;
pub use status::{Drain, ListStatus, Status};
pub use through::Through;
pub use workers::Workers;
