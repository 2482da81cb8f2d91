//! Two coordinators, of which one leads.

use std::time::Duration;

use rustix::process::Signal;

use super::{no_round_failed, starting};
use crate::child::Child;
use crate::network::{BenchError, Network, Program};
use crate::row::{Outcome, Row, expect, seconds};

pub(crate) const ROWS: &[Row] = &[
    starting(
        "leader-killed",
        "kill -9 the coordinator that leads, of two",
        "the other delivers the next round of the epoch within 10 s",
        leader_killed,
    ),
    starting(
        "leader-stopped",
        "SIGTERM the coordinator that leads, of two",
        "the other delivers the next round of the epoch within 6 s, and no round fails",
        leader_stopped,
    ),
    starting(
        "leader-paused",
        "SIGSTOP the coordinator that leads, of two, for 15 s",
        "the other delivers the next round of the epoch within 10 s, and still leads 10 s after the pause",
        leader_paused,
    ),
];

/// The rest of a row in which the other coordinator leads from now on.
fn taken_over(network: &mut Network, old: u64, mark: u64, within: u64) -> Outcome {
    let within = Duration::from_secs(within);
    let Some(took) = network.delivered(mark, 1, within) else {
        return Err(network.failure(&format!("no round within {} s", within.as_secs())));
    };
    let epoch = network.rounds_since(mark).first().map(|round| round.epoch);
    expect(epoch == Some(old), || format!("epoch {old} did not go on, but {epoch:?} began"))?;
    Ok(format!("the next round of the epoch was delivered after {}", seconds(took)))
}

/// Gives the network the coordinator that stood by. Returns the other, the running epoch, and where the log of
/// the new one ends.
fn change(network: &mut Network, standby: Child) -> Result<(Child, u64, u64), BenchError> {
    let epoch = network.rounds_since(0).last().map(|round| round.epoch);
    let epoch = epoch.ok_or_else(|| network.failure("no epoch runs"))?;
    let old = std::mem::replace(&mut network.coordinator, standby);
    Ok((old, epoch, network.mark()))
}

fn leader_killed(program: &Program) -> Outcome {
    let (mut network, standby) = program.network_of_two()?;
    let (mut old, epoch, mark) = change(&mut network, standby)?;
    old.kill();
    taken_over(&mut network, epoch, mark, 10)
}

fn leader_stopped(program: &Program) -> Outcome {
    let (mut network, standby) = program.network_of_two()?;
    let (mut old, epoch, mark) = change(&mut network, standby)?;
    old.signal(Signal::TERM);
    let seen = taken_over(&mut network, epoch, mark, 6)?;
    network.recovered(Duration::from_secs(10))?;
    no_round_failed(&network, mark)?;
    Ok(seen)
}

fn leader_paused(program: &Program) -> Outcome {
    let (mut network, standby) = program.network_of_two()?;
    let (mut old, epoch, mark) = change(&mut network, standby)?;
    old.signal(Signal::STOP);
    let seen = taken_over(&mut network, epoch, mark, 10)?;
    std::thread::sleep(Duration::from_secs(15));
    old.signal(Signal::CONT);
    std::thread::sleep(Duration::from_secs(10));
    network.recovered(Duration::from_secs(10))?;
    no_round_failed(&network, mark)?;
    Ok(seen)
}
