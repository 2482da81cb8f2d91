//! The coordinator's decisions, without sockets, files or clocks.

mod attempt;
mod clocks;
mod coordinator;
mod documents;
mod ended_round;
mod faults;
mod hex_serde;
mod marks;
mod notice;
mod open_round;
mod pace;
mod quorum;
pub(crate) mod roster;
mod settings;
mod state;
mod voters;

pub use coordinator::{Coordinator, Input, Output};
pub use documents::{Work, WorkDone};
pub use notice::{Notice, RoundReport, RoundResult, RoundTotals};
pub use quorum::Presence;
pub use roster::RegistrationError;
pub use settings::{CannotForm, CoordinatorConfig};
pub use state::State;
