//! What a client knows of its own onions, of clocks and of rounds to come.

use antiphon_wire::{RoundKind, Services};

use super::*;

/// What came back of a round: onions, whole replies, and milliseconds.
fn returned(outputs: impl IntoIterator<Item = Output>) -> Vec<(u16, u16, Option<u64>)> {
    let returned = outputs.into_iter().filter_map(|output| match output {
        Output::Event(Event::Returned { sent, whole, after_ms, .. }) => {
            Some((sent, whole, after_ms))
        }
        _ => None,
    });
    returned.collect()
}

/// Plays a round of a lone client whose replies `change` changes, a second after its onions left.
fn lone_round(
    client: &mut Client,
    mix: &Mix,
    round: u64,
    change: impl FnOnce(&mut Vec<u8>),
) -> Vec<(u16, u16, Option<u64>)> {
    let submitted = onions(&open(client, mix, round));
    let mut replies = mix.exchange(Round(round), &[submitted]).remove(0);
    change(&mut replies);
    let replies = Blob(replies);
    let epoch = mix.signed.document.epoch;
    let input = Input::from(ToClient::Replies { epoch, round: Round(round), replies });
    client.handle(time(mix, round).plus_ms(1050), input);
    returned(std::iter::from_fn(|| client.poll()))
}

#[test]
fn each_round_tests_the_path_of_its_onions_whoever_is_there() {
    let mix = mix(1, 0, 1);
    let mut client = client(&mix, 1, None);
    document(&mut client, &mix);
    assert_eq!(lone_round(&mut client, &mix, 0, |_| {}), [(2, 2, Some(1000))]);
    assert_eq!(lone_round(&mut client, &mix, 1, |replies| replies[0] ^= 1), [(2, 1, Some(1000))]);
    // Nobody else is there: the round is disturbed, and yet all that left is back.
    client.open_conversation(&opening(Role::First)).unwrap();
    assert_eq!(lone_round(&mut client, &mix, 2, |_| {}), [(2, 2, Some(1000))]);
    assert_eq!(client.ledger().charged(), 1);
    assert_eq!(lone_round(&mut client, &mix, 3, |replies| replies[0] ^= 1), [(2, 1, Some(1000))]);
    assert_eq!(lone_round(&mut client, &mix, 4, Vec::clear), [(2, 0, None)]);
    open(&mut client, &mix, 5);
    client.handle(time(&mix, 5), Input::LinkLost);
    assert_eq!(returned(std::iter::from_fn(|| client.poll())), [(2, 0, None)]);
}

#[test]
fn the_gateways_clock_is_compared_with_the_own_one_beyond_all_slack() {
    let mix = mix(1, 0, 1);
    let mut client = client(&mix, 1, None);
    assert_eq!(client.clock_ahead_ms(), None);
    let hour = 12 * CLOCK_SLACK_MS;
    for (theirs, ahead_ms) in
        [(STARTS_AT.plus_ms(hour), hour as i64), (Timestamp(STARTS_AT.0 - 31_000), -31_000)]
    {
        client.handle(STARTS_AT, Input::from(ToClient::Clock { now: theirs }));
        assert_eq!(client.clock_ahead_ms(), Some(ahead_ms));
    }
}

#[test]
fn the_next_round_of_calls_is_known_from_the_first_document_on() {
    let mix = mix(1, 0, 1);
    let mut client = client(&mix, 1, None);
    assert_eq!(client.next_round(RoundKind::DeadDrops), None);
    document(&mut client, &mix);
    assert_eq!(client.next_round(RoundKind::Calls), None);
    client.config.network.policy.services = Services::USUAL;
    let interval_ms = u64::from(mix.signed.document.parameters.interval_ms);
    let at = |rounds: u64| STARTS_AT.plus_ms(rounds * interval_ms);
    assert_eq!(client.next_round(RoundKind::Calls), Some((Round(11), at(11))));
    // From when a round has opened: it was late.
    open(&mut client, &mix, 3);
    let opened = time(&mix, 3);
    assert_eq!(
        client.next_round(RoundKind::Calls),
        Some((Round(11), opened.plus_ms(8 * interval_ms)))
    );
    assert_eq!(client.next_round(RoundKind::DeadDrops).unwrap().0, Round(4));
}
