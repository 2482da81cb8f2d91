//! What anybody may try who can reach the ports.

use std::thread::sleep;
use std::time::Duration;

use super::nothing_lacking;
use crate::child::{Child, Surroundings};
use crate::links::{Strangers, idle_connections, nonsense, scrape};
use crate::network::{Network, Program};
use crate::row::{Fault, Outcome, Row, expect, seconds};

const fn row(
    name: &'static str,
    done: &'static str,
    expected: &'static str,
    short: bool,
    fault: Fault,
) -> Row {
    Row { name, done, expected, short, lacking: nothing_lacking, fault }
}

pub(crate) const ROWS: &[Row] = &[
    row(
        "silent-link",
        "one client links to a gateway and says nothing",
        "rounds take no longer",
        false,
        Fault::Running(silent_link),
    ),
    row(
        "large-frames-at-the-coordinator",
        "40 links with made-up identities send 16 MiB each to the coordinator's port for shards",
        "its memory grows by less than 32 MiB",
        false,
        Fault::Running(large_frames_at_the_coordinator),
    ),
    row(
        "large-frames-at-a-gateway",
        "200 clients send 1 MiB each to a gateway and read nothing",
        "its memory grows by less than 64 MiB",
        false,
        Fault::Running(large_frames_at_a_gateway),
    ),
    row(
        "few-descriptors",
        "a shard may open 256 files; 300 idle connections to its port for shards",
        "the process lives, rounds go on",
        false,
        Fault::Starting(few_descriptors),
    ),
    row(
        "idle-scrapers",
        "20 idle connections to a shard's metrics",
        "a scrape is answered within 2 s",
        true,
        Fault::Running(idle_scrapers),
    ),
    row(
        "nonsense",
        "thousands of datagrams and connections of nonsense to every port",
        "rounds take no longer, no process ends",
        false,
        Fault::Running(nonsense_everywhere),
    ),
];

/// Rounds whose median counts.
const ROUNDS: usize = 6;

/// Fails unless rounds with a fault take at most half as long again as without, or a third of a second
/// more: other work on the machine makes as much.
fn no_slower(before: Duration, after: Duration) -> Outcome {
    let bound = before.mul_f64(1.5).max(before + Duration::from_millis(330));
    let words = format!("median round {} before, {} with it", seconds(before), seconds(after));
    expect(after <= bound, || words.clone())?;
    Ok(words)
}

fn silent_link(network: &mut Network) -> Outcome {
    let before = network.median_of(ROUNDS)?;
    let strangers = Strangers::link(network.client_port(0), &network.shard_key(0)?, 1, false)?;
    expect(strangers.count() == 1, || "the link was refused".to_owned())?;
    let after = network.median_of(ROUNDS)?;
    no_slower(before, after)
}

fn large_frames_at_the_coordinator(network: &mut Network) -> Outcome {
    let before = network.coordinator.resident();
    let key = network.coordinator_key().to_owned();
    let mut strangers = Strangers::link(network.coordinator_port(), &key, 40, true)?;
    strangers.flood(16 << 20);
    let grown = network.coordinator.resident().saturating_sub(before) >> 20;
    expect(grown < 32, || format!("it grew by {grown} MiB"))?;
    network.recovered(Duration::from_secs(10))?;
    Ok(format!("it grew by {grown} MiB"))
}

fn large_frames_at_a_gateway(network: &mut Network) -> Outcome {
    let before = network.shards[0].resident();
    let key = network.shard_key(0)?;
    let mut strangers = Strangers::link(network.client_port(0), &key, 200, false)?;
    strangers.flood(1 << 20);
    let grown = network.shards[0].resident().saturating_sub(before) >> 20;
    expect(grown < 64, || format!("it grew by {grown} MiB"))?;
    network.recovered(Duration::from_secs(10))?;
    Ok(format!("it grew by {grown} MiB"))
}

fn few_descriptors(program: &Program) -> Outcome {
    let few = |name: &str| Surroundings {
        descriptors: (name == "alpha").then_some(256),
        ..Surroundings::default()
    };
    let mut network = program.network_in(few)?;
    let idle = idle_connections(network.peer_port(0), 300);
    sleep(Duration::from_secs(10));
    let running = network.shards[0].is_running();
    let outcome = expect(running, || "the shard's process ended".to_owned())
        .and_then(|()| network.recovered(Duration::from_secs(10)));
    drop(idle);
    match outcome {
        Ok(took) => Ok(format!("it lives; the next round was delivered after {}", seconds(took))),
        Err(why) => {
            program.keep(network);
            Err(why)
        }
    }
}

fn idle_scrapers(network: &mut Network) -> Outcome {
    let port = network.metrics_port(0);
    let idle = idle_connections(port, 20);
    let answered = scrape(port, Duration::from_secs(2));
    drop(idle);
    let (text, took) = answered?;
    expect(text.contains("200 OK"), || "the page was refused".to_owned())?;
    Ok(format!("answered after {}", seconds(took)))
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
