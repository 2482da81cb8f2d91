//! How the coordinator stands.

use antiphon_wire::IdentityKey;

use super::Coordinator;
use crate::course::{Conduct, lists};
use crate::planner::Member;
use crate::status::{
    EpochStatus, GuaranteeStatus, LeadershipStatus, RoundsStatus, ShardStatus, Status,
};

impl Coordinator {
    /// How it stands, as of the last input.
    pub fn status(&self) -> Status {
        let course = self.clock.course();
        let network = &self.rules.network;
        Status {
            network: hex::encode(network.id().0),
            now_ms: self.now.0,
            leadership: LeadershipStatus {
                shards: self.planner.members().count(),
                ..LeadershipStatus::default()
            },
            rounds: RoundsStatus {
                conduct: name(course.conduct).to_owned(),
                last: course.last_round.0,
                open: self.open_rounds().map(|round| round.0).collect(),
                clock_behind_ms: course.behind_ms,
                took_ms: course.took_ms,
                may_take_ms: self.rules.interval_ms() * self.rules.config.in_flight() as u64,
            },
            epoch: course.current.map(|signed| EpochStatus::of(signed)),
            next_epoch: course.next.map(|signed| EpochStatus::of(signed)),
            planned: self.planner.planned(),
            shards: self.shards(),
            quorum: self.planner.quorum(self.faults.suspensions()),
            guarantee: GuaranteeStatus::of(&network.policy),
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
                None if suspensions.garbles(shard) => "garbles",
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
