//! Building onions, by the batch: two for a client, thousands for a shard's noise.

use antiphon_wire::{Geometry, Layer, ShardIndex, TAG_BYTES};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::dh::{self, Kernel};
use crate::layout::{CIPHERTEXT, EPHEMERAL, NEXT_HOP, TAG, layer_offset};
use crate::suite::{self, AT_ONCE, HopKdf, HopKeys};
use crate::{EphemeralSecrets, HopKey, ReplyKeys, RoundContext};

/// How many hops go into one Diffie-Hellman: enough that most vectors of eight hops go to one shard,
/// few enough that they stay in the cache.
const HOPS_AT_ONCE: usize = 1024;

/// One hop of a path: which shard, and the key to encrypt to.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// The shard, as the hop before is told.
    pub shard: ShardIndex,
    /// The shard's key: sealed at layer L-1, plain at every other.
    pub key: &'a HopKey,
}

/// What to keep of built onions besides their reply keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The bytes of every onion as it enters the seal layer: what a noise maker tests filters for.
    pub sealed: bool,
    /// The ephemeral secrets: what a noise maker reveals to name whoever lost its onion.
    pub ephemerals: bool,
}

impl Keep {
    /// What a client keeps.
    pub const NOTHING: Self = Self { sealed: false, ephemerals: false };
    /// What a maker of noise keeps.
    pub const ALL: Self = Self { sealed: true, ephemerals: true };
}

/// What remains with the maker of a batch of onions.
#[derive(Debug)]
pub struct Built {
    /// L reply keys for each onion.
    pub replies: ReplyKeys,
    /// If asked for, every onion as it enters the seal layer, behind each other.
    pub sealed: Option<Vec<u8>>,
    /// If asked for, L ephemeral secrets for each onion.
    pub ephemerals: Option<EphemeralSecrets>,
}

/// Why no onions were built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The number of hops is not a multiple of L.
    #[error("{hops} hops do not make up whole paths of {layers}")]
    Paths {
        /// How many hops there are.
        hops: usize,
        /// L.
        layers: u8,
    },
    /// A buffer has another size than that many onions need.
    #[error("{what}: {found} where {expected} are needed")]
    Length {
        /// Which buffer.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length it must have.
        expected: usize,
    },
    /// A plain key at the seal layer, or a sealed key elsewhere.
    #[error("layer {0} has a key of the wrong kind; layer L-1 and only it takes a sealed key")]
    KeyKind(Layer),
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
    batch.build(context, &ephemerals, out, Some(&mut replies), sealed.as_deref_mut())?;
    Ok(Built { replies, sealed, ephemerals: keep.ephemerals.then_some(ephemerals) })
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
    batch.build(context, ephemerals, out, None, None)
}

/// A batch whose lengths have been found to fit.
struct Batch<'a> {
    onions: usize,
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
            }
        }
        Ok(Self { onions, first, paths, deposits })
    }

    fn build(
        &self,
        context: RoundContext,
        secrets: &EphemeralSecrets,
        out: &mut [u8],
        mut replies: Option<&mut ReplyKeys>,
        mut sealed: Option<&mut [u8]>,
    ) -> Result<(), BuildError> {
        let geometry = context.geometry;
        let layers = usize::from(geometry.layers());
        let skipped = usize::from(self.first.0 - 1);
        let depth = layers - skipped;
        let onion_bytes = geometry.onion_bytes(self.first);
        let sealed_bytes = geometry.onion_bytes(geometry.seal_layer());
        let deposit_bytes = geometry.deposit_bytes();
        let at_once = (HOPS_AT_ONCE / depth).max(1);
        let kernel = Kernel::selected();

        let mut kdf = HopKdf::new(context);
        let mut keys: [_; AT_ONCE] = std::array::from_fn(|_| HopKeys::empty());
        let room = at_once.min(self.onions) * depth;
        let mut chunk_secrets = Zeroizing::new(vec![[0; 32]; room]);
        let mut ephemerals = vec![[0; 32]; room];
        let mut shared = Zeroizing::new(vec![[0; 32]; room]);

        for start in (0..self.onions).step_by(at_once) {
            let count = at_once.min(self.onions - start);
            let hops = count * depth;
            let paths = || self.paths[start * layers..].chunks_exact(layers).take(count);
            for (i, chunk) in chunk_secrets.chunks_exact_mut(depth).take(count).enumerate() {
                chunk.copy_from_slice(&secrets.of(start + i)[skipped..]);
            }
            dh::send_batch(
                kernel,
                &chunk_secrets[..hops],
                paths().flat_map(|path| path[skipped..].iter().map(|hop| hop.key)),
                &mut ephemerals[..hops],
                &mut shared[..hops],
            );

            let slots =
                out[start * onion_bytes..][..count * onion_bytes].chunks_mut(AT_ONCE * onion_bytes);
            for (group, slots) in (0..).step_by(AT_ONCE).zip(slots) {
                let count = slots.len() / onion_bytes;
                for (i, slot) in slots.chunks_exact_mut(onion_bytes).enumerate() {
                    let deposit = (start + group + i) * deposit_bytes;
                    slot[onion_bytes - deposit_bytes..]
                        .copy_from_slice(&self.deposits[deposit..][..deposit_bytes]);
                }
                for layer in geometry.all_layers().rev().take(depth) {
                    let position = usize::from(layer.0 - 1);
                    let offset = layer_offset(self.first, layer);
                    let mut texts: [&mut [u8]; AT_ONCE] = Default::default();
                    for (i, slot) in slots.chunks_exact_mut(onion_bytes).enumerate() {
                        let hop = (group + i) * depth + position - skipped;
                        let path = &self.paths[(start + group + i) * layers..][..layers];
                        if shared[hop] == [0; 32] {
                            return Err(BuildError::ZeroSecret(layer));
                        }
                        let bytes = &mut slot[offset..];
                        if let Some(next) = path.get(position + 1) {
                            bytes[NEXT_HOP].copy_from_slice(&next.shard.0.to_be_bytes());
                        }
                        bytes[EPHEMERAL].copy_from_slice(&ephemerals[hop]);
                        let u = path[position].key.u();
                        kdf.derive_into(&shared[hop], layer, u, &ephemerals[hop], &mut keys[i]);
                        if let Some(replies) = replies.as_deref_mut() {
                            replies.set(start + group + i, position, keys[i].reply_key());
                        }
                        texts[i] = &mut bytes[CIPHERTEXT..];
                    }
                    let mut tags = [[0; TAG_BYTES]; AT_ONCE];
                    let tags = &mut tags[..count];
                    suite::seal_batch(kernel, &keys[..count], &mut texts[..count], tags);
                    for (i, slot) in slots.chunks_exact_mut(onion_bytes).enumerate() {
                        let bytes = &mut slot[offset..];
                        bytes[TAG].copy_from_slice(&tags[i]);
                        if let Some(sealed) = sealed.as_deref_mut()
                            && layer == geometry.seal_layer()
                        {
                            let onion = start + group + i;
                            sealed[onion * sealed_bytes..][..sealed_bytes].copy_from_slice(bytes);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
