//! Which documents and rounds are accepted, and what rounds cost.

use antiphon_mock_mix::Mix;
use antiphon_wire::MOST_ROUNDS_IN_FLIGHT;

use super::*;
use crate::{DocumentRefusal, OpenError};

fn abort(client: &mut Client, mix: &Mix, round: u64, withheld: &[u16]) -> Vec<Output> {
    let statements = withheld.iter().map(|shard| mix.withheld(Round(round), *shard)).collect();
    let epoch = mix.signed.document.epoch;
    client.handle(
        time(mix, round),
        Input::from(ToClient::Aborted { epoch, round: Round(round), statements }),
    );
    drain(client)
}

#[test]
fn disturbed_and_charged_rounds_cost_a_unit_while_a_conversation_is_open() {
    let mix = mix(1, 0, 1);
    let mut client = client(&mix, 1, None);
    document(&mut client, &mix);
    open(&mut client, &mix, 0);
    assert_eq!(reply(&mut client, &mix, 0, vec![0; 512]), [ended(0, Outcome::Disturbed)]);
    assert_eq!(client.ledger().charged(), 0);

    client.open_conversation(&opening(Role::First)).unwrap();
    open(&mut client, &mix, 1);
    assert_eq!(abort(&mut client, &mix, 1, &[0, 2]), [ended(1, Outcome::FreeAbort)]);
    assert_eq!(client.ledger().charged(), 0);
    open(&mut client, &mix, 2);
    assert_eq!(abort(&mut client, &mix, 2, &[]), [ended(2, Outcome::ChargedAbort)]);
    assert_eq!(client.ledger().charged(), 1);
    open(&mut client, &mix, 3);
    client.handle(time(&mix, 3), Input::LinkLost);
    assert_eq!(drain(&mut client), [ended(3, Outcome::Disturbed)]);
    assert_eq!(client.ledger().charged(), 2);
    // Nothing at all comes of this one.
    open(&mut client, &mix, 4);
    let due = client.next_deadline().unwrap();
    client.handle(due, Input::Tick);
    assert!(drain(&mut client).contains(&ended(4, Outcome::Disturbed)));
    assert_eq!((client.ledger().charged(), client.next_deadline()), (3, None));
    // What comes for a round that has ended changes nothing.
    assert!(reply(&mut client, &mix, 4, vec![0; 512]).is_empty());
    assert!(abort(&mut client, &mix, 3, &[0, 1]).is_empty());
}

#[test]
fn rounds_in_which_no_conversation_meets_cost_nothing() {
    let mix = mix(1, 0, 1);
    let mut client = client(&mix, 1, None);
    document(&mut client, &mix);
    client.open_conversation(&Opening { start: Start::Sparse, ..opening(Role::First) }).unwrap();
    for round in 0..128 {
        open(&mut client, &mix, round);
        let reserved = client.budget().reserved;
        let ended = [ended(round, Outcome::Disturbed)];
        assert_eq!(reply(&mut client, &mix, round, vec![0; 512]), ended);
        assert_eq!(client.budget().reserved, 0);
        assert!(reserved <= 1);
    }
    assert_eq!(client.ledger().charged(), 1);
}

#[test]
fn ends_that_agree_on_the_first_round_deposit_together_whoever_opened_first() {
    let mix = mix(1, 0, 1);
    let mut clients = [client(&mix, 1, None), client(&mix, 2, None)];
    clients.iter_mut().for_each(|client| drop(document(client, &mix)));
    let opening = |role| Opening { first: Round(4), ..opening(role) };
    clients[0].open_conversation(&opening(Role::First)).unwrap();
    for round in 0..6 {
        if round == 3 {
            clients[1].open_conversation(&opening(Role::Second)).unwrap();
        }
        let outputs = play(&mut clients, &mix, round);
        let met = |outputs: &Vec<Output>| {
            outputs.iter().any(|output| matches!(output, Output::Event(Event::Met { .. })))
        };
        assert_eq!(outputs.iter().map(met).collect::<Vec<_>>(), [round == 4; 2]);
    }
    assert_eq!(clients.map(|client| client.ledger().charged()), [0, 0]);
}

#[test]
fn a_conversation_that_is_ended_costs_nothing_from_then_on() {
    let mix = mix(1, 0, 1);
    let mut client = client(&mix, 1, None);
    document(&mut client, &mix);
    let id = client.open_conversation(&opening(Role::First)).unwrap();
    for round in 0..2 {
        open(&mut client, &mix, round);
    }
    client.end_conversation(id);
    assert_eq!(drain(&mut client), [Output::Event(Event::Closed { conversation: id })]);
    for round in 0..40 {
        open(&mut client, &mix, round);
        reply(&mut client, &mix, round, vec![0; 512]);
    }
    // Those that were in flight when it ended.
    assert_eq!(client.ledger().charged(), 2);
    client.end_conversation(id);
    assert_eq!(drain(&mut client), []);
}

#[test]
fn meetings_in_flight_as_their_conversation_closes_are_judged_and_charged() {
    let mix = mix(1, 0, 1);
    let mut clients = [client(&mix, 1, None), client(&mix, 2, None)];
    let ids = [0, 1].map(|i| {
        document(&mut clients[i], &mix);
        clients[i].open_conversation(&opening([Role::First, Role::Second][i])).unwrap()
    });
    clients[0].close_conversation(ids[0]);
    for round in 0..13 {
        play(&mut clients, &mix, round);
    }
    let in_flight: Vec<_> =
        (13..17).map(|round| [0, 1].map(|i| onions(&open(&mut clients[i], &mix, round)))).collect();
    for (client, conversation) in clients.iter_mut().zip(ids) {
        let closed = Output::Event(Event::Closed { conversation });
        assert!(open(client, &mix, 17).contains(&closed));
        assert_eq!(client.budget().reserved, 4);
    }
    for (round, submitted) in (13..17).zip(&in_flight) {
        let replies = mix.exchange(Round(round), submitted);
        for (i, mut replies) in replies.into_iter().enumerate() {
            // The first end's are spoilt in two of them.
            let spoilt = i == 0 && round % 2 == 0;
            replies[300] ^= u8::from(spoilt);
            let outcome = if spoilt { Outcome::Disturbed } else { Outcome::Undisturbed };
            assert_eq!(reply(&mut clients[i], &mix, round, replies), [ended(round, outcome)]);
        }
    }
    assert_eq!(clients.map(|client| client.ledger().charged()), [2, 0]);
}

#[test]
fn a_used_up_ledger_rests_conversations_until_the_application_decides() {
    let mix = mix(1, 0, 1);
    let mut clients = [client(&mix, 1, None), client(&mix, 2, None)];
    for (client, role) in clients.iter_mut().zip([Role::First, Role::Second]) {
        document(client, &mix);
        client.open_conversation(&opening(role)).unwrap();
        client.ledger = Ledger::new(20, 6, 0);
    }
    let mut rested = 0;
    for round in 0..12 {
        for client in &mut clients {
            open(client, &mix, round);
            client.handle(time(&mix, round), Input::LinkLost);
            let resting = Output::Event(Event::Resting { charged: 10 });
            rested += drain(client).iter().filter(|output| **output == resting).count();
        }
    }
    assert_eq!(rested, 2);
    // Both are idle, and alone, so nothing is amiss.
    for round in 12..14 {
        for client in &mut clients {
            let replies =
                mix.exchange(Round(round), &[onions(&open(client, &mix, round))]).remove(0);
            assert_eq!(reply(client, &mix, round, replies), [ended(round, Outcome::Undisturbed)]);
        }
    }
    for client in &mut clients {
        client.continue_at_a_price(3);
    }
    let dense = (14..150).find(|round| {
        let outputs = play(&mut clients, &mix, *round);
        outputs.iter().flatten().any(|o| matches!(o, Output::Event(Event::Rhythm { .. })))
    });
    assert!(dense.is_some());
}

#[test]
fn aborted_rounds_with_a_meeting_have_a_budget_of_their_own_and_then_conversations_rest() {
    let mix = mix(1, 0, 1);
    let mut client = client(&mix, 1, None);
    client.attempts = Ledger::new(10, 0, 0);
    document(&mut client, &mix);
    // With nothing to meet for, an abort selects nothing.
    open(&mut client, &mix, 0);
    assert_eq!(abort(&mut client, &mix, 0, &[0, 2]), [ended(0, Outcome::FreeAbort)]);
    client.open_conversation(&opening(Role::First)).unwrap();
    let mut said = Vec::new();
    for round in 1..10 {
        let outputs = open(&mut client, &mix, round);
        let Output::Persist(kept) = outputs[0] else { panic!("nothing is kept") };
        // On disk before anything leaves, like the ledger.
        assert_eq!(kept.attempts, (round as u32).min(5));
        said.extend(abort(&mut client, &mix, round, &[0, 2]));
    }
    assert_eq!((client.attempts().spent, client.attempts().left), (5, 0));
    assert_eq!(client.ledger().charged(), 0);
    let resting = Output::Event(Event::RestingAfterAborts { aborted: 5 });
    assert_eq!(said.iter().filter(|output| **output == resting).count(), 1);
    // Idle, and alone, so nothing is amiss.
    let submitted = onions(&open(&mut client, &mix, 10));
    let replies = mix.exchange(Round(10), &[submitted]).remove(0);
    assert_eq!(reply(&mut client, &mix, 10, replies), [ended(10, Outcome::Undisturbed)]);
    // A restart forgets none of it.
    let kept = client.checkpoint().unwrap();
    let restarted = super::client(&mix, 2, Some(kept));
    assert_eq!(restarted.attempts.charged(), 5);
    client.continue_after_aborts(2);
    for round in 11..14 {
        open(&mut client, &mix, round);
        abort(&mut client, &mix, round, &[0, 2]);
    }
    assert_eq!((client.attempts().spent, client.attempts().left), (7, 0));
}

#[test]
fn a_client_that_is_linked_again_asks_for_every_round_in_flight_and_for_nothing_else() {
    let mix = mix(1, 0, 1);
    let mut asked = Vec::new();
    for talking in [false, true] {
        let mut client = client(&mix, 1, None);
        document(&mut client, &mix);
        if talking {
            client.open_conversation(&opening(Role::First)).unwrap();
        }
        let mut tickets = Vec::new();
        for round in 0..4 {
            let outputs = open(&mut client, &mix, round);
            tickets.extend(outputs.iter().filter_map(|output| match output {
                Output::Submit { round, ticket, .. } => Some((*round, *ticket)),
                _ => None,
            }));
        }
        reply(&mut client, &mix, 1, vec![0; 512]);
        client.handle(time(&mix, 3), Input::Linked);
        let questions = drain(&mut client);
        let shown: Vec<_> = questions
            .iter()
            .map(|output| match output {
                Output::Resume { round, ticket, .. } => (*round, ticket.digest()),
                other => panic!("{other:?}"),
            })
            .collect();
        tickets.remove(1);
        assert_eq!(shown, tickets);
        asked.push(shown.into_iter().map(|(round, _)| round).collect::<Vec<_>>());
    }
    assert_eq!(asked[0], asked[1]);
}

#[test]
fn conversations_beyond_the_pairs_are_refused() {
    let mix = mix(1, 0, 2);
    let mut client = client(&mix, 1, None);
    let two = Opening { pairs: 2, ..opening(Role::First) };
    let refusal = Err(OpenError::TooMany { needed: 2, available: 1 });
    assert_eq!(client.open_conversation(&two), refusal);
    document(&mut client, &mix);
    client.open_conversation(&opening(Role::First)).unwrap();
    let refusal = Err(OpenError::TooMany { needed: 3, available: 2 });
    assert_eq!(client.open_conversation(&two), refusal);
    let none = Opening { pairs: 0, ..opening(Role::First) };
    assert_eq!(client.open_conversation(&none), Err(OpenError::NoPairs));
}

#[test]
fn rounds_out_of_place_or_time_are_refused() {
    let mix = mix(1, 100, 1);
    let mut client = client(&mix, 1, None);
    let epoch = Epoch(1);
    let mut at = |now: u64, epoch, round| {
        let input = Input::from(ToClient::Opened { epoch, round: Round(round), closes_in_ms: 500 });
        client.handle(STARTS_AT.plus_ms(now), input);
        (refused(&drain(&mut client)), client.mark)
    };
    assert_eq!(at(0, epoch, 100), (Some(RoundRefusal::UnknownEpoch), None));
    document(&mut client, &mix);
    let mut at = |now: u64, epoch, round| {
        let input = Input::from(ToClient::Opened { epoch, round: Round(round), closes_in_ms: 500 });
        client.handle(STARTS_AT.plus_ms(now), input);
        refused(&drain(&mut client))
    };
    assert_eq!(at(0, Epoch(2), 100), Some(RoundRefusal::UnknownEpoch));
    assert_eq!(at(0, epoch, 99), Some(RoundRefusal::OutsideEpoch));
    assert_eq!(at(0, epoch, 250), Some(RoundRefusal::OutsideEpoch));
    assert_eq!(at(0, epoch, 110), None);
    assert_eq!(at(300, epoch, 111), None);
    assert_eq!(at(1000, epoch, 111), None);
    let late = 300_000 + 2 * 2000 * 13;
    assert_eq!(at(late + 5, epoch, 112), Some(RoundRefusal::AfterItsTime(5)));
    assert_eq!(at(late, epoch, 112), None);
    assert_eq!(at(2 * 2000 * 150, epoch, 249), Some(RoundRefusal::Expired));
}

#[test]
fn a_round_far_before_its_time_is_refused() {
    let mix = mix(1, 100, 1);
    let mut client = client(&mix, 1, None);
    document(&mut client, &mix);
    // Five in their time, and a day's early ones.
    let round = Round(105 + u64::from(mix.network.policy.early_rounds_a_day));
    let input = Input::from(ToClient::Opened { epoch: Epoch(1), round, closes_in_ms: 500 });
    client.handle(Timestamp(STARTS_AT.0 + 5000 - 300_000 - 1), input.clone());
    assert_eq!(refused(&drain(&mut client)), Some(RoundRefusal::BeforeItsTime(1)));
    client.handle(Timestamp(STARTS_AT.0 + 5000 - 300_000), input);
    assert_eq!(refused(&drain(&mut client)), None);
}

#[test]
fn newer_documents_take_over_and_older_ones_are_refused() {
    let (one, two) = (mix(1, 100, 1), mix(2, 120, 1));
    let mut client = client(&one, 1, None);
    document(&mut client, &one);
    onions(&open(&mut client, &one, 100));
    assert_eq!(document(&mut client, &two).len(), 1);
    assert!(document(&mut client, &two).is_empty());
    assert!(document(&mut client, &one).is_empty());
    onions(&open(&mut client, &one, 119));
    let superseded = refused(&open(&mut client, &one, 120));
    assert_eq!(superseded, Some(RoundRefusal::Superseded));
    client.clock = RoundClock::new(0);
    onions(&open(&mut client, &two, 120));
    assert_eq!(refused(&open(&mut client, &one, 121)), Some(RoundRefusal::UnknownEpoch));
    let error = DocumentRefusal::Older { offered: Epoch(1), known: Epoch(2) };
    assert_eq!(document(&mut client, &one), [Output::Event(Event::DocumentRefused { error })]);
    let mut other = two.signed.clone();
    other.document.previous.0[0] ^= 1;
    client.handle(STARTS_AT, Input::from(ToClient::Document { document: other }));
    let error = DocumentRefusal::Conflict(Epoch(2));
    assert_eq!(drain(&mut client), [Output::Event(Event::DocumentRefused { error })]);
}

#[test]
fn invalid_and_expired_documents_are_refused() {
    let mix = mix(1, 100, 1);
    let mut client = client(&mix, 1, None);
    let mut forged = mix.signed.clone();
    forged.document.parameters.interval_ms += 1;
    client.handle(STARTS_AT, Input::from(ToClient::Document { document: forged }));
    let outputs = drain(&mut client);
    assert!(matches!(
        outputs[..],
        [Output::Event(Event::DocumentRefused { error: DocumentRefusal::Invalid(_) })]
    ));
    let expired = mix.signed.document.expires_at;
    client.handle(expired, Input::from(ToClient::Document { document: mix.signed.clone() }));
    let error = DocumentRefusal::Expired;
    assert_eq!(drain(&mut client), [Output::Event(Event::DocumentRefused { error })]);
}

#[test]
fn rounds_in_flight_are_bounded() {
    let mix = mix(1, 0, 1);
    let mut client = client(&mix, 1, None);
    document(&mut client, &mix);
    client.clock = RoundClock::new(0);
    for round in 0..28 {
        let input = Input::from(ToClient::Opened {
            epoch: Epoch(1),
            round: Round(round),
            closes_in_ms: u32::MAX,
        });
        client.handle(STARTS_AT, input);
    }
    assert_eq!(client.in_flight.len(), 2 * MOST_ROUNDS_IN_FLIGHT);
    let ended = drain(&mut client);
    let disturbed = ended.iter().filter(|o| matches!(o, Output::Event(Event::RoundEnded { .. })));
    assert_eq!(disturbed.count(), 12);
}

#[test]
fn rounds_in_flight_count_as_spent_and_the_last_unit_is_spent_once() {
    let mix = mix(1, 0, 1);
    let mut client = client(&mix, 1, None);
    document(&mut client, &mix);
    client.open_conversation(&opening(Role::First)).unwrap();
    client.ledger = Ledger::new(20, 4, 0);
    let allowance = client.ledger().allowance();
    let met = |client: &Client| client.in_flight.iter().filter(|flight| flight.counts()).count();
    let kept = |outputs: &[Output]| match outputs[0] {
        Output::Persist(checkpoint) => checkpoint.charged,
        _ => panic!("nothing is kept"),
    };
    let mut most = 0;
    for round in 0..60u64 {
        let outputs = open(&mut client, &mix, round);
        assert_eq!(onions(&outputs).len(), 2 * mix.entry_bytes());
        // Whatever becomes of those in flight is on disk, and no more than there is.
        assert_eq!(kept(&outputs), client.ledger().charged() + met(&client) as u32);
        most = most.max(kept(&outputs));
        assert!(most <= allowance);
        // Four in flight, and all of them disturbed.
        if let Some(over) = round.checked_sub(3) {
            reply(&mut client, &mix, over, Vec::new());
        }
    }
    assert_eq!((most, client.ledger().charged(), met(&client)), (allowance, allowance, 0));
}
