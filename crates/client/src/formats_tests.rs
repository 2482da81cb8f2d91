use antiphon_client_core::RoundMark;
use antiphon_wire::{Epoch, Round, Timestamp};
use proptest::prelude::*;

use super::*;

fn state() -> impl Strategy<Value = StateContent> {
    let parts = (any::<[u8; 32]>(), any::<([u8; 16], u64)>(), any::<(u64, u64, [u32; 4], u64)>());
    parts.prop_map(|(network, (instance, number), (epoch, round, counts, after))| {
        let mark = RoundMark { epoch: Epoch(epoch), round: Round(round) };
        let epochs_after = Timestamp(after);
        let [charged, extended, attempts, attempts_extended] = counts;
        StateContent {
            network: Digest(network),
            record: Witnessed { instance, number },
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
    any::<([u8; 24], [u8; 16], u64)>().prop_map(|(origin, instance, number)| {
        let newest = Witnessed { instance, number };
        Slot { origin, newest }
    })
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
        prop_assert_eq!(bytes.len(), STATE_BYTES);
        prop_assert_eq!(StateContent::parse(&bytes), Some(state));
        bytes[at.index(STATE_BYTES)] ^= flip;
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
        for whole in [state.render(), slot.render()] {
            let content = &whole[..whole.len() - 32];
            let shorter = &content[..cut.index(content.len())];
            let longer = [content, &more[..], b"x"].concat();
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
