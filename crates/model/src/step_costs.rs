//! A round as a row of steps, with what each costs one shard.

use antiphon_wire::Layer;

use super::volumes::{MESSAGE_BYTES, Volumes, WIRE_PER_BYTE};
use super::{MachineFigures, Scenario};

/// The part of a round that a step counts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Submit,
    Layer,
    Verification,
    Exchange,
    Replies,
}

/// One step: every shard is sent something, takes it in as it arrives, and closes when all is in.
/// Amounts are of one shard; times are CPU seconds of one core.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) part: Part,
    /// True if every shard sends to every shard in this step. Otherwise nothing passes between them.
    pub(super) crosses: bool,
    /// Link delays until the first byte comes.
    pub(super) delays: f64,
    /// Bytes on the wire that it is sent by others, and as many that it sends.
    pub(super) bytes: f64,
    /// Onions or replies that it is sent, a number that varies by chance; 0 if they are not counted.
    pub(super) items: f64,
    /// For links, framing and hashing, on any core.
    pub(super) moving: f64,
    /// For the onions or replies themselves, on any core.
    pub(super) taking: f64,
    /// For signatures, on the one thread that owns the round.
    pub(super) alone: f64,
    /// For closing, on any core.
    pub(super) closing: f64,
    /// For closing, on one thread.
    pub(super) closing_alone: f64,
}

impl Step {
    /// CPU seconds of one shard.
    pub(super) fn cpu(&self) -> f64 {
        self.moving + self.taking + self.alone + self.closing + self.closing_alone
    }

    pub(super) fn of(part: Part) -> Self {
        Self {
            part,
            crosses: false,
            delays: 0.0,
            bytes: 0.0,
            items: 0.0,
            moving: 0.0,
            taking: 0.0,
            alone: 0.0,
            closing: 0.0,
            closing_alone: 0.0,
        }
    }
}

const MICRO: f64 = 1e-6;
const NANO: f64 = 1e-9;

/// The steps of a round.
pub(super) fn of_round(
    scenario: &Scenario,
    figures: &MachineFigures,
    volumes: &Volumes,
) -> Vec<Step> {
    Costs { figures, volumes, others: f64::from(scenario.shards) - 1.0 }.round()
}

struct Costs<'a> {
    figures: &'a MachineFigures,
    volumes: &'a Volumes,
    /// Shards other than the one that is looked at.
    others: f64,
}

impl Costs<'_> {
    fn round(&self) -> Vec<Step> {
        let geometry = self.volumes.geometry();
        let seal = geometry.seal_layer();
        let last = geometry.last_layer();
        let mut steps = vec![self.submit()];
        for layer in geometry.all_layers().filter(|layer| *layer < seal) {
            steps.push(self.closed(self.peeled(self.onions(layer))));
        }
        steps.push(self.filter_built(self.onions(seal)));
        steps.push(self.filters());
        steps.extend([self.statements(), self.statements()]);
        steps.push(self.closed(self.peeled(Step::of(Part::Layer))));
        steps.push(self.peeled(self.onions(last)));
        steps.push(self.exchange());
        for layer in (1..=geometry.layers()).rev() {
            steps.push(self.replies(layer > 1));
        }
        steps.push(self.answers());
        steps
    }

    /// CPU seconds for something that is done for each onion of a shard.
    fn each_onion(&self, micros: f64) -> f64 {
        self.volumes.onions_per_shard * micros * MICRO
    }

    /// The round is announced to gateways and clients, whose onions come in.
    fn submit(&self) -> Step {
        let users = self.volumes.users_per_shard;
        let step = Step {
            delays: 3.0,
            bytes: users * self.volumes.client().up,
            taking: self.clients(),
            ..Step::of(Part::Submit)
        };
        self.closed(step)
    }

    /// The clients get their replies.
    fn answers(&self) -> Step {
        let users = self.volumes.users_per_shard;
        Step {
            delays: 1.0,
            bytes: users * self.volumes.client().down,
            taking: self.clients(),
            ..Step::of(Part::Replies)
        }
    }

    /// Half of what clients cost in a round.
    fn clients(&self) -> f64 {
        let overheads = self.figures.overheads;
        let harness = if self.volumes.is_together() { overheads.harness_us } else { 0.0 };
        self.volumes.users_per_shard * (overheads.client_us + harness) * MICRO / 2.0
    }

    /// A batch from every shard to every other one.
    fn batches(&self, part: Part, bytes: f64, items: f64) -> Step {
        let MachineFigures { link_cpu_ns_per_byte, hash_ns_per_byte, .. } = *self.figures;
        let per_byte = link_cpu_ns_per_byte + 2.0 * hash_ns_per_byte;
        let batches = self.others * self.figures.overheads.batch_us * MICRO;
        Step {
            crosses: true,
            delays: 1.0,
            bytes: WIRE_PER_BYTE * bytes + self.others * MESSAGE_BYTES,
            items,
            moving: bytes * per_byte * NANO + batches,
            alone: self.others * (self.figures.sign_us + self.figures.verify_us) * MICRO,
            ..Step::of(part)
        }
    }

    fn onions(&self, layer: Layer) -> Step {
        let bytes = self.volumes.forward_bytes(layer);
        self.batches(Part::Layer, bytes, self.volumes.onions_per_shard)
    }

    fn peeled(&self, step: Step) -> Step {
        let items = self.volumes.onions_per_shard;
        Step { taking: step.taking + self.each_onion(self.figures.peel_us), items, ..step }
    }

    /// With duplicates dropped, onions shuffled and gathered into batches.
    fn closed(&self, step: Step) -> Step {
        let all = self.each_onion(self.figures.close_us);
        let alone = all * self.figures.overheads.serial_close.min(1.0);
        Step { closing: all - alone, closing_alone: step.closing_alone + alone, ..step }
    }

    fn filter_built(&self, step: Step) -> Step {
        let inserted = self.each_onion(self.figures.filter_insert_ns * 1e-3);
        let step = self.closed(step);
        Step { closing_alone: step.closing_alone + inserted, ..step }
    }

    /// Every shard's filter, tested for what this one sent, and for half of its noise.
    fn filters(&self) -> Step {
        let bytes = self.others * self.volumes.filter_bytes();
        let tested = self.volumes.onions_per_shard + self.volumes.noise_per_shard() / 2.0;
        Step { closing_alone: tested * self.figures.filter_test_ns * NANO, ..self.signed(bytes) }
    }

    /// A signed statement of every shard.
    fn statements(&self) -> Step {
        self.signed(0.0)
    }

    fn signed(&self, bytes: f64) -> Step {
        Step {
            alone: (self.figures.sign_us + self.others * self.figures.verify_us) * MICRO,
            ..self.batches(Part::Verification, bytes, 0.0)
        }
    }

    /// Deposits that met swap bodies: about as much moving about as closing a layer is.
    fn exchange(&self) -> Step {
        let items = self.volumes.onions_per_shard;
        let step = Step {
            items,
            taking: self.each_onion(self.figures.reply_us),
            ..Step::of(Part::Exchange)
        };
        self.closed(step)
    }

    /// Replies to the layer before; `streamed` unless that is the gateways.
    fn replies(&self, streamed: bool) -> Step {
        let step =
            self.batches(Part::Replies, self.volumes.reply_bytes(), self.volumes.onions_per_shard);
        let each = if streamed { self.figures.reply_us } else { 0.0 };
        Step { taking: self.each_onion(each), ..step }
    }
}
