//! Wire values, and sets of them, as hexadecimal text in the state file.

use std::collections::BTreeMap;

use antiphon_canaries::{Marks, Member};
use antiphon_wire::{Digest, IdentityKey, OperatorIndex};
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

/// Marks as a list of shards, and sets of places in it: thousands of marks are of the same few shards.
pub(crate) mod marks {
    use std::sync::Arc;

    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Listed {
        /// Identity and operator of each shard.
        shards: Vec<(String, u16)>,
        sets: Vec<Vec<usize>>,
    }

    pub(crate) fn serialize<S: Serializer>(marks: &Arc<Marks>, out: S) -> Result<S::Ok, S::Error> {
        let mut places = BTreeMap::new();
        let mut shards = Vec::new();
        let mut place = |member: &Member| {
            *places.entry(*member).or_insert_with(|| {
                shards.push((member.shard.to_hex(), member.operator.0));
                shards.len() - 1
            })
        };
        let sets = marks.iter().map(|mark| mark.iter().map(&mut place).collect()).collect();
        Listed { shards, sets }.serialize(out)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Arc<Marks>, D::Error> {
        let Listed { shards, sets } = Listed::deserialize(input)?;
        let member = |place: usize| {
            let (shard, operator) =
                shards.get(place).ok_or_else(|| D::Error::custom("no such shard"))?;
            let shard = shard.parse().map_err(D::Error::custom)?;
            Ok(Member { shard, operator: OperatorIndex(*operator) })
        };
        let mut marks = Marks::default();
        for set in sets {
            marks.add(set.into_iter().map(member).collect::<Result<_, D::Error>>()?);
        }
        Ok(Arc::new(marks))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::state::Marks as Kept;

    fn member(number: u8) -> Member {
        Member { shard: IdentityKey([number; 32]), operator: OperatorIndex(number.into()) }
    }

    #[derive(Serialize, Deserialize)]
    struct Holder(#[serde(with = "marks")] Arc<Marks>);

    #[test]
    fn marks_are_read_as_they_were_written_with_each_shard_once() {
        let mut all = Marks::default();
        (0..50).for_each(|_| all.add([member(1), member(2), member(3)].into()));
        all.add([member(3), member(4)].into());
        let text = serde_json::to_string(&Holder(Arc::new(all.clone()))).unwrap();
        assert_eq!(*serde_json::from_str::<Holder>(&text).unwrap().0, all);
        assert!(text.len() < 50 * 64, "{} bytes", text.len());
        let wrong = text.replace("[2,3]", "[2,4]");
        assert!(wrong != text && serde_json::from_str::<Holder>(&wrong).is_err());
    }

    #[test]
    fn states_of_before_marks_were_kept_are_read() {
        let text = serde_json::to_string(&Kept::default()).unwrap();
        assert!(!text.contains("garbled"));
        assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), Kept::default());
    }
}
