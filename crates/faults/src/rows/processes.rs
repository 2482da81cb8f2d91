//! Processes that crash, pause, stop and come back.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{no_round_failed, nobody_suspended, row};
use crate::child::Child;
use crate::network::{BenchError, Network, SHARDS};
use crate::rounds::{self, EndedRound};
use crate::row::{Outcome, Row, expect, seconds};

pub(crate) const ROWS: &[Row] = &[
    row(
        "shard-killed",
        "kill -9 one of five shards",
        "the others go on without it within 10 s",
        shard_killed,
    ),
    row(
        "shard-killed-and-back",
        "kill -9 a shard, start it again after 10 s",
        "it is in an epoch again within 90 s, at a planned hand-over",
        shard_back,
    ),
    row(
        "shard-paused",
        "SIGSTOP a shard for 20 s",
        "the others go on within 10 s, and it is in an epoch again within 90 s after",
        shard_paused,
    ),
    row(
        "shard-stutters",
        "SIGSTOP a shard for 3 s of every 4 s, for a minute",
        "rounds go on, with it or without it",
        shard_stutters,
    ),
    row(
        "shard-restarted",
        "SIGTERM a shard, start it again at once",
        "no round fails, nobody is suspended, it is in an epoch again within 75 s",
        shard_restarted,
    ),
    row(
        "shard-restarted-thrice",
        "SIGTERM a shard and start it again three times, each when it is back in an epoch",
        "no round fails, nobody is suspended, it is back within 75 s each time",
        shard_restarted_thrice,
    ),
    row(
        "rolling-restart",
        "SIGTERM and start all five shards, one after the other, each when all are in an epoch",
        "no round fails, nobody is suspended",
        rolling_restart,
    ),
    row(
        "coordinator-killed",
        "kill -9 the coordinator, start it again after 10 s",
        "the epoch goes on within 10 s, nobody is suspended",
        coordinator_killed,
    ),
    row(
        "coordinator-restarted",
        "SIGTERM the coordinator, start it again at once",
        "the epoch goes on within 10 s, nobody is suspended",
        coordinator_restarted,
    ),
    row(
        "coordinator-paused",
        "SIGSTOP the coordinator for 20 s",
        "the epoch goes on within 10 s, nobody is suspended",
        coordinator_paused,
    ),
    row(
        "all-shards-killed",
        "kill -9 all shards, start them again",
        "rounds within 20 s, nobody is suspended",
        all_shards_killed,
    ),
    row(
        "power-cut",
        "kill -9 everything, start everything",
        "rounds within 15 s, nobody is suspended",
        power_cut,
    ),
    row(
        "coordinator-and-shard",
        "kill -9 the coordinator and a shard, start both",
        "rounds within 20 s, nobody is suspended",
        coordinator_and_shard,
    ),
    row(
        "quorum-lost",
        "kill -9 two of five shards, start one of them again after 15 s",
        "no rounds without a quorum, rounds within 20 s with one",
        quorum_lost,
    ),
];

/// Within what a shard that was stopped politely is in an epoch again: it waits for the hold-off of
/// 30 s, and the epoch is planned ahead.
const BACK_WITHIN: Duration = Duration::from_secs(75);

fn shard_killed(network: &mut Network) -> Outcome {
    network.shards[2].kill();
    let took = network.recovered(Duration::from_secs(10))?;
    Ok(format!("the next round was delivered after {}", seconds(took)))
}

fn shard_back(network: &mut Network) -> Outcome {
    network.shards[2].kill();
    sleep(Duration::from_secs(10));
    // An epoch from before would be one that the shard was killed in.
    let mark = network.mark();
    network.start_shard(2)?;
    let back = network.complete(mark, Duration::from_secs(90))?;
    let took = network.recovered(Duration::from_secs(15))?;
    Ok(format!(
        "it was in an epoch again after {}, and a round was delivered {} later",
        seconds(back),
        seconds(took)
    ))
}

fn shard_paused(network: &mut Network) -> Outcome {
    network.shards[3].signal(Signal::STOP);
    // The shard goes on whether or not the others did: a stopped process would outlive the row.
    let took = network.recovered(Duration::from_secs(10));
    sleep(Duration::from_secs(20).saturating_sub(*took.as_ref().unwrap_or(&Duration::ZERO)));
    let mark = network.mark();
    network.shards[3].signal(Signal::CONT);
    let took = took?;
    let back = network.complete(mark, Duration::from_secs(90))?;
    network.recovered(Duration::from_secs(15))?;
    Ok(format!(
        "the next round was delivered after {}; it was in an epoch again {} after the pause",
        seconds(took),
        seconds(back)
    ))
}

fn shard_stutters(network: &mut Network) -> Outcome {
    let (mark, began) = (network.mark(), Instant::now());
    let mut longest = Duration::ZERO;
    while began.elapsed() < Duration::from_secs(60) {
        network.shards[3].signal(Signal::STOP);
        sleep(Duration::from_secs(3));
        network.shards[3].signal(Signal::CONT);
        longest = longest.max(network.recovered(Duration::from_secs(20))?);
        sleep(Duration::from_secs(1));
    }
    let ended = network.rounds_since(mark);
    let delivered = ended.iter().filter(|round| round.delivered).count();
    let median = seconds(rounds::median(&ended).unwrap_or_default());
    Ok(format!(
        "{delivered} of {} rounds were delivered, median {median}; the longest wait for one was {}",
        ended.len(),
        seconds(longest)
    ))
}

/// Stops a shard and starts it again. Returns how long it took to be in an epoch again.
fn restart(network: &mut Network, shard: usize) -> Result<Duration, BenchError> {
    network.stop_shard(shard)?;
    let mark = network.mark();
    network.start_shard(shard)?;
    network.complete(mark, BACK_WITHIN)
}

fn restarts(network: &mut Network, shards: &[usize]) -> Outcome {
    let mark = network.mark();
    let mut longest = Duration::ZERO;
    for &shard in shards {
        longest = longest.max(restart(network, shard)?);
    }
    network.recovered(Duration::from_secs(15))?;
    nobody_suspended(network, mark)?;
    let rounds = no_round_failed(network, mark)?;
    Ok(format!(
        "in an epoch again after {} at most; {rounds} rounds were delivered meanwhile, none failed",
        seconds(longest)
    ))
}

fn shard_restarted(network: &mut Network) -> Outcome {
    restarts(network, &[1])
}

fn shard_restarted_thrice(network: &mut Network) -> Outcome {
    restarts(network, &[1; 3])
}

fn rolling_restart(network: &mut Network) -> Outcome {
    restarts(network, &[0, 1, 2, 3, 4])
}

/// The rest of a row in which only the coordinator is away: the epoch goes on.
fn goes_on(network: &mut Network, mark: u64, since: &str) -> Outcome {
    let took = network.recovered(Duration::from_secs(10))?;
    network.recovered(Duration::from_secs(10))?;
    nobody_suspended(network, mark)?;
    let epoch = |round: &EndedRound| round.epoch;
    let before = network.rounds_since(0).first().map(epoch);
    let after = network.rounds_since(mark).last().map(epoch);
    expect(before == after, || format!("epoch {before:?} did not go on, but {after:?} began"))?;
    Ok(format!("the next round of the epoch was delivered {} after {since}", seconds(took)))
}

fn coordinator_killed(network: &mut Network) -> Outcome {
    network.coordinator.kill();
    sleep(Duration::from_secs(10));
    let mark = network.mark();
    network.start_coordinator()?;
    goes_on(network, mark, "the start")
}

fn coordinator_restarted(network: &mut Network) -> Outcome {
    network.stop_coordinator()?;
    let mark = network.mark();
    network.start_coordinator()?;
    goes_on(network, mark, "the start")
}

fn coordinator_paused(network: &mut Network) -> Outcome {
    let mark = network.mark();
    network.coordinator.signal(Signal::STOP);
    sleep(Duration::from_secs(20));
    network.coordinator.signal(Signal::CONT);
    goes_on(network, mark, "the pause")
}

/// Waits for the next round of a network of which all was started again.
fn started_again(network: &mut Network, mark: u64, within: u64) -> Outcome {
    let took = network.recovered(Duration::from_secs(within))?;
    nobody_suspended(network, mark)?;
    Ok(format!("the next round was delivered {} after the start", seconds(took)))
}

fn all_shards_killed(network: &mut Network) -> Outcome {
    let mark = network.mark();
    network.shards.iter_mut().for_each(Child::kill);
    for shard in 0..SHARDS {
        network.start_shard(shard)?;
    }
    started_again(network, mark, 20)
}

fn power_cut(network: &mut Network) -> Outcome {
    let mark = network.mark();
    network.coordinator.kill();
    network.shards.iter_mut().for_each(Child::kill);
    network.start_coordinator()?;
    for shard in 0..SHARDS {
        network.start_shard(shard)?;
    }
    started_again(network, mark, 15)
}

fn coordinator_and_shard(network: &mut Network) -> Outcome {
    let mark = network.mark();
    network.coordinator.kill();
    network.shards[4].kill();
    network.start_coordinator()?;
    network.start_shard(4)?;
    started_again(network, mark, 20)
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
