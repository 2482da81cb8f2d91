//! What happens to a whole layer: closing it, answering it, exchanging at the dead drops, signing and
//! framing its batches.
#![allow(missing_docs)] // criterion_group! makes a public function.

use antiphon_benches::network::Network;
use antiphon_mix::{DeadDrops, LeavingLayer, Service as _, answer_layer, close_layer, shuffle};
use antiphon_onion::{Peeled, peel_batch};
use antiphon_transport::{FrameDecoder, encode_frames};
use antiphon_wire::{
    BatchHeader, DEAD_DROP_BYTES, Digest, Direction, Epoch, IdentityKey, Layer, PROTOCOL_VERSION,
    Round, ShardIndex, SignedHeader, verify_together,
};
use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::SigningKey;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

/// A layer's way out (duplicate check, permutation, grouping by next hop, gathering, hashing) and the
/// replies' way back.
fn closing(c: &mut Criterion) {
    let mut group = c.benchmark_group("layer");
    for onions in [512, 4096] {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let network = Network::new(5, true, &mut rng).expect("the defaults make a network");
        let mut bytes = network.onions(onions, &mut rng).expect("the network's keys fit");
        let geometry = network.context().geometry;
        let layer = Layer::FIRST;
        let mut peeled = Peeled::default();
        peel_batch(network.peel_key(layer), network.context(), layer, &mut bytes, &mut peeled)
            .expect("they are whole onions");
        group.throughput(Throughput::Elements(onions as u64));
        group.bench_function(BenchmarkId::new("permutation", onions), |b| {
            let mut places: Vec<[u64; 3]> = (0..onions as u64).map(|i| [i; 3]).collect();
            b.iter(|| shuffle(&mut places, &mut rng));
        });
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut close =
            || close_layer(geometry, layer, network.shards(), &bytes, &peeled, &mut rng);
        group.bench_function(BenchmarkId::new("close", onions), |b| b.iter(&mut close));

        let LeavingLayer { came_from, reply_keys, .. } = close();
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let mut replies = vec![0; came_from.len() * geometry.body_bytes()];
        rng.fill_bytes(&mut replies);
        let replies = Bytes::from(replies);
        group.bench_function(BenchmarkId::new("answer", onions), |b| {
            b.iter_batched(
                || (reply_keys.clone(), replies.clone()),
                |(keys, replies)| {
                    answer_layer(keys, &came_from, replies, geometry.body_bytes(), &mut rng)
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// What a batch costs besides its onions.
fn headers(c: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let mut group = c.benchmark_group("batch headers");
    for bytes in [64 << 10, 1 << 20] {
        let mut batch = vec![0; bytes];
        rng.fill_bytes(&mut batch);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("hash", bytes), |b| b.iter(|| Digest::of(&batch)));
    }
    let mut secret = [0; 32];
    rng.fill_bytes(&mut secret);
    let key = SigningKey::from_bytes(&secret);
    let header = BatchHeader {
        version: PROTOCOL_VERSION,
        epoch: Epoch(1),
        round: Round(1),
        layer: Layer::FIRST,
        direction: Direction::Forward,
        sender: ShardIndex(0),
        receiver: ShardIndex(1),
        count: 1000,
        hash: Digest([7; 32]),
    };
    let verifying = key.verifying_key();
    let identity = IdentityKey(verifying.to_bytes());
    for count in [5_u16, 64] {
        let to = |receiver| BatchHeader { receiver: ShardIndex(receiver), ..header };
        let headers: Vec<_> = (0..count).map(to).collect();
        group.throughput(Throughput::Elements(u64::from(count)));
        group.bench_function(BenchmarkId::new("sign", count), |b| {
            b.iter(|| SignedHeader::sign_all(headers.clone(), &key));
        });
        let signed = SignedHeader::sign_all(headers, &key);
        group.bench_function(BenchmarkId::new("verify each", count), |b| {
            b.iter(|| signed.iter().all(|header| header.verify(&identity).is_ok()));
        });
        group.bench_function(BenchmarkId::new("verify together", count), |b| {
            b.iter(|| {
                let lists: Vec<_> = signed.iter().map(SignedHeader::list).collect();
                let all: Vec<_> = lists.iter().map(|list| (list, verifying)).collect();
                verify_together(&all)
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
                    let mut piece = &piece[..];
                    while !piece.is_empty() {
                        std::hint::black_box(decoder.decode(&mut piece)).ok();
                    }
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, closing, headers, exchange, frames);
criterion_main!(benches);
