//! The command `keygen network`.

use std::path::PathBuf;

use antiphon_process::keyfile::write_public;
use antiphon_routing::{FEW_HONEST_TARGET, Ppm, mixing_hops};
use antiphon_wire::{NetworkFile, Operator, Policy, Services, Suite};
use clap::Args;

use super::KeygenError;
use crate::cli::beats;
use crate::cli::guarantee::GuaranteeArguments;
use crate::cli::values::OperatorArgument;
use crate::output;
use crate::plan::Figures;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Everybody has to have the same file: its id is part of all that is signed, and is what people compare, all \
of it. `antiphon plan --network FILE` says what it costs and promises; what no noise can keep is not written. \
It takes five equal operators for one of them to be counted as malicious with --malicious 0.2. An operator \
heavier than that share is never counted: such a file needs --trust-heavy-operators, which writes so into it.

Example:
  antiphon keygen network --operator alpha=PUBKEY --operator beta=PUBKEY --operator gamma=PUBKEY:2 \\
      --malicious 0.2 --beats --out network.toml")]
pub(super) struct NetworkArguments {
    /// An operator's name, public key and, if it is not 1, its weight in paths; once for each
    #[arg(long = "operator", value_name = "NAME=PUBKEY[:WEIGHT]", required = true)]
    operators: Vec<OperatorArgument>,
    #[command(flatten)]
    guarantee: GuaranteeArguments,
    /// The least number of mixing hops in any epoch [default: what --malicious asks for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..=99))]
    mixing_hops: Option<u8>,
    /// For rounds that are followed by beats: five minutes apart, and of suite 2, unless said otherwise
    #[arg(long)]
    beats: bool,
    /// The least time between two rounds, in milliseconds [default: 1000, and 300000 with --beats]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..))]
    round_interval: Option<u32>,
    /// Run the mailbox services, calls and invitations, by which contacts reach each other: every twelfth round, or two of three with --beats,
    /// where rounds are then 100 s apart unless said otherwise
    #[arg(long)]
    mailboxes: bool,
    /// How many rounds may come sooner than that in any hour, when a shard is lost
    #[arg(long, value_name = "N", default_value_t = Policy::DEFAULT.early_rounds_an_hour)]
    early_an_hour: u16,
    /// The same in any day
    #[arg(long, value_name = "N", default_value_t = Policy::DEFAULT.early_rounds_a_day)]
    early_a_day: u16,
    /// The longest that an epoch's rounds may take, in seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = Policy::DEFAULT.longest_epoch_s,
        value_parser = clap::value_parser!(u32).range(1..=31_536_000)
    )]
    longest_epoch: u32,
    /// The longest of each of a round's deadlines, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        default_value_t = Policy::DEFAULT.longest_deadline_ms,
        value_parser = clap::value_parser!(u32).range(1..=3_600_000)
    )]
    longest_deadline: u32,
    /// Cryptographic suite of the onions: 1 is X25519; 2 is X25519 and ML-KEM-768, for onions of 17 kB [default: 1,
    /// and 2 with --beats]
    #[arg(long, value_name = "N")]
    suite: Option<Suite>,
    /// Canaries that each shard makes in every round with beats, to find who garbles cells; 0: nobody looks
    #[arg(
        long,
        value_name = "N",
        default_value_t = Policy::DEFAULT.canaries,
        value_parser = clap::value_parser!(u8).range(0..=i64::from(Policy::MOST_CANARIES))
    )]
    canaries: u8,
    /// Allow operators with more than the malicious share of the weight, which all users then trust outright
    #[arg(long)]
    trust_heavy_operators: bool,
    /// The file to make; never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Writes a network file that reads back as it is meant.
pub(super) fn make(arguments: &NetworkArguments) -> Result<(), KeygenError> {
    let operators = arguments
        .operators
        .iter()
        .map(|each| Operator { name: each.name.clone(), key: each.key, weight: each.weight })
        .collect();
    let network = NetworkFile::new(operators, arguments.policy())?;
    let text = render(&network);
    if NetworkFile::parse(&text)? != network {
        return Err(KeygenError::ReadBack);
    }
    // What no epoch can keep is not written down.
    Figures::of(&network, 1, None).map_err(Box::new)?;
    write_public(&arguments.out, &text)?;
    output::say(&format!("{} holds a network file with the id", arguments.out.display()));
    output::say(&format!("  {}", network.id().in_groups()));
    if let Some(trust) = network.trust_in_words() {
        output::say(&format!("note: {trust}."));
    }
    Ok(())
}

impl NetworkArguments {
    fn policy(&self) -> Policy {
        let default = Policy::default();
        let services = beats::services(self.mailboxes, self.beats);
        let interval_ms = beats::least_interval_ms(self.beats, &services);
        let suite = beats::usual_suite(self.beats);
        let by_rule = mixing_hops(self.guarantee.malicious, FEW_HONEST_TARGET).ok();
        self.guarantee.policy(Policy {
            least_mixing_hops: self.mixing_hops.or(by_rule).unwrap_or(default.least_mixing_hops),
            least_round_interval_ms: self.round_interval.unwrap_or(interval_ms),
            early_rounds_an_hour: self.early_an_hour,
            early_rounds_a_day: self.early_a_day,
            longest_epoch_s: self.longest_epoch,
            longest_deadline_ms: self.longest_deadline,
            suite: self.suite.unwrap_or(suite),
            canaries: self.canaries,
            trusts_heavy_operators: self.trust_heavy_operators,
            services,
            ..default
        })
    }
}

/// The services' table, or nothing where there are none.
fn services_table(services: &Services) -> String {
    if !services.has_mailboxes() {
        return String::new();
    }
    let Services {
        dead_drop_rounds,
        mailbox_rounds,
        invitations_every,
        call_boxes,
        invitation_boxes,
    } = services;
    format!(
        "\
# Mailbox services: so many rounds for them follow each so many with dead drops. One of so many of theirs is for
# invitations, all others for calls.
[services]
dead_drop_rounds = {dead_drop_rounds}
mailbox_rounds = {mailbox_rounds}
invitations_every = {invitations_every}
# Boxes of each service: every client gets all of them.
call_boxes = {call_boxes}
invitation_boxes = {invitation_boxes}

"
    )
}

const TRUSTS_HEAVY: &str = "\
# Operators with more than the malicious share of the weight are never counted as malicious: whoever uses
# this network trusts each of them.
operators_above_malicious = \"are trusted\"
";

/// The network as TOML with comments. Long, as it is one text: cut into parts, nobody could read it as its
/// readers will.
fn render(network: &NetworkFile) -> String {
    let Policy {
        malicious_ppm,
        epsilon,
        delta,
        disturbed_rounds,
        total_delta,
        total_over_days,
        attempts,
        most_pairs,
        least_mixing_hops,
        least_round_interval_ms,
        early_rounds_an_hour,
        early_rounds_a_day,
        longest_epoch_s,
        longest_deadline_ms,
        suite,
        canaries,
        trusts_heavy_operators,
        services,
    } = network.policy;
    let services = services_table(&services);
    let malicious = f64::from(malicious_ppm) / f64::from(Ppm::WHOLE);
    let heavy = if trusts_heavy_operators { TRUSTS_HEAVY } else { "" };
    // `{:?}` writes as many digits as it takes to read the same number back.
    let mut text = format!(
        "\
# Antiphon network file: what clients and shards pin. Any change to keys, weights, their order or
# the policy makes it another network.

[policy]
# The largest share of the operators' weight that may be malicious, below 0.5.
malicious = {malicious:?}
# What may be learnt over all disturbed rounds of a conversation: differential privacy with
# epsilon, but for a probability of delta.
epsilon = {epsilon:?}
delta = {delta:?}
# K: how many disturbed rounds that covers. Each client's ledger holds half of them.
disturbed_rounds = {disturbed_rounds}
# What everything together may add to delta over so many days: the noise over all disturbed rounds,
# mixing over all others, and rounds that are disturbed after a look.
total_delta = {total_delta:?}
total_over_days = {total_over_days}
# Aborted rounds and other attempts, with a conversation open, that are allowed for beside K.
attempts = {attempts}
# The most pairs of onions that an epoch may ask of a client in every round.
most_pairs = {most_pairs}
# Mixing hops in a path, whatever an epoch's own share of malicious operators asks for.
least_mixing_hops = {least_mixing_hops}
# The least time between two rounds.
least_round_interval_ms = {least_round_interval_ms}
# How many rounds may come sooner than that beside the others, in any hour and in any day: those that follow the loss of
# a shard do.
early_rounds_an_hour = {early_rounds_an_hour}
early_rounds_a_day = {early_rounds_a_day}
# The longest that an epoch's rounds may take, and each of a round's deadlines. Keys live for twice the
# former at most.
longest_epoch_s = {longest_epoch_s}
longest_deadline_ms = {longest_deadline_ms}
# What onions are encrypted with: 1 is X25519, 2 is X25519 and ML-KEM-768.
suite = {suite}
# Canaries that each shard makes in every round with beats, two onions each: they find who garbles cells.
canaries = {canaries}
{heavy}
{services}# The operators. The weight is an operator's share in every path, relative to the others'.
"
    );
    for operator in &network.operators {
        let name = toml::Value::String(operator.name.clone());
        text += &format!(
            "\n[[operator]]\nname = {name}\nkey = \"{}\"\nweight = {}\n",
            operator.key.to_hex(),
            operator.weight
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use antiphon_wire::IdentityKey;
    use ed25519_dalek::SigningKey;

    use super::*;

    #[test]
    fn any_network_reads_back_as_it_is() {
        let names = ["alpha", "with \"quotes\" and \\", "ünïcödé = [x]", "#", "'"];
        let operators: Vec<_> = names
            .into_iter()
            .zip(1..)
            .map(|(name, index)| Operator {
                name: name.to_owned(),
                key: IdentityKey::of(&SigningKey::from_bytes(&[index; 32])),
                weight: u32::from(index),
            })
            .collect();
        for (malicious_ppm, epsilon, delta) in
            [(200_000, std::f64::consts::LN_2, 1e-6), (0, 1.0, 0.1 + 0.2), (499_999, 100.0, 1e-300)]
        {
            let policy = Policy {
                malicious_ppm,
                epsilon,
                delta,
                total_delta: 1.0,
                suite: Suite::Hybrid,
                trusts_heavy_operators: true,
                services: if malicious_ppm == 0 { Services::NONE } else { Services::USUAL },
                ..Policy::default()
            };
            let network = NetworkFile::new(operators.clone(), policy).unwrap();
            assert_eq!(NetworkFile::parse(&render(&network)).unwrap(), network);
        }
    }
}
