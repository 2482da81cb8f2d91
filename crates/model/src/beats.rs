//! Beats: how long the passage of all cells takes over the circuits of a round, and what it takes of shards.
//!
//! The same simulation as a round's, of other steps: nothing is signed, hashed or filtered, and what each stop waits
//! for is cells.

use antiphon_wire::BeatParameters;
use serde::Serialize;

use super::prediction::StepTime;
use super::step_costs::{Part, Step};
use super::volumes::{Volumes, WIRE_PER_BYTE};
use super::{ClientLink, MachineFigures, Placement, Scenario, ScenarioError};

/// Bytes on the wire of what goes with a batch of cells: its header, the frame's, and the packet's.
const BATCH_BYTES: f64 = 110.0;
/// Bytes that a shard keeps for a circuit at each of the layers 1 to L-1: a key, a slot.
const PASSING_BYTES: f64 = 36.0;
/// The same at layer L: a key, a slot, the partner.
const LAST_BYTES: f64 = 40.0;
/// The same at the gateway: a slot.
const GATEWAY_BYTES: f64 = 4.0;
/// Rounds whose circuits are kept at once: a round's, and its predecessor's until their last beat is back.
const ROUNDS_KEPT: f64 = 2.0;
/// Bytes of a circuit's prints at a hop, for each beat that somebody may ask for.
const PRINT_BYTES: f64 = 32.0;
/// Beats that somebody may still ask for, beside those under way.
const BEATS_ASKED: f64 = 3.0;
/// Copies of a cell at one stop: as it came, and as it goes.
const CELL_COPIES: f64 = 2.0;
/// The size that `cell_us` is of.
const USUAL_CELL: f64 = 256.0;

/// Where a beat's time goes. Milliseconds; they add up to the latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct BeatPhases {
    /// From when a client's cells leave until its gateway closes: the schedule's, or longer if they need longer.
    pub gateway: f64,
    /// On the way from shard to shard and to the client, 2L + 1 times the link's delay.
    pub delay: f64,
    /// Until the last batch is in, at all stops.
    pub transfer: f64,
    /// Batches and links at both ends, beyond that.
    pub receive: f64,
    /// Cells moved, and the cipher.
    pub cells: f64,
}

/// Figures that the model gives for one beat.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BeatPrediction {
    /// From when a client's cells leave until the last client has its own back.
    #[serde(rename = "beat_latency_ms")]
    pub latency_ms: f64,
    /// Split of the latency.
    #[serde(rename = "beat_phases")]
    pub phases: BeatPhases,
    /// Links one after the other that a cell passes: to the gateway, L there, L back, and to the client.
    pub beat_link_delays: u32,
    /// The longest that a stop takes from the one before. Above `layer_ms` batches are late, and cells are lost.
    pub beat_slowest_stop_ms: f64,
    /// Beats of a round under way at once, at most.
    pub beats_in_flight: u64,
    /// Circuits of all shards, noise included.
    pub circuits: f64,
    /// Times that the cipher goes over a cell, at all shards.
    pub cell_operations: f64,
    /// CPU seconds of one shard for one beat.
    pub beat_cpu_s_per_shard: f64,
    /// The share of the cores' time that beats take.
    pub beat_load: f64,
    /// Bytes on the wire that a shard sends in a beat.
    pub beat_bytes_sent_per_shard: f64,
    /// The greater of what a shard sends and receives, in gigabits a second, over the interval between beats.
    pub beat_bandwidth_per_shard_gbps: f64,
    /// Bytes of one round's circuits at one shard.
    pub circuit_tables_bytes_per_shard: f64,
    /// Bytes that a shard holds for beats: tables of two rounds, cells and prints of the beats under way.
    pub beat_memory_per_shard_bytes: f64,
    /// Bytes on the wire from a client in a beat.
    pub bytes_per_client_beat_up: f64,
    /// Bytes on the wire to a client in a beat.
    pub bytes_per_client_beat_down: f64,
}

/// Predicts a beat of the circuits that a round of `scenario` leaves, on machines with `figures`.
///
/// Canaries count to the scenario's noise.
///
/// # Errors
/// If the scenario, the beats or the figures describe no network.
pub fn predict_beat(
    scenario: &Scenario,
    beats: &BeatParameters,
    figures: &MachineFigures,
) -> Result<BeatPrediction, ScenarioError> {
    scenario.check()?;
    figures.check()?;
    if beats.is_classic() || beats.beat_ms == 0 || beats.cell_bytes == 0 {
        return Err(ScenarioError::Beats);
    }
    let volumes = Volumes::of(scenario)?;
    let beat = Beat { scenario, beats, figures, volumes: &volumes };
    let steps = beat.steps();
    let times = super::run(scenario, figures, &steps, 0.0);
    Ok(beat.prediction(&steps, &times))
}

struct Beat<'a> {
    scenario: &'a Scenario,
    beats: &'a BeatParameters,
    figures: &'a MachineFigures,
    volumes: &'a Volumes,
}

impl Beat<'_> {
    fn layers(&self) -> f64 {
        f64::from(self.scenario.layers)
    }

    fn client(&self) -> ClientLink {
        self.volumes.client_in_beat(self.beats.cell_bytes)
    }

    fn others(&self) -> f64 {
        f64::from(self.scenario.shards) - 1.0
    }

    /// The stops of a beat. Cells of a stop are one piece of work, for one core: nothing of it is shared out.
    fn steps(&self) -> Vec<Step> {
        let layers = usize::from(self.scenario.layers);
        let mut steps = vec![self.gateway()];
        steps.extend((1..layers).map(|_| self.stop(1.0)));
        // At layer L the cipher is taken off and put on.
        steps.push(self.stop(2.0));
        steps.extend((1..layers).map(|_| self.stop(1.0)));
        steps.push(self.stop(0.0));
        steps.push(self.home());
        steps
    }

    /// Clients' cells come in, and are moved to their slots.
    fn gateway(&self) -> Step {
        Step {
            delays: 1.0,
            bytes: self.volumes.users_per_shard * self.client().up,
            taking: self.clients(),
            closing_alone: self.cells(),
            ..Step::of(Part::Submit)
        }
    }

    /// Batches from every shard to every other one, with so many passes of the cipher. Cells that are only moved
    /// count as if there were one.
    fn stop(&self, ciphers: f64) -> Step {
        let bytes = self.volumes.cell_bytes(self.beats.cell_bytes);
        let others = self.others();
        Step {
            crosses: true,
            delays: 1.0,
            bytes: WIRE_PER_BYTE * bytes + others * BATCH_BYTES,
            items: self.volumes.onions_per_shard,
            moving: bytes * self.figures.link_cpu_ns_per_byte * 1e-9
                + others * self.figures.overheads.batch_us * 1e-6,
            closing_alone: f64::max(ciphers, 1.0) * self.cells(),
            ..Step::of(Part::Layer)
        }
    }

    /// Clients get their cells back.
    fn home(&self) -> Step {
        Step {
            delays: 1.0,
            bytes: self.volumes.users_per_shard * self.client().down,
            taking: self.clients(),
            ..Step::of(Part::Replies)
        }
    }

    /// CPU seconds of a shard to move all its cells once, and for one pass of the cipher.
    fn cells(&self) -> f64 {
        let size = f64::from(self.beats.cell_bytes) / USUAL_CELL;
        self.volumes.onions_per_shard * self.figures.cell_us * size * 1e-6
    }

    /// Half of what clients cost in a beat: as in a round, a message each way.
    fn clients(&self) -> f64 {
        let overheads = self.figures.overheads;
        let harness = if self.volumes.is_together() { overheads.harness_us } else { 0.0 };
        self.volumes.users_per_shard * (overheads.client_us + harness) * 1e-6 / 2.0
    }

    fn prediction(&self, steps: &[Step], times: &[StepTime]) -> BeatPrediction {
        let (scenario, beats) = (self.scenario, self.beats);
        let cpu: f64 = steps.iter().map(Step::cpu).sum();
        let (shards, interval_s) = (f64::from(scenario.shards), f64::from(beats.beat_ms) * 1e-3);
        let on_machine = match scenario.placement {
            Placement::Apart { .. } => cpu,
            Placement::Together { .. } => cpu * shards,
        };
        let cores = f64::from(scenario.placement.cores()) * self.figures.core_scaling;
        let between: f64 = steps.iter().filter(|step| step.crosses).map(|step| step.bytes).sum();
        let between = if scenario.shards > 1 { between } else { 0.0 };
        let client = self.client();
        let sends = between + self.volumes.users_per_shard * client.down;
        let phases = self.phases(times);
        let slowest = times[1..times.len() - 1].iter().map(StepTime::all).fold(0.0, f64::max);
        let tables = self.tables();
        BeatPrediction {
            latency_ms: phases.total(),
            phases,
            beat_link_delays: 2 * u32::from(scenario.layers) + 2,
            beat_slowest_stop_ms: 1e3 * slowest,
            beats_in_flight: beats.in_flight(scenario.layers),
            circuits: self.volumes.onions_per_shard * shards,
            cell_operations: self.volumes.onions_per_shard * shards * 2.0 * self.layers(),
            beat_cpu_s_per_shard: cpu,
            beat_load: on_machine / (cores * interval_s),
            beat_bytes_sent_per_shard: sends,
            beat_bandwidth_per_shard_gbps: sends * 8e-9 / interval_s,
            circuit_tables_bytes_per_shard: tables,
            beat_memory_per_shard_bytes: ROUNDS_KEPT * tables + self.under_way(),
            bytes_per_client_beat_up: client.up,
            bytes_per_client_beat_down: client.down,
        }
    }

    /// The steps' times by what they went into. Gateways wait for their time of the schedule whoever is there.
    fn phases(&self, times: &[StepTime]) -> BeatPhases {
        let lead_ms = self.beats.layer_ms.min(self.beats.beat_ms / 2);
        let (gateway, rest) =
            times.split_first().map_or((0.0, times), |(first, rest)| (1e3 * first.all(), rest));
        let sum = |part: fn(&StepTime) -> f64| 1e3 * rest.iter().map(part).sum::<f64>();
        BeatPhases {
            gateway: gateway.max(lead_ms.into()),
            delay: sum(|time| time.delay),
            transfer: sum(|time| time.transfer),
            receive: sum(|time| time.take),
            cells: sum(|time| time.close),
        }
    }

    /// Bytes of one round's circuits at one shard.
    fn tables(&self) -> f64 {
        let a_circuit = PASSING_BYTES * (self.layers() - 1.0) + LAST_BYTES + GATEWAY_BYTES;
        self.volumes.onions_per_shard * a_circuit
    }

    /// Bytes of the beats under way at one shard: cells of the stop where each beat is, and prints of all its stops.
    fn under_way(&self) -> f64 {
        let beats = self.beats.in_flight(self.scenario.layers) as f64;
        let cells = beats * CELL_COPIES * f64::from(self.beats.cell_bytes);
        let prints = (beats + BEATS_ASKED) * self.layers() * PRINT_BYTES;
        self.volumes.onions_per_shard * (cells + prints)
    }
}

impl BeatPhases {
    /// Each with its name.
    pub fn named(&self) -> [(&'static str, f64); 5] {
        [
            ("gateway", self.gateway),
            ("delay", self.delay),
            ("transfer", self.transfer),
            ("receive", self.receive),
            ("cells", self.cells),
        ]
    }

    /// All of them together.
    pub fn total(&self) -> f64 {
        self.named().iter().map(|(_, ms)| ms).sum()
    }
}
