//! The coordinator's decisions, without sockets, files or clocks.

mod attempt;
mod blame;
mod clocks;
mod coordinator;
mod disputes;
mod documents;
mod hex_serde;
mod losses;
mod marks;
mod notice;
mod open_round;
mod pace;
mod quorum;
pub(crate) mod roster;
mod settings;
mod state;
mod suspension;
mod voters;

pub use coordinator::{Coordinator, Input, Output};
pub use documents::{Work, WorkDone};
pub use notice::{Notice, RoundReport, RoundResult, RoundTotals};
pub use quorum::Presence;
pub use roster::RegistrationError;
pub use settings::{CannotForm, CoordinatorConfig};
pub use state::State;
