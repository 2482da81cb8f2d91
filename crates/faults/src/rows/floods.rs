//! Strangers who are many, or quick: places taken, handshakes begun, registrations made up.

use std::thread::sleep;
use std::time::{Duration, Instant};

use antiphon_wire::{Blob, Digest, Encode as _, Epoch, FromClient, Round};

use super::{Growth, ROUNDS, no_slower, nobody_suspended, row};
use crate::child::{Child, wait_for};
use crate::links::{Door, HalfOpen, Loris, Strangers, frame, source};
use crate::network::{BenchError, Network, SHARDS};
use crate::rounds;
use crate::row::{Outcome, Row, expect, seconds};

pub(crate) const ROWS: &[Row] = &[
    row(
        "idle-handshakes",
        "all shards start again while two addresses hold 500 idle connections each at one's port for shards",
        "rounds within 30 s, nobody is suspended",
        idle_handshakes,
    ),
    row(
        "half-open-handshakes",
        "all shards start again while one address begins 3000 QUIC handshakes a second at the coordinator's \
         port for them, and finishes none",
        "rounds within 30 s, nobody is suspended",
        half_open_handshakes,
    ),
    row(
        "many-links-of-one-address",
        "300 links from one address to a gateway",
        "it holds 256 of them and counts the others; another address gets in, and rounds take no longer",
        many_links,
    ),
    row(
        "quick-links-of-one-address",
        "one address links to a gateway and leaves, as quickly as it can, for 20 s",
        "it is let in no more often than twice its share; rounds take no longer",
        quick_links,
    ),
    row(
        "messages-without-end",
        "20 clients send 2000 messages of nonsense each to a gateway",
        "they are dropped, its memory grows by less than 32 MiB, rounds take no longer",
        messages_without_end,
    ),
    row(
        "links-that-read-nothing",
        "250 clients say hello to a gateway and read nothing of what they are sent",
        "they are dropped within 90 s, its memory grows by less than 64 MiB, rounds take no longer",
        links_that_read_nothing,
    ),
    row(
        "made-up-registrations",
        "20 links at a time with made-up identities register nonsense at the coordinator, for 20 s",
        "less than 4 KiB of log, rounds take no longer",
        made_up_registrations,
    ),
];

/// Starts all shards again, one now and the others after `between`.
fn start_all(network: &mut Network, between: Duration) -> Result<(), BenchError> {
    network.start_shard(0)?;
    sleep(between);
    for shard in 1..SHARDS {
        network.start_shard(shard)?;
    }
    Ok(())
}

fn idle_handshakes(network: &mut Network) -> Outcome {
    let mark = network.mark();
    network.shards.iter_mut().for_each(Child::kill);
    let loris = Loris::start(&[source(9), source(10)], network.peer_port(0), 500)?;
    start_all(network, Duration::from_secs(2))?;
    let took = network.recovered(Duration::from_secs(30))?;
    // And again once the epoch's links are there.
    network.recovered(Duration::from_secs(10))?;
    nobody_suspended(network, mark)?;
    let opened = loris.opened();
    Ok(format!(
        "the next round was delivered {} after the start, beside {opened} connections",
        seconds(took)
    ))
}

fn half_open_handshakes(network: &mut Network) -> Outcome {
    network.coordinator.kill();
    network.shards.iter_mut().for_each(Child::kill);
    let mark = network.mark();
    network.start_coordinator()?;
    let growing = network.coordinator.resident();
    let flood = HalfOpen::start(source(9), network.coordinator_port(), 3000)?;
    sleep(Duration::from_secs(2));
    for shard in 0..SHARDS {
        network.start_shard(shard)?;
    }
    let took = network.recovered(Duration::from_secs(30));
    let sent = flood.stop();
    let took = took?;
    nobody_suspended(network, mark)?;
    expect(sent.begun > 3000, || format!("only {} handshakes were begun", sent.begun))?;
    Ok(format!(
        "the next round was delivered {} after the start, beside {} handshakes of which {} proved their \
         address; the coordinator's memory grew from {growing} to {} MiB",
        seconds(took),
        sent.begun,
        sent.proven,
        network.coordinator.peak()
    ))
}

fn many_links(network: &mut Network) -> Outcome {
    let before = network.median_of(ROUNDS)?;
    let door = (Door::Gateway, network.client_port(0));
    let mut strangers = Strangers::new()?;
    let linked = strangers.link(source(9), door, 300)?;
    expect(linked == 256, || format!("{linked} of 300 links were let in"))?;
    strangers.greet();
    let other = Strangers::new()?.link(source(10), door, 1)?;
    expect(other == 1, || "another address is kept out".to_owned())?;
    let share = "antiphon_shard_endpoint_refused_total{endpoint=\"clients\",why=\"share\"}";
    let counted = wait_for(Duration::from_secs(5), || {
        network.metric(0, share).filter(|refused| *refused >= 44)
    });
    expect(counted.is_some(), || "the metrics do not count those that were refused".to_owned())?;
    let words = no_slower(before, network.median_of(ROUNDS)?)?;
    Ok(format!("{linked} were let in, and the metrics count the others; {words}"))
}

fn quick_links(network: &mut Network) -> Outcome {
    let before = network.median_of(ROUNDS)?;
    let door = (Door::Gateway, network.client_port(0));
    let (from, mark) = (Instant::now(), network.mark());
    let (mut tried, mut linked) = (0, 0);
    while from.elapsed() < Duration::from_secs(20) {
        let mut strangers = Strangers::new()?;
        linked += strangers.link(source(9), door, 50)?;
        tried += 50;
        strangers.leave();
    }
    let during = rounds::median(&network.rounds_since(mark)).unwrap_or(Duration::MAX);
    // Twice the share of 256 and 8 at once, and a third of it in the time.
    expect(linked <= 2 * 264 + 264 / 2, || format!("{linked} of {tried} links were let in"))?;
    let words = no_slower(before, during)?;
    Ok(format!("{linked} of {tried} were let in; {words}"))
}

fn made_up_registrations(network: &mut Network) -> Outcome {
    let before = network.median_of(ROUNDS)?;
    let (from, mark) = (Instant::now(), network.mark());
    let mut made = 0;
    while from.elapsed() < Duration::from_secs(20) {
        let mut strangers = Strangers::new()?;
        made += strangers.link(source(9), (Door::Coordinator, network.coordinator_port()), 20)?;
        strangers.send(&frame(b"\0nonsense"));
        wait_for(Duration::from_secs(1), || (strangers.alive() == 0).then_some(()));
    }
    let during = rounds::median(&network.rounds_since(mark)).unwrap_or(Duration::MAX);
    let said = network.coordinator.said_since(mark);
    let of_links: usize =
        said.lines().filter(|line| !line.contains(" round ")).map(|line| line.len() + 1).sum();
    expect(of_links < 4096, || format!("{made} registrations made {of_links} bytes of log"))?;
    let words = no_slower(before, during)?;
    Ok(format!("{made} registrations, {of_links} bytes of log about them; {words}"))
}

fn messages_without_end(network: &mut Network) -> Outcome {
    let before = network.median_of(ROUNDS)?;
    let growth = Growth::of(&network.shards[0])?;
    let (mark, mut strangers) = (network.mark(), Strangers::new()?);
    let linked = strangers.link(source(9), (Door::Gateway, network.client_port(0)), 20)?;
    expect(linked == 20, || format!("only {linked} of 20 links were let in"))?;
    strangers.greet();
    let nonsense = FromClient::Submit {
        epoch: Epoch(1),
        round: Round(1),
        ticket: Digest([7; 32]),
        onions: Blob(vec![7; 500]),
    };
    strangers.send(&frame(&nonsense.to_bytes()).repeat(2000));
    let dropped = wait_for(Duration::from_secs(10), || (strangers.alive() == 0).then_some(()));
    let alive = strangers.alive();
    expect(dropped.is_some(), || format!("{alive} of them are still linked"))?;
    network.delivered(mark, 4, Duration::from_secs(30));
    let during = rounds::median(&network.rounds_since(mark)).unwrap_or(Duration::MAX);
    let memory = growth.below(32, &network.shards[0])?;
    let words = no_slower(before, during)?;
    Ok(format!("they were dropped; {memory}; {words}"))
}

fn links_that_read_nothing(network: &mut Network) -> Outcome {
    let before = network.median_of(ROUNDS)?;
    let growth = Growth::of(&network.shards[0])?;
    let (mark, mut strangers) = (network.mark(), Strangers::that_read_nothing()?);
    let linked = strangers.link(source(9), (Door::Gateway, network.client_port(0)), 250)?;
    expect(linked == 250, || format!("only {linked} of 250 links were let in"))?;
    let from = Instant::now();
    strangers.greet();
    let dropped = wait_for(Duration::from_secs(90), || (strangers.alive() == 0).then_some(()));
    let alive = strangers.alive();
    expect(dropped.is_some(), || format!("{alive} of them are still linked"))?;
    let took = seconds(from.elapsed());
    let during = rounds::median(&network.rounds_since(mark)).unwrap_or(Duration::MAX);
    let memory = growth.below(64, &network.shards[0])?;
    let words = no_slower(before, during)?;
    Ok(format!("they were dropped within {took}; {memory}; {words}"))
}
