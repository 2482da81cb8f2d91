//! The end of a round: of one that was given up, and of any.

use std::sync::Arc;

use antiphon_wire::{Reason, RoundOutcome, Timestamp, ToClient};

use crate::round::cx::Cx;
use crate::round::deadlines::Deadlines;
use crate::round::phase::{Deposits, Exchanging, Phase, Replying};
use crate::work::Step;

/// A round that has been given up waits for the other shards' statements: clients judge by them.
#[derive(Debug)]
pub(in crate::round) struct Aborting {
    pub(super) deadlines: Deadlines,
    until: Timestamp,
    outcome: RoundOutcome,
}

/// A round that is over. It still says which statements it has seen.
#[derive(Debug)]
pub(in crate::round) struct Ended {
    pub(super) opened: Timestamp,
}

impl Aborting {
    /// Gives the round up. What the phase before held is gone already; its batches go with it.
    pub(super) fn begin(cx: &mut Cx<'_>, deadlines: Deadlines, outcome: RoundOutcome) -> Phase {
        // Drops the headers without verifying them: a third party that is shown one verifies it anyway.
        cx.shared.traffic = Default::default();
        let until = cx.now.plus_ms(cx.context.epoch.parameters().verify_ms.into());
        Phase::Aborting(Self { deadlines, until, outcome })
    }

    pub(super) fn on_time(self, cx: &mut Cx<'_>) -> Phase {
        if cx.now < self.until && !cx.shared.statements.are_complete() {
            return Phase::Aborting(self);
        }
        self.end(cx)
    }

    /// Tells the clients, and ends the round.
    pub(super) fn end(self, cx: &mut Cx<'_>) -> Phase {
        let message = Arc::new(ToClient::Aborted {
            epoch: cx.context.epoch.epoch(),
            round: cx.round,
            statements: cx.shared.statements.all().to_vec(),
        });
        for (to, ticket) in cx.shared.submissions.clients() {
            cx.outputs.answer(to, ticket, Arc::clone(&message));
        }
        cx.end(self.outcome, self.deadlines.opened())
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.until
    }
}

impl Ended {
    /// Stands in for a phase while an event is being applied to it.
    pub(in crate::round) const PLACEHOLDER: Self = Self { opened: Timestamp(0) };
}

impl Phase {
    /// Ends an open round whose epoch has expired. The epoch's keys go now, so that nothing can be
    /// waited for; clients and coordinator learn what is known.
    pub(in crate::round) fn expire(self, cx: &mut Cx<'_>) -> Self {
        // A key that is still there is withheld: nothing releases it without the proof.
        let phase = self.withhold(cx, Reason::NotPrepared);
        let Some(opened) = phase.opened() else { return phase };
        let unfinished = RoundOutcome::NotOpened { missing: cx.context.me };
        let outcome = match phase {
            Self::Ended(_) => return phase,
            Self::Aborting(phase) => return phase.end(cx),
            Self::Deposits(Deposits { outcome, .. })
            | Self::Exchanging(Exchanging { outcome, .. })
            | Self::Replying(Replying { outcome, .. })
                if outcome != RoundOutcome::Delivered =>
            {
                outcome
            }
            _ => unfinished,
        };
        cx.end(outcome, opened)
    }
}

impl Cx<'_> {
    /// Ends a round that was opened at `opened`.
    pub(super) fn end(&mut self, outcome: RoundOutcome, opened: Timestamp) -> Phase {
        self.shared.statements.erase_secrets();
        // Of what came after the seal: evidence against its senders, which changes nothing here.
        self.check_headers(Step::Evidence);
        self.shared.traffic = Default::default();
        let took_ms = self.now.ms_since(opened);
        self.outputs.ended = Some((outcome, self.shared.counts, took_ms));
        Phase::Ended(Ended { opened })
    }
}
