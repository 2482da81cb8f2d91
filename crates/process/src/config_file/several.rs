//! A section that is there once, `[name]`, or several times, `[[name]]`.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// The contents of a section that may be there several times. Never empty.
#[derive(Clone, Debug)]
pub struct Several<T>(pub Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Sections(PhantomData))
    }
}

struct Sections<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Sections<T> {
    type Value = Several<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one section, or several")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Several<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|only| Several(vec![only]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Several<T>, A::Error> {
        let all = Vec::deserialize(SeqAccessDeserializer::new(sequence))?;
        if all.is_empty() {
            return Err(serde::de::Error::invalid_length(0, &self));
        }
        Ok(Several(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Section {
        number: u8,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Raw {
        section: Several<Section>,
    }

    fn numbers(text: &str) -> Result<Vec<u8>, String> {
        let raw: Raw = toml::from_str(text).map_err(|error| error.to_string())?;
        Ok(raw.section.0.into_iter().map(|section| section.number).collect())
    }

    #[test]
    fn one_section_and_several_are_read_alike_and_errors_name_the_key() {
        assert_eq!(numbers("[section]\nnumber = 1\n"), Ok(vec![1]));
        let two = "[[section]]\nnumber = 1\n[[section]]\nnumber = 2\n";
        assert_eq!(numbers(two), Ok(vec![1, 2]));
        let error = numbers("[[section]]\nnumber = 1\n[[section]]\nnumbre = 2\n").unwrap_err();
        assert!(error.contains("unknown field `numbre`"), "{error}");
        let error = numbers("section = []\n").unwrap_err();
        assert!(error.contains("one section, or several"), "{error}");
    }
}
