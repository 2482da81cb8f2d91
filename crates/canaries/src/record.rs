//! A shard's record of the batches of a round's beats.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{Epoch, Round, ShardIndex};

use crate::ask::MOST_BEATS_KEPT;
use crate::leg::{Leg, List, Print};
use crate::statement::{Statement, Told};

/// The prints of all cells that one shard sent and received in the last beats of a round, and in those that were asked
/// for. Nothing of it is secret: cells on links are as good as random.
#[derive(Clone, Debug)]
pub struct Record {
    epoch: Epoch,
    round: Round,
    me: ShardIndex,
    beats: BTreeMap<u64, Kept>,
    asked: BTreeSet<u64>,
}

/// The lists of one beat.
#[derive(Clone, Debug, Default)]
struct Kept {
    sent: BTreeMap<Leg, Vec<Print>>,
    /// `None` where a batch was filled.
    received: BTreeMap<Leg, Option<Vec<Print>>>,
}

impl Record {
    /// A shard's record of a round, with nothing in it.
    pub fn new(epoch: Epoch, round: Round, me: ShardIndex) -> Self {
        Self { epoch, round, me, beats: BTreeMap::new(), asked: BTreeSet::new() }
    }

    /// Cells with these prints leave for another shard, or for this one itself.
    pub fn sent(&mut self, beat: u64, leg: Leg, prints: Vec<Print>) {
        self.beats.entry(beat).or_default().sent.insert(leg, prints);
    }

    /// The cells of a batch, with these prints, are taken as they came; `None` if they are filled in.
    pub fn received(&mut self, beat: u64, leg: Leg, prints: Option<Vec<Print>>) {
        self.beats.entry(beat).or_default().received.insert(leg, prints);
    }

    /// Keeps a beat that somebody asked for, also if it has not begun here. Returns `false` if as many are kept as may be;
    /// of one that is gone there is nothing to keep.
    pub fn keep(&mut self, beat: u64) -> bool {
        // What is asked for again takes no more room.
        let keeps = self.asked.len() < MOST_BEATS_KEPT || self.asked.contains(&beat);
        if keeps {
            self.asked.insert(beat);
        }
        keeps
    }

    /// Nobody may ask any more for beats before this one. Those that were asked for stay.
    pub fn forget_before(&mut self, beat: u64) {
        let asked = &self.asked;
        self.beats.retain(|kept, _| *kept >= beat || asked.contains(kept));
    }

    /// The statement that the shard signs once the round's tables are erased; `None` if nobody asked for anything.
    pub fn statement(&self) -> Option<Statement> {
        let Self { epoch, round, me: shard, .. } = *self;
        let beats = self.asked.iter().filter_map(|beat| {
            let kept = self.beats.get(beat)?;
            let digest = |leg: &Leg, prints: &[Print]| self.list_of(*beat, *leg, prints).digest();
            let sent = kept.sent.iter().map(|(leg, prints)| (*leg, digest(leg, prints)));
            let received = kept.received.iter();
            let received =
                received.map(|(leg, prints)| (*leg, prints.as_ref().map(|list| digest(leg, list))));
            Some((*beat, Told { sent: sent.collect(), received: received.collect() }))
        });
        let beats: BTreeMap<_, _> = beats.collect();
        (!beats.is_empty()).then_some(Statement { epoch, round, shard, beats })
    }

    /// The list of a batch of a beat that was asked for, if the shard sent or received it.
    pub fn list(&self, beat: u64, leg: Leg) -> Option<List> {
        let kept = self.beats.get(&beat).filter(|_| self.asked.contains(&beat))?;
        let received = kept.received.get(&leg).and_then(Option::as_ref);
        let prints = received.or_else(|| kept.sent.get(&leg))?;
        Some(self.list_of(beat, leg, prints))
    }

    fn list_of(&self, beat: u64, leg: Leg, prints: &[Print]) -> List {
        List { epoch: self.epoch, round: self.round, beat, leg, prints: prints.to_vec() }
    }
}
