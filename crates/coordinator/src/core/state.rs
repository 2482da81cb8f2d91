//! What a coordinator must not forget.

use std::sync::Arc;

use antiphon_wire::{Digest, Epoch, Round, SignedDocument, Timestamp};
use serde::{Deserialize, Serialize};

use super::faults::Suspensions;
use super::hex_serde;

/// All that outlives the process. The default is that of a network which has never run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    last_epoch: u64,
    last_round: u64,
    last_open_ms: u64,
    #[serde(with = "hex_serde::digest")]
    previous: Digest,
    #[serde(with = "hex_serde::document")]
    current: Option<Arc<SignedDocument>>,
    #[serde(with = "hex_serde::document")]
    next: Option<Arc<SignedDocument>>,
    pub(crate) suspensions: Suspensions,
}

impl State {
    /// The highest epoch number that was ever called, whether or not its document came about.
    pub const fn last_epoch(&self) -> Epoch {
        Epoch(self.last_epoch)
    }

    /// The highest round number that was opened or skipped.
    pub const fn last_round(&self) -> Round {
        Round(self.last_round)
    }

    /// When a round was last opened, if ever.
    pub const fn last_open(&self) -> Option<Timestamp> {
        if self.last_open_ms == 0 { None } else { Some(Timestamp(self.last_open_ms)) }
    }

    /// The document of the epoch that runs.
    pub const fn current(&self) -> Option<&Arc<SignedDocument>> {
        self.current.as_ref()
    }

    /// The document that was published ahead for the epoch after it.
    pub const fn next(&self) -> Option<&Arc<SignedDocument>> {
        self.next.as_ref()
    }

    /// The hash of the newest published document.
    pub const fn previous(&self) -> Digest {
        self.previous
    }

    /// The number that the next round to open has at least.
    pub(crate) const fn next_round(&self) -> Round {
        Round(self.last_round.saturating_add(1))
    }

    /// Uses up the numbers that shards are past already. Says whether there were any. Nobody knows
    /// when the last round was opened then: it may have been just now.
    pub(crate) fn raise(&mut self, epoch: Epoch, round: Round, now: Timestamp) -> bool {
        let is_behind = self.last_epoch < epoch.0 || self.last_round < round.0;
        if self.last_round < round.0 {
            self.last_open_ms = now.0;
        }
        self.last_epoch = self.last_epoch.max(epoch.0);
        self.last_round = self.last_round.max(round.0);
        is_behind
    }

    /// Puts back a document that was to follow, if none follows.
    pub(crate) fn put_back(&mut self, next: Option<Arc<SignedDocument>>) {
        self.next = self.next.take().or(next);
    }

    /// Uses up the next epoch number.
    pub(crate) fn take_epoch(&mut self) -> Epoch {
        self.last_epoch = self.last_epoch.saturating_add(1);
        Epoch(self.last_epoch)
    }

    /// Uses up the round numbers up to `round`, which opens now.
    pub(crate) fn take_round(&mut self, round: Round, now: Timestamp) {
        debug_assert!(round.0 > self.last_round);
        self.last_round = round.0;
        self.last_open_ms = now.0;
    }

    /// Takes in a newly published document, instead of one that was to follow.
    pub(crate) fn announce(&mut self, document: Arc<SignedDocument>, digest: Digest) {
        self.previous = digest;
        self.next = Some(document);
    }

    /// The announced epoch begins. Returns the document of the one that it follows.
    pub(crate) fn begin_next(&mut self) -> Option<Arc<SignedDocument>> {
        std::mem::replace(&mut self.current, self.next.take())
    }

    pub(crate) fn drop_current(&mut self) {
        self.current = None;
    }

    pub(crate) fn drop_next(&mut self) {
        self.next = None;
    }

    /// A clock that was set back must not stop the rounds for as long.
    pub(crate) fn clamp_to(&mut self, now: Timestamp) {
        self.last_open_ms = self.last_open_ms.min(now.0);
    }
}
