//! A shard's noise: a constant volume of deposits, of which a secret number is paired.

use antiphon_dp_noise::{DistributionError, PairDistribution, PairSampler, Sigma};
use antiphon_onion::{Keep, build_batch};
use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{DEAD_DROP_BYTES, Layer, Round, ShardEntry, ShardIndex};
use rand::CryptoRng;
use rand::seq::SliceRandom as _;
use zeroize::Zeroizing;

/// Makes one shard's noise in one epoch.
#[derive(Debug)]
pub(crate) struct NoiseMaker {
    sampler: PairSampler,
}

/// The noise of one round, ready to be sent.
#[derive(Debug)]
pub(crate) struct NoiseBatch {
    /// The shard at layer 1 for each onion.
    pub(crate) entries: Vec<ShardIndex>,
    /// The onions as they enter layer 1, one after the other.
    pub(crate) onions: Vec<u8>,
    /// The onions to look for in the filters.
    pub(crate) checked: Checked,
}

/// The checked half of a round's noise: on a fair coin each, drawn afresh every round.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The seal-layer shard in whose filter each must be.
    pub(crate) at: Vec<ShardIndex>,
    /// The onions as they enter the seal layer, one after the other.
    pub(crate) sealed: Zeroizing<Vec<u8>>,
}

impl NoiseMaker {
    /// A maker for the noise that the epoch document assigns to `shard`.
    pub(crate) fn new(shard: &ShardEntry) -> Result<Self, DistributionError> {
        let sigma = Sigma::from_units(shard.noise_sigma)?;
        let distribution = PairDistribution::new(shard.noise_volume, sigma)?;
        Ok(Self { sampler: PairSampler::new(distribution) })
    }

    /// Builds a round's noise. `None` if the round is not the epoch's or its keys are unusable.
    pub(crate) fn build(
        &self,
        epoch: &VerifiedEpoch,
        round: Round,
        rng: &mut impl CryptoRng,
    ) -> Option<NoiseBatch> {
        let keys = epoch.round_keys(round)?.ok()?;
        let geometry = epoch.geometry();
        let deposits = self.deposits(geometry.deposit_bytes(), rng);
        let count = deposits.len() / geometry.deposit_bytes();

        let mut path = Vec::with_capacity(count * usize::from(geometry.layers()));
        for deposit in deposits.chunks_exact(geometry.deposit_bytes()) {
            let (dead_drop, _) = deposit.split_first_chunk::<DEAD_DROP_BYTES>()?;
            keys.draw_path(dead_drop, rng, &mut path);
        }
        let mut onions = vec![0; count * geometry.onion_bytes(Layer::FIRST)];
        let keep = Keep { sealed: true, ephemerals: false };
        let built = build_batch(keys.context(), &path, &deposits, keep, rng, &mut onions).ok()?;

        let layers = usize::from(geometry.layers());
        let entries = path.chunks_exact(layers).map(|hops| hops[0].shard).collect();
        let seals = path.chunks_exact(layers).map(|hops| hops[layers - 2].shard);
        let sealed = Zeroizing::new(built.sealed?);
        let checked =
            Checked::draw(seals, &sealed, geometry.onion_bytes(geometry.seal_layer()), rng);
        Some(NoiseBatch { entries, onions, checked })
    }

    /// V deposits in random order: D pairs of equal dead drops, the rest alone, all bodies random.
    fn deposits(&self, deposit_bytes: usize, rng: &mut impl CryptoRng) -> Zeroizing<Vec<u8>> {
        let volume = self.sampler.distribution().volume() as usize;
        let pairs = self.sampler.sample(rng) as usize;
        let mut order: Zeroizing<Vec<usize>> = Zeroizing::new((0..volume).collect());
        order.shuffle(rng);
        let mut deposits = Zeroizing::new(vec![0; volume * deposit_bytes]);
        rng.fill_bytes(&mut deposits);
        // The first 2D of the shuffled positions are paired up. Every pair is copied or put back, so
        // that the work does not tell D.
        for (number, pair) in order.chunks_exact(2).enumerate() {
            let copied = (number < pairs) as u8 * 0xff;
            let (from, to) = (pair[0] * deposit_bytes, pair[1] * deposit_bytes);
            for i in 0..DEAD_DROP_BYTES {
                deposits[to + i] = (deposits[from + i] & copied) | (deposits[to + i] & !copied);
            }
        }
        deposits
    }
}

impl Checked {
    /// Nothing to check.
    pub(crate) fn none() -> Self {
        Self { at: Vec::new(), sealed: Zeroizing::default() }
    }

    fn draw(
        seals: impl Iterator<Item = ShardIndex>,
        sealed: &[u8],
        onion_bytes: usize,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let mut checked = Self::none();
        for (at, onion) in seals.zip(sealed.chunks_exact(onion_bytes)) {
            if rng.next_u32() & 1 == 1 {
                checked.at.push(at);
                checked.sealed.extend_from_slice(onion);
            }
        }
        checked
    }
}
