#![doc = include_str!("../README.md")]

pub mod beats;
mod bound;
mod cases;
mod count;
mod documents;
mod former_rules;
mod game;
pub mod ideal;
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
