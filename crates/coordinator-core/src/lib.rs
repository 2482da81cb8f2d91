#![doc = include_str!("../README.md")]

mod coordinator;
mod course;
mod ended_round;
mod faults;
mod hex_serde;
mod notice;
mod planner;
mod replica;
mod round_clock;
mod rules;
#[cfg(test)]
mod samples;
mod settings;
mod state;
mod status;
mod voters;

pub use coordinator::{Coordinator, Input, Output};
pub use notice::{Notice, RoundReport, RoundResult, RoundTotals};
pub use planner::{Presence, RegistrationError, Work, WorkDone, check_registration};
pub use replica::Replica;
pub use settings::{CannotForm, CoordinatorConfig};
pub use state::{Marks, State};
pub use status::{
    EpochStatus, GuaranteeStatus, LeadershipStatus, PlannedStatus, QuorumStatus, RoundsStatus,
    ShardStatus, Status,
};
