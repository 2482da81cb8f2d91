//! Record of a simulation, for its tests.

use antiphon_client_core::{Checkpoint, Event};
use antiphon_coordinator_core::{Notice as CoordinatorNotice, RoundReport};
use antiphon_wire::{Encode as _, Epoch, Round, RoundCounts, RoundOutcome, Timestamp};

use crate::party::{Payload, Sent};
use crate::promises::Promises;

/// One message on a client's link, as the adversary sees it: when, how long, which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// When it was sent.
    pub at: Timestamp,
    /// Length of the message.
    pub bytes: usize,
    /// True if the client sent it, false if its gateway did.
    pub up: bool,
}

/// Everything that happened, from the start of the network.
#[derive(Debug, Default)]
pub struct Record {
    /// Reports of the coordinator, in order.
    pub coordinator: Vec<(Timestamp, CoordinatorNotice)>,
    /// Events that each client's application was told.
    pub events: Vec<Vec<(Timestamp, Event)>>,
    /// Checkpoints that each client made durable, each with the number of events that its application had
    /// been told by then.
    pub persisted: Vec<Vec<(usize, Checkpoint)>>,
    /// Messages on each client's link.
    pub observed: Vec<Vec<Observed>>,
    /// Reports of each shard on others and on itself, as text.
    pub shards: Vec<Vec<(Timestamp, String)>>,
    /// Rounds that shards began to serve by a coordinator's word: when, which shard, which round.
    pub opened: Vec<(Timestamp, usize, Round)>,
    /// Ends of rounds at each shard: time, shard, round, outcome, and the shard's counts.
    pub ended: Vec<(Timestamp, usize, Round, RoundOutcome, RoundCounts)>,
    /// Sizes of onions on the links between shards: round, layer, bytes, each seen at least once.
    pub onion_sizes: std::collections::BTreeSet<(Round, u8, usize)>,
    /// Rules that no honest process breaks.
    pub promises: Promises,
}

impl Record {
    pub(crate) fn new(shards: usize, clients: usize) -> Self {
        Self {
            events: vec![Vec::new(); clients],
            persisted: vec![Vec::new(); clients],
            observed: vec![Vec::new(); clients],
            shards: vec![Vec::new(); shards],
            ..Self::default()
        }
    }

    pub(crate) fn observe(&mut self, at: Timestamp, sent: &Sent) {
        use crate::party::Party;
        self.promises.observe(sent);
        let (client, bytes, up) = match (&sent.payload, sent.from, sent.to) {
            (Payload::FromClient(message), Party::Client(client), _) => {
                (client, message.to_bytes().len(), true)
            }
            (Payload::ToClient(message), _, Party::Client(client)) => {
                (client, message.to_bytes().len(), false)
            }
            (Payload::Batch { header, item_bytes, .. }, ..) => {
                let header = header.claimed();
                if header.direction == antiphon_wire::Direction::Forward {
                    self.onion_sizes.insert((header.round, header.layer.0, *item_bytes));
                }
                return;
            }
            _ => return,
        };
        self.observed[client].push(Observed { at, bytes, up });
    }

    /// Faults of other shards that `shard` reported, as text.
    pub fn faults(&self, shard: usize) -> impl Iterator<Item = &str> {
        let notices = self.shards[shard].iter().map(|(_, notice)| notice.as_str());
        notices.filter(|notice| notice.starts_with("PeerFault"))
    }

    /// The coordinator's reports of ended rounds.
    pub fn rounds(&self) -> impl Iterator<Item = &RoundReport> {
        self.coordinator.iter().filter_map(|(_, notice)| match notice {
            CoordinatorNotice::RoundEnded(report) => Some(report),
            _ => None,
        })
    }

    /// The epochs published: number, first and last round, shards.
    pub fn epochs(&self) -> impl Iterator<Item = (Epoch, Round, Round, usize)> {
        self.coordinator.iter().filter_map(|(_, notice)| match notice {
            CoordinatorNotice::EpochPublished {
                epoch, first_round, last_round, presence, ..
            } => Some((*epoch, *first_round, *last_round, presence.shards)),
            _ => None,
        })
    }

    /// The outcome of `round` for client `client`, if it has ended there.
    pub fn outcome(&self, client: usize, round: Round) -> Option<antiphon_client_core::Outcome> {
        self.events[client].iter().find_map(|(_, event)| match event {
            Event::RoundEnded { round: of, outcome } if *of == round => Some(*outcome),
            _ => None,
        })
    }

    /// The messages that client `client`'s application received, in order.
    pub fn received(&self, client: usize) -> impl Iterator<Item = &[u8]> {
        self.events[client].iter().filter_map(|(_, event)| match event {
            Event::Received { message, .. } => Some(message.as_slice()),
            _ => None,
        })
    }
}
