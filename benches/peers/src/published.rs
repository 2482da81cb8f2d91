//! Our time for as many onions through all mixing hops as Vuvuzela was measured with through three
//! servers, on one core.

use antiphon_benches::network::Network;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;

use crate::measure::Failure;
use crate::ours::{lost, pass_layers};

/// Onions in the comparison.
const ONIONS: usize = 20_000;
/// CPU time of Vuvuzela (Go) for them, in seconds: three servers at 50.6 us per onion and server,
/// its whole round counted, measured on one core at 2.6 GHz (Zen 4).
const VUVUZELA_SECONDS: f64 = 3.06;

/// Our time beside the published one.
#[derive(Serialize)]
pub(crate) struct ThreeHops {
    /// Onions that were sent and arrived.
    pub(crate) onions: usize,
    /// Hops that they went through here.
    pub(crate) hops: u8,
    /// Our CPU time, in seconds.
    pub(crate) seconds: f64,
    /// Vuvuzela's published time for 3 hops, in seconds.
    pub(crate) published_seconds: f64,
    /// Ours over the published.
    pub(crate) ratio: f64,
}

/// Peels all of them through all mixing hops, once, with the kernel that is selected.
pub(crate) fn three_hops() -> Result<ThreeHops, Failure> {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let network = Network::new(5, true, &mut rng)?;
    let onions = network.onions(ONIONS, &mut rng)?;
    let (time, arrived) = pass_layers(&network, onions, &mut rng)?;
    if arrived != ONIONS {
        return Err(lost(ONIONS, arrived));
    }
    let seconds = time.as_secs_f64();
    Ok(ThreeHops {
        onions: ONIONS,
        hops: network.context().geometry.mixing_hops(),
        seconds,
        published_seconds: VUVUZELA_SECONDS,
        ratio: seconds / VUVUZELA_SECONDS,
    })
}
