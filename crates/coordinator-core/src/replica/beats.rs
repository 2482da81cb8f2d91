//! How long a leader may go on without asking: as long as a quorum of shards has answered that they heard it.
//!
//! A shard lets another coordinator lead only after it has heard nothing for longer than an answer counts here,
//! from when the question was sent. So whenever another can lead, this one has stopped, however late messages
//! arrive, if both clocks run about as fast.

use std::collections::{BTreeMap, VecDeque};

use antiphon_wire::{IdentityKey, Timestamp};

/// Time between two beats, in milliseconds.
const BEAT_MS: u64 = 500;
/// Time for which an answer counts, from when its beat was sent, in milliseconds. It is shorter than the patience
/// of shards.
const COUNTS_MS: u64 = 2500;

#[derive(Debug)]
pub(super) struct Beats {
    number: u64,
    /// The beats that still count, with when they were sent.
    sent: VecDeque<(u64, Timestamp)>,
    /// When the last beat, or campaign, was sent that each shard answered.
    answered: BTreeMap<IdentityKey, Timestamp>,
    /// When each shard was asked to let this coordinator lead.
    asked: BTreeMap<IdentityKey, Timestamp>,
    until: Timestamp,
    next: Timestamp,
}

impl Beats {
    /// The beats of a leader whose campaign began at `since`.
    pub(super) fn new(since: Timestamp, now: Timestamp) -> Self {
        Self {
            number: 0,
            sent: VecDeque::new(),
            answered: BTreeMap::new(),
            asked: BTreeMap::new(),
            until: since.plus_ms(COUNTS_MS),
            next: now,
        }
    }

    /// Returns `true` if a shard has to be asked to let this coordinator lead, and notes that it is.
    pub(super) fn asks(&mut self, shard: IdentityKey, now: Timestamp) -> bool {
        let is_new = !self.asked.contains_key(&shard);
        self.asked.entry(shard).or_insert(now);
        is_new
    }

    /// A shard did not let this coordinator lead.
    pub(super) fn declined(&mut self, shard: &IdentityKey) {
        self.asked.remove(shard);
    }

    /// A shard lets this coordinator lead, which asked it at `since` if not since.
    pub(super) fn granted(&mut self, shard: IdentityKey, since: Timestamp) {
        let asked = self.asked.remove(&shard).unwrap_or(since);
        self.heard(shard, asked);
    }

    pub(super) fn forget(&mut self, shard: &IdentityKey) {
        self.answered.remove(shard);
        self.asked.remove(shard);
    }

    /// A shard has heard a beat.
    pub(super) fn answer(&mut self, shard: IdentityKey, number: u64) {
        let sent = self.sent.iter().find(|(sent, _)| *sent == number);
        if let Some((_, at)) = sent.copied() {
            self.heard(shard, at);
        }
    }

    fn heard(&mut self, shard: IdentityKey, at: Timestamp) {
        let answered = self.answered.entry(shard).or_default();
        *answered = at.max(*answered);
    }

    /// The number of the next beat, if it is due.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<u64> {
        if now < self.next {
            return None;
        }
        self.next = now.plus_ms(BEAT_MS);
        self.number += 1;
        self.sent.push_back((self.number, now));
        self.sent.retain(|(_, at)| now.ms_since(*at) < COUNTS_MS);
        Some(self.number)
    }

    /// When the next beat is due.
    pub(super) fn deadline(&self) -> Timestamp {
        self.next.min(self.until)
    }

    /// Finds until when the leader may go on. `is_quorum` says whether those shards are one.
    pub(super) fn renew(&mut self, is_quorum: impl Fn(&dyn Fn(&IdentityKey) -> bool) -> bool) {
        let latest_first = self.sent.iter().rev();
        for (_, at) in latest_first {
            let since =
                |shard: &IdentityKey| self.answered.get(shard).is_some_and(|sent| sent >= at);
            if is_quorum(&since) {
                self.until = self.until.max(at.plus_ms(COUNTS_MS));
                return;
            }
        }
    }

    /// Returns `true` if the leader may not go on.
    pub(super) fn are_over(&self, now: Timestamp) -> bool {
        now >= self.until
    }
}
