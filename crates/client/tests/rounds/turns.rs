//! Clients that turn to the gateway of a new epoch.

use std::time::Duration;

use antiphon_client::{Client, CoreEvent, Epoch, Event, Outcome, Round};
use antiphon_process::clock::SystemClock;

use tokio::time::{sleep, timeout};

use super::ended;
use crate::world::{Served, World, event, mix, mix_every, mix_from};

/// The first gateway does not serve the next epoch, whose rounds open later than its document says.
#[tokio::test]
async fn a_client_turns_to_a_new_epochs_gateway_without_losing_a_round() {
    let mut world = World::new();
    let config = world.config(None, None);
    let (client, shard, mut served) = world.connect(config).await;
    let mut events = client.events();
    served.open(1, 10).await;
    let mut handed_in = vec![(1, 10, served.onions(1, 10).await)];
    let mut addresses = world.addresses();
    addresses[shard] = None;
    let next = mix(2, 12, &addresses);
    served.document(next.signed.clone()).await;
    let (other, mut turned) = world.gateway_unasked().await;
    assert_ne!(other, shard);
    // Nobody else may have the last round of the epoch before: the other gateway may be new.
    served.open(1, 11).await;
    handed_in.push((1, 11, served.onions(1, 11).await));
    turned.open(2, 12).await;
    turned.hello().await;
    handed_in.push((2, 12, turned.onions(2, 12).await));
    assert_eq!(client.status().gateway, Some(World::identity(other)));
    // Neither has a say in rounds that the other was given.
    turned.reply(1, 11, vec![0; 512]).await;
    turned.open(1, 11).await;
    served.reply(2, 12, vec![0; 512]).await;
    served.open(2, 13).await;
    for (epoch, round, onions) in handed_in {
        let (mix, by) = if epoch == 1 { (&world.mix, &served) } else { (&next, &turned) };
        let replies = mix.exchange(Round(round), &[onions]).remove(0);
        by.reply(epoch, round, replies).await;
        assert_eq!(event(&mut events, ended).await, (Round(round), Outcome::Undisturbed));
    }
    turned.open(2, 13).await;
    turned.onions(2, 13).await;
}

/// A round of epoch 2 that each client hands in for at the gateway that it has.
async fn hand_in(clients: &mut [(Client, Served)], round: u64) {
    for (_, served) in clients.iter() {
        served.open(2, round).await;
    }
    for (_, served) in clients.iter_mut() {
        served.onions(2, round).await;
    }
}

/// Each client's gateway serves the next epoch as well, in which some have drawn another one. These are linked to it at a
/// moment of their own after its first round, and the next one opens just then.
#[tokio::test]
async fn clients_whose_gateways_go_on_hand_in_there_until_they_have_said_hello_elsewhere() {
    let mut world = World::new();
    let config = world.config(None, None);
    let mut clients: Vec<(Client, Served)> = Vec::new();
    for _ in 0..10 {
        let (client, _, served) = world.connect(config.clone()).await;
        clients.push((client, served));
    }
    let next = mix_every(4000, 2, 12, &world.addresses());
    for (_, served) in &clients {
        served.document(next.signed.clone()).await;
    }
    let mut round = 12;
    // Rounds open so fast that none has the time to turn.
    let (other, mut ahead) = loop {
        hand_in(&mut clients, round).await;
        round += 1;
        if let Ok(linked) = timeout(Duration::from_millis(50), world.gateway_unasked()).await {
            break linked;
        }
    };
    // Whoever has linked up already has this round from the gateway in use alone.
    hand_in(&mut clients, round).await;
    ahead.hello().await;
    ahead.open(2, round).await;
    ahead.open(2, round + 1).await;
    ahead.onions(2, round + 1).await;
    let there = Some(World::identity(other));
    assert!(clients.iter().any(|(client, _)| client.status().gateway == there));
}

/// The first gateway serves no round of the next epoch, which starts in a while.
#[tokio::test]
async fn a_client_is_linked_to_its_next_gateway_before_the_present_one_serves_no_more() {
    let mut world = World::new();
    let config = world.config(None, None);
    let (client, shard, mut served) = world.connect(config).await;
    let mut events = client.events();
    let mut addresses = world.addresses();
    addresses[shard] = None;
    let next = mix_from(2, 12, SystemClock::now().plus_ms(5000), &addresses);
    served.document(next.signed.clone()).await;
    // Long before the epoch starts, and without a word: nobody is to wait for it in the rounds before.
    let (other, mut ahead) = world.gateway_unasked().await;
    assert_ne!(other, shard);
    for round in [10, 11] {
        ahead.open(1, round).await;
        served.open(1, round).await;
        let onions = served.onions(1, round).await;
        served.reply(1, round, world.mix.exchange(Round(round), &[onions]).remove(0)).await;
        assert_eq!(event(&mut events, ended).await, (Round(round), Outcome::Undisturbed));
    }
    // The one before may be gone by then.
    served.hang_up();
    ahead.open(2, 12).await;
    ahead.hello().await;
    let onions = ahead.onions(2, 12).await;
    ahead.reply(2, 12, next.exchange(Round(12), &[onions]).remove(0)).await;
    assert_eq!(event(&mut events, ended).await, (Round(12), Outcome::Undisturbed));
    assert_eq!(client.status().gateway, Some(World::identity(other)));
}

/// The gateway of epoch 2 does not serve epoch 3, which was announced before that gateway was turned to. The one before
/// serves epoch 3, so for whoever still used it there was no hurry.
#[tokio::test]
async fn a_client_that_has_turned_is_linked_to_the_gateway_after_before_its_own_serves_no_more() {
    let mut world = World::new();
    let config = world.config(None, None);
    let (client, shard, served) = world.connect(config).await;
    let mut events = client.events();
    let mut addresses = world.addresses();
    addresses[shard] = None;
    let soon = SystemClock::now().plus_ms(1000);
    served.document(mix_from(2, 12, soon, &addresses).signed).await;
    let (other, mut ahead) = world.gateway_unasked().await;
    let starts_at = SystemClock::now().plus_ms(6000);
    let mut addresses = world.addresses();
    addresses[other] = None;
    served.document(mix_from(3, 14, starts_at, &addresses).signed).await;
    let adopted = |event: &Event| match event {
        Event::Core(CoreEvent::EpochAdopted { epoch, .. }) => (*epoch == Epoch(3)).then_some(()),
        _ => None,
    };
    event(&mut events, adopted).await;
    // Whatever was planned for epoch 2 is done with by its start.
    sleep(Duration::from_millis(soon.ms_since(SystemClock::now()) + 200)).await;
    ahead.open(2, 12).await;
    ahead.hello().await;
    ahead.onions(2, 12).await;
    let (third, _link) = world.gateway_unasked().await;
    assert!(third != other && SystemClock::now() < starts_at);
}
