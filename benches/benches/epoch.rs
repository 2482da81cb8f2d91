//! What an epoch costs, and a round for those who build onions: shards their noise, clients two onions.
//! Default networks, a shard for each operator.
#![allow(missing_docs)] // criterion_group! makes a public function.

use antiphon_dp_noise::{PairDistribution, PairSampler, Sigma};
use antiphon_fixture::{Scripted, Setup};
use antiphon_onion::{Keep, Kernel};
use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{Layer, NetworkFile, Policy, Round, SignedDocument};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

/// A client's onions in a round.
const CLIENT_ONIONS: usize = 2;
const NOISE_ONIONS: usize = 64;

/// A document of `rounds` rounds under the default policy, and the file it is checked against.
fn document(shards: usize, rounds: u64) -> (SignedDocument, NetworkFile) {
    let mut setup = Setup::small(shards, 0);
    setup.policy = Policy::default();
    let mut shards = Scripted::new(setup);
    (shards.signed(1, (1, rounds)), shards.file.as_ref().clone())
}

fn verification(c: &mut Criterion) {
    let mut group = c.benchmark_group("verify an epoch document");
    group.sample_size(10);
    for rounds in [60, 720] {
        let (document, file) = document(5, rounds);
        group.bench_function(BenchmarkId::new("rounds", rounds), |b| {
            b.iter(|| VerifiedEpoch::verify(document.clone(), &file));
        });
    }
    group.finish();
}

fn noise(c: &mut Criterion) {
    let (document, file) = document(5, 1);
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
            let keep = Keep::NOISE;
            keys.build(&deposits, keep, &mut rng, &mut onions)
        });
    });
    group.finish();
}

/// All that onions cost a client in a round: the round's keys, paths, two onions built and two replies
/// opened.
fn client(c: &mut Criterion) {
    let mut group = c.benchmark_group("client round");
    for shards in [5, 50] {
        let (document, file) = document(shards, 1);
        for kernel in Kernel::ALL.iter().copied().filter(|kernel| kernel.is_available()) {
            kernel.select().expect("only kernels that this machine has are measured");
            for tables in [true, false] {
                let epoch = VerifiedEpoch::verify(document.clone(), &file)
                    .expect("honest shards have signed it");
                let epoch = if tables { epoch.with_tables() } else { epoch };
                let mut rng = ChaCha20Rng::seed_from_u64(1);
                let geometry = epoch.geometry();
                let mut deposits = vec![0; CLIENT_ONIONS * geometry.deposit_bytes()];
                rng.fill_bytes(&mut deposits);
                let mut replies = vec![0; CLIENT_ONIONS * geometry.body_bytes()];
                let name = if tables { "with tables" } else { "without tables" };
                group.bench_function(BenchmarkId::new(format!("{kernel}/{name}"), shards), |b| {
                    b.iter(|| {
                        let keys = epoch
                            .round_keys(Round(1))
                            .expect("round 1 is the epoch's")
                            .expect("the shards' keys do not cancel each other");
                        let (entries, reply_keys) =
                            keys.entries(&deposits, &mut rng).expect("the lengths fit");
                        let each = replies.chunks_exact_mut(geometry.body_bytes());
                        each.enumerate().for_each(|(onion, body)| reply_keys.open(onion, body));
                        entries
                    });
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, verification, noise, client);
criterion_main!(benches);
