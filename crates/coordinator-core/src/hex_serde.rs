//! Wire values as hexadecimal text in the state file.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_wire::{Decode, Digest, Encode, IdentityKey, SignedDocument};
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

/// A signed document as its byte form.
pub(crate) mod document {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        document: &Option<Arc<SignedDocument>>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        document.as_ref().map(|document| hex::encode(document.to_bytes())).serialize(out)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<Option<Arc<SignedDocument>>, D::Error> {
        let Some(text) = Option::<String>::deserialize(input)? else { return Ok(None) };
        let bytes = hex::decode(text).map_err(D::Error::custom)?;
        let document = SignedDocument::from_bytes(&bytes).map_err(D::Error::custom)?;
        Ok(Some(Arc::new(document)))
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
