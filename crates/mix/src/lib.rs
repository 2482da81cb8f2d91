#![doc = include_str!("../README.md")]

mod answering;
mod buffers;
mod copies;
mod epoch_keys;
mod erased;
mod io;
mod limits;
mod noise;
mod round;
mod routed;
mod service;
mod shard;
mod signer;
mod steps;
mod trace;
mod work;

pub use antiphon_onion::EntropySource;
pub use io::{BatchKey, ClientId, Input, Notice, Output};
pub use limits::Limits;
pub use noise::noise_deposits;
pub use service::{DeadDrops, PairCounts, Service};
pub use shard::{Shard, ShardConfig};
pub use signer::{SignerError, SignerState};
pub use steps::{LeavingLayer, answer_layer, close_layer, shuffle};
pub use trace::{LayerTrace, RoundTrace};
pub use work::{Priority, Work, WorkDone};
