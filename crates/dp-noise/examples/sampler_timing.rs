//! Whether the time of a draw of noise depends on the number drawn: Welch's t between draws that all give
//! the same number and random ones, as in dudect (Reparaz, Balasch and Verbauwhede, 2017).
//!
//! `cargo run --release -p antiphon-dp-noise --example sampler_timing [-- MEASUREMENTS]`, on a quiet machine.
//! A small |t| proves nothing; a large one, time and again, is a leak. Exits with 1 at such a one.
#![allow(clippy::disallowed_methods)] // A stopwatch needs a clock.

use std::convert::Infallible;
use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use antiphon_dp_noise::{PairDistribution, PairSampler, Sigma};
use rand::{Rng as _, SeedableRng as _, TryCryptoRng, TryRng};
use rand_chacha::ChaCha20Rng;

/// A shard's noise in the default network of five.
const VOLUME: u32 = 1616;
/// dudect's bound beyond which it speaks of a leak.
const LEAK: f64 = 10.0;

type Draw = [u8; 16];

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let measurements = match std::env::args().nth(1).map(|count| count.parse()) {
        None => 200_000,
        Some(Ok(count)) if count >= 1000 => count,
        Some(_) => {
            eprintln!("give a number of measurements, 1000 or more, or nothing for 200000");
            return Ok(ExitCode::from(2));
        }
    };
    let sigma = Sigma::from_units(VOLUME * Sigma::UNITS_PER_PAIR / 16)?;
    let sampler = PairSampler::new(PairDistribution::new(VOLUME, sigma)?);
    // The least draw gives no pairs, the greatest nothing but pairs, one half of it the mean.
    let fixed = [("least", 0), ("mean", 1 << 127), ("most", u128::MAX)];
    let mut leaks = false;
    for (name, draw) in fixed {
        let t = welch(&sampler, draw.to_le_bytes(), measurements);
        let leak = t.abs() > LEAK;
        leaks |= leak;
        let verdict = if leak { "DEPENDS ON THE NUMBER" } else { "no dependence seen" };
        let pairs = sampler.sample(&mut Replayed(draw.to_le_bytes()));
        println!("{name}, {pairs} pairs, against random: t = {t:.2}, {verdict}");
    }
    Ok(if leaks { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Gives the same bytes always.
struct Replayed(Draw);

impl TryRng for Replayed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        rand::rand_core::utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        rand::rand_core::utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.0[..bytes.len()]);
        Ok(())
    }
}

impl TryCryptoRng for Replayed {}

/// t of the times of a fixed draw against those of random ones, in random order. The slowest tenth, mostly
/// interrupts, is left out.
fn welch(sampler: &PairSampler, fixed: Draw, measurements: usize) -> f64 {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut times: [Vec<f64>; 2] = Default::default();
    for round in 0..measurements + measurements / 10 {
        let random = rng.next_u32() & 1 == 1;
        // Both classes draw and copy the same.
        let mut drawn = Draw::default();
        rng.fill_bytes(&mut drawn);
        let mut replayed = black_box(Replayed(if random { drawn } else { fixed }));
        let start = Instant::now();
        black_box(sampler.sample(&mut replayed));
        let time = start.elapsed().as_nanos() as f64;
        if round >= measurements / 10 {
            times[usize::from(random)].push(time);
        }
    }
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_unstable_by(f64::total_cmp);
    let limit = all[all.len() * 9 / 10];
    let [fixed, random] = times.map(|times| moments(times.into_iter().filter(|t| *t <= limit)));
    (fixed.0 - random.0) / (fixed.1 + random.1).sqrt()
}

/// Mean, and the mean's variance.
fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance / count)
}
