//! Clients whose network breaks around them.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use super::{nothing_lacking, row};
use crate::network::{BenchError, Network, Program, linked_since};
use crate::row::{Fault, Outcome, Row, expect, seconds};

pub(crate) const ROWS: &[Row] = &[
    row(
        "gateway-crashed",
        "kill -9 a client's gateway, start it again at once",
        "the client has a gateway again within 20 s",
        gateway_crashed,
    ),
    row(
        "gateway-lost",
        "kill -9 a client's gateway",
        "the client has another one within 30 s",
        gateway_lost,
    ),
    Row {
        name: "client-stalls",
        done: "SIGSTOP a client for 3 s of every 6 s, a minute long, where rounds may follow each other no \
               faster than they do",
        expected: "it takes the rounds that it missed for late ones, and refuses none as too hasty",
        short: false,
        lacking: nothing_lacking,
        fault: Fault::Starting(client_stalls),
    },
];

fn gateway_of(network: &Network) -> Result<usize, BenchError> {
    let none = || BenchError::NotSeen("no shard's metrics show the client".to_owned());
    network.gateway_in_use().ok_or_else(none)
}

fn gateway_crashed(network: &mut Network) -> Outcome {
    let client = network.start_client()?;
    let gateway = gateway_of(network)?;
    let mark = client.mark();
    network.shards[gateway].kill();
    network.start_shard(gateway)?;
    let took = linked_since(&client, mark, Duration::from_secs(20));
    let took = took.ok_or_else(|| last_words(&client.said_since(mark)))?;
    Ok(format!("the client had a gateway again after {}", seconds(took)))
}

fn gateway_lost(network: &mut Network) -> Outcome {
    let client = network.start_client()?;
    let gateway = gateway_of(network)?;
    let mark = client.mark();
    network.shards[gateway].kill();
    let took = linked_since(&client, mark, Duration::from_secs(30));
    let took = took.ok_or_else(|| last_words(&client.said_since(mark)))?;
    Ok(format!("the client had another gateway after {}", seconds(took)))
}

fn last_words(said: &str) -> BenchError {
    let last = said.lines().last().unwrap_or("nothing");
    BenchError::NotSeen(format!("the client had no gateway in time; it said: {last}"))
}

fn client_stalls(program: &Program) -> Outcome {
    let mut network = program.with_policy("--round-interval 2000").network()?;
    let mut client = network.start_client()?;
    let (mark, rounds) = (client.mark(), network.mark());
    // Longer than an interval, so that openings pile up while the client stands still.
    for _ in 0..10 {
        client.signal(Signal::STOP);
        sleep(Duration::from_secs(3));
        client.signal(Signal::CONT);
        sleep(Duration::from_secs(3));
    }
    let said = client.said_since(mark);
    let refused = said.lines().find(|line| line.contains("refused"));
    let seen = network.rounds_since(rounds).len();
    let outcome = expect(refused.is_none(), || refused.unwrap_or_default().to_owned())
        .and_then(|()| network.recovered(Duration::from_secs(10)));
    match outcome {
        Ok(_) => Ok(format!("{seen} rounds were run meanwhile, and none was refused")),
        Err(why) => {
            program.keep(network);
            Err(why)
        }
    }
}
