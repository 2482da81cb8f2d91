//! Contributions on their way to the shards that check a proposal.
//!
//! Every shard needs every contribution, which the coordinator could not send to each where there are many. It
//! hands each to a few, from whom the others get it, and to those few others that cannot get it from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_wire::{Contribution, Digest, IdentityKey};

/// Bytes of contributions that are handed out unasked, where two for each are not more: small networks need no
/// fetching.
const HANDED_BYTES: usize = 8 << 20;
/// Shards that each contribution is handed to unasked: at least, if there are so many, and at most.
const SPREAD: (usize, usize) = (2, 32);
/// Questions of one shard that are answered: so many, and a quarter of all.
const ANSWERS: (usize, usize) = (64, 4);

/// The contributions of a proposal, by their hash.
#[derive(Debug)]
pub(super) struct HandingOut {
    contributions: BTreeMap<Digest, Arc<Contribution>>,
    /// Questions of each shard.
    asked: BTreeMap<IdentityKey, usize>,
}

impl HandingOut {
    /// The contributions, with their hashes in the same order.
    pub(super) fn new(contributions: &[Arc<Contribution>]) -> (Self, Vec<Digest>) {
        let digests: Vec<_> = contributions.iter().map(|keys| keys.digest()).collect();
        let contributions = digests.iter().copied().zip(contributions.iter().cloned()).collect();
        (Self { contributions, asked: BTreeMap::new() }, digests)
    }

    /// A contribution that a shard could not get from others, unless it asks for too many.
    pub(super) fn answer(&mut self, to: IdentityKey, digest: &Digest) -> Option<Arc<Contribution>> {
        let contribution = self.contributions.get(digest)?;
        let asked = self.asked.entry(to).or_default();
        *asked += 1;
        let most = ANSWERS.0 + self.contributions.len() / ANSWERS.1;
        (*asked <= most).then(|| Arc::clone(contribution))
    }
}

/// Number of shards after its owner that each contribution is handed to.
pub(super) fn spread(contributions: &[Arc<Contribution>]) -> usize {
    let shards = contributions.len();
    let keys: usize = contributions.iter().map(|keys| keys.seal_keys.len()).sum();
    // A key has 32 bytes, and the rest of a contribution fewer than eight keys.
    let bytes = 32 * (keys + 8 * shards);
    let affordable = HANDED_BYTES / bytes.max(1);
    affordable.clamp(SPREAD.0, SPREAD.1).min(shards.saturating_sub(1))
}

/// The shards that a contribution is handed to: those that follow its owner, around the end.
pub(super) fn helpers(shards: &[IdentityKey], owner: usize, spread: usize) -> Vec<IdentityKey> {
    (1..=spread).map(|step| shards[(owner + step) % shards.len()]).collect()
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{Epoch, Round};

    use super::*;

    fn contributions(shards: u16, rounds: usize) -> Vec<Arc<Contribution>> {
        let of = |shard: u16| {
            let mut identity = [0; 32];
            identity[..2].copy_from_slice(&shard.to_be_bytes());
            Arc::new(Contribution {
                epoch: Epoch(1),
                first_round: Round(1),
                identity: IdentityKey(identity),
                onion_key: [0; 32],
                kem_key: None,
                seal_keys: vec![[0; 32]; rounds],
                proof: [0; 64],
            })
        };
        (0..shards).map(of).collect()
    }

    #[test]
    fn small_networks_get_all_at_once_and_of_large_ones_two_get_each() {
        for (shards, rounds, expected) in
            [(1, 9, 0), (2, 720, 1), (5, 720, 4), (19, 720, 18), (33, 60, 32), (100, 720, 3)]
        {
            assert_eq!(spread(&contributions(shards, rounds)), expected, "{shards} {rounds}");
        }
        assert_eq!(spread(&contributions(1000, 720)), 2);
        let shards: Vec<_> = contributions(4, 1).iter().map(|keys| keys.identity).collect();
        assert_eq!(helpers(&shards, 2, 3), [shards[3], shards[0], shards[1]]);
    }

    #[test]
    fn a_shard_that_asks_for_all_gets_a_quarter() {
        let contributions = contributions(1000, 1);
        let (mut handing_out, digests) = HandingOut::new(&contributions);
        let asker = contributions[7].identity;
        let answers = digests.iter().filter(|hash| handing_out.answer(asker, hash).is_some());
        assert_eq!(answers.count(), 64 + 250);
        let other = contributions[8].identity;
        assert_eq!(handing_out.answer(other, &digests[0]).as_ref(), Some(&contributions[0]));
        assert_eq!(handing_out.answer(other, &Digest([9; 32])), None);
    }
}
