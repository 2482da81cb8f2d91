//! Filters from other shards: only the declared size and a plausible fill are accepted, and any
//! accepted filter can be tested with any onion.
#![no_main]

use antiphon_verify::{FilterKey, FilterPrecision, SealFilter, filter_bytes, most_ones_accepted};
use antiphon_wire::{Epoch, FilterSalt, Round, ShardIndex};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u32, bool, &[u8])| {
    let (precision, declared, fitting, bytes) = input;
    let Some(precision) = FilterPrecision::new(precision % 33) else { return };
    let key = FilterKey::new(Epoch(1), Round(2), ShardIndex(3), FilterSalt([4; 16]), precision);
    // Half of the time a size that fits, or nearly all would be refused for it.
    let declared = if fitting { declared % 64 } else { declared };
    let mut bits = bytes.to_vec();
    if fitting {
        bits.resize(filter_bytes(declared, precision) as usize, 0);
    }
    if let Ok(filter) = SealFilter::parse(&key, declared, 1 << 20, &bits) {
        assert_eq!(filter.as_bytes(), bits);
        assert_eq!(bits.len() as u64, filter_bytes(declared, precision));
        let ones: u32 = bits.iter().map(|byte| byte.count_ones()).sum();
        assert!(u64::from(ones) <= most_ones_accepted(declared, precision));
        let found = filter.contains(bytes);
        assert!(declared > 0 || !found);
    }
});
