//! Whoever sits on the links, and inside the shards that are not honest.

mod cells;
mod clients;
mod coordinator;
mod corrupt;
mod delay;
mod drop_onions;
mod duplicate;
mod filters;
mod gateway;
mod header;
mod left_out;
mod replay;
mod rounds;
mod seals;
mod stuffing;
mod target;
mod verdicts;

use antiphon_wire::{Digest, SignedHeader, Timestamp};
use ed25519_dalek::SigningKey;

use crate::party::{Payload, Sent};

pub use cells::{CellPlay, SpoiltCells};
pub use clients::{ClientPlay, MaliciousClient};
pub use coordinator::{CoordinatorLie, LyingCoordinator};
pub use corrupt::{Corrupt, Part};
pub use delay::Delay;
pub use drop_onions::{DropOnions, Which};
pub use duplicate::{Duplicate, Place};
pub use filters::{FalseFilter, FilterLie};
pub use gateway::{GatewayLie, LyingGateway};
pub use header::{HeaderLie, LyingHeader};
pub use left_out::LeftOut;
pub use replay::{Replay, Wrapping};
pub use rounds::{InRounds, round_of};
pub use seals::{SealPlay, SealSpoiler};
pub use stuffing::FilterStuffer;
pub use target::{Kind, Target};
pub use verdicts::FalseComplaint;

/// An adversary: it sees every message before it travels and decides what becomes of it.
///
/// Links are authenticated, so what it makes up must come from a shard whose keys it has; taking and
/// delaying it can do on any link.
pub trait Adversary {
    /// Turns one message into those that arrive in its place, each so many milliseconds later than the link
    /// takes.
    fn on_message(&mut self, now: Timestamp, sent: Sent, keys: &Keys) -> Vec<(u64, Sent)>;
}

/// Nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Honest;

impl Adversary for Honest {
    fn on_message(&mut self, _: Timestamp, sent: Sent, _: &Keys) -> Vec<(u64, Sent)> {
        vec![(0, sent)]
    }
}

impl<F: FnMut(Timestamp, Sent, &Keys) -> Vec<(u64, Sent)>> Adversary for F {
    fn on_message(&mut self, now: Timestamp, sent: Sent, keys: &Keys) -> Vec<(u64, Sent)> {
        self(now, sent, keys)
    }
}

/// The identities of all shards, of which an adversary uses those it has corrupted.
#[derive(Debug)]
pub struct Keys {
    pub(crate) shards: Vec<SigningKey>,
    /// The network file's id, which is public.
    pub(crate) network: Digest,
}

impl Keys {
    /// The network file's id, which everything signed names.
    pub fn network(&self) -> Digest {
        self.network
    }

    /// The identity of the shard at `position`.
    pub fn shard(&self, position: usize) -> &SigningKey {
        &self.shards[position]
    }

    /// The batch that the corrupted shard at `position` sends instead of one of its own: the same
    /// header, but over other content.
    pub fn other_batch(
        &self,
        position: usize,
        header: &SignedHeader,
        bytes: Vec<u8>,
        item_bytes: usize,
    ) -> Payload {
        let mut header = *header.claimed();
        header.count = (bytes.len() / item_bytes) as u32;
        header.hash = Digest::of(&bytes);
        let header = SignedHeader::new(header, self.shard(position));
        Payload::Batch { header, bytes, item_bytes }
    }
}
