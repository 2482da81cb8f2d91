//! A shard's noise: a constant volume of deposits, of which a secret number is paired; and its canaries beside it.

mod boxes;
mod canary;
mod job;

use std::time::Duration;

use antiphon_dp_noise::{DistributionError, PairDistribution, PairSampler, Sigma};
use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{DEAD_DROP_BYTES, Round, RoundKind, ShardEntry, ShardIndex};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::buffers::Buffer;
use crate::erased::Erased;
use crate::shuffle::shuffle;
pub use boxes::box_noise;
pub(crate) use boxes::{BoxedNoise, dead_drops_of};
pub(crate) use canary::UnprovenCanary;
pub(crate) use job::{NoiseJob, NoisePiece};

/// Makes one shard's noise in one epoch.
#[derive(Debug)]
pub(crate) struct NoiseMaker {
    sampler: PairSampler,
}

/// The noise of one round and the canaries behind it, ready to be sent.
#[derive(Debug)]
pub(crate) struct NoiseBatch {
    /// The shard at layer 1 for each onion.
    pub(crate) entries: Erased<ShardIndex>,
    /// The onions as they enter layer 1, one after the other.
    pub(crate) onions: Buffer,
    /// The onions to look for in the filters.
    pub(crate) checked: Checked,
    /// The canaries, whose onions are the last.
    pub(crate) canaries: Vec<UnprovenCanary>,
    /// In a mailbox round, the checked items that its boxes have to hold.
    pub(crate) boxed: BoxedNoise,
    /// Time of the threads that built it.
    pub(crate) took: Duration,
}

/// The checked half of a round's noise, on a fair coin each, drawn afresh every round; and its canaries.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The seal-layer shard in whose filter each must be.
    pub(crate) at: Erased<ShardIndex>,
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

    /// Draws the deposits of one round, in random order.
    pub(crate) fn deposits(
        &self,
        epoch: &VerifiedEpoch,
        round: Round,
        rng: &mut impl CryptoRng,
    ) -> Zeroizing<Vec<u8>> {
        let deposit_bytes = epoch.geometry().deposit_bytes();
        match epoch.kind_of(round) {
            RoundKind::DeadDrops => noise_deposits(&self.sampler, deposit_bytes, rng),
            kind => {
                let boxes = dead_drops_of(epoch, round);
                box_noise(&self.sampler, kind, &boxes, deposit_bytes, rng)
            }
        }
    }
}

/// One shard's noise for a round: V deposits of `deposit_bytes` bytes one after the other, in random
/// order, of which the sampler's number of pairs have equal dead drops and the rest one each; all
/// bodies are random.
///
/// # Panics
/// If a deposit is too short for a dead drop.
pub fn noise_deposits(
    sampler: &PairSampler,
    deposit_bytes: usize,
    rng: &mut impl CryptoRng,
) -> Zeroizing<Vec<u8>> {
    let volume = sampler.distribution().volume() as usize;
    let pairs = sampler.sample(rng) as usize;
    let mut order: Zeroizing<Vec<usize>> = Zeroizing::new((0..volume).collect());
    shuffle(&mut order, rng);
    let mut deposits = Zeroizing::new(vec![0; volume * deposit_bytes]);
    rng.fill_bytes(&mut deposits);
    // The first 2D of the shuffled positions are paired up. Every pair is copied or put back, so
    // that the work does not tell D.
    for (number, pair) in order.chunks_exact(2).enumerate() {
        let copied = u8::from(number < pairs) * 0xff;
        let (from, to) = (pair[0] * deposit_bytes, pair[1] * deposit_bytes);
        for i in 0..DEAD_DROP_BYTES {
            deposits[to + i] = (deposits[from + i] & copied) | (deposits[to + i] & !copied);
        }
    }
    deposits
}

impl Checked {
    /// Nothing yet, with room for what is drawn from `onions` onions: half of them, and four
    /// deviations more; and for `sure` others. What outgrows its room leaves a copy behind.
    fn of_up_to(onions: usize, sure: usize, onion_bytes: usize) -> Self {
        let room = onions.min(onions / 2 + 2 * onions.isqrt() + 1) + sure;
        let sealed = Zeroizing::new(Vec::with_capacity(room * onion_bytes));
        Self { at: Erased::with_capacity(room), sealed }
    }

    /// Draws from more noise, and tells `drawn` the position of each onion that is checked.
    fn draw(
        &mut self,
        seals: impl Iterator<Item = ShardIndex>,
        sealed: &[u8],
        onion_bytes: usize,
        rng: &mut impl CryptoRng,
        mut drawn: impl FnMut(usize),
    ) {
        for (position, (at, onion)) in seals.zip(sealed.chunks_exact(onion_bytes)).enumerate() {
            if rng.next_u32() & 1 == 1 {
                self.at.push(at);
                self.sealed.extend_from_slice(onion);
                drawn(position);
            }
        }
    }

    /// Takes onions that are looked for in any case.
    fn take_all(&mut self, seals: impl Iterator<Item = ShardIndex>, sealed: &[u8]) {
        seals.for_each(|at| self.at.push(at));
        self.sealed.extend_from_slice(sealed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    const DEPOSIT: usize = DEAD_DROP_BYTES + 16;

    fn sampler() -> PairSampler {
        let sigma = Sigma::from_units(5 * 1024).unwrap();
        let distribution = PairDistribution::new(80, sigma).unwrap();
        PairSampler::new(distribution)
    }

    /// The positions of the deposits, by dead drop.
    fn by_dead_drop(deposits: &[u8]) -> BTreeMap<&[u8], Vec<usize>> {
        let mut drops = BTreeMap::<_, Vec<usize>>::new();
        for (position, deposit) in deposits.chunks_exact(DEPOSIT).enumerate() {
            drops.entry(&deposit[..DEAD_DROP_BYTES]).or_default().push(position);
        }
        drops
    }

    #[test]
    fn the_volume_is_constant_and_the_number_of_pairs_is_the_samplers() {
        let (mut sum, mut squares) = (0.0, 0.0);
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let rounds = 2000;
        for _ in 0..rounds {
            let deposits = noise_deposits(&sampler(), DEPOSIT, &mut rng);
            assert_eq!(deposits.len(), 80 * DEPOSIT);
            let drops = by_dead_drop(&deposits);
            assert!(drops.values().all(|positions| positions.len() <= 2));
            let pairs = drops.values().filter(|positions| positions.len() == 2).count();
            sum += pairs as f64;
            squares += (pairs * pairs) as f64;
        }
        let mean = sum / f64::from(rounds);
        let variance = squares / f64::from(rounds) - mean * mean;
        // Six standard errors around V/4 and sigma squared.
        assert!((mean - 20.0).abs() < 6.0 * 5.0 / f64::from(rounds).sqrt(), "mean {mean}");
        assert!(
            (variance - 25.0).abs() < 6.0 * 25.0 * (2.0 / f64::from(rounds)).sqrt(),
            "{variance}"
        );
    }

    #[test]
    fn where_pairs_stand_in_the_batch_says_nothing() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let mut paired = [0u32; 80];
        let mut total = 0;
        for _ in 0..2000 {
            let deposits = noise_deposits(&sampler(), DEPOSIT, &mut rng);
            for positions in by_dead_drop(&deposits).into_values().filter(|p| p.len() == 2) {
                total += 2;
                positions.into_iter().for_each(|position| paired[position] += 1);
            }
        }
        // Chi-square with 79 degrees of freedom; the variance of a cell is below a Poisson's.
        let expected = f64::from(total) / 80.0;
        let chi: f64 = paired.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
        assert!(chi < 140.0, "chi-square {chi}");
    }

    #[test]
    fn half_of_the_noise_is_checked_on_coins_of_its_own() {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let sealed: Vec<u8> = (0..4000u32).flat_map(u32::to_be_bytes).collect();
        let seals = (0..4000).map(|i| ShardIndex(i % 7));
        let mut checked = Checked::of_up_to(4000, 0, 4);
        checked.draw(seals.clone(), &sealed, 4, &mut rng, |_| {});
        assert!((checked.at.len() as i32 - 2000).abs() < 6 * 32, "{}", checked.at.len());
        for (at, onion) in checked.at.iter().zip(checked.sealed.chunks_exact(4)) {
            let number = u32::from_be_bytes([onion[0], onion[1], onion[2], onion[3]]);
            assert_eq!(u32::from(at.0), number % 7);
        }
        let mut again = Checked::of_up_to(4000, 0, 4);
        again.draw(seals, &sealed, 4, &mut rng, |_| {});
        assert_ne!(*checked.sealed, *again.sealed);
    }
}
