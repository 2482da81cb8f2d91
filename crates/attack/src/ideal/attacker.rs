//! Decisions that an adversary takes in the course of a round.

use antiphon_wire::ShardIndex;

use super::Opened;

/// An onion at a malicious shard.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// The layer it is at, from 1 to the seal layer.
    pub layer: u8,
    /// Its place among all onions of the layer.
    pub place: usize,
    /// The shard it is at.
    pub shard: ShardIndex,
    /// Whose it is, user and which of the two, if no honest shard has touched it.
    pub known: Option<(usize, usize)>,
    /// True if an honest shard sent it here.
    pub from_honest: bool,
    /// Where it goes next; hidden at the seal layer.
    pub next: Option<ShardIndex>,
}

/// An adversary of one round. By default it only watches.
///
/// It is inside the malicious shards, and all users' gateways are malicious, as far as there are
/// malicious shards; a gateway is trusted for nothing.
pub trait Attacker {
    /// Decides if the gateway passes on a user's onion, one of two.
    fn submits(&mut self, user: usize, onion: usize) -> bool {
        let _ = (user, onion);
        true
    }

    /// Decides if a malicious shard keeps an onion in the round, or drops it.
    fn keeps(&mut self, held: &Held) -> bool {
        let _ = held;
        true
    }

    /// Decides if malicious shards make up onions in place of those that they keep from an honest seal shard:
    /// chosen so that its filter claims what was kept, if its key is what they take it to be.
    fn sends_look_alikes(&self) -> bool {
        false
    }

    /// Picks the onion, of those that malicious seal shards hold, that they leave out of their filters.
    fn leaves_out(&mut self, held: &[Held]) -> Option<usize> {
        let _ = held;
        None
    }

    /// Decides if a malicious shard complains, so that the round is aborted for nothing. It sees what is open
    /// by then: nothing.
    fn complains(&mut self, opened: Option<&Opened>) -> bool {
        let _ = opened;
        false
    }

    /// Decides if the last shard to release its seal key keeps it, having seen all the others.
    fn withholds(&mut self) -> bool {
        false
    }

    /// Decides if a malicious dead-drop shard sends replies back for the deposits at this dead drop.
    fn answers(&mut self, dead_drop: u128) -> bool {
        let _ = dead_drop;
        true
    }
}

/// An adversary that only watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watcher;

impl Attacker for Watcher {}
