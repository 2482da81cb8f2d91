//! How the coordinator stands.

use antiphon_wire::{IdentityKey, SignedDocument};

use super::Coordinator;
use crate::course::{Conduct, lists};
use crate::planner::Member;
use crate::status::{EpochStatus, GuaranteeStatus, RoundsStatus, ShardStatus, Status};

impl Coordinator {
    /// How it stands, as of the last input.
    pub fn status(&self) -> Status {
        let course = self.clock.course();
        let network = &self.rules.network;
        let policy = &network.policy;
        Status {
            network: hex::encode(network.id().0),
            now_ms: self.now.0,
            rounds: RoundsStatus {
                conduct: name(course.conduct).to_owned(),
                last: course.last_round.0,
                open: self.open_rounds().map(|round| round.0).collect(),
                clock_behind_ms: course.behind_ms,
            },
            epoch: course.current.map(|signed| epoch(signed)),
            next_epoch: course.next.map(|signed| epoch(signed)),
            planned: self.planner.planned(),
            shards: self.shards(),
            quorum: self.planner.quorum(self.faults.suspensions()),
            guarantee: GuaranteeStatus {
                malicious: f64::from(policy.malicious_ppm) / 1e6,
                epsilon: policy.epsilon,
                delta: policy.delta,
                disturbed_rounds: policy.disturbed_rounds,
                total_delta: policy.total_delta,
                total_over_days: policy.total_over_days,
            },
        }
    }

    fn shards(&self) -> Vec<ShardStatus> {
        let (course, suspensions) = (self.clock.course(), self.faults.suspensions());
        let in_epoch = |shard: &IdentityKey| course.documents().any(|signed| lists(signed, shard));
        let status = |(shard, member): (&IdentityKey, &Member)| {
            let sits_out = suspensions.epochs_left(shard);
            let standing = match member.departure() {
                Some(departure) => departure,
                None if in_epoch(shard) => "in_epoch",
                None if sits_out > 0 => "suspended",
                None => "waiting",
            };
            ShardStatus {
                shard: shard.to_hex(),
                operator: self.rules.operator_name(member.operator()),
                standing: standing.to_owned(),
                sits_out,
                clock_ahead_ms: self.clock.ahead_ms(shard),
            }
        };
        self.planner.members().map(status).collect()
    }
}

const fn name(conduct: Conduct) -> &'static str {
    match conduct {
        Conduct::Going => "going",
        Conduct::Resuming => "resuming",
        Conduct::Broken => "broken",
        Conduct::Stopped => "stopped",
    }
}

fn epoch(signed: &SignedDocument) -> EpochStatus {
    let document = &signed.document;
    EpochStatus {
        epoch: document.epoch.0,
        first_round: document.first_round.0,
        last_round: document.last_round.0,
        expires_at_ms: document.expires_at.0,
        layers: document.parameters.layers,
        shards: document.shards.len(),
    }
}
