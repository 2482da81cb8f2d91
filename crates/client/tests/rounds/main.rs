//! Clients over real QUIC on the loopback interface, with servers that the test leads.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod beats;
mod relay;
mod traffic;
mod turns;
mod world;

use antiphon_client::{
    Client, ConnectError, ConversationOptions, ConversationSecret, CoreEvent, DocumentRefusal,
    Epoch, Event, Outcome, ReceiveError, Role, Round, RoundRefusal, SendError, Start, StateError,
    StateOrigin,
};
use antiphon_mock_mix::Mix;
use antiphon_wire::{Blob, ToClient};
use world::{Served, World, event, mix, within};

fn options(role: Role) -> ConversationOptions {
    ConversationOptions::new(ConversationSecret([9; 32]), role, Start::Dense)
}

fn ended(event: &Event) -> Option<(Round, Outcome)> {
    match event {
        Event::Core(CoreEvent::RoundEnded { round, outcome }) => Some((*round, *outcome)),
        _ => None,
    }
}

/// Plays a round in which nothing goes wrong.
async fn play(mix: &Mix, epoch: u64, round: u64, served: &mut [Served]) {
    let mut submitted = Vec::new();
    for served in served.iter_mut() {
        served.open(epoch, round).await;
        submitted.push(served.onions(epoch, round).await);
    }
    let replies = mix.exchange(Round(round), &submitted);
    for (served, replies) in served.iter().zip(replies) {
        served.reply(epoch, round, replies).await;
    }
}

#[tokio::test]
async fn each_opened_round_gets_one_submission_with_its_checkpoint_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut world = World::new();
    let config = world.config(None, Some(&state));
    let (client, shard, mut served) = world.connect(config.clone()).await;
    assert_eq!(client.status().gateway, Some(World::identity(shard)));
    let mut events = client.events();
    let mut before = Vec::new();
    for round in 10..15 {
        served.open(1, round).await;
        let onions = served.onions(1, round).await;
        assert_eq!(onions.len(), 2 * world.mix.entry_bytes());
        let on_disk = std::fs::read(&state).unwrap();
        assert_ne!(on_disk, before, "the checkpoint comes first");
        before = on_disk;
        let replies = world.mix.exchange(Round(round), &[onions]).remove(0);
        served.reply(1, round, replies).await;
        // Had there been a second submission, it would be read instead of the next round's.
        let outcome = event(&mut events, ended).await;
        assert_eq!(outcome, (Round(round), Outcome::Undisturbed));
    }
    let second = Client::connect(config.clone()).await;
    assert!(matches!(second, Err(ConnectError::State(StateError::InUse { .. }))));
    within(client.shut_down()).await;

    let (client, _, mut served) = world.connect(config).await;
    assert_eq!(client.status().last_round, Some(Round(14)));
    served.open(1, 14).await;
    served.open(1, 15).await;
    served.onions(1, 15).await;
}

#[tokio::test]
async fn without_a_checkpoint_on_disk_nothing_is_submitted() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let mut world = World::new();
    let config = world.config(None, Some(&inner.join("state")));
    let (client, _, mut served) = world.connect(config).await;
    let mut events = client.events();
    std::fs::rename(&inner, folder.path().join("away")).unwrap();
    served.open(1, 10).await;
    let wanted = |e: &Event| matches!(e, Event::StateNotWritten { .. }).then_some(());
    event(&mut events, wanted).await;
    std::fs::rename(folder.path().join("away"), &inner).unwrap();
    served.open(1, 11).await;
    served.onions(1, 11).await;
}

#[tokio::test]
async fn partners_talk_and_slowness_of_one_changes_nothing() {
    let mut world = World::new();
    let mut config = world.config(None, None);
    config.queue_bytes = 1000;
    config.inbox_bytes = 300;
    let (first, _, a) = world.connect(config.clone()).await;
    let (second, _, b) = world.connect(config).await;
    let conversation = first.open(options(Role::First)).await.unwrap();
    let mut partner = second.open(options(Role::Second)).await.unwrap();
    let (mut events, mut served) = (second.events(), [a, b]);

    let mut deliveries = Vec::new();
    for i in 0..4 {
        deliveries.push(conversation.send(vec![i; 100]).await.unwrap());
    }
    let too_long = conversation.send(vec![0; 237]).await.unwrap_err();
    assert_eq!(too_long, SendError::TooLong { length: 237, limit: 236 });
    let (sender, _receiver) = conversation.split();
    deliveries.push(sender.try_send(vec![4; 100]).await.unwrap());
    deliveries.push(sender.try_send(vec![5; 100]).await.unwrap());
    assert_eq!(sender.try_send(vec![6; 100]).await.unwrap_err(), SendError::QueueFull);
    let waiting = tokio::spawn(async move { sender.send(vec![6; 100]).await });

    // The partner takes nothing meanwhile: its inbox holds one message of 100 bytes.
    for round in 10..24 {
        play(&world.mix, 1, round, &mut served).await;
        assert_eq!(event(&mut events, ended).await, (Round(round), Outcome::Undisturbed));
    }
    for delivery in deliveries {
        assert_eq!(within(delivery).await, Ok(()));
    }
    assert_eq!(within(within(waiting).await.unwrap().unwrap()).await, Ok(()));
    assert_eq!(within(partner.receive()).await, Ok(vec![0; 100]));
    drop((first, second));
    assert_eq!(within(partner.receive()).await, Err(ReceiveError::Closed));
    assert!(matches!(
        within(partner.send("late")).await,
        Err(SendError::Gone(_) | SendError::Closed)
    ));
}

#[tokio::test]
async fn a_lost_link_is_opened_again_at_once_and_its_rounds_cost_nothing() {
    for talking in [true, false] {
        let mut world = World::new();
        let config = world.config(None, None);
        let (client, shard, mut served) = world.connect(config).await;
        let open = match talking {
            true => Some(client.open(options(Role::First)).await.unwrap()),
            false => None,
        };
        let mut events = client.events();
        let mut handed_in = Vec::new();
        for round in 10..13 {
            served.open(1, round).await;
            handed_in.push(served.submission(1, round).await);
        }
        served.hang_up();
        let before = tokio::time::Instant::now();
        let (again, mut served) = world.gateway().await;
        assert_eq!(again, shard, "the same gateway first");
        assert!(before.elapsed() < std::time::Duration::from_secs(2), "{:?}", before.elapsed());
        for (round, (ticket, _)) in (10..13).zip(&handed_in) {
            assert_eq!(served.resumed(1, round).await.digest(), *ticket);
        }
        // Nothing is disturbed yet, and the answers may come now.
        assert_eq!(client.status().budget.spent, 0);
        for (round, (_, onions)) in (10..13).zip(handed_in) {
            let replies = world.mix.exchange(Round(round), &[onions]).remove(0);
            served.reply(1, round, replies).await;
            let outcome = if talking { Outcome::Disturbed } else { Outcome::Undisturbed };
            assert_eq!(event(&mut events, ended).await, (Round(round), outcome), "alone");
        }
        served.open(1, 13).await;
        served.onions(1, 13).await;
        drop(open);
    }
}

#[tokio::test]
async fn a_gateway_that_breaks_the_protocol_is_left_for_another() {
    let mut world = World::new();
    let config = world.config(None, None);
    let (client, shard, served) = world.connect(config).await;
    served.sender.send(b"nonsense".to_vec().into()).await.unwrap();
    let (other, mut served) = world.gateway().await;
    assert_ne!(other, shard);
    served.open(1, 10).await;
    served.onions(1, 10).await;
    drop(client);
}

#[tokio::test]
async fn a_gateway_that_brings_nothing_is_left_and_one_that_brings_wrong_replies_is_not() {
    for talking in [false, true] {
        let mut world = World::new();
        let (client, shard, mut served) = world.connect(world.config(None, None)).await;
        let open = match talking {
            true => Some(client.open(options(Role::First)).await.unwrap()),
            false => None,
        };
        let mut events = client.events();
        // To leave for what replies hold would show that a conversation is open.
        for round in 10..20 {
            served.open(1, round).await;
            served.onions(1, round).await;
            served.reply(1, round, vec![round as u8; 512]).await;
            assert_eq!(event(&mut events, ended).await, (Round(round), Outcome::Disturbed));
        }
        assert_eq!(client.status().budget.left < 8, talking);
        for round in 20..23 {
            served.open(1, round).await;
            served.onions(1, round).await;
            let refused = ToClient::Refused {
                epoch: Epoch(1),
                round: Round(round),
                reason: Blob(b"late".to_vec()),
            };
            served.send(refused).await;
            assert_eq!(event(&mut events, ended).await, (Round(round), Outcome::Disturbed));
        }
        let (other, _served) = world.gateway().await;
        assert_ne!(other, shard);
        drop(open);
    }
}

#[tokio::test]
async fn a_restored_backup_waits_for_the_next_epoch_with_its_ledger_used_up() {
    let folder = tempfile::tempdir().unwrap();
    let (state, backup) = (folder.path().join("state"), folder.path().join("backup"));
    let mut world = World::new();
    let config = world.config(None, Some(&state));
    let (client, _, mut served) = world.connect(config.clone()).await;
    assert_eq!(client.origin(), StateOrigin::Fresh);
    for round in 10..13 {
        served.open(1, round).await;
        served.onions(1, round).await;
        if round == 10 {
            std::fs::copy(&state, &backup).unwrap();
        }
    }
    drop(client);
    std::fs::rename(&backup, &state).unwrap();
    let (client, _, served) = world.connect(config).await;
    assert_eq!((client.origin(), client.status().budget.left), (StateOrigin::Restored, 0));
    let mut events = client.events();
    served.open(1, 12).await;
    let refused = |e: &Event| match e {
        Event::Core(CoreEvent::RoundRefused { error, .. }) => Some(*error),
        _ => None,
    };
    assert_eq!(event(&mut events, refused).await, RoundRefusal::AfterRestore);
}

#[tokio::test]
async fn a_pinned_gateway_is_the_only_one_used() {
    let mut world = World::new();
    let config = world.config(Some(2), None);
    let (client, shard, served) = world.connect(config).await;
    assert_eq!(shard, 2);
    served.hang_up();
    assert_eq!(world.gateway().await.0, 2);
    drop(client);
}

/// A coordinator sends the newest document after the one before it.
#[tokio::test]
async fn a_pinned_gateway_that_only_the_newest_epoch_has_is_found() {
    let mut world = World::new();
    let mut before = world.addresses();
    before[2] = None;
    let (before, newest) = (mix(1, 10, &before), mix(2, 12, &world.addresses()));
    let connecting = tokio::spawn(Client::connect(world.config(Some(2), None)));
    let asked = Served::accept(&mut world.coordinator).await;
    asked.document(before.signed).await;
    // It may have come to a decision by then.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    asked.document(newest.signed).await;
    assert_eq!(world.gateway().await.0, 2);
    within(connecting).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_refused_document_is_told_of_and_changes_nothing() {
    let mut world = World::new();
    let config = world.config(None, None);
    let (client, _, mut served) = world.connect(config.clone()).await;
    let mut events = client.events();
    let mut forged = mix(2, 12, &world.addresses()).signed;
    forged.document.joint_seal_keys.swap(0, 1);
    served.document(forged.clone()).await;
    let refused = |e: &Event| match e {
        Event::Core(CoreEvent::DocumentRefused { error }) => Some(error.clone()),
        _ => None,
    };
    assert!(matches!(event(&mut events, refused).await, DocumentRefusal::Invalid(_)));
    served.open(1, 10).await;
    served.onions(1, 10).await;

    let connecting = tokio::spawn(Client::connect(config));
    let asked = Served::accept(&mut world.coordinator).await;
    asked.document(forged).await;
    let error = within(connecting).await.unwrap().unwrap_err();
    assert!(matches!(error, ConnectError::Document(DocumentRefusal::Invalid(_))));
}

#[tokio::test]
async fn connecting_to_nobody_ends_with_the_reason() {
    let world = World::new();
    let mut config = world.config(None, None);
    config.coordinators[0].address = "coordinator.invalid:1".to_owned();
    config.connect_within = std::time::Duration::from_millis(300);
    let error = Client::connect(config).await.unwrap_err().to_string();
    assert!(error.contains("the last attempt"), "{error}");
    let mut config = world.config(None, None);
    config.coordinators[0].identity = World::identity(0);
    let error = within(Client::connect(config)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Coordinator(_)));
}

#[tokio::test]
async fn rounds_overlap_and_end_in_any_order() {
    let mut world = World::new();
    let config = world.config(None, None);
    let (client, _, mut served) = world.connect(config).await;
    let mut events = client.events();
    let mut submitted = Vec::new();
    for round in 10..14 {
        served.open(1, round).await;
        submitted.push((round, served.onions(1, round).await));
    }
    submitted.swap(1, 2);
    for (round, onions) in submitted {
        let replies = world.mix.exchange(Round(round), &[onions]).remove(0);
        served.reply(1, round, replies).await;
        assert_eq!(event(&mut events, ended).await, (Round(round), Outcome::Undisturbed));
    }
}

#[tokio::test]
async fn shutting_down_waits_for_the_round_in_flight() {
    let mut world = World::new();
    let config = world.config(None, None);
    let (client, _, mut served) = world.connect(config).await;
    let mut events = client.events();
    served.open(1, 10).await;
    let onions = served.onions(1, 10).await;
    let stopping = tokio::spawn(async move { client.shut_down().await });
    let replies = world.mix.exchange(Round(10), &[onions]).remove(0);
    served.reply(1, 10, replies).await;
    assert_eq!(event(&mut events, ended).await, (Round(10), Outcome::Undisturbed));
    within(stopping).await.unwrap();
    assert_eq!(events.next().await, None);
}
