//! The shards to keep links with: those of every epoch that is not over.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{Addresses, Epoch, IdentityKey, Round, Timestamp};

use super::EventLoop;
use crate::outbound::Outbound;

/// Epochs whose shards are kept at most: the running one and those prepared ahead.
const MOST: usize = 4;

/// The other shards of the epochs that are not over.
#[derive(Debug, Default)]
pub(super) struct Rosters {
    epochs: BTreeMap<Epoch, Roster>,
    /// The other shards of an epoch that is being signed.
    proposed: Option<(Epoch, Vec<(IdentityKey, Addresses)>)>,
}

#[derive(Debug)]
struct Roster {
    first_round: Round,
    expires_at: Timestamp,
    peers: Vec<(IdentityKey, Addresses)>,
    /// The longest message of a client in this epoch.
    submission_bytes: usize,
    /// Longest time that a round of this epoch can take.
    longest_round: Duration,
}

/// The longest message of a client, in bytes, beside the onions in it.
const SUBMISSION_HEAD_BYTES: usize = 256;

impl Rosters {
    /// Takes in an epoch; `me` is no peer of its own.
    pub(super) fn add(&mut self, epoch: &VerifiedEpoch, me: &IdentityKey) {
        let peers = epoch.shards().iter().filter(|shard| shard.identity != *me);
        let peers = peers.map(|shard| (shard.identity, shard.peer_addresses.clone())).collect();
        let onions = 2 * usize::from(epoch.parameters().pairs_per_client);
        // One that sleeps leaves a round's cells with its onions.
        let beats = epoch.parameters().beats;
        let cells = usize::from(beats.beats) * onions * usize::from(beats.cell_bytes);
        let submission_bytes =
            SUBMISSION_HEAD_BYTES + onions * epoch.geometry().entry_bytes() + cells;
        let (first_round, expires_at) = (epoch.document().first_round, epoch.document().expires_at);
        let longest_round = Duration::from_millis(epoch.parameters().longest_round_ms());
        let roster = Roster { first_round, expires_at, peers, submission_bytes, longest_round };
        self.insert(epoch.epoch(), roster);
    }

    /// Takes in the shards of an epoch that is proposed, in the place of those of any before.
    pub(super) fn propose(&mut self, epoch: Epoch, peers: Vec<(IdentityKey, Addresses)>) {
        self.proposed = Some((epoch, peers));
    }

    fn insert(&mut self, epoch: Epoch, roster: Roster) {
        self.proposed = self.proposed.take().filter(|(proposed, _)| *proposed > epoch);
        self.epochs.insert(epoch, roster);
        while self.epochs.len() > MOST {
            self.epochs.pop_first();
        }
    }

    /// Forgets epochs that a newer one took over from, once the newer one's first round is over too: until
    /// then the last one of the older may still be on its way back. Returns `true` if there were any.
    pub(super) fn prune(&mut self, served: Round) -> bool {
        let current = self.epochs.iter().rev().find(|(_, roster)| roster.first_round < served);
        let Some((&current, _)) = current else { return false };
        let before = self.epochs.len();
        self.epochs = self.epochs.split_off(&current);
        self.epochs.len() < before
    }

    /// The newest epoch, and when its keys are erased.
    pub(super) fn newest(&self) -> Option<(Epoch, Timestamp)> {
        self.epochs.last_key_value().map(|(epoch, roster)| (*epoch, roster.expires_at))
    }

    /// Every peer, at its newest addresses.
    fn peers(&self) -> BTreeMap<IdentityKey, Addresses> {
        let proposed = self.proposed.iter().flat_map(|(_, peers)| peers);
        let others = self.epochs.values().flat_map(|roster| &roster.peers);
        // Nobody has signed for those of a proposal: addresses of epochs in force count before them.
        proposed.chain(others).cloned().collect()
    }

    /// The longest time that a round of any of the epochs can take.
    pub(super) fn longest_round(&self) -> Duration {
        self.epochs.values().map(|roster| roster.longest_round).max().unwrap_or_default()
    }

    /// The longest message that a client may send in any of the epochs.
    fn submission_bytes(&self) -> usize {
        self.epochs.values().map(|roster| roster.submission_bytes).max().unwrap_or_default()
    }
}

impl<T> EventLoop<T> {
    /// Opens links to peers that are new or have moved, and closes those to peers that left.
    pub(super) fn relink(&mut self) {
        let peers = self.rosters.peers();
        self.hands.links.list(peers.keys().copied().collect());
        let addresses = peers.values().flat_map(Addresses::all);
        self.hands.doors.expect_peers(addresses.map(SocketAddr::ip).collect());
        self.hands.doors.expect_submissions(self.rosters.submission_bytes());
        // Dropping a link lets it send what is queued first.
        self.outbound.retain(|peer, link| peers.get(peer) == Some(&link.addresses));
        for (peer, addresses) in peers {
            let dialer = &self.hands.dialer;
            self.outbound.entry(peer).or_insert_with(|| Outbound::start(dialer, peer, addresses));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u8) -> (IdentityKey, Addresses) {
        let address = SocketAddr::from(([127, 0, 0, 1], u16::from(number)));
        (IdentityKey([number; 32]), address.into())
    }

    fn roster(first_round: u64, peers: Vec<(IdentityKey, Addresses)>) -> Roster {
        let longest_round = Duration::from_millis(first_round);
        Roster {
            first_round: Round(first_round),
            expires_at: Timestamp(0),
            peers,
            submission_bytes: 1000,
            longest_round,
        }
    }

    #[test]
    fn an_older_epoch_stays_until_the_newer_one_has_served_a_round() {
        let mut rosters = Rosters::default();
        rosters.insert(Epoch(1), roster(1, vec![peer(1), peer(2)]));
        rosters.insert(Epoch(3), roster(8, vec![peer(2), peer(3)]));
        for served in [1, 7, 8] {
            assert!(!rosters.prune(Round(served)), "round {served}");
            assert_eq!(rosters.peers().len(), 3);
        }
        assert!(rosters.prune(Round(9)));
        assert_eq!(rosters.peers().into_iter().collect::<Vec<_>>(), [peer(2), peer(3)]);
    }

    #[test]
    fn a_shard_that_stops_waits_for_the_longest_round_of_any_epoch_that_is_not_over() {
        let mut rosters = Rosters::default();
        assert_eq!(rosters.longest_round(), Duration::ZERO);
        rosters.insert(Epoch(1), roster(9, vec![]));
        rosters.insert(Epoch(2), roster(8, vec![]));
        assert_eq!(rosters.longest_round(), Duration::from_millis(9));
    }

    #[test]
    fn the_newest_address_counts() {
        let mut rosters = Rosters::default();
        let moved = (peer(1).0, peer(9).1);
        rosters.insert(Epoch(1), roster(1, vec![peer(1)]));
        rosters.insert(Epoch(2), roster(8, vec![moved.clone()]));
        assert_eq!(rosters.peers().into_iter().collect::<Vec<_>>(), [moved]);
    }
}
