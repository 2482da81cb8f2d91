//! The cryptography of a hop: Diffie-Hellman, key derivation, AEAD, peeling, building, replies.
#![allow(missing_docs)] // criterion_group! makes a public function.

use antiphon_benches::network::{Network, Towards};
use antiphon_onion::suite::{HopKdf, open_batch, seal_batch};
use antiphon_onion::{
    BeatContext, CellBytes, CircuitKey, Keep, Kernel, OnionSecretKey, PeelKey, Peeled, ReplyKey,
    apply_reply_streams, backward_cells, dh, forward_cells, peel_batch,
};
use antiphon_wire::{Epoch, Layer, Round, TAG_BYTES};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

const ONIONS: usize = 128;

/// The kernels that this machine has.
fn kernels() -> impl Iterator<Item = Kernel> {
    Kernel::ALL.iter().copied().filter(|kernel| kernel.is_available())
}

fn select(kernel: Kernel) {
    kernel.select().expect("only kernels that this machine has are measured");
}

fn diffie_hellman(c: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut group = c.benchmark_group("dh");
    for kernel in kernels() {
        // One, a client's two onions, a vector and a bit, a chunk of peeling, many.
        for count in [1, 30, 33, 128, 1024] {
            let mut secrets = vec![[0; 32]; count];
            rng.fill_bytes(secrets.as_flattened_mut());
            let mut publics = vec![[0; 32]; count];
            dh::public_keys(kernel, &secrets, &mut publics);
            let mut shared = vec![[0; 32]; count];
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(BenchmarkId::new(format!("{kernel}/one secret"), count), |b| {
                b.iter(|| dh::one_secret(kernel, &secrets[0], &publics, &mut shared));
            });
            group.bench_function(BenchmarkId::new(format!("{kernel}/pairs"), count), |b| {
                b.iter(|| dh::pairs(kernel, &secrets, &publics, &mut shared));
            });
            group.bench_function(BenchmarkId::new(format!("{kernel}/public keys"), count), |b| {
                b.iter(|| dh::public_keys(kernel, &secrets, &mut shared));
            });
        }
    }
    group.finish();
}

/// A hop after the Diffie-Hellman.
fn suite(c: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let network = Network::new(1, false, &mut rng).expect("the defaults make a network");
    let context = network.context();
    let mut values = [[0; 32]; 3];
    rng.fill_bytes(values.as_flattened_mut());
    let [shared, hop, ephemeral] = values;
    let mut kdf = HopKdf::new(context);
    let keys: Vec<_> = (0..ONIONS)
        .map(|onion| kdf.derive(&[onion as u8 + 1; 32], Layer::FIRST, &hop, &ephemeral))
        .collect();

    let mut group = c.benchmark_group("suite");
    group.bench_function("key derivation", |b| {
        b.iter(|| kdf.derive(&shared, Layer::FIRST, &hop, &ephemeral));
    });
    group.throughput(Throughput::Elements(ONIONS as u64));
    for layer in [Layer::FIRST, context.geometry.last_layer()] {
        // What is left without the ephemeral key and the tag, of 32 and 16 bytes.
        let bytes = context.geometry.onion_bytes(layer) - 48;
        let mut data = vec![0; ONIONS * bytes];
        rng.fill_bytes(&mut data);
        let mut tags = [[0; TAG_BYTES]; ONIONS];
        let name = format!("{bytes} bytes");
        for kernel in kernels() {
            let seal = |data: &mut Vec<u8>, tags: &mut [_]| {
                let mut texts: Vec<_> = data.chunks_exact_mut(bytes).collect();
                seal_batch(kernel, &keys, &mut texts, tags);
            };
            group.bench_function(BenchmarkId::new(format!("{kernel}/seal"), &name), |b| {
                b.iter(|| seal(&mut data, &mut tags));
            });
            seal(&mut data, &mut tags);
            let open = |data: &mut Vec<u8>| {
                let mut texts: Vec<_> = data.chunks_exact_mut(bytes).collect();
                let mut opened = [true; ONIONS];
                open_batch(kernel, &keys, &tags, &mut texts, &mut opened);
                assert_eq!(opened, [true; ONIONS], "they are as they were sealed");
            };
            group.bench_function(BenchmarkId::new(format!("{kernel}/open"), &name), |b| {
                b.iter_batched_ref(|| data.clone(), open, BatchSize::SmallInput);
            });
        }
    }
    group.finish();
}

fn peel(c: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let network = Network::new(5, true, &mut rng).expect("the defaults make a network");
    let onions = network.onions(ONIONS, &mut rng).expect("the network's keys fit");
    let stranger = PeelKey::plain(&OnionSecretKey::generate(&mut rng));
    let context = network.context();
    let mut peeled = Peeled::default();

    let mut group = c.benchmark_group("peel");
    group.throughput(Throughput::Elements(ONIONS as u64));
    for kernel in kernels() {
        select(kernel);
        for (name, key) in [
            ("opened", network.peel_key(Layer::FIRST)),
            // All but the decryption itself.
            ("refused", &stranger),
        ] {
            group.bench_function(BenchmarkId::new(format!("{kernel}/{name}"), ONIONS), |b| {
                b.iter_batched_ref(
                    || onions.clone(),
                    |onions| peel_batch(key, context, Layer::FIRST, onions, &mut peeled),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

fn build(c: &mut Criterion) {
    let mut group = c.benchmark_group("build");
    for kernel in kernels() {
        // Tables are made for the kernel that is selected.
        select(kernel);
        for (onions, tables) in [(2, true), (2, false), (64, true), (64, false)] {
            let mut rng = ChaCha20Rng::seed_from_u64(2);
            let network = Network::new(5, tables, &mut rng).expect("the defaults make a network");
            let paths = network.paths(onions, Towards::AllShards, &mut rng);
            let deposits = network.deposits(onions, &mut rng);
            let mut out = Vec::new();
            group.throughput(Throughput::Elements(paths.len() as u64));
            let name = if tables { "with tables" } else { "without tables" };
            group.bench_function(BenchmarkId::new(format!("{kernel}/{name}"), onions), |b| {
                b.iter(|| network.build(&paths, &deposits, Keep::NOTHING, &mut rng, &mut out));
            });
        }
    }
    group.finish();
}

fn replies(c: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let network = Network::new(1, false, &mut rng).expect("the defaults make a network");
    let body_bytes = network.context().geometry.body_bytes();
    let keys: Vec<_> = (0..ONIONS).map(|i| ReplyKey::from_bytes([i as u8; 32])).collect();
    let mut bodies = vec![0; ONIONS * body_bytes];

    let mut group = c.benchmark_group("reply streams");
    group.throughput(Throughput::Elements(ONIONS as u64));
    group.bench_function(BenchmarkId::from_parameter(ONIONS), |b| {
        b.iter(|| apply_reply_streams(&keys, &mut bodies, body_bytes));
    });
    group.finish();
}

/// A hop's part in a beat, key expansion included.
fn cells(c: &mut Criterion) {
    let keys: Vec<_> = (0..ONIONS).map(|i| CircuitKey::from_bytes([i as u8; 32])).collect();
    let mut group = c.benchmark_group("cells");
    group.throughput(Throughput::Elements(ONIONS as u64));
    for kernel in kernels() {
        select(kernel);
        for bytes in [256, 1024] {
            let cell = CellBytes::new(bytes).expect("cells may have this size");
            let context = BeatContext { epoch: Epoch(1), round: Round(1), beat: 1, cell };
            let mut cells = vec![0; ONIONS * cell.bytes()];
            group.bench_function(BenchmarkId::new(format!("{kernel}/forward"), bytes), |b| {
                b.iter(|| forward_cells(&keys, context, Layer::FIRST, &mut cells));
            });
            group.bench_function(BenchmarkId::new(format!("{kernel}/back"), bytes), |b| {
                b.iter(|| backward_cells(&keys, context, Layer::FIRST, &mut cells));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, diffie_hellman, suite, peel, build, replies, cells);
criterion_main!(benches);
