//! Adversaries that try: how well each can tell who talks to whom, and how well it could at most.
//!
//! A [`Strategy`] plays against an [`IdealNetwork`](crate::ideal::IdealNetwork) in one of two worlds,
//! chosen by a fair coin, and names the likelier one. [`measure`] counts how often it is right: twice
//! that, less one, is its advantage, which can be no more than the total variation between what it sees in the two
//! worlds. Beside it stands the bound that the network's guarantee gives for the same case.

mod bound;
mod cases;
mod count;
mod documents;
mod former_rules;
mod game;
mod interval;
mod likelihood;
mod measure;
mod strategies;
mod suite;
mod worlds;

pub use bound::Bound;
pub use count::PairCountLaw;
pub use game::{Case, Game, Profile, Strategy};
pub use interval::{CONFIDENCE, Interval, clopper_pearson};
pub use measure::{
    AttackError, MAX_ROUNDS, MAX_SHARDS, MAX_TRIALS, MAX_USERS, Measurement, Options, Size,
    Verdict, measure, measure_watched,
};
pub use strategies::{all, named};
pub use suite::{Play, suite};
pub use worlds::{Against, Kept, Partners, UnknownWorlds};
