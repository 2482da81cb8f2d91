//! Who garbles the cells of beats, by what shards sign about them.
//!
//! What is said goes through the coordinator's hands to all shards of the round. A garbler is left out; who lets batches be
//! late, or says so of others, is told to those who watch and left in: delays and crashes look the same, and those that cost a
//! round have been paid for.

use antiphon_canaries::{CanaryMessage, Facts, Finding, Member, Named};
use antiphon_wire::{
    Announcement, Blob, Decode as _, EpochDocument, IdentityKey, OperatorIndex, Timestamp, ToShard,
};

use super::losses::leave_no_quorum;
use super::{Consequence, Faults, Lineup};
use crate::notice::Notice;

/// The reason for which a garbler is left out.
const GARBLES: &str = "it garbles cells";

impl Faults {
    /// A round of an epoch opens. Those who garble cells in its beats will be judged.
    pub(crate) fn opened(&mut self, announcement: &Announcement, document: &EpochDocument) {
        let layers = document.parameters.layers;
        let facts = Facts::of(announcement, layers, document.shards.len());
        let Some(facts) = facts.filter(|_| self.rules.network.policy.canaries > 0) else { return };
        let member = |shard: &antiphon_wire::ShardEntry| Member {
            shard: shard.identity,
            operator: shard.operator,
        };
        let members = document.shards.iter().map(member).collect();
        self.court.open(facts, members, announcement.ends(layers));
    }

    /// A shard says something about cells: what is not refused goes on to all shards of the round, its sender
    /// included, who shows what it has as the others do.
    pub(crate) fn hear_of_cells(&mut self, from: &IdentityKey, message: Blob) {
        let Ok(said) = CanaryMessage::from_bytes(&message.0) else { return };
        if self.court.hear(from, &said) == Ok(true) {
            let shards = self.court.members(said.round());
            let message = ToShard::Canary { message };
            self.consequences.push(Consequence::Tell { shards, message });
        }
    }

    /// Judges the rounds whose time is over, and leaves out who is named.
    pub(super) fn judge_cells(&mut self, now: Timestamp, lineup: &Lineup) {
        let judged = self.court.on_time(now);
        let network = &self.rules.network;
        let weight = |operator: OperatorIndex| {
            network.operator(operator).map_or(0, |operator| u64::from(operator.weight))
        };
        let Named { garblers, late } = self.court.name(weight, network.malicious_weight());
        if judged.opened > 0 {
            let marks = judged.findings.iter();
            let marks = marks.filter(|finding| matches!(finding, Finding::Mark { .. })).count();
            self.tell(Notice::CellsJudged {
                canaries: judged.opened,
                garbled: marks as u32,
                lost: (judged.findings.len() - marks) as u32,
                late: late.iter().map(|member| member.shard).collect(),
            });
        }
        // Nobody is left out if so many are named that no quorum would be left: it is not they who are wrong.
        let operators = garblers.iter().map(|member| member.operator);
        if leave_no_quorum(&self.rules.network, operators) {
            return;
        }
        for Member { shard, operator } in garblers {
            let epochs = self.suspensions.exclude(shard);
            let operator = self.rules.operator_name(operator);
            self.tell(Notice::ShardNamed { shard, operator, epochs });
            self.take_out(shard, GARBLES, lineup);
        }
    }
}
