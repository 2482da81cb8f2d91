//! An epoch that came about.

use std::sync::Arc;

use antiphon_wire::{Epoch, IdentityKey, SignedDocument, Timestamp, ToShard};

use super::attempt::Call;
use super::need::Need;
use super::quorum;
use super::{Action, Numbers, Planner};
use crate::notice::Notice;

impl Planner {
    /// Announces a document that all have signed.
    pub(super) fn publish(&mut self, now: Timestamp, call: &Call, signed: SignedDocument) {
        debug_assert_eq!(signed.document.epoch, call.epoch);
        let shards = signed.document.shards.iter().map(|shard| shard.identity).collect();
        let presence = self.select(call, &shards).presence;
        self.marks.previous = signed.document.digest();
        let signed = Arc::new(signed);
        self.actions.push(Action::Announce(Arc::clone(&signed)));
        self.roster.note_held(&signed);
        self.planning_ms = now.ms_since(call.called_at);
        self.handed_over = match call.need {
            Need::HandOver | Need::Gap => self.handed_over.saturating_add(1),
            Need::First | Need::Successor | Need::Ahead => 0,
        };
        self.numbers = Numbers::Settled;
        self.retry.succeeded();
        self.actions.push(Action::Persist);
        // Shards that are left out hear of it too: their clients have to find other gateways.
        let everybody: Vec<IdentityKey> =
            self.roster.members().map(|(identity, _)| *identity).collect();
        self.send(everybody, ToShard::Publish { document: SignedDocument::clone(&signed) });
        self.tell(Notice::EpochPublished {
            epoch: call.epoch,
            first_round: call.first_round,
            last_round: call.last_round,
            layers: signed.document.parameters.layers,
            presence,
        });
        self.actions.push(Action::Publish(signed));
        self.judge_lists(call.epoch);
    }

    /// Says whose lists are about to end, or have ended: nobody else notices in time.
    fn judge_lists(&mut self, epoch: Epoch) {
        for (first_epoch, last_epoch, operator) in quorum::terms(&self.roster) {
            let span = last_epoch.0.saturating_sub(first_epoch.0);
            if last_epoch.0.saturating_sub(epoch.0) <= span / 10
                && let Some(known) = self.rules.network.operator(operator)
            {
                let operator = known.name.clone();
                self.tell(Notice::ListEnds { operator, last_epoch, epoch });
            }
        }
    }
}
