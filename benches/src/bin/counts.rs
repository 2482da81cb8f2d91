//! One step of the hot path, for counting its instructions under valgrind: see `counts/check`.
//!
//! Only what [`measured`] runs is counted. Everything runs once before, so that tables made on first
//! use and the detection of CPU features are not.

use std::hint::black_box;
use std::process::ExitCode;

use antiphon_benches::network::{Network, SetupError, Towards};
use antiphon_dp_noise::{Budget, OperatorShare, PairSampler, solve};
use antiphon_mix::{DeadDrops, LeavingLayer, Service as _, answer_layer, close_layer};
use antiphon_onion::{
    BeatContext, CellBytes, CircuitKey, Keep, Kernel, Peeled, ReplyKey, apply_reply_streams,
    backward_cells, forward_cells, peel_batch,
};
use antiphon_verify::{FilterKey, FilterPrecision, SealFilter};
use antiphon_wire::{Epoch, FilterSalt, Layer, Policy, Round, ShardIndex, Suite};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

const SHARDS: u16 = 5;

type Failure = Box<dyn std::error::Error>;

/// A step's name, what runs it, and how many onions, deposits or draws of it are counted.
type Step = (&'static str, fn(usize) -> Result<(), Failure>, usize);

const STEPS: &[Step] = &[
    ("peel", peel, 128),
    ("build", build, 16),
    ("peel_hybrid", peel_hybrid, 16),
    ("build_hybrid", build_hybrid, 2),
    ("close", close, 512),
    ("answer", answer, 512),
    ("filter_build", filter_build, 256),
    ("filter_test", filter_test, 256),
    ("exchange", exchange, 512),
    ("replies", replies, 128),
    ("cells_forward", cells_forward, 128),
    ("cells_back", cells_back, 128),
    ("noise_sample", noise_sample, 16),
];

fn main() -> ExitCode {
    let Some(asked) = std::env::args().nth(1) else {
        for (name, ..) in STEPS {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    if asked == "--features" {
        println!("{}", features());
        return ExitCode::SUCCESS;
    }
    let Some((_, step, size)) = STEPS.iter().find(|(name, ..)| *name == asked) else {
        eprintln!("error: there is no step {asked:?}; without arguments, all are listed");
        return ExitCode::FAILURE;
    };
    match Kernel::Portable.select().map_err(Failure::from).and_then(|()| step(*size)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What decides which code runs, of what valgrind lets through.
fn features() -> String {
    #[cfg(target_arch = "x86_64")]
    let found = [
        ("adx", is_x86_feature_detected!("adx")),
        ("aes", is_x86_feature_detected!("aes")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("bmi2", is_x86_feature_detected!("bmi2")),
        ("pclmulqdq", is_x86_feature_detected!("pclmulqdq")),
        ("sse4.1", is_x86_feature_detected!("sse4.1")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let found: [(&str, bool); 0] = [];
    let mut names = vec![std::env::consts::ARCH];
    names.extend(found.iter().filter(|(_, there)| *there).map(|(name, _)| *name));
    names.join(" ")
}

/// What is counted: callgrind collects while this function runs.
#[inline(never)]
fn measured(step: &mut dyn FnMut()) {
    step();
    black_box(());
}

fn network() -> Result<(Network, ChaCha20Rng), SetupError> {
    network_of(Suite::Classic)
}

fn network_of(suite: Suite) -> Result<(Network, ChaCha20Rng), SetupError> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let network = Network::of_suite(suite, SHARDS, true, &mut rng)?;
    Ok((network, rng))
}

fn peel(onions: usize) -> Result<(), Failure> {
    peel_in(Suite::Classic, onions)
}

fn peel_hybrid(onions: usize) -> Result<(), Failure> {
    peel_in(Suite::Hybrid, onions)
}

fn peel_in(suite: Suite, onions: usize) -> Result<(), Failure> {
    let (network, mut rng) = network_of(suite)?;
    // What an onion costs does not depend on whether it has been peeled before.
    let few = network.onions(onions / 16, &mut rng)?;
    let mut peeled = Peeled::with_capacity(onions);
    let mut peel_copy = |bytes: &mut Vec<u8>| {
        let key = network.peel_key(Layer::FIRST);
        peel_batch(key, network.context(), Layer::FIRST, bytes, &mut peeled)
            .map(|()| peeled.opened_count())
    };
    let mut copies = [few.repeat(16), few.repeat(16)];
    peel_copy(&mut copies[0])?;
    let mut result = Ok(0);
    measured(&mut || result = peel_copy(&mut copies[1]));
    if result? != onions {
        return Err("not every onion opened".into());
    }
    Ok(())
}

fn build(onions: usize) -> Result<(), Failure> {
    build_in(Suite::Classic, onions)
}

fn build_hybrid(onions: usize) -> Result<(), Failure> {
    build_in(Suite::Hybrid, onions)
}

fn build_in(suite: Suite, onions: usize) -> Result<(), Failure> {
    let (network, mut rng) = network_of(suite)?;
    let paths = network.paths(onions, Towards::AllShards, &mut rng);
    let deposits = network.deposits(onions, &mut rng);
    let keep = Keep::NOISE;
    let mut out = Vec::new();
    network.build(&paths, &deposits, keep, &mut rng, &mut out)?;
    let mut result = Ok(());
    measured(&mut || {
        result = network.build(&paths, &deposits, keep, &mut rng, &mut out).map(drop);
    });
    Ok(result?)
}

fn close(onions: usize) -> Result<(), Failure> {
    let (network, mut rng) = network()?;
    let (bytes, peeled) = peeled(&network, onions, &mut rng)?;
    let geometry = network.context().geometry;
    twice(|| {
        close_layer(geometry, Layer::FIRST, network.shards(), &bytes, &peeled, &mut rng);
    });
    Ok(())
}

fn answer(onions: usize) -> Result<(), Failure> {
    let (network, mut rng) = network()?;
    let (bytes, peeled) = peeled(&network, onions, &mut rng)?;
    let geometry = network.context().geometry;
    let LeavingLayer { came_from, reply_keys, .. } =
        close_layer(geometry, Layer::FIRST, network.shards(), &bytes, &peeled, &mut rng);
    let replies = vec![0; came_from.len() * geometry.body_bytes()];
    let mut copies = vec![(reply_keys.clone(), replies.clone()), (reply_keys, replies)];
    twice(|| {
        if let Some((keys, replies)) = copies.pop() {
            answer_layer(keys, &came_from, replies.into(), geometry.body_bytes(), &mut rng);
        }
    });
    Ok(())
}

/// Onions of layer 1, peeled.
fn peeled(
    network: &Network,
    onions: usize,
    rng: &mut ChaCha20Rng,
) -> Result<(Vec<u8>, Peeled), Failure> {
    let mut bytes = network.onions(onions, rng)?;
    let mut peeled = Peeled::default();
    let key = network.peel_key(Layer::FIRST);
    peel_batch(key, network.context(), Layer::FIRST, &mut bytes, &mut peeled)?;
    Ok((bytes, peeled))
}

fn filter_build(onions: usize) -> Result<(), Failure> {
    let (key, sealed, onion_bytes) = sealed_onions(onions)?;
    twice(|| drop(black_box(SealFilter::build(&key, &sealed, onion_bytes))));
    Ok(())
}

fn filter_test(onions: usize) -> Result<(), Failure> {
    let (key, sealed, onion_bytes) = sealed_onions(onions)?;
    let filter = SealFilter::build(&key, &sealed, onion_bytes)?;
    twice(|| {
        black_box(sealed.chunks_exact(onion_bytes).all(|onion| filter.contains(onion)));
    });
    Ok(())
}

/// A filter's key, random bytes in the size of sealed onions, and that size.
fn sealed_onions(onions: usize) -> Result<(FilterKey, Vec<u8>, usize), Failure> {
    let geometry = antiphon_benches::network::default_geometry()?;
    let onion_bytes = geometry.onion_bytes(geometry.seal_layer());
    let mut sealed = vec![0; onions * onion_bytes];
    ChaCha20Rng::seed_from_u64(2).fill_bytes(&mut sealed);
    let key = FilterKey::new(
        Epoch(1),
        Round(1),
        ShardIndex(0),
        FilterSalt([1; 16]),
        FilterPrecision::default(),
    );
    Ok((key, sealed, onion_bytes))
}

fn exchange(deposits: usize) -> Result<(), Failure> {
    let (network, mut rng) = network()?;
    let geometry = network.context().geometry;
    let bytes = network.deposits(deposits, &mut rng);
    let mut replies = Vec::new();
    twice(|| {
        black_box(DeadDrops.exchange(&bytes, geometry.body_bytes(), &mut replies));
    });
    Ok(())
}

fn replies(replies: usize) -> Result<(), Failure> {
    let body_bytes = antiphon_benches::network::default_geometry()?.body_bytes();
    let keys: Vec<_> = (0..replies).map(|i| ReplyKey::from_bytes([i as u8; 32])).collect();
    let mut bodies = vec![0; replies * body_bytes];
    twice(|| apply_reply_streams(&keys, &mut bodies, body_bytes));
    Ok(())
}

fn cells_forward(cells: usize) -> Result<(), Failure> {
    let (keys, context, mut bytes) = circuits(cells);
    twice(|| forward_cells(&keys, context, Layer::FIRST, &mut bytes));
    Ok(())
}

fn cells_back(cells: usize) -> Result<(), Failure> {
    let (keys, context, mut bytes) = circuits(cells);
    twice(|| backward_cells(&keys, context, Layer::FIRST, &mut bytes));
    Ok(())
}

/// The keys of a layer's circuits, a beat, and a cell for each.
fn circuits(cells: usize) -> (Vec<CircuitKey>, BeatContext, Vec<u8>) {
    let keys = (0..cells).map(|i| CircuitKey::from_bytes([i as u8; 32])).collect();
    let cell = CellBytes::DEFAULT;
    let context = BeatContext { epoch: Epoch(1), round: Round(1), beat: 1, cell };
    (keys, context, vec![0; cells * cell.bytes()])
}

fn noise_sample(draws: usize) -> Result<(), Failure> {
    let policy = Policy::default();
    let budget = Budget::new(policy.epsilon, policy.delta, policy.disturbed_rounds)?;
    let operators = vec![OperatorShare { weight: 1, shards: 1 }; usize::from(SHARDS)];
    let malicious = u64::from(SHARDS) * u64::from(policy.malicious_ppm) / 1_000_000;
    let distribution = solve(&budget, &operators, malicious)?.per_operator[0];
    let sampler = PairSampler::new(distribution);
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    twice(|| {
        for _ in 0..draws {
            black_box(sampler.sample(&mut rng));
        }
    });
    Ok(())
}

/// Runs a step to warm up, and again to be counted.
fn twice(mut step: impl FnMut()) {
    step();
    measured(&mut step);
}
