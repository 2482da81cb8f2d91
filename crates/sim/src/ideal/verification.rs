//! Filters of the sealed onions, and who complains: `antiphon-verify`'s filters over ideal onions.

use antiphon_verify::{FilterKey, FilterPrecision, SealFilter};
use antiphon_wire::{Epoch, FilterSalt, Round, ShardIndex};
use rand::CryptoRng;

use super::onions::{Onions, Owner};

/// An onion at the seal layer: which, who sent it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sealed {
    pub(super) onion: u32,
    pub(super) from: ShardIndex,
    pub(super) left_out: bool,
}

/// Whether an honest shard complains: it misses checked noise of its own, or an onion it sent to the
/// seal layer itself.
pub(super) fn somebody_complains(
    onions: &Onions,
    seal_layer: u8,
    held: &[Sealed],
    malicious: &[bool],
    round: Round,
    rng: &mut impl CryptoRng,
) -> bool {
    // The name of an onion stands for its sealed bytes. All of a round are different.
    let bytes = |onion: u32| u64::from(onion).to_le_bytes();
    let mut digests = vec![Vec::new(); malicious.len()];
    let keys: Vec<FilterKey> = (0..malicious.len())
        .map(|owner| {
            let owner = ShardIndex(owner as u16);
            let mut salt = FilterSalt([0; 16]);
            rng.fill_bytes(&mut salt.0);
            FilterKey::new(Epoch(1), round, owner, salt, FilterPrecision::default())
        })
        .collect();
    for sealed in held.iter().filter(|sealed| !sealed.left_out) {
        let at = onions.hop(sealed.onion, seal_layer).position();
        digests[at].push(keys[at].digest(&bytes(sealed.onion)));
    }
    let filters: Vec<Option<SealFilter>> = keys
        .iter()
        .zip(&digests)
        .map(|(key, digests)| SealFilter::build_from_digests(*key, digests).ok())
        .collect();
    let misses = |onion: u32| {
        let filter = &filters[onions.hop(onion, seal_layer).position()];
        filter.as_ref().is_none_or(|filter| !filter.contains(&bytes(onion)))
    };
    let own = onions.list.iter().zip(0..).any(|(onion, number)| match onion.owner {
        Owner::Noise { checked: true, .. } => misses(number),
        _ => false,
    });
    own || held.iter().any(|sealed| !malicious[sealed.from.position()] && misses(sealed.onion))
}
