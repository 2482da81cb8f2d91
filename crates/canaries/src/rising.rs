//! The byte form of maps: a 32-bit count, then keys and values with keys rising, so that each map has one form.

use std::collections::BTreeMap;

use antiphon_wire::{Decode, DecodeError, Encode, Reader};

/// Appends the byte form of a map.
pub(crate) fn encode<K: Encode, V: Encode>(map: &BTreeMap<K, V>, out: &mut Vec<u8>) {
    // A shard has fewer legs and keeps fewer beats than 2^32 by far.
    (map.len() as u32).encode(out);
    for (key, value) in map {
        key.encode(out);
        value.encode(out);
    }
}

/// Reads a map; keys that do not rise are refused.
pub(crate) fn decode<K: Decode + Ord, V: Decode>(
    input: &mut Reader<'_>,
) -> Result<BTreeMap<K, V>, DecodeError> {
    let mut map = BTreeMap::new();
    for _ in 0..u32::decode(input)? {
        let (key, value) = (K::decode(input)?, V::decode(input)?);
        if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return Err(DecodeError::OutOfRange("the order of a statement"));
        }
        map.insert(key, value);
    }
    Ok(map)
}
