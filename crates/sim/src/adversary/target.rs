//! Choice of the messages that an attack acts on.

use antiphon_wire::{Direction, Layer, PeerMessage, ShardIndex};

use crate::party::{Party, Payload, Sent};

/// Kinds of messages between shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Batches of onions that enter this layer.
    Onions(Layer),
    /// Batches of replies that leave this layer.
    Replies(Layer),
    /// A shard's filter of the onions that it holds at the seal layer.
    Filter,
    /// A shard's verdict on all filters of a round.
    Verdict,
    /// Statements about seal keys.
    Statements,
}

/// Messages of one kind from one shard, to one other or to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Who sends them, by position in the setup.
    pub from: usize,
    /// Who is to receive them; everybody if `None`.
    pub to: Option<usize>,
    /// Kind of the messages that are meant.
    pub kind: Kind,
}

impl Target {
    /// The onions that `from` sends to `to` for `layer`.
    pub fn onions(from: usize, to: usize, layer: Layer) -> Self {
        Self { from, to: Some(to), kind: Kind::Onions(layer) }
    }

    /// The replies that `from` sends back to `to` from `layer`.
    pub fn replies(from: usize, to: usize, layer: Layer) -> Self {
        Self { from, to: Some(to), kind: Kind::Replies(layer) }
    }

    /// Everything of one kind that `from` sends.
    pub fn all(from: usize, kind: Kind) -> Self {
        Self { from, to: None, kind }
    }

    /// Returns `true` for messages of this kind between these shards.
    pub fn takes(&self, sent: &Sent) -> bool {
        let kind = match &sent.payload {
            Payload::Batch { header, .. } => {
                let header = header.claimed();
                match header.direction {
                    Direction::Forward => Kind::Onions(header.layer),
                    Direction::Reply => Kind::Replies(header.layer),
                }
            }
            Payload::Peer(PeerMessage::Filter { .. }) => Kind::Filter,
            Payload::Peer(PeerMessage::Verdict { .. }) => Kind::Verdict,
            Payload::Peer(PeerMessage::Statements { .. }) => Kind::Statements,
            _ => return false,
        };
        sent.from == Party::Shard(self.from)
            && self.to.is_none_or(|to| sent.to == Party::Shard(to))
            && kind == self.kind
    }
}

/// The indices of sender and receiver in the epoch document, as a batch's header names them.
pub(super) fn ends(payload: &Payload) -> Option<(ShardIndex, ShardIndex)> {
    match payload {
        Payload::Batch { header, .. } => Some((header.claimed().sender, header.claimed().receiver)),
        _ => None,
    }
}
