//! Verdicts that complain of onions which are not missing.

use antiphon_wire::{Finding, PeerMessage, ShardIndex, Signed, Timestamp};

use crate::adversary::{Adversary, Keys, Kind, Target};
use crate::party::{Payload, Sent};

/// Complains for a shard about onions that are where they should be.
#[derive(Clone, Copy, Debug)]
pub struct FalseComplaint {
    /// Position in the setup of the shard that complains.
    pub shard: usize,
    /// Whom the complaint is about, by index in the epoch document.
    pub about: ShardIndex,
}

impl Adversary for FalseComplaint {
    fn on_message(&mut self, _: Timestamp, mut sent: Sent, keys: &Keys) -> Vec<(u64, Sent)> {
        if Target::all(self.shard, Kind::Verdict).takes(&sent)
            && let Payload::Peer(PeerMessage::Verdict { verdict }) = &mut sent.payload
        {
            let mut claims = *verdict.claimed();
            claims.finding = Finding::Complaint { at: self.about, missing: 1 };
            *verdict = Signed::new(claims, keys.shard(self.shard));
        }
        vec![(0, sent)]
    }
}
