use antiphon_client_core::RoundMark;
use antiphon_wire::{Epoch, Round, Timestamp};
use proptest::prelude::*;

use super::*;

fn state() -> impl Strategy<Value = StateContent> {
    let sealed = prop::collection::vec(any::<u8>(), 0..60);
    let parts = any::<([u8; 32], ([u8; 16], u64), (u64, u64, [u32; 4], u64))>();
    (parts, sealed).prop_map(|((network, (instance, number), rest), sealed)| {
        let (epoch, round, counts, after) = rest;
        let mark = RoundMark { epoch: Epoch(epoch), round: Round(round) };
        let epochs_after = Timestamp(after);
        let [charged, extended, attempts, attempts_extended] = counts;
        StateContent {
            network: Digest(network),
            record: Record { instance, number },
            sealed,
            checkpoint: Checkpoint {
                mark,
                charged,
                extended,
                attempts,
                attempts_extended,
                epochs_after,
                ..Checkpoint::default()
            },
        }
    })
}

fn slot() -> impl Strategy<Value = Slot> {
    any::<([u8; 24], [u8; 16], u64, [[u8; 32]; 2])>().prop_map(
        |(origin, instance, number, keys)| {
            let [key, next] = keys.map(StateKey);
            let witnessed = Witnessed { newest: Record { instance, number }, key, next };
            Slot { origin, witnessed }
        },
    )
}

/// With the right hash behind it, so that more than the hash is tried.
fn with_hash(mut bytes: Vec<u8>) -> Vec<u8> {
    let hash = Digest::of(&bytes);
    bytes.extend(hash.0);
    bytes
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_any_damage_is_noticed(
        state in state(), slot in slot(), at: prop::sample::Index, flip in 1..=255u8,
    ) {
        let mut bytes = state.render();
        prop_assert_eq!(bytes.len(), STATE_BYTES + state.sealed.len());
        let damaged = at.index(bytes.len());
        prop_assert_eq!(StateContent::parse(&bytes), Some(state));
        bytes[damaged] ^= flip;
        prop_assert_eq!(StateContent::parse(&bytes), None);
        let mut bytes = slot.render();
        prop_assert_eq!(bytes.len(), SLOT_BYTES);
        prop_assert_eq!(Slot::parse(&bytes), Some(slot));
        bytes[at.index(SLOT_BYTES)] ^= flip;
        prop_assert_eq!(Slot::parse(&bytes), None);
    }

    #[test]
    fn other_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(StateContent::parse(&bytes), None);
        prop_assert_eq!(Slot::parse(&bytes), None);
    }

    #[test]
    fn a_right_hash_makes_other_bytes_no_better(
        state in state(), slot in slot(), at: prop::sample::Index, flip in 1..=255u8,
        more in prop::collection::vec(any::<u8>(), 0..40), cut: prop::sample::Index,
    ) {
        // What is sealed has any length, and is held to it by its seal.
        let whole = StateContent { sealed: Vec::new(), ..state }.render();
        for (whole, longer) in [(&whole[..], &[][..]), (&slot.render()[..], &b"x"[..])] {
            let content = &whole[..whole.len() - 32];
            let shorter = &content[..cut.index(content.len())];
            let longer = match longer {
                [] => shorter.to_vec(),
                _ => [content, &more[..], longer].concat(),
            };
            for bytes in [shorter.to_vec(), longer, more.clone()] {
                let bytes = with_hash(bytes);
                prop_assert_eq!(StateContent::parse(&bytes), None);
                prop_assert_eq!(Slot::parse(&bytes), None);
            }
            let mut other = content.to_vec();
            other[at.index(8)] ^= flip;
            let other = with_hash(other);
            prop_assert_eq!(StateContent::parse(&other), None);
            prop_assert_eq!(Slot::parse(&other), None);
        }
    }
}
