//! Gateways that lie to their clients about a round that went through.

use antiphon_client_core::Outcome;
use antiphon_coordinator_core::RoundResult;
use antiphon_sim::Setup;
use antiphon_sim::adversary::{GatewayLie, InRounds, LyingGateway};
use antiphon_sim::scenario::{Talk, quick};
use antiphon_wire::Round;

const ROUND: Round = Round(3);

/// Sees that a lie of the gateway of clients 0 and 3 has this outcome for them, and none for others.
fn lied_to(setup: Setup, lie: GatewayLie, outcome: Outcome) {
    let attack = LyingGateway { shard: 0, lie };
    let shards = setup.shards;
    let verdict = Talk::start(setup, InRounds::one(ROUND, attack)).judge(ROUND);
    assert_eq!(verdict.report.result, RoundResult::Delivered, "{lie:?}");
    for (client, had) in verdict.clients.iter().enumerate() {
        let expected = if client % shards == 0 { outcome } else { Outcome::Undisturbed };
        assert_eq!(*had, Some(expected), "{lie:?}");
    }
}

#[test]
fn replies_that_are_lost_garbled_or_swapped_are_noticed_and_repeated() {
    use GatewayLie::*;
    for lie in [NoReplies, GarbledReplies, ShortReplies, SwappedReplies] {
        lied_to(quick(3), lie, Outcome::Disturbed);
    }
}

#[test]
fn an_abort_that_only_the_gateway_knows_of_is_not_free() {
    lied_to(quick(3), GatewayLie::Aborted, Outcome::ChargedAbort);
    let mut setup = quick(5).with_malicious_fifth();
    setup.clients = 3;
    setup.coordinator.epoch_rounds = 8;
    lied_to(setup, GatewayLie::ForgedAbort, Outcome::ChargedAbort);
}
