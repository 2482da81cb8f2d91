//! Outcome of the model: times, loads and volumes of one round.

use serde::Serialize;

use super::step_costs::{Part, Step};
use super::volumes::Volumes;
use super::{MachineFigures, Placement, Scenario};

/// Where a round's time goes. Milliseconds; they add up to the latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Phases {
    /// From the coordinator's opening to the batches for layer 1.
    pub submit: f64,
    /// Mixing and dead-drop layers: waiting for the first bytes, L times the link's delay.
    pub delay: f64,
    /// The same: until the last batch is in.
    pub transfer: f64,
    /// The same: what peeling takes beyond that.
    pub peel: f64,
    /// The same: duplicates, permutation, gathering.
    pub shuffle: f64,
    /// Filters, verdicts and seal keys.
    pub verification: f64,
    /// Exchange at the dead drops.
    pub exchange: f64,
    /// From the dead drops to the clients.
    pub replies: f64,
}

impl Phases {
    /// Each with its name.
    pub fn named(&self) -> [(&'static str, f64); 8] {
        [
            ("submit", self.submit),
            ("delay", self.delay),
            ("transfer", self.transfer),
            ("peel", self.peel),
            ("shuffle", self.shuffle),
            ("verification", self.verification),
            ("exchange", self.exchange),
            ("replies", self.replies),
        ]
    }

    /// All of them together.
    pub fn total(&self) -> f64 {
        self.named().iter().map(|(_, ms)| ms).sum()
    }

    /// The steps' times, each at the part that its step counts to.
    pub(super) fn of(steps: &[Step], times: &[StepTime]) -> Self {
        let mut phases = Self::default();
        for (step, time) in steps.iter().zip(times) {
            phases.add(step.part, time);
        }
        phases
    }

    fn add(&mut self, part: Part, parts: &StepTime) {
        let all = parts.all();
        let place = match part {
            Part::Layer => {
                self.delay += 1e3 * parts.delay;
                self.transfer += 1e3 * parts.transfer;
                self.peel += 1e3 * parts.take;
                self.shuffle += 1e3 * parts.close;
                return;
            }
            Part::Submit => &mut self.submit,
            Part::Verification => &mut self.verification,
            Part::Exchange => &mut self.exchange,
            Part::Replies => &mut self.replies,
        };
        *place += 1e3 * all;
    }
}

/// Where a step's time went, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StepTime {
    pub(super) delay: f64,
    pub(super) transfer: f64,
    pub(super) take: f64,
    pub(super) close: f64,
}

impl StepTime {
    pub(super) fn all(&self) -> f64 {
        self.delay + self.transfer + self.take + self.close
    }

    pub(super) fn stretched(self, times: f64) -> Self {
        Self {
            delay: self.delay * times,
            transfer: self.transfer * times,
            take: self.take * times,
            close: self.close * times,
        }
    }
}

/// Figures that the model gives for one round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// From the coordinator's opening of a round until the last client has its replies.
    #[serde(rename = "predicted_latency_ms")]
    pub latency_ms: f64,
    /// Split of the latency into phases.
    pub phases: Phases,
    /// Onions in a layer, noise included.
    pub onions: f64,
    /// CPU seconds of one shard for one round, noise for the next included.
    pub cpu_s_per_shard: f64,
    /// The part of them that builds noise.
    pub noise_cpu_s_per_shard: f64,
    /// The share of the cores' time that rounds at the interval take: above 1, they cannot keep it.
    pub load: f64,
    /// Bytes on the wire that a shard sends in a round.
    pub bytes_sent_per_shard: f64,
    /// Bytes on the wire that a shard receives in a round.
    pub bytes_received_per_shard: f64,
    /// The greater of both, in gigabits a second, over the interval between rounds.
    pub bandwidth_per_shard_gbps: f64,
    /// Bytes that a shard holds at the fullest moment of a round, its program apart.
    pub memory_per_shard_bytes: f64,
    /// Bytes on the wire that a client sends in a round.
    pub bytes_per_client_up: f64,
    /// Bytes on the wire that a client receives in a round.
    pub bytes_per_client_down: f64,
}

impl Prediction {
    pub(super) fn new(
        scenario: &Scenario,
        figures: &MachineFigures,
        volumes: &Volumes,
        steps: &[Step],
        phases: Phases,
    ) -> Self {
        let noise = noise_cpu(scenario, figures);
        let cpu = steps.iter().map(Step::cpu).sum::<f64>() + noise;
        let on_machine = match scenario.placement {
            Placement::Apart { .. } => cpu,
            Placement::Together { .. } => cpu * f64::from(scenario.shards),
        };
        let cores = f64::from(scenario.placement.cores()) * figures.core_scaling;
        let (sends, receives) = (volumes.shard_sends(), volumes.shard_receives());
        Self {
            latency_ms: phases.total(),
            phases,
            onions: volumes.onions_per_shard * f64::from(scenario.shards),
            cpu_s_per_shard: cpu,
            noise_cpu_s_per_shard: noise,
            load: on_machine / (cores * scenario.interval_ms * 1e-3),
            bytes_sent_per_shard: sends,
            bytes_received_per_shard: receives,
            bandwidth_per_shard_gbps: sends.max(receives) * 8e-9 / (scenario.interval_ms * 1e-3),
            memory_per_shard_bytes: volumes.memory(figures.overheads.client_bytes),
            bytes_per_client_up: volumes.client().up,
            bytes_per_client_down: volumes.client().down,
        }
    }
}

/// CPU seconds of one shard to build a round's noise.
pub(super) fn noise_cpu(scenario: &Scenario, figures: &MachineFigures) -> f64 {
    let hops = f64::from(scenario.noise_per_shard) * f64::from(scenario.layers);
    hops * figures.build_us_per_hop * 1e-6
}
