//! What a coordinator must not forget.

use std::sync::Arc;

use antiphon_canaries::Marks as Garbled;
use antiphon_wire::{Digest, Epoch, NetworkFile, OperatorIndex, Round, SignedDocument, Timestamp};
use serde::{Deserialize, Serialize};

use super::faults::Suspensions;
use super::hex_serde;
use super::notice::Notice;
use super::{faults, planner, round_clock};

/// All that outlives the process. The default is that of a network which has never run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    marks: Marks,
    current: Option<Arc<SignedDocument>>,
    next: Option<Arc<SignedDocument>>,
}

/// The part of a state that changes in every round: what is above all numbers used, who sits out, and who may have
/// garbled cells. Its size does not depend on how many shards there are, but on how many failed or were hops of garbled
/// canaries, and on the early rounds of a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marks {
    last_epoch: u64,
    last_round: u64,
    last_open_ms: u64,
    /// When rounds were opened before their time, the oldest first; none in states of before they were kept.
    #[serde(default)]
    early_ms: Vec<u64>,
    /// The operators whose losses brought them, in the same order.
    #[serde(default)]
    early_by: Vec<Option<u16>>,
    /// From which round on the running epoch serves none, if an epoch for them was given up before it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gap_from: Option<u64>,
    /// The operators for whose losses the circuits in use are cut, until a round has made new ones; `None` for disputes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hurried_by: Vec<Option<u16>>,
    #[serde(with = "hex_serde::digest")]
    previous: Digest,
    suspensions: Suspensions,
    /// Sets of shards in each of which one garbled a canary's cell; none in states of before they were kept.
    #[serde(default, with = "hex_serde::marks", skip_serializing_if = "is_empty")]
    garbled: Arc<Garbled>,
}

fn is_empty(garbled: &Arc<Garbled>) -> bool {
    garbled.is_empty()
}

impl State {
    /// A state of its parts: the marks, the document of the epoch that runs, and the one published for
    /// the epoch after it. A document that is lost may be left out: another epoch is planned then.
    pub const fn new(
        marks: Marks,
        current: Option<Arc<SignedDocument>>,
        next: Option<Arc<SignedDocument>>,
    ) -> Self {
        Self { marks, current, next }
    }

    /// What changes in every round.
    pub const fn marks(&self) -> &Marks {
        &self.marks
    }

    /// The highest epoch number that was ever called, whether or not its document came about.
    pub const fn last_epoch(&self) -> Epoch {
        Epoch(self.marks.last_epoch)
    }

    /// The highest round number that was opened or skipped.
    pub const fn last_round(&self) -> Round {
        Round(self.marks.last_round)
    }

    /// The document of the epoch that runs.
    pub const fn current(&self) -> Option<&Arc<SignedDocument>> {
        self.current.as_ref()
    }

    /// The document that was published ahead for the epoch after it.
    pub const fn next(&self) -> Option<&Arc<SignedDocument>> {
        self.next.as_ref()
    }

    /// The state of a coordinator that leads above these numbers, which shards say, with these documents.
    /// Circuits in use are cut if a shard of the operator `lost` is gone from them. Of what it knew before, it keeps who sits out and who may have garbled cells, and what is above what it hears.
    pub(crate) fn taken_over(
        self,
        (last_epoch, last_round): (Epoch, Round),
        last_open: Option<Timestamp>,
        (current, next): (Option<Arc<SignedDocument>>, Option<Arc<SignedDocument>>),
        lost: Option<OperatorIndex>,
    ) -> Self {
        let newest = next.as_ref().or(current.as_ref());
        let previous = newest.map_or(self.marks.previous, |signed| signed.document.digest());
        let marks = Marks {
            last_epoch: last_epoch.0.max(self.marks.last_epoch),
            last_round: last_round.0.max(self.marks.last_round),
            last_open_ms: last_open.map_or(self.marks.last_open_ms, |at| at.0),
            early_ms: self.marks.early_ms,
            early_by: self.marks.early_by,
            // Shards say which documents they have, and it is found anew.
            gap_from: None,
            hurried_by: lost.map(|by| Some(by.0)).into_iter().collect(),
            previous,
            suspensions: self.marks.suspensions,
            garbled: self.marks.garbled,
        };
        Self { marks, current, next }
    }

    /// Puts together what each machine has to remember.
    pub(crate) fn of(
        planned: planner::Marks,
        opened: &round_clock::Marks,
        judged: faults::Marks,
    ) -> Self {
        Self {
            marks: Marks {
                last_epoch: planned.last_epoch.0,
                last_round: opened.last_round.0,
                last_open_ms: opened.last_open.map_or(0, |at| at.0),
                early_ms: opened.early.iter().map(|(at, _)| at.0).collect(),
                early_by: opened.early.iter().map(|(_, by)| by.map(|by| by.0)).collect(),
                gap_from: opened.gap_from.map(|round| round.0),
                hurried_by: opened.hurried.iter().map(|by| by.map(|by| by.0)).collect(),
                previous: planned.previous,
                suspensions: judged.suspensions,
                garbled: judged.garbled,
            },
            current: opened.current.clone(),
            next: opened.next.clone(),
        }
    }

    /// What each machine has to remember.
    pub(crate) fn parts(self) -> (planner::Marks, round_clock::Marks, faults::Marks) {
        let Marks { last_epoch, last_round, last_open_ms, early_ms, early_by, .. } = self.marks;
        let hurried = self.marks.hurried_by.into_iter().map(|by| by.map(OperatorIndex)).collect();
        let (gap_from, previous) = (self.marks.gap_from.map(Round), self.marks.previous);
        let judged =
            faults::Marks { suspensions: self.marks.suspensions, garbled: self.marks.garbled };
        let planned = planner::Marks { last_epoch: Epoch(last_epoch), previous };
        // Of before they were kept, nobody knows them.
        let causes = early_by.into_iter().map(|by| by.map(OperatorIndex));
        let causes = causes.chain(std::iter::repeat(None));
        let opened = round_clock::Marks {
            last_round: Round(last_round),
            last_open: Some(Timestamp(last_open_ms)).filter(|at| at.0 != 0),
            early: early_ms.into_iter().map(Timestamp).zip(causes).collect(),
            hurried,
            gap_from: gap_from.filter(|_| self.current.is_some()),
            current: self.current,
            next: self.next,
        };
        (planned, opened, judged)
    }

    /// Fits the state to the time and the network: documents of no use are dropped, and a clock that
    /// was set back must not stop the rounds for as long. Returns what there is to say of it.
    pub(crate) fn refresh(&mut self, network: &NetworkFile, now: Timestamp) -> Vec<Notice> {
        self.marks.last_open_ms = self.marks.last_open_ms.min(now.0);
        let mut notices = Vec::new();
        for document in [&mut self.next, &mut self.current] {
            let Some(signed) = document else { continue };
            let epoch = signed.document.epoch;
            if let Err(reason) = is_usable(signed, network, now) {
                *document = None;
                notices.push(Notice::DocumentDropped { epoch, reason });
            } else {
                // An epoch that has a document was called.
                self.marks.last_epoch = self.marks.last_epoch.max(epoch.0);
            }
        }
        notices
    }
}

fn is_usable(signed: &SignedDocument, network: &NetworkFile, now: Timestamp) -> Result<(), String> {
    if signed.document.expires_at <= now {
        return Err("it has expired".to_owned());
    }
    planner::verify(signed, network)
}
