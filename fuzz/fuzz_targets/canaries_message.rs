//! What is said about canaries: read in one form, or refused; then a shard and whoever judges hear it, and of what is signed
//! by nobody nothing comes.
#![no_main]

use antiphon_canaries::{CanaryMessage, Court, Facts, Member, Watch};
use antiphon_onion::CellBytes;
use antiphon_wire::{
    Decode, Encode, Epoch, IdentityKey, OperatorIndex, Round, ShardIndex, Timestamp,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = CanaryMessage::from_bytes(bytes) else { return };
    assert_eq!(message.to_bytes(), bytes);
    let facts =
        Facts { epoch: Epoch(0), round: Round(0), layers: 2, shards: 2, cell: CellBytes::DEFAULT };
    // A point of small order is no key: whatever is signed is refused.
    let mut nobody = [0; 32];
    nobody[0] = 1;
    let member = Member { shard: IdentityKey(nobody), operator: OperatorIndex(0) };
    let mut court = Court::default();
    court.open(facts, vec![member; 2], Timestamp(0));
    assert!(court.hear(&member.shard, &message).is_err());
    let mut watch = Watch::new(facts, ShardIndex(0), vec![member.shard; 2], Vec::new());
    assert!(watch.hear(&message).is_empty());
});
