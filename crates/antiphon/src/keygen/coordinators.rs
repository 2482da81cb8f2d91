//! The command `keygen coordinators`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::str::FromStr;

use antiphon_wire::IdentityKey;
use clap::Args;

use super::KeygenError;
use crate::output;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Shards elect one of a network's coordinators, which share nothing: each has a key of its own, made by whoever runs it \
with `antiphon keygen identity`. Their hosts and public keys go into the configurations of all coordinators, shards and \
clients. What is printed is what each of the three kinds says of them.

Example:
  antiphon keygen coordinators --coordinator one.example.org=PUBKEY --coordinator two.example.org=PUBKEY")]
pub(super) struct CoordinatorsArguments {
    /// A coordinator's host, as others reach it, and its public key; once for each
    #[arg(long = "coordinator", value_name = "HOST=PUBKEY", required = true)]
    coordinators: Vec<KnownCoordinator>,
    /// The coordinators' port for shards
    #[arg(long, value_name = "PORT", default_value_t = 7000)]
    shards_port: u16,
    /// The coordinators' port for clients
    #[arg(long, value_name = "PORT", default_value_t = 7001)]
    clients_port: u16,
}

/// A coordinator as others know it: `HOST=PUBKEY`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KnownCoordinator {
    host: String,
    key: IdentityKey,
}

impl FromStr for KnownCoordinator {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "give HOST=PUBKEY with a key of 64 hexadecimal digits, as `antiphon keygen identity` prints it; \
                        an IPv6 address in brackets, and no port";
        let (host, key) = text.rsplit_once('=').ok_or(expected)?;
        let is_address = host.starts_with('[') && host.ends_with(']');
        let is_name = !host.is_empty()
            && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        let key = key.parse().map_err(|_| expected)?;
        if is_address || is_name {
            Ok(Self { host: host.to_owned(), key })
        } else {
            Err(expected.to_owned())
        }
    }
}

/// Prints what configurations say of the coordinators.
pub(super) fn print(arguments: &CoordinatorsArguments) -> Result<(), KeygenError> {
    let coordinators = &arguments.coordinators;
    let keys: BTreeSet<&IdentityKey> = coordinators.iter().map(|known| &known.key).collect();
    if keys.len() < coordinators.len() {
        return Err(KeygenError::CoordinatorTwice);
    }
    let mut text = format!(
        "# In the configuration of every coordinator, before its first section:\nreplicas = {}\n",
        coordinators.len()
    );
    for (whose, port) in [("shard", arguments.shards_port), ("client", arguments.clients_port)] {
        // Writing to a text does not fail.
        let _ = write!(
            text,
            "\n# In the configuration of every {whose}, in the place of its section [coordinator]:\n"
        );
        text += &sections(coordinators, port);
    }
    Ok(output::print(&text)?)
}

fn sections(coordinators: &[KnownCoordinator], port: u16) -> String {
    let section = |KnownCoordinator { host, key }: &KnownCoordinator| {
        let key = key.to_hex();
        format!("[[coordinator]]\naddress = \"{host}:{port}\"\nidentity = \"{key}\"\n")
    };
    let sections: Vec<String> = coordinators.iter().map(section).collect();
    sections.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinators_have_a_host_without_a_port_and_a_key() {
        let key = "ab".repeat(32);
        for host in ["one.example.org", "192.0.2.7", "[2001:db8::7]"] {
            assert_eq!(format!("{host}={key}").parse::<KnownCoordinator>().unwrap().host, host);
        }
        for text in [key.clone(), format!("={key}"), format!("a:7000={key}"), "a=12".to_owned()] {
            let error = text.parse::<KnownCoordinator>().unwrap_err();
            assert!(error.contains("HOST=PUBKEY"), "{text}: {error}");
        }
    }
}
