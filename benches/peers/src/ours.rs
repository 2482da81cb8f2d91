//! Our onions: the bare Diffie-Hellman, peeling with all that a shard does to an onion of a layer,
//! and building as shards build their noise.

use std::time::Duration;

use antiphon_benches::network::{Network, Towards};
use antiphon_mix::close_layer;
use antiphon_onion::{Hop, Keep, Kernel, Peeled, dh, ephemeral_of, peel_batch};
use antiphon_wire::{Geometry, Layer};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use crate::measure::{Contender, Failure, timed};

/// Onions in a batch: what a shard holds of a round in a small network.
const ONIONS: usize = 1024;
/// Onions built at a time.
const BUILT: usize = 64;
/// Shards to route between.
const SHARDS: u16 = 5;

/// A network, and onions in it.
pub(crate) struct Ours {
    network: Network,
    rng: ChaCha20Rng,
    onions: Vec<u8>,
}

/// A network whose tables are those of one kernel, and what to build in it.
pub(crate) struct Building {
    kernel: Kernel,
    network: Network,
    rng: ChaCha20Rng,
    deposits: Vec<u8>,
}

impl Building {
    /// A network in the geometry of a default epoch.
    pub(crate) fn new(kernel: Kernel) -> Result<Self, Failure> {
        kernel.select()?;
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let network = Network::new(SHARDS, true, &mut rng)?;
        let deposits = network.deposits(BUILT, &mut rng);
        Ok(Self { kernel, network, rng, deposits })
    }

    /// Building as shards build their noise, per hop.
    pub(crate) fn build(&self) -> Contender<'_> {
        let mut rng = self.rng.clone();
        let paths: Vec<Hop<'_>> = self.network.paths(BUILT, Towards::AllShards, &mut rng);
        let mut out = Vec::new();
        Contender::new(
            paths.len(),
            Box::new(move || {
                self.kernel.select()?;
                let (time, built) = timed(|| {
                    self.network.build(&paths, &self.deposits, Keep::NOTHING, &mut rng, &mut out)
                });
                built?;
                Ok(time)
            }),
        )
    }
}

impl Ours {
    /// A network in the geometry of a default epoch.
    pub(crate) fn new() -> Result<Self, Failure> {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let network = Network::new(SHARDS, false, &mut rng)?;
        let onions = network.onions(ONIONS, &mut rng)?;
        Ok(Self { network, rng, onions })
    }

    /// The shape of the onions.
    pub(crate) fn geometry(&self) -> Geometry {
        self.network.context().geometry
    }

    /// The Diffie-Hellman alone, with one secret, per onion.
    pub(crate) fn dh(&self, kernel: Kernel) -> Contender<'_> {
        let onion_bytes = self.geometry().onion_bytes(Layer::FIRST);
        let ephemerals: Vec<[u8; 32]> =
            self.onions.chunks_exact(onion_bytes).map(|onion| *ephemeral_of(onion)).collect();
        let mut shared = vec![[0; 32]; ephemerals.len()];
        Contender::new(
            ephemerals.len(),
            Box::new(move || {
                let (time, ()) =
                    timed(|| dh::one_secret(kernel, &[7; 32], &ephemerals, &mut shared));
                Ok(time)
            }),
        )
    }

    /// Peeling layers 1 to L-1, each with everything until its batches can be sent; per onion and
    /// layer.
    pub(crate) fn peel(&self, kernel: Kernel) -> Contender<'_> {
        let mixing_hops = self.geometry().mixing_hops();
        Contender::new(
            ONIONS * usize::from(mixing_hops),
            Box::new(move || {
                kernel.select()?;
                let onions = self.onions.clone();
                let (time, left) = pass_layers(&self.network, onions, &mut self.rng.clone())?;
                (left == ONIONS).then_some(time).ok_or_else(|| lost(ONIONS, left))
            }),
        )
    }
}

/// Peels `onions` from layer 1 to layer L-1, as one shard would that is drawn for every hop.
/// Returns the CPU time for that, and how many onions arrived. Handing batches on from layer to layer
/// does not count.
pub(crate) fn pass_layers(
    network: &Network,
    mut onions: Vec<u8>,
    rng: &mut ChaCha20Rng,
) -> Result<(Duration, usize), Failure> {
    let context = network.context();
    let geometry = context.geometry;
    let mut peeled = Peeled::default();
    let mut total = Duration::ZERO;
    for layer in (1..=geometry.mixing_hops()).map(Layer) {
        let (time, left) = timed(|| {
            peel_batch(network.peel_key(layer), context, layer, &mut onions, &mut peeled)?;
            Ok::<_, Failure>(close_layer(geometry, layer, network.shards(), &onions, &peeled, rng))
        });
        total += time;
        // The batches that the shards of the next layer would get, all taken by one.
        onions = left?.batches.concat();
    }
    Ok((total, onions.len() / geometry.onion_bytes(geometry.last_layer())))
}

/// The error of onions that did not arrive.
pub(crate) fn lost(sent: usize, arrived: usize) -> Failure {
    format!("of {sent} onions {arrived} arrived: the figures would mean nothing").into()
}
