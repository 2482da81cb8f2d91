//! Processes that crash, pause, stop and come back.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use super::nothing_lacking;
use crate::network::{Network, SHARDS};
use crate::row::{Fault, Outcome, Row, expect, seconds};

const fn row(
    name: &'static str,
    done: &'static str,
    expected: &'static str,
    short: bool,
    fault: fn(&mut Network) -> Outcome,
) -> Row {
    Row { name, done, expected, short, lacking: nothing_lacking, fault: Fault::Running(fault) }
}

pub(crate) const ROWS: &[Row] = &[
    row(
        "shard-killed",
        "kill -9 one of five shards",
        "the others go on without it within 10 s",
        false,
        shard_killed,
    ),
    row(
        "shard-killed-and-back",
        "kill -9 a shard, start it again after 10 s",
        "it is in an epoch again within 90 s, at a planned hand-over",
        false,
        shard_back,
    ),
    row(
        "shard-paused",
        "SIGSTOP a shard for 20 s",
        "the others go on, and it comes back",
        false,
        shard_paused,
    ),
    row(
        "shard-restarted",
        "SIGTERM a shard, start it again at once",
        "no round fails, nobody is suspended",
        false,
        shard_restarted,
    ),
    row(
        "rolling-restart",
        "SIGTERM and start all five shards, one after the other",
        "no round fails, nobody is suspended",
        false,
        rolling_restart,
    ),
    row(
        "coordinator-killed",
        "kill -9 the coordinator, start it again after 10 s",
        "the epoch goes on within 10 s, nobody is suspended",
        false,
        coordinator_killed,
    ),
    row(
        "coordinator-paused",
        "SIGSTOP the coordinator for 20 s",
        "rounds go on within 10 s, nobody is suspended",
        false,
        coordinator_paused,
    ),
    row(
        "all-shards-killed",
        "kill -9 all shards, start them again",
        "rounds within 20 s, nobody is suspended",
        false,
        all_shards_killed,
    ),
    row(
        "power-cut",
        "kill -9 everything, start everything",
        "rounds within 15 s, nobody is suspended",
        false,
        power_cut,
    ),
    row(
        "coordinator-and-shard",
        "kill -9 the coordinator and a shard, start both",
        "rounds within 20 s, nobody is suspended",
        false,
        coordinator_and_shard,
    ),
    row(
        "quorum-lost",
        "kill -9 two of five shards, start one of them again after 15 s",
        "no rounds without a quorum, rounds within 20 s with one",
        false,
        quorum_lost,
    ),
];

/// Fails if anybody was suspended since `mark`.
fn nobody_suspended(network: &Network, mark: u64) -> Result<(), crate::network::BenchError> {
    let suspended = network.suspensions_since(mark);
    expect(suspended == 0, || format!("{suspended} suspensions of honest shards"))
}

/// Fails if a round was not delivered since `mark`.
fn no_round_failed(network: &Network, mark: u64) -> Result<usize, crate::network::BenchError> {
    let rounds = network.rounds_since(mark);
    let failed = rounds.iter().filter(|round| !round.delivered).count();
    expect(failed == 0, || format!("{failed} of {} rounds were not delivered", rounds.len()))?;
    Ok(rounds.len())
}

fn shard_killed(network: &mut Network) -> Outcome {
    network.shards[2].kill();
    let took = network.recovered(Duration::from_secs(10))?;
    Ok(format!("the next round was delivered after {}", seconds(took)))
}

fn shard_back(network: &mut Network) -> Outcome {
    network.shards[2].kill();
    sleep(Duration::from_secs(10));
    let mark = network.mark();
    network.start_shard(2)?;
    let all = format!("{SHARDS} shards of operators");
    let within = Duration::from_secs(90);
    let back = crate::child::wait_for(within, || {
        let said = network.coordinator.said_since(mark);
        said.lines().any(|line| line.contains(" published: ") && line.contains(&all)).then_some(())
    });
    expect(back.is_some(), || format!("not in an epoch after {}", seconds(within)))?;
    let took = network.recovered(Duration::from_secs(90))?;
    Ok(format!("it was taken back, and a round was delivered {} later", seconds(took)))
}

fn shard_paused(network: &mut Network) -> Outcome {
    network.shards[3].signal(Signal::STOP);
    let took = network.recovered(Duration::from_secs(15));
    sleep(Duration::from_secs(20).saturating_sub(*took.as_ref().unwrap_or(&Duration::ZERO)));
    network.shards[3].signal(Signal::CONT);
    let took = took?;
    network.recovered(Duration::from_secs(15))?;
    Ok(format!("the next round was delivered after {}", seconds(took)))
}

fn shard_restarted(network: &mut Network) -> Outcome {
    let mark = network.mark();
    network.stop_shard(1)?;
    network.start_shard(1)?;
    network.delivered(network.mark(), 3, Duration::from_secs(30));
    nobody_suspended(network, mark)?;
    let rounds = no_round_failed(network, mark)?;
    Ok(format!("{rounds} rounds were delivered meanwhile, none failed"))
}

fn rolling_restart(network: &mut Network) -> Outcome {
    let mark = network.mark();
    for shard in 0..SHARDS {
        network.stop_shard(shard)?;
        network.start_shard(shard)?;
        // Until it is back in an epoch.
        sleep(Duration::from_secs(60));
    }
    nobody_suspended(network, mark)?;
    let rounds = no_round_failed(network, mark)?;
    Ok(format!("{rounds} rounds were delivered meanwhile, none failed"))
}

fn coordinator_killed(network: &mut Network) -> Outcome {
    let mark = network.mark();
    network.coordinator.kill();
    sleep(Duration::from_secs(10));
    network.start_coordinator()?;
    let took = network.recovered(Duration::from_secs(10))?;
    nobody_suspended(network, mark)?;
    Ok(format!("the next round was delivered {} after the start", seconds(took)))
}

fn coordinator_paused(network: &mut Network) -> Outcome {
    let mark = network.mark();
    network.coordinator.signal(Signal::STOP);
    sleep(Duration::from_secs(20));
    network.coordinator.signal(Signal::CONT);
    let took = network.recovered(Duration::from_secs(10))?;
    network.recovered(Duration::from_secs(10))?;
    nobody_suspended(network, mark)?;
    Ok(format!("the next round was delivered after {}", seconds(took)))
}

fn all_shards_killed(network: &mut Network) -> Outcome {
    let mark = network.mark();
    network.shards.iter_mut().for_each(crate::child::Child::kill);
    for shard in 0..SHARDS {
        network.start_shard(shard)?;
    }
    let took = network.recovered(Duration::from_secs(20))?;
    nobody_suspended(network, mark)?;
    Ok(format!("the next round was delivered {} after the start", seconds(took)))
}

fn power_cut(network: &mut Network) -> Outcome {
    let mark = network.mark();
    network.coordinator.kill();
    network.shards.iter_mut().for_each(crate::child::Child::kill);
    network.start_coordinator()?;
    for shard in 0..SHARDS {
        network.start_shard(shard)?;
    }
    let took = network.recovered(Duration::from_secs(15))?;
    nobody_suspended(network, mark)?;
    Ok(format!("the next round was delivered {} after the start", seconds(took)))
}

fn coordinator_and_shard(network: &mut Network) -> Outcome {
    let mark = network.mark();
    network.coordinator.kill();
    network.shards[4].kill();
    network.start_coordinator()?;
    network.start_shard(4)?;
    let took = network.recovered(Duration::from_secs(20))?;
    nobody_suspended(network, mark)?;
    Ok(format!("the next round was delivered {} after the start", seconds(took)))
}

fn quorum_lost(network: &mut Network) -> Outcome {
    network.shards[0].kill();
    network.shards[1].kill();
    // A round that was past its seal may still end.
    sleep(Duration::from_secs(5));
    let mark = network.mark();
    sleep(Duration::from_secs(10));
    let delivered = network.rounds_since(mark).iter().filter(|round| round.delivered).count();
    expect(delivered == 0, || format!("{delivered} rounds were delivered without a quorum"))?;
    network.start_shard(0)?;
    let took = network.recovered(Duration::from_secs(20))?;
    Ok(format!("the next round was delivered {} after the start of one", seconds(took)))
}
