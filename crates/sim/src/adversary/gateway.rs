//! A gateway that lies to its clients.

use antiphon_wire::{Reason, SealAct, SealStatement, ShardIndex, Signed, Timestamp, ToClient};

use crate::adversary::{Adversary, Keys};
use crate::party::{Party, Payload, Sent};

/// False answers of a gateway to its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayLie {
    /// Nothing instead of their replies.
    NoReplies,
    /// Replies of other bytes.
    GarbledReplies,
    /// Replies that are too few.
    ShortReplies,
    /// Onion by onion, the other one's reply.
    SwappedReplies,
    /// That the round was aborted, with no statements to show.
    Aborted,
    /// That the round was aborted, with statements of all shards that it made itself.
    ForgedAbort,
}

/// Lies to the clients of a gateway about rounds that were delivered.
#[derive(Clone, Copy, Debug)]
pub struct LyingGateway {
    /// Position of the gateway among the shards.
    pub shard: usize,
    /// Answer that its clients get in place of their replies.
    pub lie: GatewayLie,
}

impl Adversary for LyingGateway {
    fn on_message(&mut self, _: Timestamp, mut sent: Sent, keys: &Keys) -> Vec<(u64, Sent)> {
        // Only replies are touched: of rounds that were aborted there is nothing to lie about.
        let Payload::ToClient(message) = &mut sent.payload else { return vec![(0, sent)] };
        let ToClient::Replies { epoch, round, replies } = message else { return vec![(0, sent)] };
        if sent.from != Party::Shard(self.shard) {
            return vec![(0, sent)];
        }
        let (epoch, round, bytes) = (*epoch, *round, &mut replies.0);
        match self.lie {
            GatewayLie::NoReplies => return vec![],
            GatewayLie::GarbledReplies => bytes.iter_mut().for_each(|byte| *byte ^= 1),
            GatewayLie::ShortReplies => drop(bytes.pop()),
            GatewayLie::SwappedReplies => {
                // Half a turn swaps the two replies of a pair.
                let half = bytes.len() / 2;
                bytes.rotate_left(half);
            }
            GatewayLie::Aborted => {
                *message = ToClient::Aborted { epoch, round, statements: Vec::new() };
            }
            GatewayLie::ForgedAbort => {
                let withheld = |shard| SealStatement {
                    network: keys.network(),
                    epoch,
                    round,
                    shard: ShardIndex(shard as u16),
                    act: SealAct::Withheld { reason: Reason::NotPrepared },
                };
                // Signed by the gateway for all: it has no other key.
                let statements = (0..keys.shards.len())
                    .map(|shard| Signed::new(withheld(shard), keys.shard(self.shard)))
                    .collect();
                *message = ToClient::Aborted { epoch, round, statements };
            }
        }
        vec![(0, sent)]
    }
}
