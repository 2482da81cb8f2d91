//! The course of epochs and rounds: what the round clock lets planning know.

use std::sync::Arc;

use antiphon_wire::{EpochDocument, IdentityKey, Round, SignedDocument, Timestamp};

/// Conduct of rounds: they open, or wait for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// They wait for nothing but their time and an epoch.
    Going,
    /// For the shards of an epoch that was restored, or that this side lost sight of.
    Resuming,
    /// For a successor of the running epoch, which cannot go on.
    Broken,
    /// They never open again: the process stops.
    Stopped,
}

/// Where the round clock stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course<'a> {
    pub(crate) conduct: Conduct,
    /// The document of the epoch that runs.
    pub(crate) current: Option<&'a Arc<SignedDocument>>,
    /// The document of the epoch that is to follow.
    pub(crate) next: Option<&'a Arc<SignedDocument>>,
    /// From which round on the running epoch serves none, if an epoch for them was published and given up.
    pub(crate) gap_from: Option<Round>,
    /// The highest round number that was opened or skipped.
    pub(crate) last_round: Round,
    /// The earliest time for the next round.
    pub(crate) due: Timestamp,
    /// Milliseconds between the openings of two rounds, as rounds go now; at least 1.
    pub(crate) apart_ms: u64,
    /// When the running epoch began.
    pub(crate) began: Timestamp,
    /// Milliseconds after which all but one of the last twenty rounds were over; 0 before the first.
    pub(crate) took_ms: u64,
    /// By how much this machine's clock is behind those of most shards, in milliseconds, if it is so
    /// far away that documents have to go by theirs.
    pub(crate) behind_ms: i64,
}

impl<'a> Course<'a> {
    /// The number that the next round to open has at least.
    pub(crate) fn next_round(&self) -> Round {
        self.last_round.next()
    }

    /// The document published last, of those that are of use.
    pub(crate) fn newest(&self) -> Option<&'a Arc<SignedDocument>> {
        self.next.or(self.current)
    }

    /// The documents that are of use, the older first.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &'a Arc<SignedDocument>> + use<'a> {
        [self.current, self.next].into_iter().flatten()
    }

    /// A moment `ms` before the end of `document`, or half-way through it if that is later, by this
    /// machine's clock.
    pub(crate) fn before_end(&self, document: &EpochDocument, ms: u64) -> Timestamp {
        before_end(document, ms, self.behind_ms)
    }

    /// A moment of this machine's time by the shards' clocks.
    pub(crate) fn by_their_clocks(&self, own: Timestamp) -> Timestamp {
        shifted(own, self.behind_ms)
    }
}

/// A moment `ms` before the end of `document`, or half-way through it if that is later, by a clock
/// that is `behind_ms` behind those by which the document was dated.
pub(crate) fn before_end(document: &EpochDocument, ms: u64, behind_ms: i64) -> Timestamp {
    let before = ms.min(document.expires_at.ms_since(document.starts_at) / 2);
    let theirs = Timestamp(document.expires_at.0.saturating_sub(before));
    shifted(theirs, behind_ms.saturating_neg())
}

/// `time` later by `ms`, which may be negative.
pub(crate) fn shifted(time: Timestamp, ms: i64) -> Timestamp {
    Timestamp(time.0.saturating_add_signed(ms))
}

/// Returns `true` if the document lists the shard.
pub(crate) fn lists(signed: &SignedDocument, shard: &IdentityKey) -> bool {
    signed.document.shards.iter().any(|entry| entry.identity == *shard)
}
