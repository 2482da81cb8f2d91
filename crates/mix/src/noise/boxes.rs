//! Noise of mailbox rounds: for each box a fixed volume, of which a secret number of items goes into the box and the
//! rest is thrown away.

use antiphon_dp_noise::PairSampler;
use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{DEAD_DROP_BYTES, Round, RoundKind, box_dead_drop};
use rand::CryptoRng;
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
use zeroize::Zeroizing;

use crate::erased::Erased;
use crate::shuffle::shuffle;

/// Bytes of an X25519 key, with which an invitation begins.
const POINT_BYTES: usize = 32;

/// The dead drops of a round's boxes, in their order; none in a round of dead drops.
pub(crate) fn dead_drops_of(epoch: &VerifiedEpoch, round: Round) -> Vec<[u8; DEAD_DROP_BYTES]> {
    let kind = epoch.kind_of(round);
    let dead_drop = |number| box_dead_drop(kind, epoch.epoch(), round, number);
    (0..epoch.services().boxes(kind)).map(dead_drop).collect()
}

/// One shard's noise for a mailbox round. The sampler is that of its pairs: for each box V/2 deposits, of which as many as
/// there would be pairs are for the box, so that the accountant holds as it is. In random order; bodies are random, but for
/// the point with which an invitation begins.
///
/// # Panics
/// If a deposit is too short for a dead drop and an item.
pub fn box_noise(
    sampler: &PairSampler,
    kind: RoundKind,
    boxes: &[[u8; DEAD_DROP_BYTES]],
    deposit_bytes: usize,
    rng: &mut impl CryptoRng,
) -> Zeroizing<Vec<u8>> {
    let each = sampler.distribution().volume() as usize / 2;
    let mut order: Zeroizing<Vec<usize>> = Zeroizing::new((0..each * boxes.len()).collect());
    shuffle(&mut order, rng);
    let mut deposits = Zeroizing::new(vec![0; order.len() * deposit_bytes]);
    rng.fill_bytes(&mut deposits);
    for (dead_drop, positions) in boxes.iter().zip(order.chunks_exact(each.max(1))) {
        let boxed = sampler.sample(rng) as usize;
        // Every dead drop is copied or put back, so that the work does not tell how many there are.
        for (number, position) in positions.iter().enumerate() {
            let copied = u8::from(number < boxed) * 0xff;
            let deposit = &mut deposits[position * deposit_bytes..];
            for (byte, of_box) in deposit.iter_mut().zip(dead_drop) {
                *byte = (of_box & copied) | (*byte & !copied);
            }
        }
    }
    if kind == RoundKind::Invitations {
        deposits.chunks_exact_mut(deposit_bytes).for_each(begin_with_point);
    }
    deposits
}

/// Half of all bytes are no point of the curve, and an invitation's are.
fn begin_with_point(deposit: &mut [u8]) {
    let Some(body) = deposit[DEAD_DROP_BYTES..].first_chunk_mut::<POINT_BYTES>() else {
        unreachable!("a body holds an invitation")
    };
    *body = x25519(*body, X25519_BASEPOINT_BYTES);
}

/// The checked noise that a round's boxes have to hold: nobody else knows which it is, until the boxes are published.
#[derive(Debug, Default)]
pub(crate) struct BoxedNoise {
    item_bytes: usize,
    /// For each item the number of its box.
    numbers: Erased<u16>,
    /// The items behind each other.
    items: Zeroizing<Vec<u8>>,
}

impl BoxedNoise {
    /// None yet, with room for what is checked of `onions` onions.
    pub(crate) fn of_up_to(onions: usize, kind: RoundKind) -> Self {
        let item_bytes = kind.item_bytes();
        let items = Zeroizing::new(Vec::with_capacity(onions * item_bytes));
        Self { item_bytes, numbers: Erased::with_capacity(onions), items }
    }

    /// Takes note of a checked deposit, if it is for one of the boxes.
    pub(super) fn take(&mut self, boxes: &[[u8; DEAD_DROP_BYTES]], deposit: &[u8]) {
        let Some((dead_drop, body)) = deposit.split_first_chunk() else { return };
        if let Some(number) = boxes.iter().position(|of_box| of_box == dead_drop) {
            // At most 256 boxes.
            self.numbers.push(number as u16);
            self.items.extend_from_slice(&body[..self.item_bytes]);
        }
    }

    /// The items that box `number` has to hold.
    pub(crate) fn items_of(&self, number: u16) -> impl Iterator<Item = &[u8]> {
        let items = self.items.chunks_exact(self.item_bytes.max(1));
        self.numbers.iter().zip(items).filter(move |(of, _)| **of == number).map(|(_, item)| item)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use antiphon_dp_noise::{PairDistribution, Sigma};
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    const DEPOSIT: usize = DEAD_DROP_BYTES + 160;
    const BOXES: [[u8; DEAD_DROP_BYTES]; 2] = [[1; DEAD_DROP_BYTES], [2; DEAD_DROP_BYTES]];

    fn noise(kind: RoundKind, rng: &mut ChaCha20Rng) -> Zeroizing<Vec<u8>> {
        let sigma = Sigma::from_units(5 * 1024).unwrap();
        let sampler = PairSampler::new(PairDistribution::new(80, sigma).unwrap());
        box_noise(&sampler, kind, &BOXES, DEPOSIT, rng)
    }

    #[test]
    fn the_volume_is_constant_and_what_each_box_gets_is_the_samplers() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let (mut sums, mut squares, mut products) = ([0.0; 2], [0.0; 2], 0.0);
        let rounds = 2000;
        for _ in 0..rounds {
            let deposits = noise(RoundKind::Calls, &mut rng);
            assert_eq!(deposits.len(), 2 * 40 * DEPOSIT);
            let count = |of: usize| {
                let dead_drops = deposits.chunks_exact(DEPOSIT).map(|d| &d[..DEAD_DROP_BYTES]);
                dead_drops.filter(|dead_drop| **dead_drop == BOXES[of]).count() as f64
            };
            let counts = [count(0), count(1)];
            for i in 0..2 {
                sums[i] += counts[i];
                squares[i] += counts[i] * counts[i];
            }
            products += (counts[0] - 20.0) * (counts[1] - 20.0);
        }
        let n = f64::from(rounds);
        for i in 0..2 {
            let mean = sums[i] / n;
            // Six standard errors around V/4 and sigma squared.
            assert!((mean - 20.0).abs() < 6.0 * 5.0 / n.sqrt(), "mean {mean}");
            let variance = squares[i] / n - mean * mean;
            assert!((variance - 25.0).abs() < 6.0 * 25.0 * (2.0 / n).sqrt(), "{variance}");
        }
        // Boxes are drawn for apart from each other.
        assert!((products / n).abs() < 6.0 * 25.0 / n.sqrt(), "{products}");
    }

    #[test]
    fn where_a_boxs_noise_stands_in_the_batch_says_nothing() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let (mut at, mut total) = ([0_u32; 80], 0);
        for _ in 0..2000 {
            let deposits = noise(RoundKind::Calls, &mut rng);
            for (position, deposit) in deposits.chunks_exact(DEPOSIT).enumerate() {
                let is_boxed = deposit[..DEAD_DROP_BYTES] == BOXES[0];
                at[position] += u32::from(is_boxed);
                total += u32::from(is_boxed);
            }
        }
        // Chi-square with 79 degrees of freedom; the variance of a cell is below a Poisson's.
        let expected = f64::from(total) / 80.0;
        let chi: f64 = at.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
        assert!(chi < 140.0, "chi-square {chi}");
    }

    #[test]
    fn noise_invitations_begin_with_points_whether_or_not_they_are_for_a_box() {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let deposits = noise(RoundKind::Invitations, &mut rng);
        for deposit in deposits.chunks_exact(DEPOSIT) {
            let point = *deposit[DEAD_DROP_BYTES..].first_chunk().unwrap();
            let point = curve25519_dalek::MontgomeryPoint(point).to_edwards(0).unwrap();
            assert!(point.is_torsion_free() && point != Default::default());
        }
    }

    #[test]
    fn a_checked_item_is_kept_with_its_box() {
        let mut boxed = BoxedNoise::of_up_to(3, RoundKind::Calls);
        for (first, body) in [(1, 7), (9, 8), (2, 9)] {
            let deposit = [[first; DEAD_DROP_BYTES].to_vec(), vec![body; 160]].concat();
            boxed.take(&BOXES, &deposit);
        }
        assert_eq!(boxed.items_of(0).collect::<Vec<_>>(), [[7; 5]]);
        assert_eq!(boxed.items_of(1).collect::<Vec<_>>(), [[9; 5]]);
    }
}
