//! The network that is started for a test.

use antiphon_coordinator::CoordinatorConfig;
use antiphon_load::LoadOptions;
use antiphon_shard::ServerLimits;
use antiphon_testnet::EmbeddedOptions;
use antiphon_wire::{MOST_BEATS_IN_FLIGHT, Policy, Suite};
use clap::Args;

use crate::cli::guarantee::GuaranteeArguments;
use crate::cli::values;

/// Rounds of an epoch beyond four times those of the test: the first ones go by while clients join.
const SPARE_ROUNDS: u32 = 240;

/// The part of an epoch's rounds that is left when the next is prepared, where it has few.
const PREPARED_PART: u32 = 8;

/// Rounds of an epoch beyond those of the test, where there is no time for more.
const LEAST_SPARE_ROUNDS: u32 = 20;

/// The least time from an epoch's start to the nominal end of its rounds: the document is good for twice
/// as long, and within that it is signed, everybody links up, and the first rounds run.
const LEAST_EPOCH_MS: u32 = 30_000;

/// The shortest interval, in seconds: no network opens rounds faster.
const LEAST_INTERVAL_S: f64 = 0.05;

/// Seal keys that all shards together may have to check before the first round. Each shard checks those of
/// every shard for every round, all on the cores of this machine: some 10 us each.
const KEYS_TO_START: u32 = 2_600_000;

/// Shards from which on the interval grows with their number: by then a round takes far longer than a
/// second, and an epoch has to last for its longest round.
const MANY_SHARDS: u32 = 20;

/// The most shards in one process.
const MOST_SHARDS: u16 = 200;

/// The shards of a network in this process.
pub(super) fn shards(text: &str) -> Result<u16, String> {
    match values::operators(text) {
        Ok(shards) if shards > MOST_SHARDS => {
            Err(format!("this process runs at most {MOST_SHARDS}"))
        }
        Err(_) if text.trim() != "1" => {
            Err(format!("give a number of shards from 2 to {MOST_SHARDS}, such as 5"))
        }
        shards => shards,
    }
}

/// The least time between two rounds.
fn interval(text: &str) -> Result<f64, String> {
    let seconds = values::span(text).ok().filter(|seconds| *seconds >= LEAST_INTERVAL_S);
    seconds.ok_or_else(|| format!("give a time in seconds, from {LEAST_INTERVAL_S} to 3600"))
}

/// What is measured, where the network is of this process.
#[derive(Debug, Args)]
pub(super) struct LocalArguments {
    /// Mixing hops, if they are more than the malicious fraction asks for
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..=99), help_heading = "With --local-shards")]
    hops: Option<u8>,
    /// Beats that follow each round; 0 is a classic network
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "With --local-shards")]
    beats: u16,
    /// Time from one beat to the next [default: 1 s and 0.4 ms for each client]
    #[arg(long, value_name = "SECONDS", value_parser = interval, requires = "beats", help_heading = "With --local-shards")]
    beat_interval: Option<f64>,
    /// Cryptographic suite of the onions: 1 is X25519, 2 is X25519 and ML-KEM-768 [default: 2 with beats, 1 without]
    #[arg(long, value_name = "N", help_heading = "With --local-shards")]
    suite: Option<Suite>,
    /// The least time between the openings of two rounds [default: half of what all beats of one take; without beats, 1 s
    /// and a third of a millisecond for each client, and in suite 2, 8 ms for each]
    #[arg(long, value_name = "SECONDS", value_parser = interval, help_heading = "With --local-shards")]
    interval: Option<f64>,
    /// Rounds that may run at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8), help_heading = "With --local-shards")]
    rounds_in_flight: u8,
    /// How long a round is open for onions if clients do not hand them in sooner [default: 2 s and a
    /// millisecond for each client]
    #[arg(long, value_name = "SECONDS", value_parser = values::span, help_heading = "With --local-shards")]
    window: Option<f64>,
}

impl LocalArguments {
    /// The policy of the test's network.
    pub(super) fn policy(&self, guarantee: &GuaranteeArguments, options: &LoadOptions) -> Policy {
        guarantee.policy(Policy {
            least_mixing_hops: self.hops.unwrap_or(2),
            least_round_interval_ms: self.interval_ms(0, options).min(1000),
            // A test lasts for minutes. Longer paths only if they are asked for.
            total_delta: 1.0,
            suite: self.suite(),
            ..Policy::default()
        })
    }

    /// A network with this policy, whose onions have so many layers, that carries the test's clients.
    pub(super) fn network(
        &self,
        shards: u16,
        policy: Policy,
        layers: u8,
        options: &LoadOptions,
    ) -> EmbeddedOptions {
        let coordinator = self.coordinator(shards, layers, options);
        let mut network = EmbeddedOptions::new(shards, policy, coordinator);
        // Every client comes from the same address.
        let room = options.clients as usize + 64;
        network.limits = ServerLimits {
            clients: room,
            clients_per_address: room,
            links_per_connection: options.links_per_connection,
            ..network.limits
        };
        network.limits.rounds.submissions = room;
        network
    }

    /// The number of rounds that may run at the same time.
    pub(super) fn in_flight(&self) -> u8 {
        self.rounds_in_flight
    }

    /// The suite of the onions: rounds that are followed by beats are rare enough for the longer ones.
    fn suite(&self) -> Suite {
        self.suite.unwrap_or(if self.beats > 0 { Suite::Hybrid } else { Suite::Classic })
    }

    /// Time from one beat to the next: all clients' cells have to come in, go through the shards and back.
    fn beat_ms(&self, options: &LoadOptions) -> u32 {
        let usual = (options.clients / 5).saturating_mul(2).saturating_add(1000);
        self.beat_interval.map_or(usual, ms)
    }

    /// The least time between the openings of two rounds, with so many more shards than few.
    fn interval_ms(&self, many: u32, options: &LoadOptions) -> u32 {
        let usual = if self.beats > 0 {
            u32::from(self.beats).saturating_mul(self.beat_ms(options)) / 2
        } else {
            (self.work().saturating_mul(options.clients) / 3).saturating_add(1000 + 250 * many)
        };
        self.interval.map_or(usual, ms)
    }

    /// The work that an onion is, in those of suite 1: building it and peeling it are what takes long.
    fn work(&self) -> u32 {
        match self.suite() {
            Suite::Classic => 1,
            Suite::Hybrid => 24,
        }
    }

    /// Epochs and deadlines that fit the load.
    fn coordinator(&self, shards: u16, layers: u8, options: &LoadOptions) -> CoordinatorConfig {
        let clients = options.clients;
        let many = u32::from(shards).saturating_sub(MANY_SHARDS);
        let work = self.work();
        let interval_ms = self.interval_ms(many, options);
        let beat_ms = self.beat_ms(options);
        // Shards share the cores, so that a step of one waits for those of all others.
        let patience_ms = (work.saturating_mul(clients) / 3)
            .max(clients)
            .saturating_add(20_000 + 50 * u32::from(shards));
        // Each of them checks every key, and one that is late costs the epoch.
        let checks_ms = patience_ms.saturating_add(60_000 + 2000 * u32::from(shards));
        let epoch_rounds = epoch_rounds(shards, options.rounds + options.warmup, interval_ms);
        let usual = CoordinatorConfig::default();
        CoordinatorConfig {
            epoch_rounds,
            // Checking another epoch takes cores from the rounds that are measured.
            prepare_ahead_rounds: usual.prepare_ahead_rounds.min(epoch_rounds / PREPARED_PART),
            interval_ms,
            rounds_in_flight: self.rounds_in_flight,
            submit_ms: self.window.map_or(clients.saturating_add(2000), ms),
            layer_ms: patience_ms,
            verify_ms: patience_ms,
            reply_ms: patience_ms,
            ready_ms: patience_ms.saturating_add(60_000),
            contribute_ms: checks_ms,
            endorse_ms: checks_ms,
            beats: self.beats,
            beat_ms,
            beat_layer_ms: beat_layer_ms(clients, layers, beat_ms),
            // More, once a round has shown how long it takes.
            first_beat_ms: interval_ms / 2,
            ..usual
        }
    }
}

/// Time after which each layer of a beat closes. Layers that are complete go on at once: it is for gateways, which wait for
/// all clients' cells, and for what comes late, as far as there may be beats under way.
fn beat_layer_ms(clients: u32, layers: u8, beat_ms: u32) -> u32 {
    let most = MOST_BEATS_IN_FLIGHT as u32 - 1;
    let in_flight = most.saturating_mul(beat_ms) / (2 * u32::from(layers.max(1)));
    (100 + clients / 20)
        .min(beat_ms / 2)
        .min(in_flight)
        .clamp(1, Policy::DEFAULT.longest_deadline_ms)
}

/// Rounds in an epoch: enough for the test and for its document not to expire before it is signed, and
/// else as few as it takes for a large network to start soon.
fn epoch_rounds(shards: u16, measured: u32, interval_ms: u32) -> u32 {
    let least = measured.saturating_add(LEAST_SPARE_ROUNDS);
    let soon = KEYS_TO_START / (u32::from(shards) * u32::from(shards)).max(1);
    let rounds = SPARE_ROUNDS.saturating_add(measured.saturating_mul(4)).min(least.max(soon));
    rounds.max(LEAST_EPOCH_MS.div_ceil(interval_ms))
}

fn ms(seconds: f64) -> u32 {
    (seconds * 1000.0).round() as u32
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::network::of_equals;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        local: LocalArguments,
        #[command(flatten)]
        guarantee: GuaranteeArguments,
    }

    #[test]
    fn no_epoch_is_over_before_its_document_can_be_signed() {
        assert!(interval("0.001").is_err() && interval("x").is_err());
        assert_eq!(interval("0.05"), Ok(0.05));
        for shards in 2..=MOST_SHARDS {
            for interval_ms in [50, 200, 1000, 60_000] {
                for measured in [1, 6, 1000] {
                    let rounds = epoch_rounds(shards, measured, interval_ms);
                    assert!(rounds * interval_ms >= LEAST_EPOCH_MS);
                    assert!(rounds >= measured + LEAST_SPARE_ROUNDS);
                }
            }
        }
    }

    #[test]
    fn a_hundred_shards_have_little_to_check_before_they_start_and_nothing_again_while_they_run() {
        let Arguments { local, guarantee } = Arguments::parse_from(["load"]);
        for shards in [2, 5, 20, 40, 60, 100, 150, MOST_SHARDS] {
            let options = options();
            let policy = local.policy(&guarantee, &options);
            let network = local.network(shards, policy, 15, &options);
            let CoordinatorConfig { epoch_rounds, prepare_ahead_rounds, .. } = network.coordinator;
            // The test's rounds, and those that go by while clients join.
            let taken = options.rounds + options.warmup + LEAST_SPARE_ROUNDS / 2;
            assert!(epoch_rounds >= taken + prepare_ahead_rounds, "{shards}: {epoch_rounds}");
            let keys = epoch_rounds * u32::from(shards).pow(2);
            assert!(keys <= KEYS_TO_START, "{shards} shards: {epoch_rounds} rounds");
        }
    }

    #[test]
    fn beats_are_such_as_shards_take_whatever_is_asked_for() {
        for beats in [2, 60, 20_000] {
            for (clients, layers) in [(1, 3), (1000, 15), (100_000, 100)] {
                let arguments = ["load", "--beats", &beats.to_string()];
                let Arguments { local, guarantee } = Arguments::parse_from(arguments);
                let options = LoadOptions { clients, ..options() };
                let policy = local.policy(&guarantee, &options);
                assert_eq!(policy.suite, Suite::Hybrid);
                let policy = Policy { longest_epoch_s: 365 * 24 * 60 * 60, ..policy };
                let network = of_equals(3, policy.clone()).unwrap();
                let config = local.network(3, policy, layers, &options).coordinator;
                assert_eq!(config.check_beats(&network, layers), Ok(()), "{config:?}");
                assert!(config.first_beat_ms <= config.interval_ms);
            }
        }
        let Arguments { local, .. } =
            Arguments::parse_from(["load", "--beats", "9", "--suite", "1"]);
        assert_eq!(local.suite(), Suite::Classic);
        assert!(Arguments::try_parse_from(["load", "--beat-interval", "1"]).is_err());
    }

    fn options() -> LoadOptions {
        LoadOptions {
            clients: 1000,
            rounds: 5,
            warmup: 1,
            talking: 0.5,
            churn: 0.0,
            arrivals: antiphon_load::Arrivals::AtOnce,
            seed: 1,
            threads: std::num::NonZeroUsize::MIN,
            links_per_connection: 256,
        }
    }
}
