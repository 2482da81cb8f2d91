//! What a round leaves behind for its beats: for each layer, which cell goes on to where, under which key.
//!
//! Tables are of onions that this shard processed, in the order in which they left. They are in memory alone,
//! and never change: a shard that was started again has none. They hold 36 bytes a circuit and hop, and link all
//! beats of the round for whoever seizes them; dropping them erases them.

mod making;
mod tables;

pub(crate) use making::Making;
pub(crate) use tables::{LastTable, LayerTable, Tables, groups};

use antiphon_canaries::Canary;
use antiphon_wire::{Announcement, Digest, SealStatement, Signed};

use crate::io::ClientId;

/// All that a round leaves behind at one shard of which the keys of all were released.
#[derive(Debug)]
pub(crate) struct Circuits {
    pub(crate) announcement: Announcement,
    /// `None` where this shard did not process all of it: it has no part in the round's beats.
    pub(crate) tables: Option<Tables>,
    /// The releases of all shards: the evidence that the round's beats run.
    pub(crate) released: Vec<Signed<SealStatement>>,
    /// Clients of this gateway, in the order of their onions, with the hashes of their tickets.
    pub(crate) clients: Vec<(ClientId, Digest)>,
    /// This shard's canaries, in the order of their onions, which are the gateway's last; `None` where one was not
    /// set up cleanly. Where there are none, nobody watches over cells.
    pub(crate) canaries: Vec<Option<Canary>>,
}
