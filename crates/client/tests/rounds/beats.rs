//! Beats over real QUIC, passed on by a mix that the test leads.

use std::time::Duration;

use antiphon_client::{ConversationOptions, CoreEvent, Event, Role};
use antiphon_process::clock::SystemClock;
use antiphon_wire::{Announcement, Blob, Epoch, FromClient, Round, Timestamp, ToClient};

use super::options;
use crate::world::{Served, World, within};

fn verified(role: Role) -> ConversationOptions {
    ConversationOptions { verified: true, ..options(role) }
}

/// A client's cells of a beat, and when they came.
struct Came {
    beat: u64,
    cells: Vec<u8>,
    at: Timestamp,
}

async fn cells(served: &mut Served, round: u64) -> Came {
    match served.next().await {
        FromClient::Cells { epoch, round: of, beat, cells } => {
            assert_eq!((epoch, of), (Epoch(1), Round(round)));
            Came { beat, cells: cells.0, at: SystemClock::now() }
        }
        other => panic!("no cells but {other:?}"),
    }
}

/// Plays a round in which nothing goes wrong, and tells both clients that its beats run.
async fn set_up(
    world: &World,
    served: &mut [Served; 2],
) -> (antiphon_mock_mix::Circuits, Announcement) {
    let mut submitted = Vec::new();
    for served in served.iter_mut() {
        served.open(1, 10).await;
        submitted.push(served.onions(1, 10).await);
    }
    let replies = world.mix.exchange(Round(10), &submitted);
    let announced = world.mix.announce(Round(10), SystemClock::now().plus_ms(600));
    for (served, replies) in served.iter().zip(replies) {
        served.reply(1, 10, replies).await;
        served.send(world.mix.evidence(announced)).await;
    }
    (world.mix.circuits(Round(10), &submitted), announced)
}

/// Passes the next beat on for which both clients have cells.
async fn pass(
    circuits: &antiphon_mock_mix::Circuits,
    announced: Announcement,
    served: &mut [Served; 2],
) {
    let [a, b] = served;
    let (mut one, mut other) = (cells(a, 10).await, cells(b, 10).await);
    // A machine that is busy may make a client miss a beat.
    while one.beat != other.beat {
        match one.beat < other.beat {
            true => one = cells(a, 10).await,
            false => other = cells(b, 10).await,
        }
    }
    let leaves = announced.begins(one.beat).0 - u64::from(announced.beats.layer_ms);
    assert!(one.at.0 >= leaves && other.at.0 >= leaves);
    assert_eq!((one.cells.len(), other.cells.len()), (512, 512));
    let beat = one.beat;
    let replies = circuits.pass(beat, &[one.cells, other.cells]);
    for (served, cells) in served.iter().zip(replies) {
        let (epoch, round, cells) = (Epoch(1), Round(10), Blob(cells));
        served.send(ToClient::Cells { epoch, round, beat, cells }).await;
    }
}

#[tokio::test]
async fn a_message_travels_in_beats_and_no_cell_leaves_before_its_moment() {
    let mut world = World::with_beats();
    let config = world.config(None, None);
    let (first, _, a) = world.connect(config.clone()).await;
    let (second, _, b) = world.connect(config).await;
    let conversation = first.open(verified(Role::First)).await.unwrap();
    let mut partner = second.open(verified(Role::Second)).await.unwrap();
    let mut served = [a, b];
    let (circuits, announced) = set_up(&world, &mut served).await;
    // Too late for the round's own bodies.
    let delivery = conversation.send(vec![5; 1000]).await.unwrap();
    let received = tokio::spawn(async move { partner.receive().await });
    let delivered = tokio::spawn(delivery);
    let mut beats = 0;
    while !(received.is_finished() && delivered.is_finished()) {
        pass(&circuits, announced, &mut served).await;
        beats += 1;
        assert!(beats < 30, "five fragments take three beats");
    }
    assert_eq!(within(received).await.unwrap(), Ok(vec![5; 1000]));
    assert_eq!(within(delivered).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn cells_go_on_over_a_link_that_was_lost_once_the_ticket_was_shown() {
    let mut world = World::with_beats();
    let config = world.config(Some(0), None);
    let (_first, _, a) = world.connect(config.clone()).await;
    let (_second, _, b) = world.connect(config).await;
    let mut served = [a, b];
    let (_, announced) = set_up(&world, &mut served).await;
    let [mut a, b] = served;
    let before = cells(&mut a, 10).await.beat;
    b.hang_up();
    let (_, mut b) = world.gateway().await;
    b.resumed(1, 10).await;
    b.send(world.mix.evidence(announced)).await;
    let after = cells(&mut b, 10).await;
    assert!(after.beat > before && after.cells.len() == 512);
}

#[tokio::test]
async fn a_client_that_starts_again_goes_on_at_its_gateway_and_uses_no_beat_twice() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut world = World::with_beats();
    let (_first, _, a) = world.connect(world.config(None, None)).await;
    let config = world.config(None, Some(&state));
    let (second, gateway, b) = world.connect(config.clone()).await;
    let mut served = [a, b];
    let (_, announced) = set_up(&world, &mut served).await;
    let [_a, mut b] = served;
    let before = cells(&mut b, 10).await.beat;
    drop((second, b));
    let (_second, again, mut b) = world.connect(config).await;
    assert_eq!(again, gateway, "it does not draw again");
    b.resumed(1, 10).await;
    b.send(world.mix.evidence(announced)).await;
    let after = cells(&mut b, 10).await;
    assert!(after.beat > before && after.cells.len() == 512, "{} after {before}", after.beat);
}

#[tokio::test]
async fn a_conversation_goes_on_in_the_next_beat_when_its_client_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut world = World::with_beats();
    let (first, _, a) = world.connect(world.config(None, None)).await;
    let config = world.config(None, Some(&state));
    let (second, _, b) = world.connect(config.clone()).await;
    let conversation = first.open(verified(Role::First)).await.unwrap();
    let partner = second.open(verified(Role::Second)).await.unwrap();
    let mut served = [a, b];
    let (circuits, announced) = set_up(&world, &mut served).await;
    // 14 fragments, and two beats bring four of them.
    let delivery = conversation.send(vec![5; 3000]).await.unwrap();
    drop(partner.send(vec![6; 10]).await.unwrap());
    for _ in 0..2 {
        pass(&circuits, announced, &mut served).await;
    }
    // As if it were killed.
    drop((partner, second));
    let [a, b] = served;
    drop(b);
    let (second, _, b) = world.connect(config).await;
    let mut served = [a, b];
    served[1].resumed(1, 10).await;
    served[1].send(world.mix.evidence(announced)).await;
    let mut partner = second.open(verified(Role::Second)).await.unwrap();
    assert_eq!(partner.next_message().0, 1, "its own message is on its way or there");
    let received = tokio::spawn(async move { partner.receive().await });
    let delivered = tokio::spawn(delivery);
    let mut mine = first.events();
    while !(received.is_finished() && delivered.is_finished()) {
        pass(&circuits, announced, &mut served).await;
    }
    assert_eq!(within(received).await.unwrap(), Ok(vec![5; 3000]));
    assert_eq!(within(delivered).await.unwrap(), Ok(()));
    let noticed = |event: &Event| matches!(event, Event::Core(CoreEvent::Restarted { .. }));
    while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, mine.next()).await {
        assert!(!noticed(&event), "the partner notices nothing");
    }
}
