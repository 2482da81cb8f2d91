//! The client's mailbox rounds: one onion in each, whatever it is for, and the boxes that follow.

use antiphon_wire::{BoxStatement, Round, RoundKind, Signed, Timestamp};

use super::Client;
use crate::mailboxes::checked;
use crate::{BoxRefusal, Event, Output, PostError, Posting};

impl Client {
    /// The next round of this kind that takes a posting: its onions are not built yet. `None` if the network has none.
    pub fn next_mailbox_round(&self, kind: RoundKind) -> Option<Round> {
        let services = &self.config.network.policy.services;
        let first = self.documents.epochs().current().map(|epoch| epoch.document().first_round);
        let mut from = self.mark.map(|mark| mark.round.next()).max(first).unwrap_or_default();
        loop {
            let round = services.next(kind, from)?;
            if !self.mailboxes.has(round) {
                return Some(round);
            }
            from = round.next();
        }
    }

    /// Deposits an item in its round. What leaves, and when, is the same with or without. [`Event::Posted`] says what became
    /// of it. It costs nothing of the ledger: what calls of one contact cost is counted by whoever makes them.
    ///
    /// # Errors
    /// If the round or the box is none for it, or another posting has the round.
    pub fn post(&mut self, posting: Posting) -> Result<(), PostError> {
        let served = self.mark.map(|mark| mark.round);
        self.mailboxes.post(posting, &self.config.network.policy.services, served)
    }

    /// Asks the gateway for boxes of rounds after `after`: it gives a few of those that it keeps. Its answers are
    /// [`Event::Box`], of epochs whose documents are known. It shows on the link: to be done for absence alone, whoever
    /// is expected to call.
    pub fn ask_boxes(&mut self, after: Round) {
        self.outputs.push_back(Output::AskBoxes { after });
    }

    /// Over a new link, boxes may have been missed.
    pub(super) fn ask_missed_boxes(&mut self) {
        if let Some(after) = self.mailboxes.last_box() {
            self.ask_boxes(after);
        }
    }

    /// Takes the posting of a round that is planned, and tells of those that came too late for theirs.
    pub(super) fn take_posting(&mut self, round: Round) -> Option<Posting> {
        let (posting, missed) = self.mailboxes.take(round);
        for Posting { round, .. } in missed {
            self.event(Event::Posted { round, arrived: false });
        }
        posting
    }

    /// Expects the boxes of a round whose onions leave.
    pub(super) fn expect_boxes(&mut self, round: Round, due: Timestamp) {
        let services = &self.config.network.policy.services;
        self.mailboxes.expect(round, services.boxes(services.of(round)), due);
    }

    /// Tells of boxes that should have come by now.
    pub(super) fn miss_boxes(&mut self, now: Timestamp) {
        for (round, number) in self.mailboxes.missing(now) {
            self.event(Event::BoxMissing { round, number });
        }
    }

    /// Takes a published box, if its host has signed it.
    pub(super) fn published(&mut self, published: &Signed<BoxStatement>) {
        let &BoxStatement { epoch, round, number, .. } = published.claimed();
        let content = match self.documents.epochs().of_epoch(epoch) {
            None => Err(BoxRefusal::UnknownEpoch),
            Some(document) => checked(document, published),
        };
        match content {
            // Two gateways may hand it out at a change from one to the other.
            Ok(content) if self.mailboxes.note(round, number) => {
                self.event(Event::Box { round, number, content });
            }
            Ok(_) => {}
            Err(error) => self.event(Event::BoxRefused { round, error }),
        }
    }
}
