//! The mixing bounds beside simulation, as tables, and the documentation's plot:
//!
//! ```text
//! cargo run --release -p antiphon-routing --example mixing            # tables, about a minute
//! cargo run --release -p antiphon-routing --example mixing -- --svg   # the plot, on standard output
//! ```

#[path = "mixing/plot.rs"]
mod plot;
#[path = "../tests/mixing/posterior.rs"]
mod posterior;

use antiphon_routing::{BoundKind, MixingPopulation, Ppm};
use posterior::{Couples, FourOnions, OneOnion, Shard, layer};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

const HOPS: u8 = 14;
const F: f64 = 0.2;

/// Shards in all, the budget, and the honest noise with one fifth malicious.
const ROWS: [(&str, &str, u64, u32); 5] = [
    ("5", "245, ln 4, 1e-4", 1216, 4),
    ("5", "1000, ln 2, 1e-6", 6464, 4),
    ("10", "1000, ln 2, 1e-6", 9152, 8),
    ("100", "245, ln 4, 1e-4", 5440, 80),
    ("100", "1000, ln 2, 1e-6", 29_120, 80),
];

fn main() {
    if std::env::args().any(|argument| argument == "--svg") {
        print!("{}", plot::svg(&population(0.2, 6464, 4)));
        return;
    }
    bounds();
    estimates();
    couples();
    pairings();
}

fn population(f: f64, onions: u64, honest_shards: u32) -> MixingPopulation {
    let parts = (f * f64::from(Ppm::WHOLE)).round();
    MixingPopulation { f: Ppm::new(parts as u32).unwrap_or_default(), onions, honest_shards }
}

fn bounds() {
    println!("Bounds at f = {F}, {HOPS} mixing hops; least hops for 1e-9 and 1e-12 a round\n");
    println!(
        "| shards | K, ε, δ | one onion | undisturbed | conjectured | disturbed | half-way | 1e-9 | 1e-12 |"
    );
    println!("|---:|---|---:|---:|---:|---:|---:|---:|---:|");
    for (shards, budget, onions, honest) in ROWS {
        let row = population(F, onions, honest);
        let one = row.one_onion(HOPS);
        let all = row.conversation(HOPS);
        let hops = |target| match row.least_mixing_hops(target, BoundKind::Proven) {
            Ok(hops) => hops.to_string(),
            Err(error) => error.to_string(),
        };
        println!(
            "| {shards} | {budget} | {:.1e} | {:.1e} | {:.1e} | {:.1e} | {:.1e} | {} | {} |",
            one.proven,
            all.proven,
            all.conjectured,
            row.disturbed(HOPS).proven,
            row.disturbed_halfway(HOPS).proven,
            hops(1e-9),
            hops(1e-12)
        );
    }
}

/// One onion's deviation at full size. Layers before its first honest hop, and after a place's
/// last, are summed over exactly; only what is between them is simulated.
fn estimates() {
    println!("\nOne onion at full size, by stratified simulation (not a bound)\n");
    println!("| shards | K, ε, δ | total variation | bound | 4 (2 x)^2 | conversation bound |");
    println!("|---:|---|---:|---:|---:|---:|");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (shards, budget, onions, honest) in ROWS {
        let row = population(F, onions, honest);
        let deviation = stratified(onions as usize, honest as usize, 100, &mut rng);
        println!(
            "| {shards} | {budget} | {deviation:.1e} | {:.1e} | {:.1e} | {:.1e} |",
            row.one_onion(HOPS).proven,
            4.0 * (2.0 * deviation).powi(2),
            row.conversation(HOPS).proven
        );
    }
}

fn stratified(places: usize, shards: usize, runs: u32, rng: &mut ChaCha8Rng) -> f64 {
    let hops = usize::from(HOPS);
    // By the layers between the first honest hop and the last: what honest shards then hold.
    let mut held = vec![0.0; hops];
    for _ in 0..runs {
        let mut onion = OneOnion::new(places);
        for (distance, held) in held.iter_mut().enumerate() {
            let mut drawn = layer(places, F, shards, rng);
            while distance == 0 && drawn[0].is_none() {
                drawn = layer(places, F, shards, rng);
            }
            onion.pass(&drawn, shards);
            *held += honest_deviation(&onion, &drawn) / f64::from(runs);
        }
    }
    let power = |exponent: usize| F.powi(exponent as i32);
    let mut sum = 2.0 * power(hops);
    for first in 0..hops {
        for last in first..hops {
            sum += (1.0 - F) * power(first) * power(hops - 1 - last) * held[last - first];
        }
    }
    sum / 2.0
}

fn honest_deviation(onion: &OneOnion, drawn: &[Shard]) -> f64 {
    let uniform = 1.0 / drawn.len() as f64;
    let honest = onion.posterior.iter().zip(drawn).filter(|(_, shard)| shard.is_some());
    honest.map(|(mass, _)| (mass - uniform).abs()).sum()
}

fn couples() {
    println!("\nIs it second order? Couples of onions and single ones, simulated alike\n");
    println!(
        "| M | H | f | m | 4 (E \\|e\\|)^2 | E \\|h\\| | bound |\n|---:|---:|---:|---:|---:|---:|---:|"
    );
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for (alike, shards, f, hops) in
        [(96, 4, 0.3, 4), (96, 4, 0.3, 6), (196, 4, 0.3, 6), (196, 8, 0.4, 8), (396, 4, 0.4, 8)]
    {
        let (runs, places) = (300, alike + 4);
        let (mut one, mut two) = (0.0, 0.0);
        for _ in 0..runs {
            let (mut onion, mut couples) = (OneOnion::new(places), Couples::new(places));
            for _ in 0..hops {
                let drawn = layer(places, f, shards, &mut rng);
                onion.pass(&drawn, shards);
                couples.pass(&drawn, shards);
            }
            one += 2.0 * onion.deviation() / f64::from(runs);
            two += couples.moment(1) / f64::from(runs);
        }
        let bound = population(f, alike as u64, shards as u32).pairing(alike as u64, hops);
        let product = 4.0 * one * one;
        println!("| {alike} | {shards} | {f} | {hops} | {product:.1e} | {two:.1e} | {bound:.1e} |");
    }
}

fn pairings() {
    println!("\nTalking or idle, exact given the routes, in small networks\n");
    println!("| M | H | f | m | total variation | bound |\n|---:|---:|---:|---:|---:|---:|");
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (alike, runs) = (16, 400);
    for (shards, f, hops) in [
        (1, 0.2, 3),
        (1, 0.2, 4),
        (1, 0.2, 6),
        (1, 0.3, 6),
        (2, 0.2, 6),
        (2, 0.3, 7),
        (3, 0.2, 6),
        (3, 0.3, 8),
    ] {
        let mut sum = 0.0;
        for _ in 0..runs {
            let mut four = FourOnions::new(alike + 4);
            for _ in 0..hops {
                four.pass(&layer(alike + 4, f, shards, &mut rng), shards);
            }
            sum += four.distance() / f64::from(runs);
        }
        let bound = population(f, alike as u64, shards as u32).pairing(alike as u64, hops);
        println!("| {alike} | {shards} | {f} | {hops} | {sum:.1e} | {bound:.1e} |");
    }
}
