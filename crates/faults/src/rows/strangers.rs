//! Strangers who are few: links that say nothing, half frames, nonsense.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Growth, ROUNDS, no_slower, nothing_lacking, row, short};
use crate::child::{Child, Surroundings, wait_for};
use crate::links::{Door, Strangers, get, idle_connections, nonsense, source};
use crate::network::{Network, Program};
use crate::row::{Fault, Outcome, Row, expect, seconds};

pub(crate) const ROWS: &[Row] = &[
    row(
        "silent-link",
        "one client links to a gateway, says hello and nothing more",
        "rounds take no longer",
        silent_link,
    ),
    row(
        "dead-links",
        "ten clients that have said hello are gone without a word",
        "rounds take no longer",
        dead_links,
    ),
    short(row(
        "half-frames-at-the-coordinator",
        "40 links with made-up identities announce 16 MiB each at the coordinator's port for shards, 40 more \
         send all but the last byte of as much as it takes",
        "its memory grows by less than 32 MiB",
        half_frames_at_the_coordinator,
    )),
    short(row(
        "half-frames-at-a-gateway",
        "250 clients announce 1 MiB each at a gateway, 250 more send all but the last byte of a submission",
        "its memory grows by less than 64 MiB, and half a frame ends its link",
        half_frames_at_a_gateway,
    )),
    Row {
        name: "few-descriptors",
        done: "a shard may open 256 files; 300 idle connections to its port for shards",
        expected: "the process lives, rounds go on",
        short: true,
        lacking: nothing_lacking,
        fault: Fault::Starting(few_descriptors),
    },
    short(row(
        "idle-scrapers",
        "20 idle connections to a shard's metrics",
        "a scrape is answered within 2 s, other pages are not there",
        idle_scrapers,
    )),
    row(
        "document-links",
        "20 clients link to the coordinator for a document, and stay",
        "all links have ended after 75 s",
        document_links,
    ),
    row(
        "nonsense",
        "thousands of datagrams and connections of nonsense to every port",
        "rounds take no longer, no process ends",
        nonsense_everywhere,
    ),
];

fn silent_link(network: &mut Network) -> Outcome {
    let before = network.median_of(ROUNDS)?;
    let mut strangers = Strangers::new()?;
    let linked = strangers.link(source(1), (Door::Gateway, network.client_port(0)), 1)?;
    expect(linked == 1, || "the link was refused".to_owned())?;
    strangers.greet();
    let after = network.median_of(ROUNDS)?;
    no_slower(before, after)
}

fn dead_links(network: &mut Network) -> Outcome {
    let before = network.median_of(ROUNDS)?;
    let mut strangers = Strangers::new()?;
    let linked = strangers.link(source(1), (Door::Gateway, network.client_port(0)), 10)?;
    expect(linked == 10, || format!("{linked} of 10 links were let in"))?;
    strangers.greet();
    // Long enough to have been told of a round.
    network.recovered(Duration::from_secs(10))?;
    strangers.vanish();
    let after = network.median_of(ROUNDS)?;
    no_slower(before, after)
}

fn half_frames_at_the_coordinator(network: &mut Network) -> Outcome {
    let growth = Growth::of(&network.coordinator)?;
    let door = (Door::Coordinator, network.coordinator_port());
    let mut held = Vec::new();
    let mut linked = 0;
    for bytes in [16 << 20, 256 << 10] {
        let mut strangers = Strangers::new()?;
        linked += strangers.link(source(8), door, 40)?;
        strangers.send_half(bytes);
        held.push(strangers);
    }
    expect(linked == 80, || format!("only {linked} of 80 links were let in"))?;
    network.recovered(Duration::from_secs(10))?;
    growth.below(32, &network.coordinator)
}

fn half_frames_at_a_gateway(network: &mut Network) -> Outcome {
    let growth = Growth::of(&network.shards[0])?;
    let door = (Door::Gateway, network.client_port(0));
    let mut held = Vec::new();
    for (number, bytes) in [(8, 1 << 20), (9, 2000)] {
        let mut strangers = Strangers::new()?;
        let linked = strangers.link(source(number), door, 250)?;
        expect(linked == 250, || format!("only {linked} of 250 links were let in"))?;
        strangers.send_half(bytes);
        held.push(strangers);
    }
    network.recovered(Duration::from_secs(10))?;
    let words = growth.below(64, &network.shards[0])?;
    let ended = || held.iter().all(|strangers| strangers.alive() == 0).then_some(());
    let gone = wait_for(Duration::from_secs(20), ended);
    expect(gone.is_some(), || "links with half a frame were kept for more than 20 s".to_owned())?;
    Ok(words)
}

fn few_descriptors(program: &Program) -> Outcome {
    let few = |name: &str| Surroundings {
        descriptors: (name == "alpha").then_some(256),
        ..Surroundings::default()
    };
    let mut network = program.network_in(few)?;
    let idle = idle_connections(network.peer_port(0), 300);
    sleep(Duration::from_secs(2));
    let open = network.shards[0].descriptors();
    sleep(Duration::from_secs(8));
    let running = network.shards[0].is_running();
    let outcome = expect(running, || "the shard's process ended".to_owned())
        .and_then(|()| network.recovered(Duration::from_secs(10)));
    drop(idle);
    match outcome {
        Ok(took) => Ok(format!(
            "it lives, with {open} files open; the next round was delivered after {}",
            seconds(took)
        )),
        Err(why) => {
            program.keep(network);
            Err(why)
        }
    }
}

fn idle_scrapers(network: &mut Network) -> Outcome {
    let port = network.metrics_port(0);
    let idle = idle_connections(port, 20);
    let answered = get(port, "/metrics", Duration::from_secs(2));
    let elsewhere = get(port, "/nothing", Duration::from_secs(2));
    drop(idle);
    let (text, took) = answered?;
    expect(text.contains("200 OK"), || "the page was refused".to_owned())?;
    let (other, _) = elsewhere?;
    expect(other.contains("404 Not Found"), || "another page is there, too".to_owned())?;
    Ok(format!("answered after {}", seconds(took)))
}

fn document_links(network: &mut Network) -> Outcome {
    let mut strangers = Strangers::new()?;
    let linked = strangers.link(source(8), (Door::Documents, network.documents_port()), 20)?;
    expect(linked == 20, || format!("only {linked} of 20 links were let in"))?;
    let from = Instant::now();
    strangers.greet();
    let ended = wait_for(Duration::from_secs(75), || (strangers.alive() == 0).then_some(()));
    let alive = strangers.alive();
    expect(ended.is_some(), || format!("{alive} links are still there"))?;
    Ok(format!("all had ended after {}", seconds(from.elapsed())))
}

fn nonsense_everywhere(network: &mut Network) -> Outcome {
    let before = network.median_of(ROUNDS)?;
    for port in network.all_ports() {
        nonsense(port, 2000);
    }
    let after = network.median_of(ROUNDS)?;
    let running =
        network.coordinator.is_running() && network.shards.iter_mut().all(Child::is_running);
    expect(running, || "a process ended".to_owned())?;
    no_slower(before, after)
}
