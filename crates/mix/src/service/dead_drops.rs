//! The conversation service: two deposits at one dead drop swap bodies.

use antiphon_wire::DEAD_DROP_BYTES;

use crate::erased::Erased;
use crate::service::Service;

/// Swaps the bodies of two deposits at one dead drop; any other number gets its own bodies back.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeadDrops;

/// Figures that the dead drops of one shard show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairCounts {
    /// Dead drops with two deposits.
    pub pairs: u32,
    /// Dead drops with one deposit.
    pub singles: u32,
}

impl Service for DeadDrops {
    fn exchange(&self, deposits: &[u8], body_bytes: usize, replies: &mut Vec<u8>) -> PairCounts {
        let deposit_bytes = DEAD_DROP_BYTES + body_bytes;
        let body_at =
            |i: u32| &deposits[i as usize * deposit_bytes + DEAD_DROP_BYTES..][..body_bytes];
        let order = by_dead_drop(deposits, deposit_bytes);

        replies.clear();
        replies.resize(order.len() * body_bytes, 0);
        let mut reply = |to: u32, body: &[u8]| {
            replies[to as usize * body_bytes..][..body_bytes].copy_from_slice(body);
        };
        let mut counts = PairCounts::default();
        for met in order.chunk_by(|a, b| a.0 == b.0) {
            match *met {
                [(_, a), (_, b)] => {
                    counts.pairs += 1;
                    reply(a, body_at(b));
                    reply(b, body_at(a));
                }
                _ => {
                    counts.singles += u32::from(met.len() == 1);
                    for &(_, alone) in met {
                        reply(alone, body_at(alone));
                    }
                }
            }
        }
        counts
    }

    fn partners(&self, deposits: &[u8], body_bytes: usize) -> Vec<u32> {
        let order = by_dead_drop(deposits, DEAD_DROP_BYTES + body_bytes);
        let mut partners: Vec<u32> = (0..order.len() as u32).collect();
        for met in order.chunk_by(|a, b| a.0 == b.0) {
            if let [(_, a), (_, b)] = *met {
                partners.swap(a as usize, b as usize);
            }
        }
        partners
    }
}

/// The deposits in the order of their dead drops. Sorting takes n log n steps whatever ids a client chooses; a hash
/// table might not.
fn by_dead_drop(deposits: &[u8], deposit_bytes: usize) -> Erased<(u128, u32)> {
    let ids = deposits.chunks_exact(deposit_bytes).map(|deposit| {
        deposit.first_chunk::<DEAD_DROP_BYTES>().map_or(0, |id| u128::from_be_bytes(*id))
    });
    let mut order: Erased<(u128, u32)> = ids.zip(0..).collect();
    order.sort_unstable();
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deposits(list: &[(u8, u8)]) -> Vec<u8> {
        list.iter()
            .flat_map(|&(dead_drop, body)| [[dead_drop; DEAD_DROP_BYTES], [body; 16]].concat())
            .collect()
    }

    #[test]
    fn exactly_two_swap() {
        let given = deposits(&[(9, 1), (5, 2), (9, 3), (7, 4), (7, 5), (7, 6)]);
        let mut replies = vec![8; 3];
        let counts = DeadDrops.exchange(&given, 16, &mut replies);
        let first: Vec<u8> = replies.chunks_exact(16).map(|reply| reply[0]).collect();
        assert_eq!(first, [3, 2, 1, 4, 5, 6]);
        assert_eq!(counts, PairCounts { pairs: 1, singles: 1 });
        // Cells go where bodies went.
        assert_eq!(DeadDrops.partners(&given, 16), [2, 1, 0, 3, 4, 5]);
    }

    #[test]
    fn no_deposits_no_replies() {
        let mut replies = vec![8; 3];
        assert_eq!(DeadDrops.exchange(&[], 16, &mut replies), PairCounts::default());
        assert!(replies.is_empty());
    }
}
