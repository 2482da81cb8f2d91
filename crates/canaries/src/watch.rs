//! A shard's part in finding out who garbles the cells of a round.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{IdentityKey, ShardIndex, Signed};
use ed25519_dalek::SigningKey;

use crate::ask::{Ask, may_ask};
use crate::canary::Canary;
use crate::evidence::Evidence;
use crate::journey::Facts;
use crate::leg::{Leg, Print};
use crate::message::CanaryMessage;
use crate::opening::Opening;
use crate::record::Record;

/// The knowledge that one shard has of one round: its canaries, the record of its beats, and what others say. It outlives the
/// round's tables until its canaries are opened, or need not be.
#[derive(Debug)]
pub struct Watch {
    facts: Facts,
    me: ShardIndex,
    identities: Vec<IdentityKey>,
    canaries: Vec<Canary>,
    record: Record,
    /// The canaries that were broken, by beat.
    broken: BTreeMap<u64, BTreeSet<usize>>,
    /// The beats that shards asked for, each for one.
    asked: BTreeMap<ShardIndex, u64>,
    /// Set while the tables are there: nothing is stated, shown or opened before they are erased.
    is_running: bool,
    /// It says by which legs an opening's cells went. Whoever judges has what shards state of them.
    evidence: Evidence,
}

impl Watch {
    /// A shard's watch over a round that has opened, with its canaries that were set up cleanly. `identities` are those of
    /// the epoch's shards, in the order of its document.
    pub fn new(
        facts: Facts,
        me: ShardIndex,
        identities: Vec<IdentityKey>,
        canaries: Vec<Canary>,
    ) -> Self {
        let record = Record::new(facts.epoch, facts.round, me);
        let evidence = Evidence::new(facts, identities.clone());
        let (broken, asked) = (BTreeMap::new(), BTreeMap::new());
        Self { facts, me, identities, canaries, record, broken, asked, is_running: true, evidence }
    }

    /// The cells of a beat for all canaries' circuits, in order: two a canary. Once for each beat.
    pub fn cells(&self, beat: u64) -> Vec<u8> {
        let context = self.facts.context(beat);
        self.canaries.iter().flat_map(|canary| canary.cells(context)).collect()
    }

    /// Cells with these prints leave for another shard, or for this one itself.
    pub fn sent(&mut self, beat: u64, leg: Leg, prints: Vec<Print>) {
        self.record.sent(beat, leg, prints);
    }

    /// A stop has closed over a batch: with its cells, which have these prints, as they came, or filled.
    pub fn received(&mut self, beat: u64, leg: Leg, prints: Option<Vec<Print>>) {
        self.record.received(beat, leg, prints);
    }

    /// The canaries' cells are home, in the order of [`Self::cells`], from a beat that was the round's to its end. Returns
    /// what to tell all others, if anything: it asks for the first beat in which a canary was broken.
    pub fn home(&mut self, beat: u64, cells: &[u8], key: &SigningKey) -> Option<CanaryMessage> {
        let context = self.facts.context(beat);
        let each = 2 * self.facts.cell.bytes();
        let whole = |(canary, cells): (&Canary, &[u8])| canary.is_whole(context, cells);
        let came = self.canaries.iter().zip(cells.chunks(each)).map(whole);
        let broken: BTreeSet<_> =
            (0..).zip(came).filter(|(_, whole)| !whole).map(|(n, _)| n).collect();
        if broken.is_empty() {
            return None;
        }
        self.broken.insert(beat, broken);
        let has_turn = may_ask(self.facts.round, self.me, self.facts.shards);
        if !has_turn || self.asked.contains_key(&self.me) || !self.record.keep(beat) {
            return None;
        }
        self.asked.insert(self.me, beat);
        let Facts { epoch, round, .. } = self.facts;
        let ask = Ask { epoch, round, beat, shard: self.me };
        Some(CanaryMessage::Ask(Signed::new(ask, key)))
    }

    /// Nobody can ask any more for beats before this one.
    pub fn forget_before(&mut self, beat: u64) {
        self.record.forget_before(beat);
    }

    /// The round's tables are erased here. Returns the shard's statement, for whoever judges, if anybody asked for a beat.
    pub fn erased(&mut self, key: &SigningKey) -> Option<CanaryMessage> {
        self.is_running = false;
        self.record.statement().map(|told| CanaryMessage::Statement(Signed::new(told, key)))
    }

    /// Another shard says something. What is not signed by it, not of this round, or out of turn is nothing. Returns what to
    /// tell whoever judges.
    pub fn hear(&mut self, message: &CanaryMessage) -> Vec<CanaryMessage> {
        match message {
            CanaryMessage::Ask(ask) => {
                self.keep(ask);
                Vec::new()
            }
            CanaryMessage::Opening(opening) if !self.is_running => self.show(opening),
            // Whoever judges looks at statements and lists; and what is opened too early is for nothing.
            CanaryMessage::Opening(_) | CanaryMessage::Statement(_) | CanaryMessage::List(_) => {
                Vec::new()
            }
        }
    }

    /// The tables of all shards are gone by the schedule, whoever has said so. Returns what to tell all others.
    pub fn expired(&mut self, key: &SigningKey) -> Vec<CanaryMessage> {
        self.is_running = false;
        self.open(key)
    }

    /// Keeps the beat that another shard asks for: the first of each that has a turn.
    fn keep(&mut self, signed: &Signed<Ask>) {
        let Ask { epoch, round, beat, shard } = *signed.claimed();
        let is_ours = (epoch, round) == (self.facts.epoch, self.facts.round);
        let has_turn = may_ask(round, shard, self.facts.shards) && !self.asked.contains_key(&shard);
        let signer = self.identities.get(shard.position());
        let signer = signer.filter(|_| is_ours && has_turn && self.is_running);
        if signer.is_some_and(|signer| signed.verify(signer).is_ok()) {
            self.asked.insert(shard, beat);
            self.record.keep(beat);
        }
    }

    /// Opens each canary in the first beat that was asked for in which it was broken. That uses them up.
    fn open(&mut self, key: &SigningKey) -> Vec<CanaryMessage> {
        if self.is_running {
            return Vec::new();
        }
        let asked: BTreeSet<u64> = self.asked.values().copied().collect();
        let canaries = std::mem::take(&mut self.canaries);
        let opened = canaries.iter().enumerate().filter_map(|(number, canary)| {
            let was_broken =
                |beat: &&u64| self.broken.get(*beat).is_some_and(|broken| broken.contains(&number));
            let beat = asked.iter().find(was_broken)?;
            let opening = canary.open(self.facts.context(*beat), self.me);
            Some(CanaryMessage::Opening(Signed::new(opening, key)))
        });
        opened.collect()
    }

    /// The lists of an opening's legs at whose ends this shard was.
    fn show(&self, opening: &Signed<Opening>) -> Vec<CanaryMessage> {
        let beat = opening.claimed().beat;
        let Ok(legs) = self.evidence.legs(opening) else { return Vec::new() };
        let here = legs.into_iter().filter(|leg| [leg.sender, leg.receiver].contains(&self.me));
        here.filter_map(|leg| self.record.list(beat, leg)).map(CanaryMessage::List).collect()
    }
}
