//! State files that are lost, old, damaged or used twice, and disks without room.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use super::{no_round_failed, nobody_suspended, row, short};
use crate::child::{Child, wait_for};
use crate::network::{BenchError, Network, SHARDS};
use crate::row::{Outcome, Row, expect, seconds};

pub(crate) const ROWS: &[Row] = &[
    short(row(
        "coordinator-state-lost",
        "stop the coordinator, delete its state file, start it",
        "it learns from the shards where they are: rounds within 30 s, no number used again",
        coordinator_state_lost,
    )),
    row(
        "coordinator-state-old",
        "stop the coordinator, put back its state file of some rounds ago, start it",
        "rounds within 30 s, nobody is suspended, no number used again",
        coordinator_state_old,
    ),
    short(row(
        "shard-twice",
        "start a second process with a shard's configuration, on other ports",
        "it is refused and says why; the network goes on",
        shard_twice,
    )),
    row(
        "identity-twice",
        "start a second process with a shard's identity, on other ports and with another state file",
        "it is refused and says who has it; the network goes on",
        identity_twice,
    ),
    row(
        "coordinator-twice",
        "start a second process with the coordinator's configuration, on other ports",
        "it is refused and says why; the network goes on",
        coordinator_twice,
    ),
    row(
        "client-twice",
        "start a second client with a running one's configuration",
        "it is refused and says why",
        client_twice,
    ),
    short(row(
        "state-damaged",
        "cut a shard's state file in half, start the shard",
        "it is refused with what to do",
        state_damaged,
    )),
    Row {
        lacking: no_mounts,
        ..row(
            "disk-full",
            "fill the disk with a shard's state file, make room after 15 s",
            "the process lives, stops signing, says so, and serves again within 20 s",
            disk_full,
        )
    },
    Row {
        lacking: no_mounts,
        ..row(
            "coordinator-disk-full",
            "fill the disk with the coordinator's state file, make room after 15 s",
            "the process lives, opens nothing, says so, and goes on within 20 s",
            coordinator_disk_full,
        )
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
    nobody_suspended(network, mark)?;
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
    nobody_suspended(network, mark)?;
    Ok(format!("the next round was delivered {} after the start", seconds(took)))
}

/// A second process beside the one that runs, and what it says of that.
struct Second {
    process: Child,
    says: String,
    mark: u64,
}

impl Second {
    /// Starts one with `file` on ports of its own, and waits until it has said something with `words`.
    fn start(network: &Network, role: &str, file: &str, words: &str) -> Result<Self, BenchError> {
        let text = fs::read_to_string(network.folder().join(file))?;
        // Other addresses, or the second process would fail for its ports alone.
        let elsewhere = |line: &str| match line.strip_prefix("listen") {
            Some(rest) => format!("listen{}\n", rest.replace("127.0.0.1:", "127.0.0.2:")),
            None => format!("{line}\n"),
        };
        let text: String = text.lines().map(elsewhere).collect();
        fs::write(network.folder().join("beside.toml"), text)?;
        let mark = network.mark();
        let process = network.start_beside(role, "beside.toml")?;
        let find = || {
            let said = process.said_since(0);
            said.lines()
                .rev()
                .find(|line| line.contains(words))
                .map(without_time)
                .map(str::to_owned)
        };
        let Some(says) = wait_for(Duration::from_secs(15), find) else {
            let said = process.said_since(0);
            let last = said.lines().last().unwrap_or_default();
            return Err(BenchError::NotSeen(format!("it says nothing of {words}: {last}")));
        };
        Ok(Self { process, says, mark })
    }

    /// Sees that it has ended.
    fn ended(mut self) -> Result<Self, BenchError> {
        let code = self.process.exit_code(Duration::from_secs(15));
        let is_error = code.is_some_and(|code| code != 0);
        expect(is_error, || format!("it ended with {code:?}: {}", self.says))?;
        Ok(self)
    }

    /// Sees that the network goes on.
    fn disturbs_nobody(self, network: &mut Network) -> Outcome {
        network.delivered(network.mark(), 5, Duration::from_secs(30));
        let rounds = no_round_failed(network, self.mark)?;
        nobody_suspended(network, self.mark)?;
        Ok(format!("refused: {}; {rounds} rounds were delivered meanwhile, none failed", self.says))
    }
}

/// A line of a log without the time.
fn without_time(line: &str) -> &str {
    let level = ["ERROR ", "WARN ", "error: "].iter().find_map(|level| line.find(level));
    &line[level.unwrap_or(0)..]
}

fn shard_twice(network: &mut Network) -> Outcome {
    Second::start(network, "shard", "beta.toml", "shard.state")?.ended()?.disturbs_nobody(network)
}

fn identity_twice(network: &mut Network) -> Outcome {
    let text = fs::read_to_string(network.folder().join("beta.toml"))?;
    let text = text.replace("beta/shard.state", "beside.state");
    fs::write(network.folder().join("elsewhere.toml"), text)?;
    // It waits for its place.
    Second::start(network, "shard", "elsewhere.toml", "another process registered")?
        .disturbs_nobody(network)
}

fn coordinator_twice(network: &mut Network) -> Outcome {
    Second::start(network, "coordinator", "coordinator.toml", "coordinator.state")?
        .ended()?
        .disturbs_nobody(network)
}

fn client_twice(network: &mut Network) -> Outcome {
    let mut first = network.start_client()?;
    let second = Second::start(network, "client", "client.toml", "client.state")?.ended()?;
    expect(first.is_running(), || "the first one ended".to_owned())?;
    second.disturbs_nobody(network)
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
    Ok(format!("refused: {}", without_time(&last)))
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

/// A small disk in the place of `folder`, with what is in it.
fn small_disk(folder: &Path) -> Result<SmallDisk, BenchError> {
    // The mount hides the files: they are put back on it.
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        files.push((path.clone(), fs::read(path)?));
    }
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(folder)
        .status()?;
    expect(mounted.success(), || "mount failed".to_owned())?;
    let disk = SmallDisk(folder.to_owned());
    for (path, content) in files {
        fs::write(path, content)?;
    }
    Ok(disk)
}

/// Leaves no room on a disk for 15 s.
fn fill(disk: &SmallDisk) -> Result<(), BenchError> {
    let filler = disk.0.join("filler");
    // As much as goes in: the last write is what fails.
    let _ = fs::write(&filler, vec![0; 1 << 20]);
    sleep(Duration::from_secs(15));
    Ok(fs::remove_file(filler)?)
}

fn disk_full(network: &mut Network) -> Outcome {
    network.stop_shard(0)?;
    let disk = small_disk(&network.folder().join("alpha"))?;
    let mark = network.mark();
    network.start_shard(0)?;
    network.complete(mark, Duration::from_secs(90))?;
    network.recovered(Duration::from_secs(15))?;
    let mark = network.shards[0].mark();
    fill(&disk)?;
    expect(network.shards[0].is_running(), || "the process ended".to_owned())?;
    let said = network.shards[0].said_since(mark);
    let errors = said.matches("nothing is signed or served before the state is kept").count();
    expect(errors > 0, || "it said nothing".to_owned())?;
    let took = network.recovered(Duration::from_secs(20))?;
    drop(disk);
    Ok(format!(
        "the process lives and said so ({errors} lines); a round was delivered {} after there was room",
        seconds(took)
    ))
}

fn coordinator_disk_full(network: &mut Network) -> Outcome {
    network.stop_coordinator()?;
    let folder = network.folder().join("small");
    fs::create_dir(&folder)?;
    let disk = small_disk(&folder)?;
    fs::copy(network.folder().join("coordinator.state"), folder.join("coordinator.state"))?;
    let file = network.folder().join("coordinator.toml");
    let config = fs::read_to_string(&file)?;
    fs::write(&file, config.replace("\"coordinator.state\"", "\"small/coordinator.state\""))?;
    network.start_coordinator()?;
    network.recovered(Duration::from_secs(30))?;
    let mark = network.mark();
    fill(&disk)?;
    expect(network.coordinator.is_running(), || "the process ended".to_owned())?;
    let said = network.coordinator.said_since(mark);
    let errors = said.matches("nothing is planned or opened before the state is kept").count();
    expect(errors > 0, || "it said nothing".to_owned())?;
    let took = network.recovered(Duration::from_secs(20))?;
    nobody_suspended(network, mark)?;
    drop(disk);
    Ok(format!(
        "the process lives and said so ({errors} lines); a round was delivered {} after there was room",
        seconds(took)
    ))
}
