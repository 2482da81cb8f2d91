//! A network's keys, and onions built to them, in the geometry of a default epoch.

use std::sync::Arc;

use antiphon_coordinator_core::CoordinatorConfig;
use antiphon_onion::{
    BuildError, Built, Hop, HopKey, JointSealKey, Keep, KemSecretKey, KeyError, OnionSecretKey,
    PeelKey, RoundContext, SealSecretKey, build_batch,
};
use antiphon_wire::{Epoch, Geometry, GeometryError, Layer, Policy, Round, ShardIndex, Suite};
use rand::{CryptoRng, RngExt as _};

/// Why there is no network to measure on.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The defaults make no geometry.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// A key is of no use.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Onions were not built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// The geometry of an epoch of the default policy and the default configuration.
///
/// # Errors
/// If the defaults contradict each other.
pub fn default_geometry() -> Result<Geometry, SetupError> {
    let layers = Policy::default().least_mixing_hops + 1;
    Ok(Geometry::new(layers, CoordinatorConfig::default().body)?)
}

/// Whom onions are built to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Towards {
    /// Every hop is drawn from all shards, as in a real round: what building is measured with.
    AllShards,
    /// Every hop is named at random but encrypted to shard 0, which can then peel all layers: what
    /// peeling is measured with.
    OneShard,
}

/// The shards' keys in one round.
pub struct Network {
    context: RoundContext,
    shards: Vec<ShardKeys>,
    peel: PeelKey,
    peel_sealed: PeelKey,
}

/// What senders encrypt to.
struct ShardKeys {
    plain: HopKey,
    sealed: HopKey,
}

impl Network {
    /// `shards` shards with fresh keys. `tables` are those that shards make once an epoch.
    ///
    /// # Errors
    /// If the geometry or a key is of no use.
    pub fn new(shards: u16, tables: bool, rng: &mut impl CryptoRng) -> Result<Self, SetupError> {
        Self::of_suite(Suite::Classic, shards, tables, rng)
    }

    /// The same with onions of `suite`.
    ///
    /// # Errors
    /// If the geometry or a key is of no use.
    pub fn of_suite(
        suite: Suite,
        shards: u16,
        tables: bool,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SetupError> {
        let geometry = default_geometry()?.with_suite(suite);
        let context = RoundContext { geometry, epoch: Epoch(1), round: Round(1) };
        let seal = SealSecretKey::generate(rng);
        let joint = JointSealKey::sum([&seal.public_key()])?;
        let secrets: Vec<_> = (0..shards.max(1)).map(|_| OnionSecretKey::generate(rng)).collect();
        let kems: Vec<_> = secrets
            .iter()
            .map(|_| (suite == Suite::Hybrid).then(|| Arc::new(KemSecretKey::generate(rng))))
            .collect();
        let keys = |(secret, kem): (&OnionSecretKey, &Option<Arc<KemSecretKey>>)| {
            let (public, kem) = (secret.public_key(), kem.as_ref());
            let kem = kem.map(|kem| Arc::new(kem.public_key().clone()));
            let plain = HopKey::plain(&public).with_kem(kem.clone());
            let sealed = HopKey::sealed(&public, &joint)?.with_kem(kem);
            Ok::<_, KeyError>(ShardKeys {
                plain: if tables { plain.with_table() } else { plain },
                sealed,
            })
        };
        Ok(Self {
            context,
            shards: secrets.iter().zip(&kems).map(keys).collect::<Result<_, _>>()?,
            peel: PeelKey::plain(&secrets[0]).with_kem(kems[0].clone()),
            peel_sealed: PeelKey::sealed(&secrets[0], [&seal])?.with_kem(kems[0].clone()),
        })
    }

    /// What the onions are bound to.
    pub fn context(&self) -> RoundContext {
        self.context
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// What shard 0 opens onions of `layer` with.
    pub fn peel_key(&self, layer: Layer) -> &PeelKey {
        if layer == self.context.geometry.seal_layer() { &self.peel_sealed } else { &self.peel }
    }

    /// Paths of L hops for `onions` onions.
    pub fn paths(&self, onions: usize, towards: Towards, rng: &mut impl CryptoRng) -> Vec<Hop<'_>> {
        let geometry = self.context.geometry;
        let mut paths = Vec::with_capacity(onions * usize::from(geometry.layers()));
        for _ in 0..onions {
            for layer in geometry.all_layers() {
                let drawn = rng.random_range(0..self.shards.len());
                let keys = &self.shards[if towards == Towards::OneShard { 0 } else { drawn }];
                let key = if layer == geometry.seal_layer() { &keys.sealed } else { &keys.plain };
                // There are no more than u16::MAX shards, as they were counted in one.
                paths.push(Hop { shard: ShardIndex(drawn as u16), key });
            }
        }
        paths
    }

    /// Random deposits for `onions` onions, one after the other.
    pub fn deposits(&self, onions: usize, rng: &mut impl CryptoRng) -> Vec<u8> {
        let mut deposits = vec![0; onions * self.context.geometry.deposit_bytes()];
        rng.fill_bytes(&mut deposits);
        deposits
    }

    /// Builds one onion per path into `out`, which is made to fit.
    ///
    /// # Errors
    /// If the lengths do not fit each other.
    pub fn build(
        &self,
        paths: &[Hop<'_>],
        deposits: &[u8],
        keep: Keep,
        rng: &mut impl CryptoRng,
        out: &mut Vec<u8>,
    ) -> Result<Built, SetupError> {
        let geometry = self.context.geometry;
        let onions = paths.len() / usize::from(geometry.layers());
        out.resize(onions * geometry.onion_bytes(Layer::FIRST), 0);
        Ok(build_batch(self.context, paths, deposits, keep, rng, out)?)
    }

    /// `onions` onions on their way into layer 1, which shard 0 can peel at every layer.
    ///
    /// # Errors
    /// If they cannot be built.
    pub fn onions(&self, onions: usize, rng: &mut impl CryptoRng) -> Result<Vec<u8>, SetupError> {
        let paths = self.paths(onions, Towards::OneShard, rng);
        let deposits = self.deposits(onions, rng);
        let mut out = Vec::new();
        self.build(&paths, &deposits, Keep::NOTHING, rng, &mut out)?;
        Ok(out)
    }
}
