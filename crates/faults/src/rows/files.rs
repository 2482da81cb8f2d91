//! State files that are lost, old, damaged or used twice, and disks without room.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

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
        "coordinator-state-lost",
        "stop the coordinator, delete its state file, start it",
        "it learns from the shards where they are: rounds within 30 s, no number used again",
        true,
        coordinator_state_lost,
    ),
    row(
        "coordinator-state-old",
        "stop the coordinator, put back its state file of some rounds ago, start it",
        "rounds within 30 s, nobody is suspended, no number used again",
        false,
        coordinator_state_old,
    ),
    row(
        "shard-twice",
        "start a second process with a shard's configuration",
        "it is refused and says why; the network goes on",
        false,
        shard_twice,
    ),
    row(
        "coordinator-twice",
        "start a second process with the coordinator's configuration",
        "it is refused and says why; the network goes on",
        false,
        coordinator_twice,
    ),
    row(
        "state-damaged",
        "cut a shard's state file in half, start the shard",
        "it is refused with what to do",
        false,
        state_damaged,
    ),
    Row {
        name: "disk-full",
        done: "fill the disk with a shard's state file, make room after 15 s",
        expected: "the process lives, stops signing, says so, and serves again",
        short: false,
        lacking: no_mounts,
        fault: Fault::Running(disk_full),
    },
];

/// The highest round that the coordinator says has ended.
fn highest(network: &Network) -> u64 {
    network.rounds_since(0).iter().map(|round| round.round).max().unwrap_or(0)
}

/// Fails if a round at or below `before` ended after `mark`.
fn no_number_again(network: &Network, mark: u64, before: u64) -> Outcome {
    let again: Vec<_> = network
        .rounds_since(mark)
        .iter()
        .map(|round| round.round)
        .filter(|r| *r <= before)
        .collect();
    expect(again.is_empty(), || format!("rounds {again:?} were served again"))?;
    Ok(format!("rounds went on after {before}"))
}

fn coordinator_state_lost(network: &mut Network) -> Outcome {
    network.stop_coordinator()?;
    let (before, mark) = (highest(network), network.mark());
    fs::remove_file(network.folder().join("coordinator.state"))?;
    network.start_coordinator()?;
    let took = network.recovered(Duration::from_secs(30))?;
    no_number_again(network, mark, before)?;
    let suspended = network.suspensions_since(mark);
    expect(suspended == 0, || format!("{suspended} suspensions of honest shards"))?;
    Ok(format!("the next round was delivered {} after the start", seconds(took)))
}

fn coordinator_state_old(network: &mut Network) -> Outcome {
    let state = network.folder().join("coordinator.state");
    let old = fs::read(&state)?;
    network.delivered(network.mark(), 4, Duration::from_secs(60));
    network.stop_coordinator()?;
    let (before, mark) = (highest(network), network.mark());
    fs::write(&state, old)?;
    network.start_coordinator()?;
    let took = network.recovered(Duration::from_secs(30))?;
    no_number_again(network, mark, before)?;
    let suspended = network.suspensions_since(mark);
    expect(suspended == 0, || format!("{suspended} suspensions of honest shards"))?;
    Ok(format!("the next round was delivered {} after the start", seconds(took)))
}

/// Starts a second process with `file`, and expects it to be refused while rounds go on.
fn twice(network: &mut Network, role: &str, file: &str) -> Outcome {
    // Other ports, so that only the state file is shared.
    let text = fs::read_to_string(network.folder().join(file))?;
    let other = text.replace("127.0.0.1:1", "127.0.0.2:1");
    fs::write(network.folder().join("beside.toml"), other)?;
    let mark = network.mark();
    let mut second = network.start_beside(role, "beside.toml")?;
    let code = second.exit_code(Duration::from_secs(15));
    let said = second.said_since(0);
    let last = said.lines().last().unwrap_or_default().to_owned();
    expect(code == Some(1) || code == Some(2), || format!("it ended with {code:?}: {last}"))?;
    network.delivered(network.mark(), 3, Duration::from_secs(30));
    let failed = network.rounds_since(mark).iter().filter(|round| !round.delivered).count();
    expect(failed == 0, || format!("{failed} rounds failed meanwhile"))?;
    Ok(format!("refused: {last}"))
}

fn shard_twice(network: &mut Network) -> Outcome {
    twice(network, "shard", "beta.toml")
}

fn coordinator_twice(network: &mut Network) -> Outcome {
    twice(network, "coordinator", "coordinator.toml")
}

fn state_damaged(network: &mut Network) -> Outcome {
    network.stop_shard(SHARDS - 1)?;
    let state = network.folder().join("epsilon/shard.state");
    let content = fs::read(&state)?;
    fs::write(&state, &content[..content.len() / 2])?;
    let mut second = network.start_beside("shard", "epsilon.toml")?;
    let code = second.exit_code(Duration::from_secs(15));
    let said = second.said_since(0);
    let last = said.lines().last().unwrap_or_default().to_owned();
    expect(code == Some(1) && last.contains("shard.state"), || {
        format!("it ended with {code:?}: {last}")
    })?;
    Ok(format!("refused: {last}"))
}

/// Small file systems in memory are root's to mount.
fn no_mounts() -> Option<String> {
    let user = Command::new("id").arg("-u").output().ok();
    let root = user.is_some_and(|output| output.stdout.starts_with(b"0\n"));
    (!root).then(|| "mounting a small file system takes root: run it as root".to_owned())
}

/// A small file system, unmounted when this is dropped.
struct SmallDisk(std::path::PathBuf);

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn disk_full(network: &mut Network) -> Outcome {
    network.stop_shard(0)?;
    let folder = network.folder().join("alpha");
    let state = fs::read(folder.join("shard.state"))?;
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(&folder)
        .status()?;
    expect(mounted.success(), || "mount failed".to_owned())?;
    let disk = SmallDisk(folder.clone());
    fs::write(folder.join("shard.state"), state)?;
    network.start_shard(0)?;
    sleep(Duration::from_secs(70));
    // As much as goes in: the last write is what fails.
    let _ = fs::write(folder.join("filler"), vec![0; 64 << 10]);
    sleep(Duration::from_secs(15));
    expect(network.shards[0].is_running(), || "the process ended".to_owned())?;
    fs::remove_file(folder.join("filler"))?;
    let took = network.recovered(Duration::from_secs(20))?;
    drop(disk);
    Ok(format!("the process lives; a round was delivered {} after there was room", seconds(took)))
}
