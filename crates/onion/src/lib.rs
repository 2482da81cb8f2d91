#![doc = include_str!("../README.md")]

mod build;
mod cell;
mod context;
pub mod dh;
mod entropy_source;
mod ephemeral;
mod erasing_rng;
mod hop_key;
mod keys;
mod layout;
mod peel;
mod possession;
mod reply;
pub mod suite;

pub use build::{BuildError, Built, Hop, Keep, build_batch, rebuild_batch};
pub use cell::{
    BeatContext, CellBytes, CellBytesError, CircuitKey, CircuitKeys, backward_cells, forward_cells,
};
pub use context::RoundContext;
pub use dh::Kernel;
pub use entropy_source::EntropySource;
pub use ephemeral::EphemeralSecrets;
pub use erasing_rng::ErasingRng;
pub use hop_key::{HopKey, PeelKey};
pub use keys::{
    JointSealKey, KemPublicKey, KemSecretKey, KeyError, OnionPublicKey, OnionSecretKey, SealKeySum,
    SealPublicKey, SealSecretKey,
};
pub use layout::{ephemeral_of, inner_of, inner_offset};
pub use peel::{PeelError, Peeled, peel_batch};
pub use possession::{KeySet, ProofOfPossession};
pub use reply::{ReplyKey, ReplyKeys, apply_reply_stream, apply_reply_streams};
