//! What happens to a whole layer: closing it, exchanging at the dead drops, framing its batches.
#![allow(missing_docs)] // criterion_group! makes a public function.

use antiphon_benches::close::close;
use antiphon_benches::network::Network;
use antiphon_mix::{DeadDrops, Service as _};
use antiphon_onion::{Peeled, peel_batch};
use antiphon_transport::{FrameDecoder, encode_frames};
use antiphon_wire::{DEAD_DROP_BYTES, Layer};
use bytes::{Buf as _, Bytes};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

fn closing(c: &mut Criterion) {
    let mut group = c.benchmark_group("close a layer");
    for onions in [512, 4096] {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let network = Network::new(5, true, &mut rng).expect("the defaults make a network");
        let mut bytes = network.onions(onions, &mut rng).expect("the network's keys fit");
        let context = network.context();
        let mut peeled = Peeled::default();
        peel_batch(network.peel_key(Layer::FIRST), context, Layer::FIRST, &mut bytes, &mut peeled)
            .expect("they are whole onions");
        group.throughput(Throughput::Elements(onions as u64));
        group.bench_function(BenchmarkId::from_parameter(onions), |b| {
            b.iter(|| {
                close(context.geometry, Layer::FIRST, network.shards(), &bytes, &peeled, &mut rng)
            });
        });
    }
    group.finish();
}

fn exchange(c: &mut Criterion) {
    let mut group = c.benchmark_group("exchange");
    for deposits in [512, 8192] {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let network = Network::new(1, false, &mut rng).expect("the defaults make a network");
        let geometry = network.context().geometry;
        let mut bytes = network.deposits(deposits, &mut rng);
        for pair in bytes.chunks_exact_mut(2 * geometry.deposit_bytes()) {
            pair.copy_within(..DEAD_DROP_BYTES, geometry.deposit_bytes());
        }
        group.throughput(Throughput::Elements(deposits as u64));
        group.bench_function(BenchmarkId::from_parameter(deposits), |b| {
            let mut replies = Vec::new();
            b.iter(|| DeadDrops.exchange(&bytes, geometry.body_bytes(), &mut replies));
        });
    }
    group.finish();
}

fn frames(c: &mut Criterion) {
    const MAX: usize = 1 << 20;
    let mut group = c.benchmark_group("frames");
    for (count, bytes) in [(1024, 1 << 10), (16, 128 << 10)] {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let frames: Vec<Bytes> = (0..count)
            .map(|_| {
                let mut frame = vec![0; bytes];
                rng.fill_bytes(&mut frame);
                Bytes::from(frame)
            })
            .collect();
        let pieces = encode_frames(&frames, MAX).expect("no frame is above the limit");
        group.throughput(Throughput::Bytes((count * bytes) as u64));
        group.bench_function(BenchmarkId::new("encode", bytes), |b| {
            b.iter(|| encode_frames(&frames, MAX));
        });
        group.bench_function(BenchmarkId::new("decode", bytes), |b| {
            b.iter(|| {
                let mut decoder = FrameDecoder::new(MAX);
                for piece in &pieces {
                    let mut piece = piece.clone();
                    while piece.has_remaining() {
                        std::hint::black_box(decoder.decode(&mut piece)).ok();
                    }
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, closing, exchange, frames);
criterion_main!(benches);
