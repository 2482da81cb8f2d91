//! The further operators that a seal against quantum computers would take.
//!
//! Such a seal encrypts an onion at the seal layer to ML-KEM seal keys of s operators as well, each drawn by weight
//! by the onion's maker and released with the X25519 seal keys. A quantum computer opens what is sealed to keys that
//! its owner has, or has been given, and nothing else.

use crate::Ppm;

/// The most further operators that are tried. Each makes an onion 1,090 bytes longer.
pub const MOST_SEAL_DRAWS: u8 = 32;

/// Aborted rounds that a quantum computer opens one day, as far as it has the keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AbortedRounds {
    /// f: the share of the weight whose ML-KEM keys of the epoch the adversary has.
    pub malicious: Ppm,
    /// The share of the weight that has to have withheld for an aborted round to be free.
    pub withheld: Ppm,
    /// Aborted rounds in all, free or charged.
    pub all: u32,
    /// Those of them that are free.
    pub free: u32,
}

impl AbortedRounds {
    /// Bound on what they tell about two users with s = `draws` further operators: the distance between what is seen
    /// if the two talk and if they idle, over all rounds.
    ///
    /// Where no honest shard has released its keys, nobody has verified the noise, and an onion opens if its seal shard
    /// and all operators drawn are malicious: f^(s+1). Where one has, the noise is there; but the round may be free and
    /// so uncounted, and the operators that did not withhold have given their keys away.
    pub fn distance(self, draws: u8) -> f64 {
        let f = self.malicious.as_f64();
        let given = (f + 1.0 - self.withheld.as_f64()).clamp(0.0, 1.0);
        let unverified = f64::from(self.all) * opened_pair(f, f, draws);
        let released = f64::from(self.free) * opened_pair(f, given, draws);
        (unverified + released).min(1.0)
    }

    /// The fewest further operators with a [`distance`](Self::distance) of `most` at most, if there are.
    pub fn least_draws(self, most: f64) -> Option<u8> {
        (0..=MOST_SEAL_DRAWS).find(|draws| self.distance(*draws) <= most)
    }
}

/// The chance, at most, that a round tells whether two users talk, where the seal shard's key is known with chance `own`
/// and that of each operator drawn with chance `known`.
///
/// Of two users' four onions, two share a dead drop if they are one user's and it idles, or have the same place at both
/// users and these talk: four couples. Only a couple of which both open tells one from the other, since a dead drop
/// that is seen once is uniform in either case.
fn opened_pair(own: f64, known: f64, draws: u8) -> f64 {
    let opens = own * known.powi(draws.into());
    4.0 * opens * opens
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha20Rng;

    use super::*;

    const DEFAULTS: AbortedRounds = AbortedRounds {
        malicious: Ppm::new(200_000).unwrap(),
        withheld: Ppm::new(800_000).unwrap(),
        all: 2000,
        free: 1000,
    };

    #[test]
    fn the_draws_follow_from_the_malicious_share_and_what_they_may_tell() {
        let few = |most| DEFAULTS.least_draws(most);
        assert_eq!([1.0, 1e-2, 1e-3, 1e-4].map(few), [Some(0), Some(6), Some(7), Some(8)]);
        // If all have to withhold for an abort to be free, nobody is given a key.
        let all_withhold = AbortedRounds { withheld: Ppm::new(1_000_000).unwrap(), ..DEFAULTS };
        let few = |most| all_withhold.least_draws(most);
        assert_eq!([1e-2, 1e-3, 1e-4].map(few), [Some(4), Some(5), Some(5)]);
        // As aborts are free today, more than f withheld, and no number of draws helps.
        let today = AbortedRounds { withheld: Ppm::new(200_000).unwrap(), ..DEFAULTS };
        assert_eq!(today.least_draws(0.99), None);
    }

    /// What is seen of one round: of each of four onions, whether it opens, and which of those share a dead drop.
    fn view(dead_drops: [u8; 4], f: f64, known: f64, draws: u8, rng: &mut ChaCha20Rng) -> Vec<u8> {
        let mut chance = |p: f64| (rng.next_u64() as f64) < p * u64::MAX as f64;
        let mut names = Vec::new();
        let mut seen = |dead_drop: u8| match names.iter().position(|name| *name == dead_drop) {
            Some(at) => at as u8,
            None => {
                names.push(dead_drop);
                names.len() as u8 - 1
            }
        };
        dead_drops
            .into_iter()
            .map(|dead_drop| {
                let opens = chance(f) && (0..draws).all(|_| chance(known));
                if opens { seen(dead_drop) } else { u8::MAX }
            })
            .collect()
    }

    /// The distance of two worlds, estimated, is no more than the bound says, and not far below it: the four onions are
    /// told apart here, as by somebody who follows all routes.
    #[test]
    fn what_is_seen_of_a_round_differs_no_more_than_the_bound() {
        const ROUNDS: u32 = 400_000;
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        for (f, known, draws) in [(0.5, 0.5, 1), (0.4, 0.8, 2), (0.45, 1.0, 3)] {
            let mut counts: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
            for _ in 0..ROUNDS {
                // Onions 0 and 1 are one user's, 2 and 3 the other's.
                *counts.entry(view([0, 1, 0, 1], f, known, draws, rng)).or_default() += 1;
                *counts.entry(view([0, 0, 1, 1], f, known, draws, rng)).or_default() -= 1;
            }
            let apart = counts.values().map(|count| count.unsigned_abs()).sum::<u64>() as f64;
            let (found, bound) = (apart / 2.0 / f64::from(ROUNDS), opened_pair(f, known, draws));
            assert!(found <= bound + 0.004, "{found} for {bound}");
            assert!(found >= 0.55 * bound, "{found} for {bound}");
        }
    }
}
