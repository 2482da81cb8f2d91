//! What no honest process ever does twice or both ways, kept watch of over a whole run.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{
    Digest, Epoch, FromClient, PeerMessage, Round, SealAct, ShardIndex, ToCoordinator,
};

use crate::party::{Party, Payload, Sent};

/// What was sent of that which may be sent once only.
#[derive(Debug, Default)]
pub struct Promises {
    /// The onion sets of each client for each round.
    onion_sets: BTreeMap<(usize, Round), BTreeSet<Digest>>,
    /// The documents that each shard signed, in order.
    endorsed: BTreeMap<usize, Vec<(Epoch, Digest)>>,
    /// Whether a shard released, and whether it withheld, its seal key.
    acts: BTreeMap<(Epoch, Round, ShardIndex), (bool, bool)>,
    /// Under which epochs each shard signed statements about a round.
    served: BTreeMap<(usize, Round), BTreeSet<Epoch>>,
}

impl Promises {
    pub(crate) fn observe(&mut self, sent: &Sent) {
        match (sent.from, &sent.payload) {
            (
                Party::Client(client),
                Payload::FromClient(FromClient::Submit { round, onions, .. }),
            ) => {
                let sets = self.onion_sets.entry((client, *round)).or_default();
                sets.insert(Digest::of(&onions.0));
            }
            (
                Party::Shard(shard),
                Payload::ToCoordinator(ToCoordinator::Endorse { epoch, document, .. }),
            ) => {
                self.endorsed.entry(shard).or_default().push((*epoch, *document));
            }
            (Party::Shard(_), Payload::Peer(PeerMessage::Statements { statements })) => {
                for statement in statements {
                    let said = statement.claimed();
                    let acts = self.acts.entry((said.epoch, said.round, said.shard)).or_default();
                    match said.act {
                        SealAct::Released { .. } => acts.0 = true,
                        SealAct::Withheld { .. } => acts.1 = true,
                    }
                }
            }
            (Party::Shard(shard), Payload::Batch { header, .. }) => {
                let header = header.claimed();
                self.served.entry((shard, header.round)).or_default().insert(header.epoch);
            }
            _ => {}
        }
    }

    /// The onion sets that `client` sent for `round`: one or none, if all is well.
    pub fn onion_sets(&self, client: usize, round: Round) -> usize {
        self.onion_sets.get(&(client, round)).map_or(0, BTreeSet::len)
    }

    /// The epochs for which `shard` signed documents, in order.
    pub fn endorsed(&self, shard: usize) -> impl Iterator<Item = Epoch> {
        self.endorsed.get(&shard).into_iter().flatten().map(|(epoch, _)| *epoch)
    }

    /// Sees that all promises of honest processes were kept: one set of onions per client and
    /// round, epochs signed in rising order and each once, a round served under one epoch only, and
    /// no seal key both released and withheld.
    ///
    /// # Panics
    /// If one was broken.
    pub fn assert_kept(&self) {
        for (place, sets) in &self.onion_sets {
            assert!(sets.len() == 1, "client and round {place:?}: {} onion sets", sets.len());
        }
        for (shard, endorsed) in &self.endorsed {
            let rising = endorsed.is_sorted_by(|(before, _), (after, _)| before < after);
            assert!(rising, "shard {shard} signed {endorsed:?}");
        }
        for (place, epochs) in &self.served {
            assert!(epochs.len() == 1, "shard and round {place:?}: {epochs:?}");
        }
        for (place, acts) in &self.acts {
            assert!(*acts != (true, true), "released and withheld: {place:?}");
        }
    }
}
