//! A coordinator that says things again, or not at all.

use antiphon_wire::{Timestamp, ToShard};

use crate::adversary::{Adversary, Keys};
use crate::party::{Party, Payload, Sent};

/// Messages that a lying coordinator repeats or leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinatorLie {
    /// It opens every round once more, so many milliseconds later.
    OpensAgain(u64),
    /// With every round it opens the one before it once more.
    OpensOld,
    /// With every document it publishes the one before it once more.
    PublishesOld,
    /// It forgets to tell this shard of rounds that open.
    OpensWithout(usize),
    /// It forgets to tell this shard of documents.
    PublishesWithout(usize),
}

/// A coordinator that lies by what it repeats or leaves out. What it makes up would have to be signed
/// by shards.
#[derive(Clone, Debug)]
pub struct LyingCoordinator {
    /// Messages that it repeats or leaves out.
    pub lie: CoordinatorLie,
    /// The message before the newest of its kind, and the newest.
    said: [Option<ToShard>; 2],
}

impl LyingCoordinator {
    /// A coordinator with this lie.
    pub fn new(lie: CoordinatorLie) -> Self {
        Self { lie, said: [None, None] }
    }

    /// Notes what is said. Returns what was said before it.
    fn before(&mut self, message: &ToShard) -> Option<ToShard> {
        if self.said[1].as_ref() != Some(message) {
            self.said.rotate_left(1);
            self.said[1] = Some(message.clone());
        }
        self.said[0].clone()
    }
}

impl Adversary for LyingCoordinator {
    fn on_message(&mut self, _: Timestamp, sent: Sent, _: &Keys) -> Vec<(u64, Sent)> {
        let (Party::Coordinator(_), Payload::ToShard(message)) = (sent.from, &sent.payload) else {
            return vec![(0, sent)];
        };
        let opens = matches!(message, ToShard::Open { .. });
        let publishes = matches!(message, ToShard::Publish { .. });
        let to = |shard: usize| sent.to == Party::Shard(shard);
        match self.lie {
            CoordinatorLie::OpensAgain(ms) if opens => vec![(0, sent.clone()), (ms, sent)],
            CoordinatorLie::OpensWithout(shard) if opens && to(shard) => vec![],
            CoordinatorLie::PublishesWithout(shard) if publishes && to(shard) => vec![],
            CoordinatorLie::OpensOld if opens => self.with_the_one_before(sent),
            CoordinatorLie::PublishesOld if publishes => self.with_the_one_before(sent),
            _ => vec![(0, sent)],
        }
    }
}

impl LyingCoordinator {
    fn with_the_one_before(&mut self, sent: Sent) -> Vec<(u64, Sent)> {
        let Payload::ToShard(message) = &sent.payload else { return vec![(0, sent)] };
        let old =
            self.before(message).map(|old| Sent { payload: Payload::ToShard(old), ..sent.clone() });
        std::iter::once(sent).chain(old).map(|sent| (0, sent)).collect()
    }
}
