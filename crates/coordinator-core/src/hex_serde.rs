//! Wire values as hexadecimal text in the state file.

use std::collections::BTreeMap;

use antiphon_wire::{Digest, IdentityKey};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A hash as 64 digits.
pub(crate) mod digest {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(digest: &Digest, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&hex::encode(digest.0))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Digest, D::Error> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(String::deserialize(input)?, &mut bytes).map_err(D::Error::custom)?;
        Ok(Digest(bytes))
    }
}

/// A table by identity.
pub(crate) mod identity_map {
    use super::*;

    pub(crate) fn serialize<S: Serializer, T: Serialize>(
        map: &BTreeMap<IdentityKey, T>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_map(map.iter().map(|(identity, value)| (identity.to_hex(), value)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
        input: D,
    ) -> Result<BTreeMap<IdentityKey, T>, D::Error> {
        BTreeMap::<String, T>::deserialize(input)?
            .into_iter()
            .map(|(text, value)| Ok((text.parse().map_err(D::Error::custom)?, value)))
            .collect()
    }
}
