//! The network file: the trust that clients and shards start from.

mod policy;
mod text;
mod trust;

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::codec::Encode;
use crate::{Digest, IdentityKey, OperatorIndex};

pub use policy::Policy;
use text::{hex_key, one};

/// Operators with their weights, and the privacy policy. Everything else that a client learns about a network
/// is checked against this.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkFile {
    /// The operators, in the file's order, which is that of [`OperatorIndex`].
    pub operators: Vec<Operator>,
    /// Limits that every epoch has to keep.
    pub policy: Policy,
}

/// One operator of the network file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// A name for people: printable text of at most [`Self::LONGEST_NAME`] bytes.
    pub name: String,
    /// The operator's signing key.
    #[serde(deserialize_with = "hex_key")]
    pub key: IdentityKey,
    /// Its share of every path, relative to the other operators' weights.
    #[serde(default = "one")]
    pub weight: u32,
}

impl Operator {
    /// Bytes that a name has at most.
    pub const LONGEST_NAME: usize = 64;
}

/// Whether a character can make a line of text look like another: controls move the cursor or start a
/// line, marks of direction turn the rest of one around, and some cannot be seen at all.
fn disguises(c: char) -> bool {
    let marks = ['\u{ad}', '\u{61c}', '\u{feff}'];
    let spans = ['\u{200b}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2060}'..='\u{206f}'];
    c.is_control() || marks.contains(&c) || spans.iter().any(|span| span.contains(&c))
}

/// Text with such characters spelt out, but for the ends of lines.
fn plain(text: &str) -> String {
    let shown = |c: char| {
        if c != '\n' && disguises(c) { c.escape_unicode().to_string() } else { c.to_string() }
    };
    text.chars().map(shown).collect()
}

/// The name that people would expect instead of this one, if it would mislead them.
fn name_problem(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        return Some("a name that can be seen");
    }
    if name.len() > Operator::LONGEST_NAME {
        return Some("a name of at most 64 bytes");
    }
    name.contains(disguises).then_some("a name without control and direction characters")
}

/// Reason why a network file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkFileError {
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("{0}")]
    Syntax(String),
    /// Operators that are never counted as malicious, and no word that they are trusted.
    #[error(
        "{0}. Add operators (with malicious = 0.2 it takes five equal ones), raise `policy.malicious`, or \
         say so with `operators_above_malicious = \"are trusted\"` under [policy]"
    )]
    Trust(String),
    /// A value that cannot be.
    #[error("`{key}` is {found}: {expected}")]
    Value {
        /// Key of the value, with its table: `policy.delta`.
        key: String,
        /// Value in the file.
        found: String,
        /// Values that are allowed.
        expected: String,
    },
}

/// Text that is not the hexadecimal form of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 64 hexadecimal digits, as `antiphon keygen` prints it")]
pub struct KeyTextError;

impl std::str::FromStr for IdentityKey {
    type Err = KeyTextError;

    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        let mut key = [0; 32];
        hex::decode_to_slice(text, &mut key).map_err(|_| KeyTextError)?;
        Ok(Self(key))
    }
}

impl IdentityKey {
    /// All 64 hexadecimal digits, as files hold it.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl NetworkFile {
    /// A network of these operators under this policy.
    ///
    /// # Errors
    /// If a value makes no sense.
    pub fn new(operators: Vec<Operator>, policy: Policy) -> Result<Self, NetworkFileError> {
        policy.check()?;
        let wrong = |key: &str, found: String, expected: &str| {
            let (key, expected) = (key.to_owned(), expected.to_owned());
            Err(NetworkFileError::Value { key, found, expected })
        };
        if operators.is_empty() || operators.len() > 1000 {
            return wrong("operator", format!("{} entries", operators.len()), "from 1 to 1000");
        }
        let mut names = BTreeSet::new();
        let mut keys = BTreeSet::new();
        for operator in &operators {
            if !(1..=1_000_000).contains(&operator.weight) {
                return wrong("operator.weight", operator.weight.to_string(), "from 1 to 1000000");
            }
            if let Some(problem) = name_problem(&operator.name) {
                return wrong("operator.name", plain(&operator.name).replace('\n', "\\n"), problem);
            }
            if !names.insert(&operator.name) {
                return wrong("operator.name", operator.name.clone(), "a name of its own for each");
            }
            if !operator.key.is_usable() {
                let expected = "an Ed25519 public key, as `antiphon keygen operator` prints it";
                return wrong("operator.key", operator.key.to_hex(), expected);
            }
            if !keys.insert(operator.key) {
                return wrong("operator.key", operator.key.to_hex(), "a key of its own for each");
            }
        }
        let network = Self { operators, policy };
        if !network.policy.trusts_heavy_operators
            && let Some(trust) = network.trust_in_words()
        {
            return Err(NetworkFileError::Trust(trust));
        }
        Ok(network)
    }

    /// Hash that names this network in everything that is signed, and that people compare. It covers all that
    /// the file says, the names included, since people go by them.
    pub fn id(&self) -> Digest {
        let mut bytes = match self.policy.services.has_mailboxes() {
            false => b"antiphon network file v4\0".to_vec(),
            true => b"antiphon network file v4 with mailboxes\0".to_vec(),
        };
        for operator in &self.operators {
            operator.key.encode(&mut bytes);
            operator.weight.encode(&mut bytes);
            // At most 64 bytes, as `new` checked, so that no two files have the same bytes.
            bytes.push(operator.name.len() as u8);
            bytes.extend_from_slice(operator.name.as_bytes());
        }
        self.policy.encode(&mut bytes);
        Digest::of(&bytes)
    }

    /// Sum of all operators' weights.
    pub fn total_weight(&self) -> u64 {
        self.operators.iter().map(|operator| u64::from(operator.weight)).sum()
    }

    /// The operator at `index`, if there is one.
    pub fn operator(&self, index: OperatorIndex) -> Option<&Operator> {
        self.operators.get(index.position())
    }

    /// The position of the operator whose key this is.
    pub fn index_of(&self, key: &IdentityKey) -> Option<OperatorIndex> {
        let position = self.operators.iter().position(|operator| operator.key == *key)?;
        // At most 1000 operators, as `new` checked.
        Some(OperatorIndex(position as u16))
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    /// As few as there have to be for one of them to count as malicious.
    const FIVE: [(&str, u8); 5] = [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)];

    fn file(policy: &str, operators: &[(&str, u8)]) -> String {
        let mut text = format!("[policy]\n{policy}\n");
        for (name, key) in operators {
            text += &format!(
                "[[operator]]\nname = \"{name}\"\nkey = \"{}\"\n",
                IdentityKey::of(&SigningKey::from_bytes(&[*key; 32])).to_hex()
            );
        }
        text
    }

    #[test]
    fn defaults_are_those_of_the_protocol() {
        let network = NetworkFile::parse(&file("", &FIVE)).unwrap();
        assert_eq!(network.policy, Policy::default());
        assert_eq!(network.total_weight(), 5);
    }

    #[test]
    fn errors_name_the_key_and_what_would_be_right() {
        let said = |text: &str| NetworkFile::parse(text).unwrap_err().to_string();
        assert!(said(&file("malicious = 0.7", &[("a", 1)])).contains("policy.malicious"));
        assert!(said(&file("delta = 0.0", &[("a", 1)])).contains("1e-6"));
        assert!(said(&file("colour = 3", &[("a", 1)])).contains("colour"));
        assert!(said(&file("", &[("a", 1), ("b", 1)])).contains("operator.key"));
        assert!(said(&file("", &[])).contains("operator"));
    }

    #[test]
    fn the_id_covers_policy_and_weights() {
        let a = NetworkFile::parse(&file("", &FIVE)).unwrap();
        let mut b = a.clone();
        b.policy.delta = 1e-5;
        assert_ne!(a.id(), b.id());
        let mut c = a.clone();
        c.operators[0].weight = 2;
        assert_ne!(a.id(), c.id());
    }
}
