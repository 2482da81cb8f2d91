//! What an epoch costs, and the noise of a round: a default network of five operators with a shard
//! each.
#![allow(missing_docs)] // criterion_group! makes a public function.

use antiphon_dp_noise::{PairDistribution, PairSampler, Sigma};
use antiphon_onion::{Keep, build_batch};
use antiphon_routing::VerifiedEpoch;
use antiphon_sim::Setup;
use antiphon_sim::scripted::Scripted;
use antiphon_wire::{Layer, NetworkFile, Policy, Round, SignedDocument};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

const SHARDS: usize = 5;
const NOISE_ONIONS: usize = 64;

/// A document of `rounds` rounds under the default policy, and the file it is checked against.
fn document(rounds: u64) -> (SignedDocument, NetworkFile) {
    let mut setup = Setup::small(SHARDS, 0);
    setup.policy = Policy::default();
    let mut shards = Scripted::new(setup);
    (shards.signed(1, (1, rounds)), shards.file.as_ref().clone())
}

fn verification(c: &mut Criterion) {
    let mut group = c.benchmark_group("verify an epoch document");
    group.sample_size(10);
    for rounds in [60, 720] {
        let (document, file) = document(rounds);
        group.bench_function(BenchmarkId::new("rounds", rounds), |b| {
            b.iter(|| VerifiedEpoch::verify(document.clone(), &file));
        });
    }
    group.finish();
}

fn noise(c: &mut Criterion) {
    let (document, file) = document(1);
    let epoch =
        VerifiedEpoch::verify(document, &file).expect("honest shards have signed it").with_tables();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let shard = &epoch.shards()[0];
    let sigma = Sigma::from_units(shard.noise_sigma).expect("the document was checked");
    let distribution =
        PairDistribution::new(shard.noise_volume, sigma).expect("the document was checked");

    let mut group = c.benchmark_group("noise");
    group.bench_function("table", |b| b.iter(|| PairSampler::new(distribution)));
    let sampler = PairSampler::new(distribution);
    group.bench_function("sample", |b| b.iter(|| sampler.sample(&mut rng)));

    let keys = epoch
        .round_keys(Round(1))
        .expect("round 1 is the epoch's")
        .expect("the shards' keys do not cancel each other");
    let geometry = epoch.geometry();
    let mut deposits = vec![0; NOISE_ONIONS * geometry.deposit_bytes()];
    let mut onions = vec![0; NOISE_ONIONS * geometry.onion_bytes(Layer::FIRST)];
    let hops = NOISE_ONIONS * usize::from(geometry.layers());
    group.throughput(Throughput::Elements(hops as u64));
    group.bench_function(BenchmarkId::new("build", NOISE_ONIONS), |b| {
        b.iter(|| {
            rng.fill_bytes(&mut deposits);
            let mut paths = Vec::with_capacity(hops);
            for deposit in deposits.chunks_exact(geometry.deposit_bytes()) {
                let dead_drop = deposit.first_chunk().expect("a deposit starts with a dead drop");
                keys.draw_path(dead_drop, &mut rng, &mut paths);
            }
            let keep = Keep { sealed: true, ephemerals: false };
            build_batch(keys.context(), &paths, &deposits, keep, &mut rng, &mut onions)
        });
    });
    group.finish();
}

criterion_group!(benches, verification, noise);
criterion_main!(benches);
