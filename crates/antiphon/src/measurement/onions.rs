//! Costs of onions: built, answered, gathered.

use antiphon_onion::{ReplyKey, apply_reply_streams};
use antiphon_process::entropy::entropy;
use antiphon_wire::Layer;
use rand::Rng as _;
use rand::seq::SliceRandom as _;

use super::MeasurementError;
use super::fixture::{Fixture, ONIONS};
use super::stopwatch::Stopwatch;

/// Onions of a layer that is gathered: more than the caches hold.
const GATHERED: usize = 32 * ONIONS;

/// Microseconds of processor time.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnionCosts {
    pub(super) build_us_per_hop: f64,
    pub(super) build_us_per_hop_without_tables: f64,
    pub(super) reply_us: f64,
    pub(super) close_us: f64,
}

/// Measures with the kernel that is selected.
pub(super) fn costs(
    stopwatch: &Stopwatch,
    fixture: &Fixture,
) -> Result<OnionCosts, MeasurementError> {
    let hops = ONIONS * usize::from(fixture.context.geometry.layers());
    let build = |with_tables| -> Result<f64, MeasurementError> {
        let paths = fixture.paths(with_tables);
        // Whatever could fail has failed here.
        fixture.build(&paths)?;
        Ok(micros(stopwatch.seconds(|| fixture.build(&paths)), hops))
    };
    Ok(OnionCosts {
        build_us_per_hop: build(true)?,
        build_us_per_hop_without_tables: build(false)?,
        reply_us: reply_us(stopwatch, fixture),
        close_us: close_us(stopwatch, fixture),
    })
}

/// Microseconds for each of `count`.
pub(super) fn micros(seconds: f64, count: usize) -> f64 {
    seconds * 1e6 / count as f64
}

fn reply_us(stopwatch: &Stopwatch, fixture: &Fixture) -> f64 {
    let body = fixture.context.geometry.body_bytes();
    let keys: Vec<_> = (0..ONIONS as u32)
        .map(|number| {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&number.to_be_bytes());
            ReplyKey::from_bytes(key)
        })
        .collect();
    let mut bodies = vec![0; ONIONS * body];
    micros(stopwatch.seconds(|| apply_reply_streams(&keys, &mut bodies, body)), ONIONS)
}

/// Moves of closing a layer in memory: ephemeral keys are sorted to find copies, and the onions copied into
/// batches in random order.
fn close_us(stopwatch: &Stopwatch, fixture: &Fixture) -> f64 {
    let bytes = fixture.context.geometry.onion_bytes(Layer(2));
    let mut onions = vec![0; GATHERED * bytes];
    let rng = &mut entropy();
    // Ephemeral keys alone are compared, so the rest may be alike.
    for onion in onions.chunks_exact_mut(bytes) {
        rng.fill_bytes(&mut onion[..32]);
    }
    let mut order: Vec<u32> = (0..GATHERED as u32).collect();
    let mut keys = Vec::with_capacity(GATHERED);
    let mut gathered = Vec::with_capacity(onions.len());
    let seconds = stopwatch.seconds(|| {
        keys.clear();
        keys.extend(onions.chunks_exact(bytes).zip(0u32..).map(|(onion, i)| (prefix(onion), i)));
        keys.sort_unstable();
        order.shuffle(rng);
        gathered.clear();
        for &i in &order {
            gathered.extend_from_slice(&onions[i as usize * bytes..][..bytes]);
        }
        (keys.len(), gathered.len())
    });
    micros(seconds, GATHERED)
}

fn prefix(onion: &[u8]) -> u64 {
    onion.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
