//! Coordinators that start again, or lead in the place of another, and have not seen which circuits are in use.

use super::*;

/// An epoch without shard 4 runs, and one that has it again was published.
fn until_it_is_to_be_back(talk: &mut Talk) {
    silence_in(talk, |network| notice(network, 4));
    talk.network.restart(4);
    let epochs = talk.epochs();
    let with_it = move |network: &Network| network.record.epochs().count() > epochs;
    assert!(talk.network.run_until(2 * u64::from(INTERVAL_MS), with_it), "{}", log(&talk.network));
}

#[test]
fn a_shard_of_the_next_epoch_that_is_lost_while_the_coordinator_is_away_costs_no_round() {
    let mut talk = Talk::start(setup(5, 1));
    until_it_is_to_be_back(&mut talk);
    let rounds = talk.network.record.rounds().count();
    let early_rounds = early(&talk.network);
    talk.network.run_ms(1000);
    talk.network.stop_coordinator(0);
    notice(&mut talk.network, 4);
    talk.network.run_ms(2000);
    talk.network.restart_coordinator(0);
    talk.network.run_ms(4 * u64::from(INTERVAL_MS));
    let failed: Vec<_> = talk.network.record.rounds().skip(rounds).filter(fails).collect();
    assert!(failed.is_empty(), "{failed:?}\n{}", log(&talk.network));
    assert!(talk.network.record.rounds().count() >= rounds + 3, "{}", log(&talk.network));
    assert_eq!(early(&talk.network), early_rounds, "{}", log(&talk.network));
}

/// A shard is lost, and the epoch without it has just been published.
fn until_a_successor_is_published(network: &mut Network) {
    let epochs = network.record.epochs().count();
    kill(network, 4);
    network.run_ms(NOTICED_MS);
    notice(network, 4);
    let published = move |network: &Network| network.record.epochs().count() > epochs;
    assert!(network.run_until(AGAIN_MS, published), "{}", log(network));
}

#[test]
fn a_coordinator_that_starts_again_before_the_early_round_opens_it() {
    let mut talk = Talk::start(setup(5, 1));
    let silence = silence_in(&mut talk, |network| {
        until_a_successor_is_published(network);
        network.restart_coordinator(0);
    });
    assert!(silence + NOTICED_MS <= AGAIN_MS + AWAY_MS, "{silence} ms\n{}", log(&talk.network));
}

#[test]
fn so_does_one_that_leads_in_the_place_of_one_that_dies_then() {
    let mut talk = Talk::start(setup(5, 3));
    let silence = silence_in(&mut talk, |network| {
        until_a_successor_is_published(network);
        let leader = network.leaders()[0].0;
        network.stop_coordinator(leader);
    });
    let noticed = 2 * NOTICED_MS;
    assert!(silence + noticed <= AGAIN_MS + AWAY_MS, "{silence} ms\n{}", log(&talk.network));
}

#[test]
fn a_leaving_shard_is_kept_until_its_circuits_are_over_by_a_coordinator_that_has_not_seen_them() {
    let mut talk = Talk::start(setup(5, 1));
    let from = talk.network.now();
    talk.network.ask_to_leave(4);
    let epochs = talk.epochs();
    let without_it = move |network: &Network| {
        let mut newest = network.record.coordinator.iter().rev();
        let opened = newest.find_map(|(_, notice)| match notice {
            Notice::RoundOpened { epoch, .. } => Some(*epoch),
            _ => None,
        });
        let published = network.record.epochs().nth(epochs);
        published.is_some_and(|(epoch, ..)| opened == Some(epoch))
    };
    let in_time = 3 * u64::from(INTERVAL_MS);
    assert!(talk.network.run_until(in_time, without_it), "{}", log(&talk.network));
    talk.network.restart_coordinator(0);
    let released = |network: &Network| network.is_released(4);
    assert!(talk.network.run_until(4 * in_time, released), "{}", log(&talk.network));
    // Its process ends.
    talk.network.crash(4);
    talk.network.run_ms(60_000);
    let beats = talk.network.record.events[0].iter().filter(|(at, _)| *at > from);
    let short = beats.filter(|(_, event)| matches!(event, Event::BeatEnded { arrived: 0 | 1, .. }));
    assert_eq!(short.count(), 0, "{}", log(&talk.network));
}
