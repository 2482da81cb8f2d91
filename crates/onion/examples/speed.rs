//! Prints, for every kernel this machine has, microseconds of processor time per Diffie-Hellman, per
//! built hop, per peeled onion, per round of a client (the sealed keys of all shards, two onions
//! built, two replies opened) and per cell of 256 bytes on one core: the least of several rounds, in each of
//! which all kernels take their turn. x25519-dalek, which knows of no batches, is there for comparison.
//!
//! `cargo run --release -p antiphon-onion --example speed [-- ROUNDS]`

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;

use antiphon_onion::dh::{self, Kernel};
use antiphon_onion::{
    BeatContext, CellBytes, CircuitKey, CircuitKeys, Hop, HopKey, JointSealKey, Keep, KemSecretKey,
    OnionSecretKey, PeelKey, Peeled, ReplyKey, RoundContext, SealSecretKey, apply_reply_streams,
    backward_cells, build_batch, forward_cells, peel_batch,
};
use antiphon_wire::{Epoch, Geometry, Layer, Round, ShardIndex, Suite};
use rand::{CryptoRng, Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rustix::time::{ClockId, clock_gettime};

const ONIONS: usize = 256;
const SHARDS: usize = 8;
/// What a client sends a round.
const CLIENT_ONIONS: usize = 2;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let rounds = match std::env::args().nth(1).map(|rounds| rounds.parse()) {
        None => 20,
        Some(Ok(rounds)) if rounds > 0 => rounds,
        Some(_) => {
            eprintln!("give a number of rounds, 1 or more, or nothing for 20");
            return Ok(ExitCode::from(2));
        }
    };
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let kernels: Vec<_> =
        Kernel::ALL.iter().copied().filter(|kernel| kernel.is_available()).collect();
    let fixture = Fixture::new(rng)?;
    let mut best = vec![Figures::new(); kernels.len()];
    let mut dalek = f64::INFINITY;
    for _ in 0..rounds {
        dalek = dalek.min(one_by_one(&fixture));
        for (kernel, best) in kernels.iter().zip(&mut best) {
            kernel.select()?;
            measure(*kernel, &fixture, best, rng)?;
        }
    }

    println!("microseconds of processor time, the least of {rounds} rounds");
    print!("{:<40}", "");
    kernels.iter().for_each(|kernel| print!("{kernel:>13}"));
    println!("{:>13}", "x25519-dalek");
    for row in 0..best.first().map_or(0, |figures| figures.0.len()) {
        print!("{:<40}", best[0].0[row].0);
        best.iter().for_each(|figures| print!("{:>13.3}", figures.0[row].1));
        println!("{}", if row == 0 { format!("{dalek:>13.3}") } else { String::new() });
    }
    print!("{:<40}", "peeling / bare Diffie-Hellman");
    best.iter().for_each(|figures| print!("{:>13.2}", figures.of(PEEL) / figures.of(ONE_SECRET)));
    println!();
    print!("{:<40}", "peeling / a cell's hop forward");
    best.iter().for_each(|figures| print!("{:>13.1}", figures.of(PEEL) / figures.of(CELL)));
    println!();
    Ok(ExitCode::SUCCESS)
}

const ONE_SECRET: &str = "Diffie-Hellman, one secret, many keys";
const PEEL: &str = "peeling, an onion";
const CELL: &str = "a cell and hop, forward";
/// Cells of a layer: more than the nearest cache holds, as in a beat.
const CELLS: usize = 4096;

/// The least time of each thing measured, in the order of the first round.
#[derive(Clone)]
struct Figures(Vec<(&'static str, f64)>);

impl Figures {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn of(&self, name: &str) -> f64 {
        self.0.iter().find(|figure| figure.0 == name).map_or(f64::NAN, |figure| figure.1)
    }

    /// Runs `work`, which does `count` of something.
    fn time<T>(&mut self, name: &'static str, count: usize, work: impl FnOnce() -> T) -> T {
        let start = processor_time();
        let result = black_box(work());
        let micros = (processor_time() - start) / count as f64;
        match self.0.iter_mut().find(|figure| figure.0 == name) {
            Some((_, least)) => *least = least.min(micros),
            None => self.0.push((name, micros)),
        }
        result
    }
}

/// What all kernels are measured with.
struct Fixture {
    context: RoundContext,
    secrets: Vec<[u8; 32]>,
    points: Vec<[u8; 32]>,
    shards: Vec<OnionSecretKey>,
    joint: JointSealKey,
    choices: Vec<usize>,
}

impl Fixture {
    fn new(rng: &mut ChaCha20Rng) -> Result<Self, Box<dyn std::error::Error>> {
        let geometry = Geometry::new(15, 256)?;
        let seal = SealSecretKey::generate(rng);
        let hops = ONIONS * usize::from(geometry.layers());
        Ok(Self {
            context: RoundContext { geometry, epoch: Epoch(1), round: Round(1) },
            secrets: bytes(ONIONS, rng),
            points: bytes(ONIONS, rng),
            shards: (0..SHARDS).map(|_| OnionSecretKey::generate(rng)).collect(),
            joint: JointSealKey::sum([&seal.public_key()])?,
            choices: (0..hops).map(|_| rng.next_u32() as usize % SHARDS).collect(),
        })
    }

    /// The hops of `onions` onions, every first one at shard 0, so that one shard can peel them.
    fn paths<'a>(&self, onions: usize, plain: &'a [HopKey], sealed: &'a [HopKey]) -> Vec<Hop<'a>> {
        let geometry = self.context.geometry;
        let layers = (0..onions).flat_map(|_| geometry.all_layers());
        let hops = self.choices.iter().zip(layers).map(|(choice, layer)| {
            let shard = if layer == Layer::FIRST { 0 } else { *choice };
            let keys = if layer == geometry.seal_layer() { sealed } else { plain };
            Hop { shard: ShardIndex(shard as u16), key: &keys[shard] }
        });
        hops.collect()
    }
}

fn one_by_one(fixture: &Fixture) -> f64 {
    let start = processor_time();
    for point in &fixture.points {
        black_box(x25519_dalek::x25519(fixture.secrets[0], *point));
    }
    (processor_time() - start) / ONIONS as f64
}

fn measure(
    kernel: Kernel,
    fixture: &Fixture,
    best: &mut Figures,
    rng: &mut ChaCha20Rng,
) -> Result<(), Box<dyn std::error::Error>> {
    let Fixture { context, secrets, points, shards, joint, .. } = fixture;
    let results = &mut vec![[0; 32]; ONIONS];
    best.time(ONE_SECRET, ONIONS, || dh::one_secret(kernel, &secrets[0], points, results));
    best.time("Diffie-Hellman, pairs", ONIONS, || dh::pairs(kernel, secrets, points, results));
    best.time("public key", ONIONS, || dh::public_keys(kernel, secrets, results));

    let key = |shard: &OnionSecretKey| HopKey::plain(&shard.public_key());
    let bare: Vec<_> = shards.iter().map(key).collect();
    let tables: Vec<_> = shards.iter().map(key).collect();
    let tables: Vec<_> =
        best.time("table, a key", SHARDS, || tables.into_iter().map(HopKey::with_table).collect());
    let publics: Vec<_> = shards.iter().map(OnionSecretKey::public_key).collect();
    let sealed = HopKey::sealed_each(&publics, joint)?;

    let geometry = context.geometry;
    let out = &mut vec![0; ONIONS * geometry.onion_bytes(Layer::FIRST)];
    let deposits = vec![0; ONIONS * geometry.deposit_bytes()];
    for (name, plain) in
        [("building, a hop, without tables", &bare), ("building, a hop, with tables", &tables)]
    {
        let paths = fixture.paths(ONIONS, plain, &sealed);
        best.time(name, paths.len(), || {
            build_batch(*context, &paths, &deposits, Keep::NOISE, rng, out)
        })?;
    }

    let onion_bytes = geometry.onion_bytes(Layer::FIRST);
    let replies = &mut vec![0; CLIENT_ONIONS * geometry.body_bytes()];
    for (name, plain) in
        [("a client's round, without tables", &bare), ("a client's round, with tables", &tables)]
    {
        let out = &mut vec![0; CLIENT_ONIONS * onion_bytes];
        let deposits = &deposits[..CLIENT_ONIONS * geometry.deposit_bytes()];
        best.time(name, 1, || {
            let sealed = HopKey::sealed_each(&publics, joint)?;
            let paths = fixture.paths(CLIENT_ONIONS, plain, &sealed);
            let built = build_batch(*context, &paths, deposits, Keep::NOTHING, rng, out)?;
            let bodies = replies.chunks_exact_mut(geometry.body_bytes());
            bodies.enumerate().for_each(|(onion, body)| built.replies.open(onion, body));
            Ok::<_, Box<dyn std::error::Error>>(())
        })?;
    }

    let key = PeelKey::plain(&shards[0]);
    let mut peeled = Peeled::with_capacity(ONIONS);
    best.time(PEEL, ONIONS, || peel_batch(&key, *context, Layer::FIRST, out, &mut peeled))?;
    assert_eq!(peeled.opened_count(), ONIONS, "every onion opens");

    let keys = vec![ReplyKey::default(); ONIONS];
    let bodies = &mut vec![0; ONIONS * geometry.body_bytes()];
    best.time("reply stream, a reply", ONIONS, || {
        apply_reply_streams(&keys, bodies, geometry.body_bytes());
    });
    measure_cells(best, rng);
    measure_hybrid(fixture, best, rng)
}

/// Suite 2: fewer onions, which are larger and take longer.
fn measure_hybrid(
    fixture: &Fixture,
    best: &mut Figures,
    rng: &mut ChaCha20Rng,
) -> Result<(), Box<dyn std::error::Error>> {
    let onions = ONIONS / 8;
    let geometry = fixture.context.geometry.with_suite(Suite::Hybrid);
    let context = RoundContext { geometry, ..fixture.context };
    let kems: Vec<_> = (0..SHARDS).map(|_| Arc::new(KemSecretKey::generate(rng))).collect();
    let publics: Vec<_> = fixture.shards.iter().map(OnionSecretKey::public_key).collect();
    let with_kem =
        |(key, kem): (HopKey, &Arc<KemSecretKey>)| key.with_kem(Arc::new(kem.public_key().clone()));
    let plain = publics.iter().map(|key| HopKey::plain(key).with_table());
    let plain: Vec<_> = plain.zip(&kems).map(with_kem).collect();
    let sealed = HopKey::sealed_each(&publics, &fixture.joint)?.into_iter();
    let sealed: Vec<_> = sealed.zip(&kems).map(with_kem).collect();
    let paths = fixture.paths(onions, &plain, &sealed);
    let deposits = vec![0; onions * geometry.deposit_bytes()];
    let out = &mut vec![0; onions * geometry.onion_bytes(Layer::FIRST)];
    best.time("suite 2: building, a hop, with tables", paths.len(), || {
        build_batch(context, &paths, &deposits, Keep::NOISE, rng, out)
    })?;
    let key = PeelKey::plain(&fixture.shards[0]).with_kem(Arc::clone(&kems[0]));
    let mut peeled = Peeled::with_capacity(onions);
    best.time("suite 2: peeling, an onion", onions, || {
        peel_batch(&key, context, Layer::FIRST, out, &mut peeled)
    })?;
    assert_eq!(peeled.opened_count(), onions, "every onion opens");
    Ok(())
}

fn measure_cells(best: &mut Figures, rng: &mut ChaCha20Rng) {
    let cell = CellBytes::DEFAULT;
    let context = BeatContext { epoch: Epoch(1), round: Round(1), beat: 1, cell };
    let keys: Vec<_> = bytes(CELLS, rng).into_iter().map(CircuitKey::from_bytes).collect();
    let cells = &mut vec![0; CELLS * cell.bytes()];
    best.time(CELL, CELLS, || forward_cells(&keys, context, Layer::FIRST, cells));
    best.time("a cell and hop, back", CELLS, || {
        backward_cells(&keys, context, Layer::FIRST, cells);
    });
    // A client's part of a beat: 15 layers around two cells, and 15 off them.
    let client = CircuitKeys::of_circuits(15, keys.into_iter().take(15 * CLIENT_ONIONS).collect());
    let cells = &mut cells[..CLIENT_ONIONS * cell.bytes()];
    best.time("a client's beat", 1, || {
        client.wrap(context, cells);
        client.unwrap(context, cells);
    });
}

fn bytes(count: usize, rng: &mut impl CryptoRng) -> Vec<[u8; 32]> {
    let mut bytes = vec![[0; 32]; count];
    rng.fill_bytes(bytes.as_flattened_mut());
    bytes
}

/// Of this thread, in microseconds.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}
