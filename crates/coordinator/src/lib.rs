#![doc = include_str!("../README.md")]

mod core;
#[cfg(feature = "server")]
pub mod server;

pub use crate::core::{
    CannotForm, Coordinator, CoordinatorConfig, Input, Notice, Output, Presence, RegistrationError,
    RoundReport, RoundResult, RoundTotals, State, Work, WorkDone, check_registration,
};
