mod beats;
mod hostile;
pub(crate) mod mix;
mod outages;
mod returned;
mod rules;

use antiphon_mock_mix::Mix;
use antiphon_wire::{Blob, Epoch, Round, Timestamp};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::{Budget, CLOCK_SLACK_MS, ConversationSecret, Outcome, Role, RoundRefusal, Start};
use mix::{STARTS_AT, mix};

fn client(mix: &Mix, seed: u64, restored: Option<Checkpoint>) -> Client {
    let entropy = EntropySource::new(ChaCha20Rng::seed_from_u64(seed));
    Client::new(ClientConfig::new(mix.network.clone()), restored, entropy)
}

fn opening(role: Role) -> Opening {
    Opening::new(ConversationSecret([9; 32]), role, Start::Dense)
}

/// When a round opens, two seconds apart.
fn time(mix: &Mix, round: u64) -> Timestamp {
    STARTS_AT.plus_ms(2000 * (round - mix.signed.document.first_round.0))
}

fn document(client: &mut Client, mix: &Mix) -> Vec<Output> {
    client.handle(STARTS_AT, Input::from(ToClient::Document { document: mix.signed.clone() }));
    drain(client)
}

fn open(client: &mut Client, mix: &Mix, round: u64) -> Vec<Output> {
    let epoch = mix.signed.document.epoch;
    let input = Input::from(ToClient::Opened { epoch, round: Round(round), closes_in_ms: 500 });
    client.handle(time(mix, round), input);
    drain(client)
}

fn reply(client: &mut Client, mix: &Mix, round: u64, replies: Vec<u8>) -> Vec<Output> {
    let epoch = mix.signed.document.epoch;
    client.handle(
        time(mix, round),
        Input::from(ToClient::Replies { epoch, round: Round(round), replies: Blob(replies) }),
    );
    drain(client)
}

/// All outputs but what says which onions came back, which has tests of its own.
fn drain(client: &mut Client) -> Vec<Output> {
    let is_other = |output: &Output| !matches!(output, Output::Event(Event::Returned { .. }));
    std::iter::from_fn(|| client.poll()).filter(is_other).collect()
}

/// The onions of the one submission among `outputs`.
fn onions(outputs: &[Output]) -> Vec<u8> {
    let all: Vec<_> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Submit { onions, .. } => Some(onions.clone()),
            _ => None,
        })
        .collect();
    let [onions] = &all[..] else { panic!("{} submissions in a round", all.len()) };
    onions.clone()
}

/// Plays a round in which nothing goes wrong, and returns each client's outputs after it.
fn play(clients: &mut [Client], mix: &Mix, round: u64) -> Vec<Vec<Output>> {
    let submitted: Vec<_> =
        clients.iter_mut().map(|client| onions(&open(client, mix, round))).collect();
    let replies = mix.exchange(Round(round), &submitted);
    clients
        .iter_mut()
        .zip(replies)
        .map(|(client, replies)| reply(client, mix, round, replies))
        .collect()
}

fn ended(round: u64, outcome: Outcome) -> Output {
    Output::Event(Event::RoundEnded { round: Round(round), outcome })
}

fn refused(outputs: &[Output]) -> Option<RoundRefusal> {
    outputs.iter().find_map(|output| match output {
        Output::Event(Event::RoundRefused { error, .. }) => Some(*error),
        _ => None,
    })
}

#[test]
fn a_client_can_move_between_threads() {
    fn movable<T: Send>() {}
    movable::<Client>();
}

#[test]
fn two_clients_talk_through_real_onions() {
    let mix = mix(1, 100, 1);
    let mut clients = [client(&mix, 1, None), client(&mix, 2, None), client(&mix, 3, None)];
    for client in &mut clients {
        assert!(matches!(document(client, &mix)[..], [Output::Event(Event::EpochAdopted { .. })]));
    }
    let first = clients[0].open_conversation(&opening(Role::First)).unwrap();
    let second = clients[1].open_conversation(&opening(Role::Second)).unwrap();
    let message: Vec<u8> = (0..20_000).map(|i| (i % 241) as u8).collect();
    let sent = clients[0].send(first, message.clone()).unwrap();
    clients[1].send(second, Vec::new()).unwrap();
    let mut outputs = [const { Vec::new() }; 3];
    for round in 100..147 {
        for (all, new) in outputs.iter_mut().zip(play(&mut clients, &mix, round)) {
            assert!(new.contains(&ended(round, Outcome::Undisturbed)));
            all.extend(new);
        }
    }
    let received = Event::Received { conversation: second, message };
    assert_eq!(outputs[1].iter().filter(|o| **o == Output::Event(received.clone())).count(), 1);
    let acknowledged = Event::Acknowledged { conversation: first, message: sent };
    assert!(outputs[0].contains(&Output::Event(acknowledged)));
    let empty = Event::Received { conversation: first, message: Vec::new() };
    assert!(outputs[0].contains(&Output::Event(empty)));
    assert_eq!(outputs[2].len(), 47);
    assert!(clients.iter().all(|client| client.ledger().charged() == 0));
}

#[test]
fn every_round_gets_one_submission_of_one_size_in_every_state() {
    let mix = mix(1, 0, 2);
    let mut client = client(&mix, 1, None);
    client.ledger = Ledger::new(20, 8, 0);
    document(&mut client, &mix);
    let mut id = None;
    for round in 0..90 {
        match round {
            3 => id = client.open_conversation(&opening(Role::First)).ok(),
            6 => drop(client.send(id.unwrap(), vec![1; 5000])),
            // The ledger is used up by now.
            50 => {
                assert_eq!(client.budget().left, 0);
                client.continue_at_a_price(5);
            }
            60 => {
                let second = client.open_conversation(&opening(Role::Second)).unwrap();
                client.close_conversation(second);
            }
            _ => {}
        }
        let outputs = open(&mut client, &mix, round);
        assert_eq!(onions(&outputs).len(), 4 * mix.entry_bytes());
        match round % 4 {
            0 => drop(reply(&mut client, &mix, round, vec![0; 4 * 256])),
            1 => drop(reply(&mut client, &mix, round, vec![0; 7])),
            2 => client.handle(time(&mix, round), Input::LinkLost),
            _ => {}
        }
        drain(&mut client);
    }
    assert_eq!(client.conversations.len(), 1);
    assert!(client.ledger().charged() > 10);
}

#[test]
fn the_checkpoint_comes_before_the_onions_it_covers() {
    let mix = mix(1, 0, 1);
    let mut client = client(&mix, 1, None);
    document(&mut client, &mix);
    client.open_conversation(&opening(Role::First)).unwrap();
    for round in 0..3 {
        let outputs = open(&mut client, &mix, round);
        let mark = RoundMark { epoch: Epoch(1), round: Round(round) };
        // The round itself is counted until its outcome is known.
        let charged = round as u32 + 1;
        let Output::Persist(Checkpoint { pace, .. }) = outputs[0] else { panic!("{outputs:?}") };
        assert!(pace.full > Timestamp(0), "the round counts for a client that starts again");
        let kept = Checkpoint { mark, charged, attempts: 1, pace, ..Checkpoint::default() };
        assert_eq!(outputs[0], Output::Persist(kept));
        assert!(matches!(outputs[1], Output::Submit { .. }));
        reply(&mut client, &mix, round, Vec::new());
    }
}

#[test]
fn a_repeated_opening_gets_the_same_bytes_until_the_round_has_ended() {
    let mix = mix(1, 0, 1);
    let mut client = client(&mix, 1, None);
    document(&mut client, &mix);
    let first = onions(&open(&mut client, &mix, 4));
    assert_eq!(open(&mut client, &mix, 4).len(), 1);
    assert_eq!(onions(&open(&mut client, &mix, 4)), first);
    assert!(open(&mut client, &mix, 3).is_empty());
    reply(&mut client, &mix, 4, Vec::new());
    assert!(open(&mut client, &mix, 4).is_empty());
}

#[test]
fn a_restored_client_starts_after_its_mark_with_its_ledger() {
    let mix = mix(5, 0, 1);
    let mark = RoundMark { epoch: Epoch(5), round: Round(7) };
    let mut client =
        client(&mix, 1, Some(Checkpoint { mark, charged: 9, ..Checkpoint::default() }));
    document(&mut client, &mix);
    assert_eq!(client.ledger().left(), 1);
    assert!(open(&mut client, &mix, 6).is_empty());
    assert!(open(&mut client, &mix, 7).is_empty());
    onions(&open(&mut client, &mix, 8));
}

#[test]
fn a_backup_starts_used_up_and_with_an_epoch_that_nothing_can_have_used() {
    let (old, next) = (mix(5, 0, 1), mix(6, 100, 1));
    let mark = RoundMark { epoch: Epoch(5), round: Round(7) };
    let kept = Checkpoint { mark, charged: 2, extended: 3, ..Checkpoint::default() };
    // Documents of both epochs start at one time; the state is restored when they have.
    let backup = kept.of_a_backup(&old.network.policy, STARTS_AT);
    let mut restored = client(&old, 1, Some(backup));
    assert_eq!(restored.budget(), Budget { total: 13, spent: 13, reserved: 0, left: 0 });
    document(&mut restored, &old);
    document(&mut restored, &next);
    assert_eq!(refused(&open(&mut restored, &old, 8)), Some(RoundRefusal::AfterRestore));
    assert_eq!(refused(&open(&mut restored, &next, 100)), Some(RoundRefusal::AfterRestore));
    // Early enough, nothing of the epoch can have been used.
    let before = Timestamp(STARTS_AT.0 - CLOCK_SLACK_MS - 1);
    let backup = kept.of_a_backup(&old.network.policy, before);
    let mut restored = client(&old, 1, Some(backup));
    document(&mut restored, &next);
    let outputs = open(&mut restored, &next, 100);
    onions(&outputs);
    // It stays so over restarts.
    let Output::Persist(kept) = outputs[0] else { panic!("nothing is kept") };
    assert_eq!((kept.epochs_after, kept.charged), (backup.epochs_after, 13));
    restored.continue_at_a_price(2);
    assert_eq!(restored.budget().left, 2);
}

#[test]
fn a_silent_gateway_is_told_of_and_a_wrong_reply_is_not() {
    let mix = mix(1, 0, 1);
    let mut client = client(&mix, 1, None);
    document(&mut client, &mix);
    let told = |outputs: &[Output]| {
        outputs.iter().any(|o| matches!(o, Output::Event(Event::Unanswered { .. })))
    };
    open(&mut client, &mix, 0);
    assert!(!told(&reply(&mut client, &mix, 0, vec![7; 512])));
    open(&mut client, &mix, 1);
    assert!(told(&reply(&mut client, &mix, 1, vec![7; 511])));
    open(&mut client, &mix, 2);
    client.handle(
        time(&mix, 2),
        Input::from(ToClient::Refused {
            epoch: Epoch(1),
            round: Round(2),
            reason: Blob(Vec::new()),
        }),
    );
    assert!(told(&drain(&mut client)));
    open(&mut client, &mix, 3);
    client.handle(client.next_deadline().unwrap(), Input::Tick);
    assert!(told(&drain(&mut client)));
}
