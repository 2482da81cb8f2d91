//! A secret for every number, of which the used ones can be erased.

use antiphon_wire::{Decode, DecodeError, Encode, Reader};

use super::kdf::{Key, expand};

const TREE_CONTEXT: &str = "Antiphon 2026 conversation tree";

/// The binary tree of Goldreich, Goldwasser and Micali over all 64-bit numbers: each node's key gives
/// its two children's, and the leaves are the secrets. Taking a leaf erases every key from which it
/// or an earlier one could be found. A jump of any length costs at most 64 derivations, so nobody
/// can make a client work by naming a distant number.
pub(crate) struct ForwardTree {
    /// The subtrees that are left, the earliest last.
    nodes: Vec<Node>,
}

struct Node {
    first: u64,
    height: u32,
    key: Key,
}

impl Node {
    fn covers(&self, number: u64) -> bool {
        (self.first ^ number).checked_shr(self.height).unwrap_or(0) == 0
    }
}

impl ForwardTree {
    pub(crate) fn new(root: Key) -> Self {
        // Never more than one node per height and the one being split: no reallocation leaves keys.
        let mut nodes = Vec::with_capacity(u64::BITS as usize + 2);
        nodes.push(Node { first: 0, height: u64::BITS, key: root });
        Self { nodes }
    }

    /// Hands out the secret of `number`; `None` if it or a later one has been taken.
    pub(crate) fn take(&mut self, number: u64) -> Option<Key> {
        // The last node has the earliest numbers that are left.
        if self.nodes.last()?.first > number {
            return None;
        }
        while let Some(node) = self.nodes.pop() {
            if !node.covers(number) {
                continue;
            }
            let Some(height) = node.height.checked_sub(1) else {
                return Some(node.key);
            };
            let (mut left, mut right) = (Key([0; 32]), Key([0; 32]));
            expand(TREE_CONTEXT, &[&node.key.0], &mut [&mut left.0, &mut right.0]);
            debug_assert!(self.nodes.len() + 2 <= self.nodes.capacity(), "keys would stay behind");
            self.nodes.push(Node { first: node.first | 1 << height, height, key: right });
            self.nodes.push(Node { first: node.first, height, key: left });
        }
        None
    }

    /// Appends what gives the numbers up to `last` that are left.
    pub(crate) fn encode_to(&self, last: u64, out: &mut Vec<u8>) {
        let nodes = self.nodes.iter().filter(|node| node.first <= last);
        // There are at most 65.
        out.push(nodes.clone().count() as u8);
        for node in nodes {
            node.first.encode(out);
            out.push(node.height as u8);
            node.key.encode(out);
        }
    }
}

impl Decode for ForwardTree {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut nodes = Vec::<Node>::with_capacity(u64::BITS as usize + 2);
        for _ in 0..u8::decode(input)? {
            let (first, height) = (u64::decode(input)?, u32::from(u8::decode(input)?));
            let is_aligned = first.trailing_zeros() >= height;
            let follows =
                nodes.last().is_none_or(|last| first < last.first && height < last.height);
            if height > u64::BITS || !is_aligned || !follows {
                return Err(DecodeError::OutOfRange("a subtree"));
            }
            nodes.push(Node { first, height, key: Decode::decode(input)? });
        }
        Ok(Self { nodes })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tree() -> ForwardTree {
        ForwardTree::new(Key([7; 32]))
    }

    #[test]
    fn a_secret_can_be_taken_once_and_earlier_ones_are_gone() {
        let mut tree = tree();
        assert!(tree.take(1000).is_some());
        assert!(tree.take(1000).is_none());
        assert!(tree.take(999).is_none());
        assert!(tree.take(1001).is_some());
        assert!(tree.take(u64::MAX).is_some());
        assert!(tree.take(u64::MAX).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_tree_or_refused(bytes: Vec<u8>, number: u64) {
            if let Ok(mut tree) = ForwardTree::from_bytes(&bytes) {
                let mut kept = Vec::new();
                tree.encode_to(u64::MAX, &mut kept);
                prop_assert_eq!(kept, bytes);
                let _ = tree.take(number);
            }
        }

        #[test]
        fn how_one_got_there_does_not_matter(mut stops: Vec<u64>, target: u64) {
            stops.retain(|&stop| stop < target);
            stops.sort_unstable();
            let mut slow = tree();
            for stop in stops {
                slow.take(stop);
            }
            prop_assert!(slow.nodes.len() <= 65);
            let mut kept = Vec::new();
            slow.encode_to(target, &mut kept);
            let mut again = ForwardTree::from_bytes(&kept).unwrap();
            prop_assert_eq!(again.take(target).map(|key| key.0), tree().take(target).map(|key| key.0));
            let (Some(slow), Some(fast)) = (slow.take(target), tree().take(target)) else {
                return Err(TestCaseError::fail("the target is still to come"));
            };
            prop_assert_eq!(slow.0, fast.0);
            prop_assert_ne!(slow.0, tree().take(target ^ 1).map(|key| key.0).unwrap_or_default());
        }
    }
}
