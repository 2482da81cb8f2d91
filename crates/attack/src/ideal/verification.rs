//! Filters of the sealed onions, and who complains: `antiphon-verify`'s filters over ideal onions.

use antiphon_verify::{FilterKey, FilterPrecision, SealFilter, filter_bytes};
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

/// A round's seal layer.
pub(super) struct SealLayer<'a> {
    pub(super) onions: &'a Onions,
    /// Number of the layer that is verified.
    pub(super) layer: u8,
    pub(super) malicious: &'a [bool],
    pub(super) held: Vec<Sealed>,
    /// Onions whose sealed bytes the adversary knows and has replaced by look-alikes, at honest owners.
    pub(super) replaced: &'a [u32],
    /// Filter key of each owner.
    pub(super) keys: Vec<FilterKey>,
    /// Keys as the adversary takes them to be.
    pub(super) guesses: Vec<FilterKey>,
}

/// Keys of the filters of `owners` shards in a round, under salts from `rng`, or under one that everybody
/// expects.
pub(super) fn filter_keys(
    round: Round,
    owners: usize,
    mut rng: Option<&mut impl CryptoRng>,
) -> Vec<FilterKey> {
    let key = |owner| {
        let mut salt = FilterSalt([0; 16]);
        if let Some(rng) = &mut rng {
            rng.fill_bytes(&mut salt.0);
        }
        let owner = ShardIndex(owner as u16);
        FilterKey::new(Epoch(1), round, owner, salt, FilterPrecision::default())
    };
    (0..owners).map(key).collect()
}

/// Names stand for sealed bytes. All of a round are different, and those made up are above 2^32.
fn sealed_bytes(name: u64) -> [u8; 8] {
    name.to_le_bytes()
}

impl SealLayer<'_> {
    /// Returns `true` if an honest shard complains: it misses checked noise of its own, or an onion it sent
    /// to the seal layer itself.
    pub(super) fn somebody_complains(&self) -> bool {
        let filters: Vec<_> = (0..self.keys.len()).map(|owner| self.filter(owner)).collect();
        let misses = |onion: u32| {
            let filter = &filters[self.onions.hop(onion, self.layer).position()];
            filter.as_ref().is_none_or(|filter| !filter.contains(&sealed_bytes(onion.into())))
        };
        let own = self.onions.list.iter().zip(0..).any(|(onion, number)| match onion.owner {
            Owner::Noise { checked: true, .. } => misses(number),
            _ => false,
        });
        let sent_by_honest = |sealed: &&Sealed| !self.malicious[sealed.from.position()];
        own || self.held.iter().filter(sent_by_honest).any(|sealed| misses(sealed.onion))
    }

    /// `None` if no filter holds so many.
    fn filter(&self, owner: usize) -> Option<SealFilter> {
        let is_here = |onion: u32| self.onions.hop(onion, self.layer).position() == owner;
        let held = self.held.iter().filter(|sealed| !sealed.left_out && is_here(sealed.onion));
        let mut names: Vec<u64> = held.map(|sealed| sealed.onion.into()).collect();
        let wanted: Vec<u32> =
            self.replaced.iter().copied().filter(|onion| is_here(*onion)).collect();
        names.extend(look_alikes(&self.guesses[owner], names.len(), &wanted));
        let key = &self.keys[owner];
        let digests: Vec<_> = names.iter().map(|name| key.digest(&sealed_bytes(*name))).collect();
        SealFilter::build_from_digests(key, &digests).ok()
    }
}

/// Onions made up for an owner that holds `held` others: they set the bits of those that are `wanted`, if
/// the key is `guess`, and are as many as its filter has to be large for that.
fn look_alikes(guess: &FilterKey, held: usize, wanted: &[u32]) -> Vec<u64> {
    /// Each has twenty bits, and whatever is chosen sets one of them at least.
    const FOR_EACH: usize = 20;
    let count = FOR_EACH * wanted.len();
    let bits = filter_bytes((held + count) as u32, guess.precision()) * 8;
    let places = |name: u64| guess.positions(&guess.digest(&sealed_bytes(name)), bits);
    let mut is_missing = vec![false; bits as usize];
    let mut missing = 0;
    for place in wanted.iter().flat_map(|onion| places(u64::from(*onion))) {
        missing += usize::from(!std::mem::replace(&mut is_missing[place as usize], true));
    }
    let mut chosen = Vec::with_capacity(count);
    for name in 1 << 32.. {
        if chosen.len() == count {
            break;
        }
        let before = missing;
        for place in places(name) {
            missing -= usize::from(std::mem::take(&mut is_missing[place as usize]));
        }
        if missing < before || missing == 0 {
            chosen.push(name);
        }
    }
    chosen
}
