//! Building onions, by the batch: two for a client, thousands for a shard's noise.

use antiphon_wire::{Geometry, Layer, ShardIndex, Suite, TAG_BYTES};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::dh::{self, Kernel};
use crate::ephemeral::expand;
use crate::layout::{EPHEMERAL, Places};
use crate::suite::{self, AT_ONCE, Agreed, CircuitKdf, Encapsulated, HopKdf, HopKeys};
use crate::{CircuitKeys, EphemeralSecrets, HopKey, ReplyKeys, RoundContext};

/// Hops that go into one Diffie-Hellman: enough that most vectors of eight hops go to one shard, few enough
/// that they stay in the cache.
const HOPS_AT_ONCE: usize = 1024;

/// One hop of a path: which shard, and the key to encrypt to.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// The shard, as the hop before is told.
    pub shard: ShardIndex,
    /// The shard's key: sealed at layer L-1, plain at every other.
    pub key: &'a HopKey,
}

/// Parts of built onions that are kept besides their reply keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The bytes of every onion as it enters the seal layer: what a noise maker tests filters for.
    pub sealed: bool,
    /// The ephemeral secrets: what a noise maker reveals to name whoever lost its onion.
    pub ephemerals: bool,
    /// The circuit keys: what a client wraps the cells of the round's beats with.
    pub circuits: bool,
}

impl Keep {
    /// A client's choice: it needs the reply keys alone.
    pub const NOTHING: Self = Self { sealed: false, ephemerals: false, circuits: false };
    /// A client's choice in a round that sets circuits up.
    pub const CIRCUITS: Self = Self { circuits: true, ..Self::NOTHING };
    /// A noise maker's choice: it tests filters.
    pub const NOISE: Self = Self { sealed: true, ..Self::NOTHING };
    /// Everything: what vectors and tests look at.
    pub const ALL: Self = Self { sealed: true, ephemerals: true, circuits: true };
}

/// The maker's part of a batch of onions, which is never sent.
#[derive(Debug)]
pub struct Built {
    /// L reply keys for each onion.
    pub replies: ReplyKeys,
    /// If asked for, every onion as it enters the seal layer, behind each other.
    pub sealed: Option<Vec<u8>>,
    /// If asked for, L ephemeral secrets for each onion.
    pub ephemerals: Option<EphemeralSecrets>,
    /// If asked for, L circuit keys for each onion.
    pub circuits: Option<CircuitKeys>,
}

/// Reason why no onions were built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The number of hops is not a multiple of L.
    #[error("{hops} hops do not make up whole paths of {layers}")]
    Paths {
        /// Number of hops given.
        hops: usize,
        /// L, the hops of one path.
        layers: u8,
    },
    /// A buffer has another size than that many onions need.
    #[error("{what}: {found} where {expected} are needed")]
    Length {
        /// Name of the buffer, and its unit.
        what: &'static str,
        /// Length that was found.
        found: usize,
        /// Length that the onions need.
        expected: usize,
    },
    /// A plain key at the seal layer, or a sealed key elsewhere.
    #[error("layer {0} has a key of the wrong kind; layer L-1 and only it takes a sealed key")]
    KeyKind(Layer),
    /// A key with one half, where the suite needs two.
    #[error("the key of layer {0} has no ML-KEM half, which onions of suite 2 need")]
    NoKem(Layer),
    /// The layer to build down to is not in 1..=L.
    #[error("there is no layer {0}")]
    Layer(Layer),
    /// A shared secret came out as all zeros, which no honest key leads to.
    #[error("the key of layer {0} gives an all-zero shared secret; do not use it")]
    ZeroSecret(Layer),
}

/// Builds one onion per path.
///
/// `paths` has L hops per onion and `deposits` one deposit (dead drop, then body) per onion, each
/// onion by onion. `out` receives the onions as they enter layer 1, behind each other.
///
/// # Errors
/// If the lengths do not fit each other, a key is of the wrong kind, or (which no honest key leads
/// to) a shared secret is all zeros. Do not send what `out` holds then.
pub fn build_batch<R: CryptoRng + ?Sized>(
    context: RoundContext,
    paths: &[Hop<'_>],
    deposits: &[u8],
    keep: Keep,
    rng: &mut R,
    out: &mut [u8],
) -> Result<Built, BuildError> {
    let geometry = context.geometry;
    let batch = Batch::new(geometry, Layer::FIRST, paths, deposits, out.len())?;
    let layers = usize::from(geometry.layers());
    let ephemerals = EphemeralSecrets::generate(layers, batch.onions, rng);
    let mut replies = ReplyKeys::empty(layers, batch.onions);
    let mut sealed =
        keep.sealed.then(|| vec![0; batch.onions * geometry.onion_bytes(geometry.seal_layer())]);
    let mut circuits = keep.circuits.then(|| CircuitKeys::empty(layers, batch.onions));
    let kept = Kept {
        replies: Some(&mut replies),
        sealed: sealed.as_deref_mut(),
        circuits: circuits.as_mut().map(|circuits| (CircuitKdf::new(context), circuits)),
    };
    batch.build(context, &ephemerals, out, kept)?;
    let ephemerals = keep.ephemerals.then_some(ephemerals);
    Ok(Built { replies, sealed, ephemerals, circuits })
}

/// Builds onions again from their ephemeral secrets, as they enter layer `first`: what blame compares
/// with the bytes that were sent. Arguments are those of [`build_batch`]; `out` receives the onions
/// behind each other, `onion_bytes(first)` each.
///
/// # Errors
/// If the lengths do not fit each other, a key is of the wrong kind, or there is no such layer.
pub fn rebuild_batch(
    context: RoundContext,
    first: Layer,
    paths: &[Hop<'_>],
    deposits: &[u8],
    ephemerals: &EphemeralSecrets,
    out: &mut [u8],
) -> Result<(), BuildError> {
    let batch = Batch::new(context.geometry, first, paths, deposits, out.len())?;
    if ephemerals.layers() != usize::from(context.geometry.layers())
        || ephemerals.len() != batch.onions
    {
        return Err(BuildError::Length {
            what: "ephemeral secrets",
            found: ephemerals.len() * ephemerals.layers(),
            expected: paths.len(),
        });
    }
    batch.build(context, ephemerals, out, Kept::default())
}

/// Where parts of built onions go that are kept.
#[derive(Default)]
struct Kept<'a> {
    replies: Option<&'a mut ReplyKeys>,
    sealed: Option<&'a mut [u8]>,
    circuits: Option<(CircuitKdf, &'a mut CircuitKeys)>,
}

/// A batch whose lengths have been found to fit.
struct Batch<'a> {
    onions: usize,
    layers: usize,
    first: Layer,
    paths: &'a [Hop<'a>],
    deposits: &'a [u8],
}

impl<'a> Batch<'a> {
    fn new(
        geometry: Geometry,
        first: Layer,
        paths: &'a [Hop<'a>],
        deposits: &'a [u8],
        out_bytes: usize,
    ) -> Result<Self, BuildError> {
        if first < Layer::FIRST || first > geometry.last_layer() {
            return Err(BuildError::Layer(first));
        }
        let layers = usize::from(geometry.layers());
        if !paths.len().is_multiple_of(layers) {
            return Err(BuildError::Paths { hops: paths.len(), layers: geometry.layers() });
        }
        let onions = paths.len() / layers;
        for (what, found, each) in [
            ("deposit bytes", deposits.len(), geometry.deposit_bytes()),
            ("onion bytes", out_bytes, geometry.onion_bytes(first)),
        ] {
            if found != onions * each {
                return Err(BuildError::Length { what, found, expected: onions * each });
            }
        }
        for path in paths.chunks_exact(layers) {
            for (hop, layer) in path.iter().zip(geometry.all_layers()) {
                if hop.key.is_sealed() != (layer == geometry.seal_layer()) {
                    return Err(BuildError::KeyKind(layer));
                }
                if geometry.suite() == Suite::Hybrid && hop.key.kem().is_none() {
                    return Err(BuildError::NoKem(layer));
                }
            }
        }
        Ok(Self { onions, layers, first, paths, deposits })
    }

    fn path(&self, onion: usize) -> &'a [Hop<'a>] {
        &self.paths[onion * self.layers..][..self.layers]
    }

    /// Builds the onions as they enter layer `first`, and hands out what is to be kept of them.
    fn build(
        &self,
        context: RoundContext,
        secrets: &EphemeralSecrets,
        out: &mut [u8],
        mut kept: Kept<'_>,
    ) -> Result<(), BuildError> {
        let geometry = context.geometry;
        let onion_bytes = geometry.onion_bytes(self.first);
        let mut wrapper = Wrapper::new(self, context);
        let at_once = wrapper.onions_at_once();
        for start in (0..self.onions).step_by(at_once) {
            let count = at_once.min(self.onions - start);
            wrapper.agree(secrets, start, count);
            let out = &mut out[start * onion_bytes..][..count * onion_bytes];
            // The cipher's kernel takes up to AT_ONCE texts of one length side by side.
            for (group, slots) in (0..).step_by(AT_ONCE).zip(out.chunks_mut(AT_ONCE * onion_bytes))
            {
                let group = Group { onion: start + group, hop: group * wrapper.depth };
                wrapper.lay_deposits(group, slots);
                // An onion is made from the inside out: each layer encrypts all that the layers below left.
                for layer in geometry.all_layers().rev().take(wrapper.depth) {
                    wrapper.wrap(group, layer, slots, &mut kept)?;
                    if let Some(sealed) = kept.sealed.as_deref_mut()
                        && layer == geometry.seal_layer()
                    {
                        wrapper.keep_sealed(group, slots, sealed);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Up to [`AT_ONCE`] onions that are encrypted side by side.
#[derive(Clone, Copy)]
struct Group {
    /// Position of the first of them in the batch.
    onion: usize,
    /// Position of its first hop among those of the last [`Wrapper::agree`].
    hop: usize,
}

/// Wraps the onions of a batch, with buffers that serve them all.
struct Wrapper<'a> {
    batch: &'a Batch<'a>,
    geometry: Geometry,
    kernel: Kernel,
    kdf: HopKdf,
    keys: [HopKeys; AT_ONCE],
    /// Layers before `first`, which are not built.
    skipped: usize,
    /// Layers that are built: hops of each onion.
    depth: usize,
    /// Of the hops that went into the last Diffie-Hellman, `depth` for each onion.
    secrets: Zeroizing<Vec<[u8; 32]>>,
    ephemerals: Vec<[u8; 32]>,
    shared: Zeroizing<Vec<[u8; 32]>>,
    /// Of the same hops, what ML-KEM draws from. Empty in suite 1.
    coins: Zeroizing<Vec<[u8; 32]>>,
    /// What ML-KEM gave for the last of them.
    kem_shared: Zeroizing<[u8; 32]>,
    places: Places,
}

impl<'a> Wrapper<'a> {
    fn new(batch: &'a Batch<'a>, context: RoundContext) -> Self {
        let skipped = usize::from(batch.first.0 - 1);
        let mut wrapper = Self {
            batch,
            geometry: context.geometry,
            kernel: Kernel::selected(),
            kdf: HopKdf::new(context),
            keys: std::array::from_fn(|_| HopKeys::empty()),
            skipped,
            depth: batch.layers - skipped,
            secrets: Zeroizing::default(),
            ephemerals: Vec::new(),
            shared: Zeroizing::default(),
            coins: Zeroizing::default(),
            kem_shared: Zeroizing::default(),
            places: Places::of(context.geometry),
        };
        // Sized once: a vector that grew would leave secrets behind where it was before.
        let room = wrapper.onions_at_once().min(batch.onions) * wrapper.depth;
        wrapper.secrets = Zeroizing::new(vec![[0; 32]; room]);
        wrapper.ephemerals = vec![[0; 32]; room];
        wrapper.shared = Zeroizing::new(vec![[0; 32]; room]);
        if context.geometry.suite() == Suite::Hybrid {
            wrapper.coins = Zeroizing::new(vec![[0; 32]; room]);
        }
        wrapper
    }

    fn onions_at_once(&self) -> usize {
        (HOPS_AT_ONCE / self.depth).max(1)
    }

    /// Computes ephemeral keys and shared secrets for all hops of `count` onions from `start` on, in one
    /// Diffie-Hellman: the kernels sort hops by shard, and one field inversion serves many.
    fn agree(&mut self, secrets: &EphemeralSecrets, start: usize, count: usize) {
        let hops = count * self.depth;
        for (i, own) in self.secrets.chunks_exact_mut(self.depth).take(count).enumerate() {
            own.copy_from_slice(&secrets.of(start + i)[self.skipped..]);
        }
        for (own, coins) in self.secrets[..hops].iter_mut().zip(self.coins.iter_mut()) {
            [*own, *coins] = *expand(own);
        }
        let (batch, skipped) = (self.batch, self.skipped);
        let paths = (start..start + count).map(|onion| &batch.path(onion)[skipped..]);
        dh::send_batch(
            self.kernel,
            &self.secrets[..hops],
            paths.flat_map(|path| path.iter().map(|hop| hop.key)),
            &mut self.ephemerals[..hops],
            &mut self.shared[..hops],
        );
    }

    /// Puts each deposit at the end of its slot, where the innermost layer finds it.
    fn lay_deposits(&self, group: Group, slots: &mut [u8]) {
        let onion_bytes = self.geometry.onion_bytes(self.batch.first);
        let deposit_bytes = self.geometry.deposit_bytes();
        let deposits =
            self.batch.deposits[group.onion * deposit_bytes..].chunks_exact(deposit_bytes);
        for (slot, deposit) in slots.chunks_exact_mut(onion_bytes).zip(deposits) {
            slot[onion_bytes - deposit_bytes..].copy_from_slice(deposit);
        }
    }

    /// Wraps one layer around each onion of a group: header and next hop before what is inside, then encryption
    /// in place.
    fn wrap(
        &mut self,
        group: Group,
        layer: Layer,
        slots: &mut [u8],
        kept: &mut Kept<'_>,
    ) -> Result<(), BuildError> {
        let onion_bytes = self.geometry.onion_bytes(self.batch.first);
        let count = slots.len() / onion_bytes;
        let places = self.places;
        let offset = places.of_layer(self.batch.first, layer);
        let mut texts: [&mut [u8]; AT_ONCE] = Default::default();
        for (i, slot) in slots.chunks_exact_mut(onion_bytes).enumerate() {
            let bytes = &mut slot[offset..];
            self.prepare(group, i, layer, bytes, kept)?;
            texts[i] = &mut bytes[places.ciphertext..];
        }
        let mut tags = [[0; TAG_BYTES]; AT_ONCE];
        let tags = &mut tags[..count];
        suite::seal_batch(self.kernel, &self.keys[..count], &mut texts[..count], tags);
        // Only now: `texts` borrowed the slots.
        for (slot, tag) in slots.chunks_exact_mut(onion_bytes).zip(tags) {
            slot[offset..][places.tag()].copy_from_slice(tag);
        }
        Ok(())
    }

    /// Lays all of a layer's header but the tag before onion `i` of a group, and derives the layer's keys.
    #[inline]
    fn prepare(
        &mut self,
        group: Group,
        i: usize,
        layer: Layer,
        bytes: &mut [u8],
        kept: &mut Kept<'_>,
    ) -> Result<(), BuildError> {
        let position = usize::from(layer.0 - 1);
        let hop = group.hop + i * self.depth + position - self.skipped;
        let (shared, ephemeral) = (&self.shared[hop], &self.ephemerals[hop]);
        // Comes of a key of small order: anybody could open the layer.
        if *shared == [0; 32] {
            return Err(BuildError::ZeroSecret(layer));
        }
        let path = self.batch.path(group.onion + i);
        // At layer L a deposit is inside, and no hop follows.
        if let Some(next) = path.get(position + 1) {
            bytes[self.places.next_hop()].copy_from_slice(&next.shard.0.to_be_bytes());
        }
        bytes[EPHEMERAL].copy_from_slice(ephemeral);
        let key = path[position].key;
        let mut agreed = Agreed { shared, layer, hop_u: key.u(), ephemeral, kem: None };
        // Only suite 2 has coins, and its keys were found to have this half.
        if let (Some(coins), Some(kem)) = (self.coins.get(hop), key.kem()) {
            let ciphertext = &mut bytes[self.places.kem()];
            *self.kem_shared = kem.encapsulate(coins, ciphertext);
            agreed.kem =
                Some(Encapsulated { shared: &self.kem_shared, key: kem.hash(), ciphertext });
        }
        self.kdf.derive_into(agreed, &mut self.keys[i]);
        if let Some((kdf, circuits)) = &mut kept.circuits {
            kdf.derive_into(agreed, circuits.at(group.onion + i, position));
        }
        if let Some(replies) = kept.replies.as_deref_mut() {
            replies.set(group.onion + i, position, self.keys[i].reply_key());
        }
        Ok(())
    }

    /// Copies the onions of a group as they enter the seal layer: filters are tested for these bytes.
    fn keep_sealed(&self, group: Group, slots: &[u8], sealed: &mut [u8]) {
        let sealed_bytes = self.geometry.onion_bytes(self.geometry.seal_layer());
        let offset = self.places.of_layer(self.batch.first, self.geometry.seal_layer());
        let slots = slots.chunks_exact(self.geometry.onion_bytes(self.batch.first));
        let kept = sealed[group.onion * sealed_bytes..].chunks_exact_mut(sealed_bytes);
        for (slot, kept) in slots.zip(kept) {
            kept.copy_from_slice(&slot[offset..]);
        }
    }
}
