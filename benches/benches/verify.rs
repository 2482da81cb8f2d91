//! Filters of sealed onions.
#![allow(missing_docs)] // criterion_group! makes a public function.

use antiphon_benches::network::default_geometry;
use antiphon_verify::{FilterKey, FilterPrecision, SealFilter};
use antiphon_wire::{Epoch, FilterSalt, Round, ShardIndex};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

fn filters(c: &mut Criterion) {
    let geometry = default_geometry().expect("the defaults make a geometry");
    let onion_bytes = geometry.onion_bytes(geometry.seal_layer());
    let key = FilterKey::new(
        Epoch(1),
        Round(1),
        ShardIndex(0),
        FilterSalt([1; 16]),
        FilterPrecision::default(),
    );
    let mut group = c.benchmark_group("filter");
    for onions in [512_usize, 16384] {
        let mut sealed = vec![0; onions * onion_bytes];
        ChaCha20Rng::seed_from_u64(1).fill_bytes(&mut sealed);
        let digests: Vec<_> = sealed.chunks_exact(onion_bytes).map(|o| key.digest(o)).collect();
        let filter =
            SealFilter::build_from_digests(&key, &digests).expect("a filter holds that many");
        group.throughput(Throughput::Elements(onions as u64));
        group.bench_function(BenchmarkId::new("digest", onions), |b| {
            b.iter(|| {
                for onion in sealed.chunks_exact(onion_bytes) {
                    std::hint::black_box(key.digest(onion));
                }
            });
        });
        group.bench_function(BenchmarkId::new("insert", onions), |b| {
            b.iter(|| SealFilter::build_from_digests(&key, &digests));
        });
        group.bench_function(BenchmarkId::new("test", onions), |b| {
            b.iter(|| digests.iter().all(|digest| filter.contains_digest(digest)));
        });
        group.bench_function(BenchmarkId::new("parse", onions), |b| {
            let bytes = filter.as_bytes();
            b.iter(|| SealFilter::parse(&key, onions as u32, onions as u32, bytes));
        });
    }
    group.finish();
}

criterion_group!(benches, filters);
criterion_main!(benches);
