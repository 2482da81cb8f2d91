//! A generator that cannot be run backwards.

use chacha20::ChaCha20Rng;
use rand::rand_core::Infallible;
use rand::{CryptoRng, Rng as _, SeedableRng as _, TryCryptoRng, TryRng};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const KEY_BYTES: usize = 32;

/// Bytes drawn with one key, after those of the next key: sixteen blocks of ChaCha20 in all.
const DRAWN_BYTES: usize = 16 * 64 - KEY_BYTES;

/// Requests above this many bytes get a stream of their own, with a key that is drawn like any bytes.
const LONG_BYTES: usize = 256;

/// A generator with fast key erasure: a key makes the next key and some bytes, and is overwritten; bytes
/// are erased as they are handed out. So its state tells nothing of what it gave before. What it gives
/// later does follow from its state: take a new one from an [`EntropySource`](crate::EntropySource) for
/// each epoch and each round, and drop it with them.
///
/// It cannot be cloned, and moving it moves a pointer, so that there is one copy of its state to erase.
pub struct ErasingRng(Box<State>);

#[derive(Zeroize, ZeroizeOnDrop)]
struct State {
    key: [u8; KEY_BYTES],
    drawn: [u8; DRAWN_BYTES],
    /// Drawn bytes that have been handed out, and are erased.
    used: usize,
}

impl ErasingRng {
    /// A generator whose key is the next 32 bytes of `rng`, and which is independent of whatever else
    /// comes from there.
    pub fn drawn_from(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut state =
            Box::new(State { key: [0; KEY_BYTES], drawn: [0; DRAWN_BYTES], used: DRAWN_BYTES });
        rng.fill_bytes(&mut state.key);
        Self(state)
    }

    /// A generator of its own for a job, independent of what comes from this one and of other forks.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::drawn_from(self)
    }
}

impl State {
    fn refill(&mut self) {
        // Erases itself when it is dropped.
        let mut stream = ChaCha20Rng::from_seed(self.key);
        stream.fill_bytes(&mut self.key);
        stream.fill_bytes(&mut self.drawn);
        self.used = 0;
    }

    /// Hands out bytes, at most as many as are drawn with one key.
    fn take(&mut self, bytes: &mut [u8]) {
        // What is left of this key is too short, and is lost: requests are never split.
        if DRAWN_BYTES - self.used < bytes.len() {
            self.refill();
        }
        let taken = &mut self.drawn[self.used..][..bytes.len()];
        bytes.copy_from_slice(taken);
        taken.zeroize();
        self.used += bytes.len();
    }
}

impl TryRng for ErasingRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.take(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.take(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        if bytes.len() <= LONG_BYTES {
            self.0.take(bytes);
        } else {
            // One key for the whole stream, instead of a new one for every 992 bytes.
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            self.0.take(&mut key[..]);
            ChaCha20Rng::from_seed(*key).fill_bytes(bytes);
        }
        Ok(())
    }
}

impl TryCryptoRng for ErasingRng {}

impl std::fmt::Debug for ErasingRng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ErasingRng(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn seeded(seed: u8) -> ErasingRng {
        ErasingRng::drawn_from(&mut ChaCha20Rng::from_seed([seed; 32]))
    }

    /// All that a generator is: what whoever seizes it has.
    fn seized(rng: &ErasingRng) -> Vec<u8> {
        [&rng.0.key[..], &rng.0.drawn[..]].concat()
    }

    /// Everything of eight bytes in `bytes`, which is enough to know something drawn by.
    fn parts(bytes: &[u8]) -> BTreeSet<&[u8]> {
        bytes.windows(8).collect()
    }

    /// Draws something in each of the ways there are, short and long.
    fn draw(rng: &mut ErasingRng, way: usize) -> Vec<u8> {
        match way % 4 {
            0 => rng.next_u64().to_le_bytes().to_vec(),
            1 => [rng.next_u32(), rng.next_u32()].map(u32::to_le_bytes).concat(),
            2 => {
                let mut bytes = vec![0; 8 + way % 200];
                rng.fill_bytes(&mut bytes);
                bytes
            }
            _ => {
                let mut bytes = vec![0; LONG_BYTES + 1 + way];
                rng.fill_bytes(&mut bytes);
                bytes
            }
        }
    }

    /// Whoever seizes a ChaCha20 generator sets its counter back. Here the key is another one after each
    /// refill, and neither of the two nor anything drawn is left in the state.
    #[test]
    fn what_was_drawn_cannot_be_found_from_the_state_afterwards() {
        let mut rng = seeded(1);
        let mut keys = vec![rng.0.key.to_vec()];
        let mut drawn = Vec::new();
        for way in 0..400 {
            drawn.push(draw(&mut rng, way));
            if keys.last().is_none_or(|key| *key != rng.0.key) {
                keys.push(rng.0.key.to_vec());
            }
            // With its stream, wherever the counter is set back to.
            let mut state = seized(&rng);
            let mut stream = [0; 2 * DRAWN_BYTES];
            ChaCha20Rng::from_seed(rng.0.key).fill_bytes(&mut stream);
            state.extend(stream);
            let state = parts(&state);
            let (_, earlier) = keys.split_last().unwrap();
            let past = drawn.iter().chain(earlier);
            assert!(past.into_iter().all(|bytes| !state.contains(&bytes[..8])), "draw {way}");
            assert!(rng.0.drawn[..rng.0.used].iter().all(|byte| *byte == 0), "draw {way}");
        }
        assert!(keys.len() > 8, "{} keys", keys.len());
    }

    /// The same adversary against what this one replaces, which it rewinds.
    #[test]
    fn a_plain_generator_gives_its_past_away() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let first = rng.next_u64();
        for _ in 0..1000 {
            rng.next_u64();
        }
        let mut rewound = ChaCha20Rng::deserialize_state(&rng.serialize_state());
        rewound.set_word_pos(0);
        assert_eq!(rewound.next_u64(), first);
    }

    #[test]
    fn nothing_is_handed_out_twice() {
        let mut rng = seeded(2);
        let mut forks: Vec<_> = (0..20).map(|_| rng.fork()).collect();
        forks.push(rng);
        let drawn = forks
            .iter_mut()
            .flat_map(|rng| (0..100).map(|way| draw(rng, way)[..8].to_vec()).collect::<Vec<_>>());
        assert_eq!(drawn.collect::<BTreeSet<_>>().len(), 2100);
    }

    #[test]
    fn the_same_entropy_gives_the_same_bytes() {
        let (mut one, mut same, mut other) = (seeded(3), seeded(3), seeded(4));
        for way in 0..100 {
            let drawn = draw(&mut one, way);
            assert_eq!(drawn, draw(&mut same, way));
            assert_ne!(drawn, draw(&mut other, way));
        }
        assert_eq!(seized(&one.fork()), seized(&same.fork()));
    }

    /// Bits and bytes come about as often as they should.
    #[test]
    fn what_is_drawn_is_even() {
        let mut rng = seeded(5);
        let mut seen = [0u32; 256];
        let mut bytes = [0; 100];
        for _ in 0..2560 {
            rng.fill_bytes(&mut bytes);
            bytes.iter().for_each(|byte| seen[usize::from(*byte)] += 1);
        }
        // Chi-square with 255 degrees of freedom.
        let chi: f64 = seen.iter().map(|&n| (f64::from(n) - 1000.0).powi(2) / 1000.0).sum();
        assert!((170.0..360.0).contains(&chi), "chi-square {chi}");
    }

    #[test]
    fn printing_a_generator_shows_nothing() {
        assert_eq!(format!("{:?}", seeded(6)), "ErasingRng(..)");
    }
}
