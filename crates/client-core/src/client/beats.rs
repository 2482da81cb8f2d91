//! The client's beats: evidence, cells that leave and cells that come back.

use std::sync::Arc;

use antiphon_wire::{Announcement, Epoch, Round, SealStatement, Signed, Timestamp};

use super::Client;
use crate::beats::check_evidence;
use crate::{Event, EvidenceError, Output};

impl Client {
    /// Takes evidence that a round's beats run, if it holds.
    pub(super) fn evidence(
        &mut self,
        announced: Announcement,
        statements: &[Signed<SealStatement>],
    ) {
        if self.beats.is_settled(&announced) {
            return;
        }
        let (epoch, round) = (announced.epoch, announced.round);
        let held =
            self.beats.epoch_of(epoch, round).or_else(|| self.documents.epochs().of_epoch(epoch));
        let checked = match held.map(Arc::clone) {
            None => Err(EvidenceError::UnknownEpoch(epoch)),
            Some(held) => check_evidence(&held, &announced, statements).map(|()| held),
        };
        match checked {
            Ok(held) => {
                self.beats.announce(held, announced, &mut self.conversations);
                self.event(Event::BeatsRun { round, from: announced.first_beat });
            }
            Err(error) => self.event(Event::EvidenceRefused { round, error }),
        }
    }

    /// Makes the cells that are to be made by now.
    pub(super) fn make_cells(&mut self, now: Timestamp) {
        let mut events = Vec::new();
        self.beats.settle_overdue(now, &mut self.conversations, &mut events);
        let entropy = &mut self.entropy;
        let made = self.beats.make(now, &mut self.conversations, || entropy.generator());
        self.outputs.extend(events.into_iter().map(Output::Event));
        let Some(cells) = made else { return };
        // Before the cells: a client that starts again makes none for a beat that has had some, and what they
        // acknowledge, or carry for the first time, is kept.
        self.outputs.extend(self.checkpoint().map(Output::Persist));
        self.outputs.push_back(cells);
    }

    /// Takes all that came back in the beats of a round that was left to the gateway.
    pub(super) fn backlog(&mut self, of: (Epoch, Round), cells: &[u8]) {
        let mut events = Vec::new();
        self.beats.fetch(of, cells, &mut self.conversations, &mut events);
        self.outputs.extend(events.into_iter().map(Output::Event));
    }

    /// Takes the cells that came back in a beat.
    pub(super) fn cells(&mut self, now: Timestamp, beat: (Epoch, Round, u64), cells: Vec<u8>) {
        let mut events = Vec::new();
        self.beats.collect(now, beat, cells, &mut self.conversations, &mut events);
        self.outputs.extend(events.into_iter().map(Output::Event));
    }
}
