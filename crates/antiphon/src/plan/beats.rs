//! Rounds and beats apart: time, bytes, processors, memory, and what is promised.

use antiphon_model::{BeatPrediction, ClientLink, Prediction, Scenario, predict, predict_beat};
use antiphon_routing::{Horizon, TotalDelta};
use antiphon_wire::{BeatParameters, Geometry, NetworkFile, RoundKind, Suite};
use serde::Serialize;

use super::mailboxes::MailboxFigures;
use super::outlook::Outlook;
use super::scale::{MONTH_S, Machines};
use super::solved::Solved;
use super::{Figures, PlanError};

/// Link delays for which latency is shown, in milliseconds.
const DELAYS_MS: [f64; 6] = [1.0, 5.0, 10.0, 25.0, 50.0, 100.0];

/// All that is said of a network with beats, named as the JSON names it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct BeatFigures {
    /// Beats that follow a round.
    pub(super) per_round: u16,
    pub(super) interval_ms: u32,
    pub(super) layer_ms: u32,
    pub(super) cell_bytes: u16,
    #[serde(flatten)]
    pub(super) beat: BeatPrediction,
    /// The share of the cores' time that rounds and beats take together.
    pub(super) load_of_both: f64,
    /// Latencies against the links' delay; empty where all is on one machine.
    pub(super) by_delay: Vec<AtDelay>,
    pub(super) by_suite: Vec<OfSuite>,
    pub(super) by_total: Vec<ForTotal>,
    /// What one more mixing hop adds to a beat's latency.
    pub(super) beat_ms_per_hop: f64,
    /// What one more mixing hop adds to a round's latency.
    pub(super) round_ms_per_hop: f64,
    pub(super) month: Month,
    pub(super) delta: DeltaParts,
}

/// Latencies with links of one delay.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct AtDelay {
    pub(super) delay_ms: f64,
    pub(super) round_latency_ms: f64,
    pub(super) beat_latency_ms: f64,
}

/// A round in one suite; beats are the same in both.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct OfSuite {
    pub(super) suite: u8,
    pub(super) round_latency_ms: f64,
    pub(super) round_cpu_s_per_shard: f64,
    /// Processor time of rounds in a second, of a shard: the mean over their interval.
    pub(super) rounds_cpu_share: f64,
    /// The same of beats.
    pub(super) beats_cpu_share: f64,
    pub(super) bytes_per_client_up: f64,
}

/// A total that a policy may ask for: its hops, and their price in delay.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct ForTotal {
    pub(super) total: f64,
    pub(super) hops: u8,
    pub(super) round_latency_ms: f64,
    pub(super) beat_latency_ms: f64,
}

/// Bytes of a month of 30 days, for each user.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Month {
    /// Rounds with dead drops.
    pub(super) rounds: f64,
    pub(super) beats: f64,
    pub(super) mailbox_rounds: f64,
    /// On a client's own link, both ways together: rounds with dead drops.
    pub(super) client_rounds_bytes: f64,
    pub(super) client_beats_bytes: f64,
    /// Onions and their replies in mailbox rounds, and all boxes, of noise alone.
    pub(super) client_mailbox_bytes: f64,
    pub(super) client_bytes: f64,
    /// Sent by all shards together: rounds with dead drops.
    pub(super) egress_rounds_bytes: f64,
    pub(super) egress_beats_bytes: f64,
    pub(super) egress_mailbox_bytes: f64,
    pub(super) egress_bytes: f64,
}

/// Where the total goes. The parts add up to it, where it is below 1.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct DeltaParts {
    /// All of it: `delta_total`.
    pub(super) total: f64,
    pub(super) noise: f64,
    /// Mixing over the disturbed rounds and attempts.
    pub(super) disturbed: f64,
    /// Mixing over all rounds that the interval allows.
    pub(super) undisturbed: f64,
    /// Disturbing after a look, over the same.
    pub(super) peek: f64,
    /// Mixing and peek over the early rounds that the policy allows besides.
    pub(super) early: f64,
}

/// What is planned for: a network with users, on machines.
pub(super) struct Planned<'a> {
    pub(super) network: &'a NetworkFile,
    pub(super) solved: &'a Solved,
    pub(super) figures: &'a Figures,
    pub(super) outlook: &'a Outlook,
    pub(super) mailboxes: Option<&'a MailboxFigures>,
    pub(super) machines: &'a Machines,
    pub(super) users: u64,
}

impl BeatFigures {
    /// The figures of `planned` with these beats. Long, as every figure is a line.
    pub(super) fn of(planned: &Planned<'_>, beats: &BeatParameters) -> Result<Self, PlanError> {
        let scenario = planned.scenario();
        let (round, beat) = planned.both(&scenario, beats)?;
        let with_one_more = Scenario { layers: scenario.layers + 1, ..scenario };
        let (longer_round, longer_beat) = planned.both(&with_one_more, beats)?;
        Ok(Self {
            per_round: beats.beats,
            interval_ms: beats.beat_ms,
            layer_ms: beats.layer_ms,
            cell_bytes: beats.cell_bytes,
            beat,
            load_of_both: round.load + beat.beat_load,
            by_delay: planned.by_delay(&scenario, beats)?,
            by_suite: planned.by_suite(&scenario, beats, &beat)?,
            by_total: planned.by_total(&scenario, beats)?,
            beat_ms_per_hop: longer_beat.latency_ms - beat.latency_ms,
            round_ms_per_hop: longer_round.latency_ms - round.latency_ms,
            month: planned.month(&scenario, beats, &round, &beat)?,
            delta: DeltaParts::of(planned.solved, planned.figures),
        })
    }
}

impl DeltaParts {
    /// The parts that [`TotalDelta`] has, for the hops of `figures`.
    fn of(solved: &Solved, figures: &Figures) -> Self {
        let over = |horizon| {
            let f = solved.rules.effective_malicious;
            let delta = solved.rules.budget.delta();
            TotalDelta::of(&solved.honest, f, figures.hops, delta, horizon)
        };
        let rounds = solved.horizon.rounds - solved.early_rounds;
        let (all, on_time) = (over(solved.horizon), over(Horizon { rounds, ..solved.horizon }));
        Self {
            total: all.sum(),
            noise: all.noise,
            disturbed: all.disturbed,
            undisturbed: on_time.undisturbed,
            peek: on_time.peek,
            early: (all.undisturbed - on_time.undisturbed) + (all.peek - on_time.peek),
        }
    }
}

impl Planned<'_> {
    fn scenario(&self) -> Scenario {
        self.machines.scenario(self.figures, self.users)
    }

    fn both(
        &self,
        scenario: &Scenario,
        beats: &BeatParameters,
    ) -> Result<(Prediction, BeatPrediction), PlanError> {
        let figures = &self.machines.figures;
        Ok((predict(scenario, figures)?, predict_beat(scenario, beats, figures)?))
    }

    fn by_delay(
        &self,
        scenario: &Scenario,
        beats: &BeatParameters,
    ) -> Result<Vec<AtDelay>, PlanError> {
        if self.machines.assumptions.one_machine {
            return Ok(Vec::new());
        }
        let at = |delay_ms| {
            let (round, beat) = self.both(&Scenario { delay_ms, ..*scenario }, beats)?;
            Ok(AtDelay {
                delay_ms,
                round_latency_ms: round.latency_ms,
                beat_latency_ms: beat.latency_ms,
            })
        };
        DELAYS_MS.into_iter().map(at).collect()
    }

    fn by_suite(
        &self,
        scenario: &Scenario,
        beats: &BeatParameters,
        beat: &BeatPrediction,
    ) -> Result<Vec<OfSuite>, PlanError> {
        let of = |suite: Suite| {
            let round = predict(&Scenario { suite, ..*scenario }, &self.machines.figures)?;
            Ok(OfSuite {
                suite: suite.number(),
                round_latency_ms: round.latency_ms,
                round_cpu_s_per_shard: round.cpu_s_per_shard,
                rounds_cpu_share: round.cpu_s_per_shard / (scenario.interval_ms * 1e-3),
                beats_cpu_share: beat.beat_cpu_s_per_shard / (f64::from(beats.beat_ms) * 1e-3),
                bytes_per_client_up: round.bytes_per_client_up,
            })
        };
        [Suite::Classic, Suite::Hybrid].into_iter().map(of).collect()
    }

    /// The noise is the same for all of them.
    fn by_total(
        &self,
        scenario: &Scenario,
        beats: &BeatParameters,
    ) -> Result<Vec<ForTotal>, PlanError> {
        let reached = self.outlook.hops_by_total.iter().filter_map(|each| Some((each, each.hops?)));
        let of = |(each, hops): (&super::outlook::HopsForTotal, u8)| {
            let (round, beat) = self.both(&Scenario { layers: hops + 1, ..*scenario }, beats)?;
            Ok(ForTotal {
                total: each.total,
                hops,
                round_latency_ms: round.latency_ms,
                beat_latency_ms: beat.latency_ms,
            })
        };
        reached.map(of).collect()
    }

    fn month(
        &self,
        scenario: &Scenario,
        beats: &BeatParameters,
        round: &Prediction,
        beat: &BeatPrediction,
    ) -> Result<Month, PlanError> {
        let services = &self.network.policy.services;
        let all = MONTH_S / (scenario.interval_ms * 1e-3);
        let span = f64::from(services.dead_drop_rounds) + f64::from(services.mailbox_rounds);
        let rounds = all * f64::from(services.dead_drop_rounds) / span;
        let mailbox_rounds = all * f64::from(services.mailbox_rounds) / span;
        let beat_count = MONTH_S / (f64::from(beats.beat_ms) * 1e-3);
        let of_all = scenario.users as f64 / f64::from(scenario.shards);
        let (client_mailbox, egress_mailbox) = self.mailbox_round(scenario)?;
        let client_rounds_bytes =
            rounds * (round.bytes_per_client_up + round.bytes_per_client_down);
        let client_beats_bytes =
            beat_count * (beat.bytes_per_client_beat_up + beat.bytes_per_client_beat_down);
        let client_mailbox_bytes = mailbox_rounds * client_mailbox;
        let egress_rounds_bytes = rounds * round.bytes_sent_per_shard / of_all;
        let egress_beats_bytes = beat_count * beat.beat_bytes_sent_per_shard / of_all;
        let egress_mailbox_bytes = mailbox_rounds * egress_mailbox;
        Ok(Month {
            rounds,
            beats: beat_count,
            mailbox_rounds,
            client_rounds_bytes,
            client_beats_bytes,
            client_mailbox_bytes,
            client_bytes: client_rounds_bytes + client_beats_bytes + client_mailbox_bytes,
            egress_rounds_bytes,
            egress_beats_bytes,
            egress_mailbox_bytes,
            egress_bytes: egress_rounds_bytes + egress_beats_bytes + egress_mailbox_bytes,
        })
    }

    /// Bytes of one mailbox round for each user: on the client's link, and sent by all shards.
    fn mailbox_round(&self, scenario: &Scenario) -> Result<(f64, f64), PlanError> {
        let Some(mailboxes) = self.mailboxes else { return Ok((0.0, 0.0)) };
        let box_bytes = mailboxes.mean_box_bytes();
        let geometry = Geometry::new(scenario.layers, scenario.body)
            .map_err(antiphon_model::ScenarioError::from)?
            .with_suite(scenario.suite);
        let onions = RoundKind::Calls.onions_per_client(scenario.pairs);
        let link = ClientLink::of_round(geometry, onions as f64);
        // One onion a client in place of two a pair, and half of the noise.
        let scenario = Scenario {
            users: scenario.users.div_ceil(2),
            pairs: 1,
            noise_per_shard: scenario.noise_per_shard / 2,
            ..*scenario
        };
        let round = predict(&scenario, &self.machines.figures)?;
        let sent = round.bytes_sent_per_shard * f64::from(scenario.shards) / self.users as f64;
        Ok((link.up + link.down + box_bytes, sent + box_bytes))
    }
}
