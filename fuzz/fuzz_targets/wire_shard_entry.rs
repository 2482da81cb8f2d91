//! A shard of an epoch document: read in one form, with one to four different addresses, or refused.
#![no_main]

use antiphon_wire::{Addresses, Decode, Encode, MOST_ADDRESSES, ShardEntry};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(entry) = ShardEntry::from_bytes(bytes) {
        assert_eq!(entry.to_bytes(), bytes);
        for addresses in [&entry.peer_addresses, &entry.client_addresses] {
            assert!((1..=MOST_ADDRESSES).contains(&addresses.all().len()));
            assert_eq!(Addresses::new(addresses.all().to_vec()).as_ref(), Ok(addresses));
        }
    }
});
