//! Services at layer L, which turn a round's deposits into replies.

mod dead_drops;
mod mailboxes;

use std::sync::Arc;

use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{Round, RoundKind, SERVICE_CONVERSATION, ShardIndex, box_dead_drop};

pub use dead_drops::{DeadDrops, PairCounts};
pub use mailboxes::Mailboxes;

/// A service at layer L. Every deposit gets exactly one reply of the same size as a body.
pub trait Service: std::fmt::Debug + Send + Sync {
    /// Takes the round's deposits, each a dead-drop id and a body, one after the other. Puts the
    /// replies into `replies`, in the same order and instead of whatever it held, and returns what
    /// anyone watching could count.
    fn exchange(&self, deposits: &[u8], body_bytes: usize, replies: &mut Vec<u8>) -> PairCounts;

    /// For each deposit of the round the one whose cells its circuit gets in the round's beats: that with which it
    /// was swapped, or itself.
    fn partners(&self, deposits: &[u8], body_bytes: usize) -> Vec<u32>;

    /// The boxes that this shard publishes of the round's deposits.
    fn publish(&self, _deposits: &[u8], _body_bytes: usize) -> Vec<PublishedBox> {
        Vec::new()
    }
}

/// A box that a service has filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedBox {
    /// Number of the box among those of its service.
    pub number: u16,
    /// The items, in the form in which they are published.
    pub content: Vec<u8>,
}

/// The service of a round at shard `me`, if this program has it.
pub(crate) fn of_round(
    epoch: &VerifiedEpoch,
    round: Round,
    me: ShardIndex,
) -> Option<Arc<dyn Service>> {
    let kind = epoch.kind_of(round);
    match (epoch.parameters().service, kind) {
        (SERVICE_CONVERSATION, RoundKind::DeadDrops) => Some(Arc::new(DeadDrops)),
        (SERVICE_CONVERSATION, RoundKind::Calls | RoundKind::Invitations) => {
            let numbers = 0..epoch.services().boxes(kind);
            let hosted = numbers.filter(|number| epoch.box_host(round, *number) == me);
            let hosted =
                hosted.map(|number| (number, box_dead_drop(kind, epoch.epoch(), round, number)));
            Some(Arc::new(Mailboxes::new(kind, hosted.collect())))
        }
        _ => None,
    }
}
