#![doc = include_str!("../README.md")]

mod ask;
mod canary;
mod court;
mod evidence;
mod journey;
mod leg;
mod marks;
mod message;
mod opening;
mod record;
mod rising;
mod statement;
mod watch;

pub use ask::{Ask, MOST_BEATS_KEPT, may_ask};
pub use canary::Canary;
pub use court::{Court, HEARING_MS, Judged, MOST_OPENINGS, Named};
pub use evidence::{Evidence, Finding, Refusal};
pub use journey::Facts;
pub use leg::{Leg, List, PRINT_BYTES, Print};
pub use marks::{Marks, Member};
pub use message::CanaryMessage;
pub use opening::{OpenCircuit, Opening};
pub use record::Record;
pub use statement::{Statement, Told};
pub use watch::Watch;
