//! One onion left out of a filter, and nothing else amiss.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use antiphon_verify::{FilterKey, FilterPrecision, SealFilter, filter_digest, filters_digest};
use antiphon_wire::{
    FilterStatement, Finding, Layer, PeerMessage, Round, ShardIndex, Signed, Timestamp,
};

use crate::adversary::{Adversary, Keys, Kind, Target, round_of};
use crate::party::{Party, Payload, Sent};

/// Leaves one onion that `last_hop` sent out of the filter of `seal`.
///
/// The shards in `with` are in league with it: they are shown the true filter and are taken to have
/// signed the false one. What honest shards say to them is changed to match, which stands for their
/// not running the honest program.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// Whose filter, by position in the setup.
    pub seal: usize,
    /// Who sent the onion.
    pub last_hop: usize,
    /// Shards in league with `seal`.
    pub with: Vec<usize>,
    /// The seal layer, which is the layer that filters are of.
    pub layer: Layer,
    /// The round that it is in; it forgets everything when another one begins.
    pub round: Round,
    /// Number of onions left out so far. None is if `last_hop` sent none, or if others would be missed with
    /// it.
    pub times: Rc<Cell<usize>>,
    onions: BTreeMap<usize, Vec<Vec<u8>>>,
    seen: BTreeMap<ShardIndex, FilterStatement>,
    shown: BTreeMap<ShardIndex, FilterStatement>,
}

impl LeftOut {
    /// Leaves the first onion that `last_hop` sends to `seal` for `layer` out.
    pub fn new(seal: usize, last_hop: usize, with: &[usize], layer: Layer) -> Self {
        Self {
            seal,
            last_hop,
            with: with.to_vec(),
            layer,
            round: Round(0),
            times: Rc::default(),
            onions: BTreeMap::new(),
            seen: BTreeMap::new(),
            shown: BTreeMap::new(),
        }
    }

    fn in_league(&self, party: Party) -> bool {
        matches!(party, Party::Shard(i) if i == self.seal || self.with.contains(&i))
    }

    /// The filter without one onion: a bit less, which no other onion that is known needs.
    fn without_one(&self, statement: &FilterStatement) -> Option<FilterStatement> {
        let key = FilterKey::new(
            statement.epoch,
            statement.round,
            statement.shard,
            statement.salt,
            FilterPrecision::default(),
        );
        let victims = self.onions.get(&self.last_hop)?;
        // Onions share bits: one is searched for that takes the victim out of the filter and no other onion.
        let all: BTreeSet<&Vec<u8>> = self.onions.values().flatten().collect();
        victims.iter().find_map(|victim| {
            (0..statement.bits.0.len() * 8).find_map(|bit| {
                let mut less = statement.clone();
                less.bits.0[bit / 8] &= !(1 << (bit % 8));
                let filter = SealFilter::parse(&key, less.onions, u32::MAX, &less.bits.0).ok()?;
                let alone = all.iter().all(|onion| filter.contains(onion) == (*onion != victim));
                alone.then_some(less)
            })
        })
    }
}

impl Adversary for LeftOut {
    /// Long and deep, as it is one lie: what is kept of batches and filters is what verdicts have to agree
    /// with.
    fn on_message(&mut self, _: Timestamp, mut sent: Sent, keys: &Keys) -> Vec<(u64, Sent)> {
        // Each round starts afresh.
        if let Some(round) = round_of(&sent.payload)
            && round > self.round
        {
            self.round = round;
            self.onions.clear();
            self.seen.clear();
            self.shown.clear();
        }
        let (sender, receiver) = (sent.from, sent.to);
        let Party::Shard(from) = sender else { return vec![(0, sent)] };
        let own = Target::onions(from, self.seal, self.layer).takes(&sent);
        let filter = Target::all(from, Kind::Filter).takes(&sent);
        // Colluders are told the truth; only what crosses the line to honest shards is false.
        let (from_us, to_us) = (self.in_league(sender), self.in_league(receiver));
        match &mut sent.payload {
            Payload::Batch { bytes, item_bytes, .. } if own => {
                let onions = bytes.chunks_exact(*item_bytes).map(<[u8]>::to_vec).collect();
                self.onions.insert(from, onions);
            }
            Payload::Peer(PeerMessage::Filter { filter: signed }) if filter => {
                let claims = signed.claimed().clone();
                // The true filter is kept in `seen`, the one that honest shards get in `shown`.
                self.seen.entry(claims.shard).or_insert_with(|| claims.clone());
                let mut false_one = claims.clone();
                if from == self.seal {
                    // All honest shards get the same false filter, or they would find out by comparing
                    // digests.
                    if let Some(known) = self.shown.get(&claims.shard) {
                        false_one = known.clone();
                    } else if let Some(less) = self.without_one(&claims) {
                        false_one = less;
                        self.times.set(self.times.get() + 1);
                    }
                }
                self.shown.entry(claims.shard).or_insert_with(|| false_one.clone());
                if from == self.seal && !to_us {
                    *signed = Signed::new(false_one, keys.shard(from));
                }
            }
            Payload::Peer(PeerMessage::Verdict { verdict }) if from_us != to_us => {
                // Verdicts name all filters by one digest, which has to be that of what the receiver was
                // shown.
                let mut claims = *verdict.claimed();
                if let Finding::Satisfied { filters, .. } = &mut claims.finding {
                    let shown = if from_us { &self.shown } else { &self.seen };
                    *filters = filters_digest(shown.values().map(filter_digest));
                    *verdict = Signed::new(claims, keys.shard(from));
                }
            }
            _ => {}
        }
        vec![(0, sent)]
    }
}
