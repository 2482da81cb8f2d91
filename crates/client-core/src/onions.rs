//! A round's onions.

use antiphon_onion::{Keep, ReplyKeys, build_batch};
use antiphon_routing::{DrawnPaths, RoundKeys, VerifiedEpoch};
use antiphon_wire::{Layer, Round};
use rand::CryptoRng;

use crate::RoundRefusal;

/// The keys of one of the epoch's rounds.
pub(crate) fn keys(
    epoch: &VerifiedEpoch,
    round: Round,
) -> Result<RoundKeys<&VerifiedEpoch>, RoundRefusal> {
    Ok(epoch.round_keys(round).ok_or(RoundRefusal::OutsideEpoch)??)
}

/// Builds one onion for each of `deposits`, each along a fresh path. Returns them behind each other,
/// each behind the two bytes of its first shard's index.
pub(crate) fn build(
    keys: &RoundKeys<&VerifiedEpoch>,
    deposits: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<(Vec<u8>, ReplyKeys), RoundRefusal> {
    let geometry = keys.context().geometry;
    let count = deposits.len() / geometry.deposit_bytes();
    let mut paths = DrawnPaths::with_capacity(count * usize::from(geometry.layers()));
    for deposit in deposits.chunks_exact(geometry.deposit_bytes()) {
        let dead_drop =
            deposit.first_chunk().expect("a deposit starts with the 16 bytes of its dead drop");
        keys.draw_path(dead_drop, rng, &mut paths);
    }
    let mut onions = vec![0; count * geometry.onion_bytes(Layer::FIRST)];
    let built = build_batch(keys.context(), &paths, deposits, Keep::NOTHING, rng, &mut onions)?;
    let mut entries = Vec::with_capacity(count * geometry.entry_bytes());
    let first_hops = paths.iter().step_by(usize::from(geometry.layers()));
    let each = onions.chunks_exact(geometry.onion_bytes(Layer::FIRST));
    for (first, onion) in first_hops.zip(each) {
        entries.extend_from_slice(&first.shard.0.to_be_bytes());
        entries.extend_from_slice(onion);
    }
    Ok((entries, built.replies))
}
