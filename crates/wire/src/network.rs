//! The network file: what clients and shards pin.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::codec::Encode;
use crate::{Digest, IdentityKey, OperatorIndex};

/// The operators, how much each one counts, and the privacy policy. Everything else a client
/// learns about a network is checked against this.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkFile {
    /// The operators, in the file's order, which is that of [`OperatorIndex`].
    pub operators: Vec<Operator>,
    /// What any epoch must at least keep.
    pub policy: Policy,
}

/// One operator of the network file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// A name for people.
    pub name: String,
    /// The operator's signing key.
    #[serde(deserialize_with = "hex_key")]
    pub key: IdentityKey,
    /// Its share of every path, relative to the other operators' weights.
    #[serde(default = "one")]
    pub weight: u32,
}

/// The privacy policy of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// f: the largest share of the operators' weight that may be malicious, in millionths.
    pub malicious_ppm: u32,
    /// epsilon of the differential-privacy guarantee over `disturbed_rounds`.
    pub epsilon: f64,
    /// delta of that guarantee.
    pub delta: f64,
    /// K: how many disturbed or charged rounds of a conversation the guarantee covers.
    pub disturbed_rounds: u32,
    /// The least number of mixing hops, whatever an epoch's own f asks for.
    pub least_mixing_hops: u8,
    /// The least time between two rounds, in milliseconds.
    pub least_round_interval_ms: u32,
}

/// What is wrong with a network file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkFileError {
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("{0}")]
    Syntax(String),
    /// A value that cannot be.
    #[error("`{key}` is {found}: {expected}")]
    Value {
        /// The key in question.
        key: String,
        /// What the file says.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    policy: RawPolicy,
    operator: Vec<Operator>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPolicy {
    malicious: f64,
    epsilon: f64,
    delta: f64,
    disturbed_rounds: u32,
    least_mixing_hops: u8,
    least_round_interval_ms: u32,
}

impl Default for RawPolicy {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            malicious: f64::from(policy.malicious_ppm) / 1e6,
            epsilon: policy.epsilon,
            delta: policy.delta,
            disturbed_rounds: policy.disturbed_rounds,
            least_mixing_hops: policy.least_mixing_hops,
            least_round_interval_ms: policy.least_round_interval_ms,
        }
    }
}

impl Default for Policy {
    /// f = 0.2, epsilon = ln 2, delta = 1e-6, K = 1000, 14 mixing hops, a round a second at most.
    fn default() -> Self {
        Self {
            malicious_ppm: 200_000,
            epsilon: std::f64::consts::LN_2,
            delta: 1e-6,
            disturbed_rounds: 1000,
            least_mixing_hops: 14,
            least_round_interval_ms: 1000,
        }
    }
}

const fn one() -> u32 {
    1
}

fn hex_key<'de, D: serde::Deserializer<'de>>(input: D) -> Result<IdentityKey, D::Error> {
    let text = String::deserialize(input)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// Text that is no key.
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
    /// Reads the TOML text of a network file.
    ///
    /// # Errors
    /// If it is no such file, has keys of other names, or values that make no sense.
    pub fn parse(text: &str) -> Result<Self, NetworkFileError> {
        let raw: RawFile = toml::from_str(text)
            .map_err(|e| NetworkFileError::Syntax(e.to_string().trim_end().to_owned()))?;
        let malicious = raw.policy.malicious;
        if !(0.0..0.5).contains(&malicious) {
            return Err(malicious_out_of_range(malicious));
        }
        let policy = Policy {
            malicious_ppm: (malicious * 1e6).round() as u32,
            epsilon: raw.policy.epsilon,
            delta: raw.policy.delta,
            disturbed_rounds: raw.policy.disturbed_rounds,
            least_mixing_hops: raw.policy.least_mixing_hops,
            least_round_interval_ms: raw.policy.least_round_interval_ms,
        };
        Self::new(raw.operator, policy)
    }

    /// A network of these operators under this policy.
    ///
    /// # Errors
    /// If a value makes no sense.
    pub fn new(operators: Vec<Operator>, policy: Policy) -> Result<Self, NetworkFileError> {
        let wrong = |key: &str, found: String, expected| {
            Err(NetworkFileError::Value { key: key.to_owned(), found, expected })
        };
        let p = &policy;
        if p.malicious_ppm >= 500_000 {
            return Err(malicious_out_of_range(f64::from(p.malicious_ppm) / 1e6));
        }
        if !(p.epsilon > 0.0 && p.epsilon <= 100.0) {
            return wrong("policy.epsilon", p.epsilon.to_string(), "above 0 and at most 100");
        }
        if !(p.delta > 0.0 && p.delta < 1.0) {
            return wrong("policy.delta", p.delta.to_string(), "between 0 and 1, such as 1e-6");
        }
        if !(1..=1_000_000).contains(&p.disturbed_rounds) {
            let found = p.disturbed_rounds.to_string();
            return wrong("policy.disturbed_rounds", found, "from 1 to 1000000");
        }
        if !(2..=99).contains(&p.least_mixing_hops) {
            let found = p.least_mixing_hops.to_string();
            return wrong("policy.least_mixing_hops", found, "from 2 to 99");
        }
        if operators.is_empty() || operators.len() > 1000 {
            return wrong("operator", format!("{} entries", operators.len()), "from 1 to 1000");
        }
        let mut names = BTreeSet::new();
        let mut keys = BTreeSet::new();
        for operator in &operators {
            if !(1..=1_000_000).contains(&operator.weight) {
                return wrong("operator.weight", operator.weight.to_string(), "from 1 to 1000000");
            }
            if !names.insert(&operator.name) {
                return wrong("operator.name", operator.name.clone(), "a name of its own for each");
            }
            if !keys.insert(operator.key) {
                return wrong("operator.key", operator.key.to_hex(), "a key of its own for each");
            }
        }
        Ok(Self { operators, policy })
    }

    /// What names this network in everything that is signed: a hash of keys, weights and policy.
    pub fn id(&self) -> Digest {
        let mut bytes = b"antiphon network file v1\0".to_vec();
        for operator in &self.operators {
            operator.key.encode(&mut bytes);
            operator.weight.encode(&mut bytes);
        }
        let p = &self.policy;
        p.malicious_ppm.encode(&mut bytes);
        p.epsilon.to_bits().encode(&mut bytes);
        p.delta.to_bits().encode(&mut bytes);
        p.disturbed_rounds.encode(&mut bytes);
        p.least_mixing_hops.encode(&mut bytes);
        p.least_round_interval_ms.encode(&mut bytes);
        Digest::of(&bytes)
    }

    /// The sum of all operators' weights.
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

fn malicious_out_of_range(found: f64) -> NetworkFileError {
    NetworkFileError::Value {
        key: "policy.malicious".to_owned(),
        found: found.to_string(),
        expected: "a fraction of at least 0, below 0.5",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(policy: &str, operators: &[(&str, u8)]) -> String {
        let mut text = format!("[policy]\n{policy}\n");
        for (name, key) in operators {
            text += &format!(
                "[[operator]]\nname = \"{name}\"\nkey = \"{}\"\n",
                hex::encode([*key; 32])
            );
        }
        text
    }

    #[test]
    fn defaults_are_those_of_the_protocol() {
        let network = NetworkFile::parse(&file("", &[("a", 1), ("b", 2)])).unwrap();
        assert_eq!(network.policy, Policy::default());
        assert_eq!(network.total_weight(), 2);
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
        let a = NetworkFile::parse(&file("", &[("a", 1)])).unwrap();
        let mut b = a.clone();
        b.policy.delta = 1e-5;
        assert_ne!(a.id(), b.id());
        let mut c = a.clone();
        c.operators[0].weight = 2;
        assert_ne!(a.id(), c.id());
    }
}
