//! Building a round's noise in pieces so short that nobody has to wait for them.

use std::sync::Arc;
use std::time::Duration;

use antiphon_onion::{ErasingRng, Keep};
use antiphon_routing::{RoundKeys, VerifiedEpoch};
use antiphon_wire::{DEAD_DROP_BYTES, Epoch, Geometry, Layer, Round, Suite};
use zeroize::Zeroizing;

use super::{BoxedNoise, Checked, NoiseBatch, NoiseMaker, UnprovenCanary, dead_drops_of};
use crate::erased::Erased;

/// Hops that are built at once: a millisecond or a few. In suite 1 that is one batch of the onions' Diffie-Hellman.
const fn hops_at_once(suite: Suite) -> usize {
    match suite {
        Suite::Classic => 128,
        Suite::Hybrid => 32,
    }
}

/// The building of a round's noise, as far as it has come.
#[derive(Debug)]
pub(crate) struct NoiseJob {
    epoch: Arc<VerifiedEpoch>,
    maker: Arc<NoiseMaker>,
    round: Round,
    rng: ErasingRng,
    building: Option<Building>,
    took: Duration,
}

/// The result of building a piece.
#[derive(Debug)]
pub(crate) enum NoisePiece {
    /// There is more to build.
    GoesOn(Box<NoiseJob>),
    /// All of it is there.
    Built(Box<NoiseBatch>),
    /// The round is not the epoch's, or its keys are unusable.
    Impossible,
}

#[derive(Debug)]
struct Building {
    keys: RoundKeys<Arc<VerifiedEpoch>>,
    deposits: Zeroizing<Vec<u8>>,
    /// The dead drops of the round's boxes, if it has any.
    boxes: Vec<[u8; DEAD_DROP_BYTES]>,
    batch: NoiseBatch,
}

impl NoiseJob {
    pub(crate) fn new(
        epoch: Arc<VerifiedEpoch>,
        maker: Arc<NoiseMaker>,
        round: Round,
        rng: ErasingRng,
    ) -> Self {
        Self { epoch, maker, round, rng, building: None, took: Duration::ZERO }
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch.epoch()
    }

    pub(crate) fn round(&self) -> Round {
        self.round
    }

    /// Counts what a piece took.
    pub(crate) fn add_time(&mut self, took: Duration) {
        self.took += took;
    }

    /// Builds a piece.
    pub(crate) fn run(mut self: Box<Self>) -> NoisePiece {
        match self.piece() {
            Some(building) if building.is_done(&self.epoch) => {
                NoisePiece::Built(Box::new(NoiseBatch { took: self.took, ..building.batch }))
            }
            Some(building) => {
                self.building = Some(building);
                NoisePiece::GoesOn(self)
            }
            None => NoisePiece::Impossible,
        }
    }

    fn piece(&mut self) -> Option<Building> {
        if let Some(mut building) = self.building.take() {
            building.add(self.epoch.geometry(), &mut self.rng)?;
            return Some(building);
        }
        let keys = RoundKeys::new(Arc::clone(&self.epoch), self.round)?.ok()?;
        let geometry = self.epoch.geometry();
        let boxes = dead_drops_of(&self.epoch, self.round);
        let deposits = self.maker.deposits(&self.epoch, self.round, &mut self.rng);
        let noise = deposits.len() / geometry.deposit_bytes();
        let canaries = usize::from(self.epoch.canaries(self.round));
        let onions = noise + 2 * canaries;
        let sealed_bytes = geometry.onion_bytes(geometry.seal_layer());
        let batch = NoiseBatch {
            entries: Erased::with_capacity(onions),
            onions: Vec::with_capacity(onions * geometry.onion_bytes(Layer::FIRST)).into(),
            checked: Checked::of_up_to(noise, 2 * canaries, sealed_bytes),
            canaries: Vec::with_capacity(canaries),
            boxed: match boxes.is_empty() {
                true => BoxedNoise::default(),
                false => BoxedNoise::of_up_to(noise, self.epoch.kind_of(self.round)),
            },
            took: Duration::ZERO,
        };
        Some(Building { keys, deposits, boxes, batch })
    }
}

impl Building {
    fn is_done(&self, epoch: &VerifiedEpoch) -> bool {
        self.has_noise(epoch.geometry())
            && self.batch.canaries.len() >= usize::from(epoch.canaries(self.keys.context().round))
    }

    fn has_noise(&self, geometry: Geometry) -> bool {
        self.batch.entries.len() * geometry.deposit_bytes() >= self.deposits.len()
    }

    /// Builds the next few onions: of noise, and then of canaries.
    fn add(&mut self, geometry: Geometry, rng: &mut ErasingRng) -> Option<()> {
        if self.has_noise(geometry) {
            self.add_canary(geometry, rng)
        } else {
            self.add_noise(geometry, rng)
        }
    }

    /// Builds a canary. All of them are looked for in filters: whoever lost one before the seal opens is found as
    /// ever.
    fn add_canary(&mut self, geometry: Geometry, rng: &mut ErasingRng) -> Option<()> {
        let Self { keys, batch, .. } = self;
        let start = batch.onions.len();
        batch.onions.resize(start + 2 * geometry.onion_bytes(Layer::FIRST), 0);
        let (canary, sealed) =
            UnprovenCanary::build(keys, geometry, rng, &mut batch.onions[start..])?;
        batch.entries.extend(canary.shards_at(Layer::FIRST));
        batch.checked.take_all(canary.shards_at(geometry.seal_layer()), &sealed);
        batch.canaries.push(canary);
        Some(())
    }

    fn add_noise(&mut self, geometry: Geometry, rng: &mut ErasingRng) -> Option<()> {
        let Self { keys, deposits, boxes, batch } = self;
        let layers = usize::from(geometry.layers());
        let deposit_bytes = geometry.deposit_bytes();
        let rest = &deposits[batch.entries.len() * deposit_bytes..];
        let count =
            (hops_at_once(geometry.suite()) / layers).max(1).min(rest.len() / deposit_bytes);
        let deposits = &rest[..count * deposit_bytes];

        let start = batch.onions.len();
        batch.onions.resize(start + count * geometry.onion_bytes(Layer::FIRST), 0);
        // Filters are tested for the sealed bytes. Nothing in a round asks for the ephemeral secrets.
        let keep = Keep::NOISE;
        let onions = &mut batch.onions[start..];
        let (paths, built) = keys.build(deposits, keep, rng, onions).ok()?;

        batch.entries.extend(paths.shards_at(Layer::FIRST));
        let seals = paths.shards_at(geometry.seal_layer());
        let sealed = Zeroizing::new(built.sealed?);
        let NoiseBatch { checked, boxed, .. } = batch;
        checked.draw(seals, &sealed, geometry.onion_bytes(geometry.seal_layer()), rng, |onion| {
            if !boxes.is_empty() {
                boxed.take(boxes, &deposits[onion * deposit_bytes..][..deposit_bytes]);
            }
        });
        Some(())
    }
}
