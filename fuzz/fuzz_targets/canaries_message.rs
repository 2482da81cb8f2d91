//! What a shard is told about canaries: read in one form, or refused; and evidence that takes it in, or refuses it.
#![no_main]

use antiphon_canaries::{CanaryMessage, Evidence, Facts};
use antiphon_onion::CellBytes;
use antiphon_wire::{Decode, Encode, Epoch, IdentityKey, Round};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = CanaryMessage::from_bytes(bytes) else { return };
    assert_eq!(message.to_bytes(), bytes);
    let facts =
        Facts { epoch: Epoch(0), round: Round(0), layers: 2, shards: 2, cell: CellBytes::DEFAULT };
    // The point of order 1 is nobody's key: whatever is signed is refused.
    let mut nobody = [0; 32];
    nobody[0] = 1;
    let mut evidence = Evidence::new(facts, vec![IdentityKey(nobody); 2]);
    match message {
        CanaryMessage::Ask(_) => (),
        CanaryMessage::Statement(statement) => {
            assert!(evidence.add_statement(&statement).is_err());
        }
        CanaryMessage::Opening(opening) => assert!(evidence.judge(&opening).is_err()),
        CanaryMessage::List(list) => assert!(evidence.add_list(&list).is_err()),
    }
});
