//! The TOML form of a network file.

use serde::Deserialize;

use super::policy::{malicious_out_of_range, wrong};
use super::{NetworkFile, NetworkFileError, Operator, Policy, plain};
use crate::{IdentityKey, Services, Suite};

/// Value of `policy.operators_above_malicious` that allows such operators.
const TRUSTED: &str = "are trusted";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    policy: RawPolicy,
    services: Option<RawServices>,
    operator: Vec<Operator>,
}

/// A network file has the services if it has the table, even an empty one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawServices {
    dead_drop_rounds: u16,
    mailbox_rounds: u16,
    invitations_every: u16,
    call_boxes: u16,
    invitation_boxes: u16,
}

impl Default for RawServices {
    fn default() -> Self {
        let Services {
            dead_drop_rounds,
            mailbox_rounds,
            invitations_every,
            call_boxes,
            invitation_boxes,
        } = Services::USUAL;
        Self { dead_drop_rounds, mailbox_rounds, invitations_every, call_boxes, invitation_boxes }
    }
}

impl From<RawServices> for Services {
    fn from(raw: RawServices) -> Self {
        let RawServices {
            dead_drop_rounds,
            mailbox_rounds,
            invitations_every,
            call_boxes,
            invitation_boxes,
        } = raw;
        Self { dead_drop_rounds, mailbox_rounds, invitations_every, call_boxes, invitation_boxes }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPolicy {
    malicious: f64,
    epsilon: f64,
    delta: f64,
    disturbed_rounds: u32,
    total_delta: f64,
    total_over_days: u32,
    attempts: u32,
    most_pairs: u8,
    least_mixing_hops: u8,
    least_round_interval_ms: u32,
    early_rounds_an_hour: u16,
    early_rounds_a_day: u16,
    longest_epoch_s: u32,
    longest_deadline_ms: u32,
    suite: u8,
    canaries: u8,
    operators_above_malicious: Option<String>,
}

impl Default for RawPolicy {
    fn default() -> Self {
        let policy = Policy::DEFAULT;
        Self {
            malicious: f64::from(policy.malicious_ppm) / 1e6,
            epsilon: policy.epsilon,
            delta: policy.delta,
            disturbed_rounds: policy.disturbed_rounds,
            total_delta: policy.total_delta,
            total_over_days: policy.total_over_days,
            attempts: policy.attempts,
            most_pairs: policy.most_pairs,
            least_mixing_hops: policy.least_mixing_hops,
            least_round_interval_ms: policy.least_round_interval_ms,
            early_rounds_an_hour: policy.early_rounds_an_hour,
            early_rounds_a_day: policy.early_rounds_a_day,
            longest_epoch_s: policy.longest_epoch_s,
            longest_deadline_ms: policy.longest_deadline_ms,
            suite: policy.suite.number(),
            canaries: policy.canaries,
            operators_above_malicious: None,
        }
    }
}

impl RawPolicy {
    fn policy(self) -> Result<Policy, NetworkFileError> {
        if !(0.0..0.5).contains(&self.malicious) {
            return Err(malicious_out_of_range(self.malicious));
        }
        let trusts_heavy_operators = match self.operators_above_malicious {
            None => false,
            Some(words) if words == TRUSTED => true,
            Some(words) => {
                let expected = format!("left out, or \"{TRUSTED}\"");
                return Err(wrong("operators_above_malicious", words, &expected));
            }
        };
        let suite = Suite::of_number(self.suite)
            .map_err(|_| wrong("suite", self.suite, "1 (X25519) or 2 (X25519 and ML-KEM-768)"))?;
        Ok(Policy {
            malicious_ppm: (self.malicious * 1e6).round() as u32,
            epsilon: self.epsilon,
            delta: self.delta,
            disturbed_rounds: self.disturbed_rounds,
            total_delta: self.total_delta,
            total_over_days: self.total_over_days,
            attempts: self.attempts,
            most_pairs: self.most_pairs,
            least_mixing_hops: self.least_mixing_hops,
            least_round_interval_ms: self.least_round_interval_ms,
            early_rounds_an_hour: self.early_rounds_an_hour,
            early_rounds_a_day: self.early_rounds_a_day,
            longest_epoch_s: self.longest_epoch_s,
            longest_deadline_ms: self.longest_deadline_ms,
            suite,
            canaries: self.canaries,
            trusts_heavy_operators,
            services: Services::NONE,
        })
    }
}

impl NetworkFile {
    /// Reads the TOML text of a network file.
    ///
    /// # Errors
    /// If it is no such file, has keys of other names, or values that make no sense.
    pub fn parse(text: &str) -> Result<Self, NetworkFileError> {
        let raw: RawFile = toml::from_str(text)
            .map_err(|e| NetworkFileError::Syntax(plain(e.to_string().trim_end())))?;
        let services = raw.services.map_or(Services::NONE, Services::from);
        Self::new(raw.operator, Policy { services, ..raw.policy.policy()? })
    }
}

pub(super) const fn one() -> u32 {
    1
}

pub(super) fn hex_key<'de, D: serde::Deserializer<'de>>(input: D) -> Result<IdentityKey, D::Error> {
    let text = String::deserialize(input)?;
    text.parse().map_err(serde::de::Error::custom)
}
