//! The boxes of mailbox rounds.

use antiphon_wire::{Blob, BoxContent, BoxStatement, Round, Signed, box_dead_drop};

use crate::Mix;

impl Mix {
    /// The boxes of a round, each signed by its host; none if the round has none.
    ///
    /// # Panics
    /// If an onion cannot be opened, or the round is not the epoch's.
    pub fn publish(&self, round: Round, submissions: &[Vec<u8>]) -> Vec<Signed<BoxStatement>> {
        let (network, epoch, kind) =
            (self.network.id(), self.epoch.epoch(), self.epoch.kind_of(round));
        let opened = self.open_all(round, submissions);
        let publish = |number| {
            let shard = self.epoch.box_host(round, number);
            let dead_drop = box_dead_drop(kind, epoch, round, number);
            let in_it = opened.iter().filter(|deposit| deposit.dead_drop == dead_drop);
            let content = BoxContent::collect(kind, in_it.map(|deposit| &deposit.body[..]));
            let content = Blob(content.unwrap().to_bytes());
            let statement = BoxStatement { network, epoch, round, shard, number, content };
            Signed::new(statement, &self.shards[shard.position()].identity)
        };
        (0..self.epoch.services().boxes(kind)).map(publish).collect()
    }
}
