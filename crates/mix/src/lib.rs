#![doc = include_str!("../README.md")]

mod beats;
mod buffers;
mod circuits;
mod copies;
mod epoch_context;
mod epoch_keys;
mod erased;
mod io;
mod layer;
mod limits;
mod noise;
mod round;
mod service;
mod shard;
mod shuffle;
mod signer;
mod trace;
mod work;

pub use antiphon_onion::EntropySource;
pub use io::{BatchKey, ClientId, Input, Misconduct, Notice, Output};
pub use layer::{LeavingLayer, answer_layer, close_layer};
pub use limits::Limits;
pub use noise::{box_noise, noise_deposits};
pub use service::{DeadDrops, Mailboxes, PairCounts, PublishedBox, Service};
pub use shard::{Departure, Membership, Shard, ShardConfig};
pub use shuffle::shuffle;
pub use signer::{Grant, ListError, ListMark, SignerError, SignerState};
pub use trace::{LayerTrace, RoundTrace};
pub use work::{Priority, Work, WorkDone};
