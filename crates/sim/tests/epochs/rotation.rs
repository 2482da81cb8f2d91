//! Epochs that follow each other, and processes that restart in the middle of one.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;

use antiphon_client_core::{ConversationId, Outcome};
use antiphon_coordinator_core::{Notice, RoundResult};
use antiphon_sim::scenario::{converse, log};
use antiphon_sim::{Gateways, Network, Setup};
use antiphon_wire::{Epoch, Round};

fn setup() -> Setup {
    let mut setup = Setup::small(3, 4).with_little_noise();
    setup.coordinator.epoch_rounds = 8;
    setup.coordinator.prepare_ahead_rounds = 3;
    setup
}

/// Rounds opened, with their epochs, in order.
fn opened(network: &Network) -> Vec<(Epoch, Round)> {
    let notices = network.record.coordinator.iter();
    notices
        .filter_map(|(_, notice)| match notice {
            Notice::RoundOpened { epoch, round, .. } => Some((*epoch, *round)),
            _ => None,
        })
        .collect()
}

fn assert_numbers_rise(network: &Network) {
    let opened = opened(network);
    assert!(opened.is_sorted_by(|a, b| a.1 < b.1 && a.0 <= b.0), "{opened:?}");
    let epochs: Vec<_> = network.record.epochs().collect();
    assert!(epochs.is_sorted_by(|a, b| a.0 < b.0), "{epochs:?}");
    for (epoch, round) in opened {
        let newest = epochs.iter().find(|(number, ..)| *number == epoch);
        let (_, first, last, _) = newest.expect("a round's epoch is published");
        assert!((*first..=*last).contains(&round));
    }
}

fn send_some(network: &mut Network, from: usize, id: ConversationId, numbers: std::ops::Range<u8>) {
    for number in numbers {
        network.client(from).send(id, vec![number; 200]).unwrap();
    }
}

fn numbers(network: &Network, client: usize) -> Vec<u8> {
    network.record.received(client).map(|message| message[0]).collect()
}

#[test]
fn a_conversation_goes_on_over_epochs_without_a_disturbed_round() {
    let mut network = Network::new(setup());
    let (a, b) = converse(&mut network, 0, 1);
    send_some(&mut network, 0, a, 0..40);
    send_some(&mut network, 1, b, 0..40);
    network.run_ms(45_000);
    let epochs: Vec<_> = network.record.epochs().collect();
    assert!(epochs.len() >= 5, "{epochs:?}");
    // Each is published while the one before it has rounds to go, and begins where that one ends.
    for pair in epochs.windows(2) {
        assert_eq!(pair[1].1, pair[0].2.next());
    }
    for (at, notice) in &network.record.coordinator {
        let Notice::EpochPublished { first_round, .. } = notice else { continue };
        let before = network.record.coordinator.iter().find_map(|(opened, notice)| match notice {
            Notice::RoundOpened { round, .. } if round == first_round => Some(*opened),
            _ => None,
        });
        if *first_round > Round(1)
            && let Some(opened) = before
        {
            assert!(opened.ms_since(*at) > 1000, "published just in time");
        }
    }
    // The clock does not stumble where epochs meet.
    let rounds = opened(&network);
    assert!(rounds.windows(2).all(|pair| pair[1].1 == pair[0].1.next()), "{rounds:?}");
    assert!(rounds.len() > 38, "{}", rounds.len());
    assert!(network.record.rounds().all(|report| report.result == RoundResult::Delivered));
    for client in 0..4 {
        for report in network.record.rounds() {
            let outcome = network.record.outcome(client, report.round);
            // Whoever came after a round was closed has none in it.
            let early = report.round == Round(1) && outcome.is_none();
            assert!(early || outcome == Some(Outcome::Undisturbed), "{client} {report:?}");
        }
    }
    assert_eq!(numbers(&network, 0), (0..40).collect::<Vec<_>>());
    assert_eq!(numbers(&network, 1), (0..40).collect::<Vec<_>>());
    assert_numbers_rise(&network);
    network.record.promises.assert_kept();
}

#[test]
fn a_coordinator_that_restarts_goes_on_with_the_epoch_and_uses_no_number_again() {
    let mut network = Network::new(setup());
    let (a, _) = converse(&mut network, 0, 1);
    send_some(&mut network, 0, a, 0..40);
    // At all kinds of moments: while epochs are prepared, between and in rounds.
    for wait in [2_600, 4_300, 5_050, 6_700, 3_333, 7_900, 1_200] {
        network.run_ms(wait);
        let before = opened(&network);
        let epochs = network.record.epochs().count();
        network.restart_coordinator(0);
        let ahead = network.record.epochs().last();
        assert!(
            network.run_until(20_000, |network| opened(network).len() > before.len() + 1),
            "no rounds after a restart\n{}",
            log(&network)
        );
        // It needs no new epoch for it, unless the one that ran was at its end.
        let (epoch, _) = opened(&network)[before.len()];
        let known = ahead.is_some_and(|(newest, ..)| epoch <= newest);
        assert!(epochs == 0 || known, "{}", log(&network));
    }
    network.run_until(60_000, |network| numbers(network, 1).len() >= 40);
    assert_eq!(numbers(&network, 1), (0..40).collect::<Vec<_>>());
    assert_numbers_rise(&network);
    network.record.promises.assert_kept();
}

#[test]
fn a_client_that_restarts_submits_no_second_set() {
    let mut network = Network::new(setup());
    for wait in [3_000, 1_050, 2_020, 100, 1_000] {
        network.run_ms(wait);
        network.restart_client(2);
    }
    // Right behind its submission, with the round still open.
    let sent = network.record.observed[2].iter().filter(|seen| seen.up).count();
    network.run_until(5_000, |network| {
        network.record.observed[2].iter().filter(|seen| seen.up).count() > sent
    });
    let round = opened(&network).last().unwrap().1;
    network.restart_client(2);
    network.run_ms(900);
    assert_eq!(network.record.promises.onion_sets(2, round), 1);
    // What was under way counts as charged only if a conversation was open, and the rounds go on.
    assert_eq!(network.client(2).ledger().charged(), 0);
    network.run_ms(5_000);
    let (_, last) = *opened(&network).last().unwrap();
    let undisturbed = |round| network.record.outcome(2, Round(round)) == Some(Outcome::Undisturbed);
    assert!((last.0 - 3..last.0).all(undisturbed), "{}", log(&network));
    network.record.promises.assert_kept();
}

#[test]
fn a_restart_costs_a_client_in_conversation_what_was_under_way_and_no_more() {
    let mut network = Network::new(setup());
    converse(&mut network, 0, 1);
    network.run_ms(4_000);
    let sent = network.record.observed[0].iter().filter(|seen| seen.up).count();
    network.run_until(5_000, |network| {
        network.record.observed[0].iter().filter(|seen| seen.up).count() > sent
    });
    network.restart_client(0);
    network.run_ms(5_000);
    assert_eq!(network.client(0).ledger().charged(), 1);
    network.record.promises.assert_kept();
}

#[test]
fn a_restarted_shard_waits_for_the_next_epoch_and_signs_no_number_again() {
    let mut network = Network::new(setup());
    let (a, _) = converse(&mut network, 0, 1);
    send_some(&mut network, 0, a, 0..40);
    for wait in [4_200, 3_900, 5_500] {
        network.run_ms(wait);
        let before: Vec<_> = network.record.promises.endorsed(2).collect();
        network.crash(2);
        network.restart(2);
        let again = network.run_until(60_000, |network| {
            network.record.promises.endorsed(2).count() > before.len()
        });
        assert!(again, "{}", log(&network));
        let newest = network.record.promises.endorsed(2).last();
        assert!(newest > before.last().copied());
    }
    let arrived = network.run_until(60_000, |network| numbers(network, 1).len() >= 40);
    assert!(arrived, "{}", log(&network));
    assert_eq!(numbers(&network, 1), (0..40).collect::<Vec<_>>());
    assert_numbers_rise(&network);
    network.record.promises.assert_kept();
}

#[test]
fn all_shards_at_once_can_restart() {
    let mut network = Network::new(setup());
    let (a, _) = converse(&mut network, 0, 1);
    send_some(&mut network, 0, a, 0..10);
    network.run_ms(6_000);
    for shard in 0..3 {
        network.crash(shard);
    }
    network.restart_coordinator(0);
    network.run_ms(1_000);
    for shard in 0..3 {
        network.restart(shard);
    }
    let arrived = network.run_until(120_000, |network| numbers(network, 1).len() >= 10);
    assert!(arrived, "{}", log(&network));
    assert_eq!(numbers(&network, 1), (0..10).collect::<Vec<_>>());
    assert_numbers_rise(&network);
    network.record.promises.assert_kept();
}

/// Clients that choose their gateways as deployed ones do.
fn choosing(shards: usize) -> Setup {
    Setup { shards, operators: shards, gateways: Gateways::Drawn, ..setup() }
}

#[test]
fn clients_change_gateways_with_the_epoch_talking_or_not_and_lose_no_round_by_it() {
    let mut network = Network::new(choosing(3));
    let (a, b) = converse(&mut network, 0, 1);
    send_some(&mut network, 0, a, 0..40);
    send_some(&mut network, 1, b, 0..40);
    let mut had = [const { BTreeSet::new() }; 4];
    for _ in 0..90 {
        network.run_ms(1000);
        for (client, had) in had.iter_mut().enumerate() {
            had.insert(network.gateway_of(client));
        }
    }
    let epochs = network.record.epochs().count();
    assert!(epochs >= 10, "{epochs}");
    // Ten draws of three: that one is missing has a chance of five in a hundred for each client.
    let all = had.iter().filter(|had| had.len() == 3).count();
    assert!(all >= 2 && had.iter().all(|had| had.len() >= 2), "{had:?}");
    for client in 0..2 {
        assert_eq!(numbers(&network, client), (0..40).collect::<Vec<_>>());
        assert_eq!(network.client(client).ledger().charged(), 0, "{}", log(&network));
    }
}

#[test]
fn a_client_whose_gateway_is_gone_goes_on_at_the_epochs_other_one() {
    let mut network = Network::new(choosing(5));
    let (a, b) = converse(&mut network, 0, 1);
    network.run_ms(8_000);
    let lost = network.gateway_of(0);
    network.crash(lost);
    assert_ne!(network.gateway_of(0), lost);
    send_some(&mut network, 0, a, 0..40);
    send_some(&mut network, 1, b, 0..40);
    let all = |network: &Network| (0..2).all(|client| numbers(network, client).len() == 40);
    assert!(network.run_until(90_000, all), "{}", log(&network));
    assert_ne!(network.gateway_of(0), lost);
    assert_numbers_rise(&network);
}
