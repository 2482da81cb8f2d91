//! Whether the time of a Diffie-Hellman depends on its input: for every kernel this machine has,
//! Welch's t between a fixed and random inputs, as in dudect (Reparaz, Balasch and Verbauwhede, 2017).
//!
//! `cargo run --release -p antiphon-onion --example timing [-- MEASUREMENTS]`, on a quiet machine.
//! A small |t| proves nothing; a large one, time and again, is a leak. Exits with 1 at such a one.
#![allow(clippy::disallowed_methods)] // A stopwatch needs a clock.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use antiphon_onion::dh::{self, Kernel};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

const LANES: usize = 8;
/// dudect's bound beyond which it speaks of a leak.
const LEAK: f64 = 10.0;

type Input = ([[u8; 32]; LANES], [[u8; 32]; LANES]);
type Work = fn(Kernel, &Input);

fn main() -> ExitCode {
    let measurements = match std::env::args().nth(1).map(|count| count.parse()) {
        None => 20_000,
        Some(Ok(count)) if count >= 1000 => count,
        Some(_) => {
            eprintln!("give a number of measurements, 1000 or more, or nothing for 20000");
            return ExitCode::from(2);
        }
    };
    let works: [(&str, Work, [bool; 2]); 5] = [
        ("one secret, many keys: secret", one_secret, [true, false]),
        ("one secret, many keys: keys", one_secret, [false, true]),
        ("pairs: secrets", pairs, [true, false]),
        ("pairs: keys", pairs, [false, true]),
        ("public keys: secrets", public_keys, [true, false]),
    ];
    let mut leaks = false;
    for kernel in Kernel::ALL.iter().copied() {
        if !kernel.is_available() {
            println!("{kernel}: not available on this processor");
            continue;
        }
        for (name, work, vary) in works {
            let t = welch(kernel, work, vary, measurements);
            let leak = t.abs() > LEAK;
            leaks |= leak;
            let verdict = if leak { "DEPENDS ON THE INPUT" } else { "no dependence seen" };
            println!("{kernel}: {name}: t = {t:.2}, {verdict}");
        }
    }
    if leaks { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// t of the times with a fixed input against those with random ones, in random order. `vary` says
/// what is random: the secrets, the keys. The slowest tenth, mostly interrupts, is left out.
fn welch(kernel: Kernel, work: Work, vary: [bool; 2], measurements: usize) -> f64 {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut fixed: Input = Default::default();
    // The fixed secret is clamped zeros; the fixed key, an ordinary one, unless it is the keys that vary.
    rng.fill_bytes(fixed.1.as_flattened_mut());
    if vary[1] {
        rng.fill_bytes(fixed.0.as_flattened_mut());
        fixed.1 = [[9; 32]; LANES];
    }
    let mut times: [Vec<f64>; 2] = Default::default();
    for round in 0..measurements + measurements / 10 {
        let random = rng.next_u32() & 1 == 1;
        // Both classes draw and copy the same.
        let mut drawn: Input = Default::default();
        rng.fill_bytes(drawn.0.as_flattened_mut());
        rng.fill_bytes(drawn.1.as_flattened_mut());
        let input = (
            if random && vary[0] { drawn.0 } else { fixed.0 },
            if random && vary[1] { drawn.1 } else { fixed.1 },
        );
        let input = black_box(input);
        let start = Instant::now();
        work(kernel, &input);
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

fn one_secret(kernel: Kernel, input: &Input) {
    let mut shared = [[0; 32]; LANES];
    dh::one_secret(kernel, &input.0[0], &input.1, &mut shared);
    black_box(shared);
}

fn pairs(kernel: Kernel, input: &Input) {
    let mut shared = [[0; 32]; LANES];
    dh::pairs(kernel, &input.0, &input.1, &mut shared);
    black_box(shared);
}

fn public_keys(kernel: Kernel, input: &Input) {
    let mut publics = [[0; 32]; LANES];
    dh::public_keys(kernel, &input.0, &mut publics);
    black_box(publics);
}
