//! Filters, signatures and hashes.

use std::hint::black_box;

use antiphon_process::entropy::entropy;
use antiphon_verify::{FilterKey, FilterPrecision, SealFilter};
use antiphon_wire::{Epoch, FilterSalt, Round, ShardIndex};
use ed25519_dalek::{Signer as _, SigningKey};
use rand::Rng as _;

use super::fixture::Fixture;
use super::stopwatch::Stopwatch;

/// Onions of a filter: it is larger than the nearest caches.
const FILTERED: usize = 32 << 10;
/// Bytes of a signed batch header, about.
const HEADER: usize = 120;
/// Bytes hashed at once: a frame of a batch.
const FRAME: usize = 64 << 10;

/// Processor time, each in the unit of its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct SmallCosts {
    pub(super) filter_insert_ns: f64,
    pub(super) filter_test_ns: f64,
    pub(super) sign_us: f64,
    pub(super) verify_us: f64,
    pub(super) hash_ns_per_byte: f64,
}

pub(super) fn costs(stopwatch: &Stopwatch, fixture: &Fixture) -> SmallCosts {
    let (filter_insert_ns, filter_test_ns) = filters(stopwatch, fixture);
    let rng = &mut entropy();
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    let key = SigningKey::from_bytes(&seed);
    let public = key.verifying_key();
    let header = [7; HEADER];
    let signature = key.sign(&header);
    let frame = vec![7; FRAME];
    // `black_box` keeps the compiler from hashing once for all repetitions.
    let hashing = stopwatch.seconds(|| blake3::hash(black_box(&frame)));
    SmallCosts {
        filter_insert_ns,
        filter_test_ns,
        sign_us: 1e6 * stopwatch.seconds(|| key.sign(black_box(&header))),
        verify_us: 1e6
            * stopwatch.seconds(|| public.verify_strict(black_box(&header), &signature).is_ok()),
        hash_ns_per_byte: 1e9 * hashing / FRAME as f64,
    }
}

fn filters(stopwatch: &Stopwatch, fixture: &Fixture) -> (f64, f64) {
    let geometry = fixture.context.geometry;
    let bytes = geometry.onion_bytes(geometry.seal_layer());
    let mut onions = vec![0; FILTERED * bytes];
    entropy().fill_bytes(&mut onions);
    let (epoch, round, salt) = (Epoch(1), Round(1), FilterSalt([1; 16]));
    let key = FilterKey::new(epoch, round, ShardIndex(0), salt, FilterPrecision::default());
    let built = stopwatch.seconds(|| SealFilter::build(&key, &onions, bytes));
    // Whole onions, far fewer than a filter can count.
    let Ok(filter) = SealFilter::build(&key, &onions, bytes) else { return (0.0, 0.0) };
    let tested = stopwatch
        .seconds(|| onions.chunks_exact(bytes).filter(|onion| filter.contains(onion)).count());
    let each = 1e9 / FILTERED as f64;
    (built * each, tested * each)
}
