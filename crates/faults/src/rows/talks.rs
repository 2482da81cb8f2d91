//! A conversation of two users' daemons, through everything that happens to either and to the network between them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::clocks::{faked_by, no_faketime};
use super::nothing_lacking;
use crate::child::{Child, Surroundings, wait_for, write};
use crate::network::{BenchError, Network, Program, SHARDS};
use crate::row::{Fault, Outcome, Row, expect, seconds};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "conversation",
        done: "120 messages between two daemons, across three restarts of each (kill -9 among them), a lost gateway, an \
               aborted round, a lost shard, 30 s of SIGSTOP, and a clock that is ten minutes ahead for 20 s",
        expected: "all messages are there, once and in order, at both ends",
        short: false,
        lacking: nothing_lacking,
        fault: Fault::Starting(conversation),
    },
    Row {
        name: "conversation-stopped-long",
        done: "the same with ten minutes of SIGSTOP",
        expected: "all messages are there, once and in order, at both ends",
        short: false,
        lacking: nothing_lacking,
        fault: Fault::Starting(conversation_stopped_long),
    },
];

const NAMES: [&str; 2] = ["alice", "bob"];
/// Messages of each end before each trouble, and after the last.
const SHARE: usize = 5;
const ALICE: usize = 0;
const BOB: usize = 1;

fn conversation(program: &Program) -> Outcome {
    through_all(program, Duration::from_secs(30))
}

fn conversation_stopped_long(program: &Program) -> Outcome {
    through_all(program, Duration::from_mins(10))
}

fn through_all(program: &Program, stopped: Duration) -> Outcome {
    let mut network = program.network()?;
    let outcome = Talk::begin(&mut network).and_then(|mut talk| talk.through(stopped));
    if outcome.is_err() {
        program.keep(network);
    }
    outcome
}

/// Two daemons whose users know each other, and the messages that they have sent.
struct Talk<'a> {
    network: &'a mut Network,
    daemons: [Child; 2],
    /// The file that says how far Alice's clock is off; `None` where no clock can be moved.
    clock: Option<PathBuf>,
    said: usize,
}

/// What happens to a conversation.
type Trouble = fn(&mut Talk<'_>, Duration) -> Result<(), BenchError>;

impl<'a> Talk<'a> {
    /// Starts both daemons, and has their users exchange codes.
    fn begin(network: &'a mut Network) -> Result<Self, BenchError> {
        let folder = network.folder();
        let config = fs::read_to_string(folder.join("client.toml"))?;
        write(&folder.join("daemon.toml"), &config.replace("state = \"client.state\"\n", ""))?;
        for name in NAMES {
            let path = folder.join(format!("{name}.pass"));
            write(&path, "five words that nobody guesses\n")?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        }
        let clock = no_faketime().is_none().then(|| folder.join("offset"));
        clock.as_ref().map(|file| write(file, "+0\n")).transpose()?;
        let start =
            |who: usize| network.start_daemon(NAMES[who], &surroundings(who, clock.as_ref()));
        let daemons = [start(ALICE)?, start(BOB)?];
        let code = network.run("contact code bob --profile alice")?;
        let added = network.run(&format!("contact add alice {code} --profile bob"))?;
        let given = added.lines().find(|line| line.starts_with("antiphon1")).unwrap_or_default();
        network.run(&format!("contact add bob {given} --profile alice"))?;
        Ok(Self { network, daemons, clock, said: 0 })
    }

    fn through(&mut self, stopped: Duration) -> Outcome {
        let troubles: [Trouble; 11] = [
            |talk, _| talk.restart(ALICE),
            |talk, _| talk.kill(BOB),
            |talk, _| talk.lose_gateway(),
            |talk, _| talk.restart(BOB),
            |talk, _| talk.abort_a_round(),
            |talk, _| talk.kill(ALICE),
            |talk, _| talk.lose_shard(),
            |talk, _| talk.kill(BOB),
            |talk, stopped| talk.stop(stopped),
            |talk, _| talk.restart(ALICE),
            |talk, _| talk.move_clock(),
        ];
        for trouble in troubles {
            self.say()?;
            // With some of it under way.
            self.network.recovered(Duration::from_secs(60))?;
            trouble(self, stopped)?;
        }
        self.say()?;
        // As rare as meetings can have become: one in 128 rounds.
        let took = self.all_there(Duration::from_mins(10))?;
        let clock =
            if self.clock.is_some() { "" } else { "; no clock was moved, for want of libfaketime" };
        let said = 2 * self.said;
        Ok(format!("{said} messages, all there {} after the last was sent{clock}", seconds(took)))
    }

    /// Each end sends a few messages.
    fn say(&mut self) -> Result<(), BenchError> {
        for _ in 0..SHARE {
            for (who, to) in [(ALICE, NAMES[BOB]), (BOB, NAMES[ALICE])] {
                let (from, number) = (NAMES[who], self.said);
                self.network.run(&format!("send {to} {from}-{number} --profile {from}"))?;
            }
            self.said += 1;
        }
        Ok(())
    }

    /// The texts that an end has received, in order.
    fn received(&self, who: usize) -> Result<Vec<String>, BenchError> {
        let printed = self.network.run(&format!("receive --after 0 --profile {}", NAMES[who]))?;
        let text = |line: &str| line.split_once(": ").map(|(_, text)| text.to_owned());
        Ok(printed.lines().filter_map(text).collect())
    }

    /// Waits until all is there, sees that it is so once and in order, and that nothing comes after it.
    fn all_there(&self, within: Duration) -> Result<Duration, BenchError> {
        let from = Instant::now();
        loop {
            let there = [self.received(ALICE)?, self.received(BOB)?];
            if there.iter().all(|there| there.len() >= self.said) {
                break;
            }
            let counts = there.map(|there| there.len());
            let said = self.said;
            expect(from.elapsed() < within, || format!("{counts:?} of {said} messages came"))?;
            sleep(Duration::from_secs(1));
        }
        let took = from.elapsed();
        sleep(Duration::from_secs(10));
        for (who, from) in [(ALICE, NAMES[BOB]), (BOB, NAMES[ALICE])] {
            let expected: Vec<_> =
                (0..self.said).map(|number| format!("{from}-{number}")).collect();
            let there = self.received(who)?;
            let wrong = || format!("{} has received {there:?}", NAMES[who]);
            expect(there == expected, wrong)?;
        }
        Ok(took)
    }

    fn start(&mut self, who: usize) -> Result<(), BenchError> {
        let surroundings = surroundings(who, self.clock.as_ref());
        self.daemons[who] = self.network.start_daemon(NAMES[who], &surroundings)?;
        Ok(())
    }

    fn restart(&mut self, who: usize) -> Result<(), BenchError> {
        self.daemons[who].signal(Signal::TERM);
        let code = self.daemons[who].exit_code(Duration::from_secs(60));
        expect(code == Some(0), || format!("after SIGTERM a daemon ended with {code:?}"))?;
        self.start(who)
    }

    fn kill(&mut self, who: usize) -> Result<(), BenchError> {
        self.daemons[who].kill();
        self.start(who)
    }

    fn lose_gateway(&mut self) -> Result<(), BenchError> {
        let none = || BenchError::NotSeen("no shard's metrics show a client".to_owned());
        let gateway = self.network.gateway_in_use().ok_or_else(none)?;
        self.network.shards[gateway].kill();
        sleep(Duration::from_secs(5));
        self.network.start_shard(gateway)?;
        self.network.recovered(Duration::from_secs(90)).map(drop)
    }

    /// A shard stands still in the middle of a round, until that is given up for it. Between two rounds, none would open.
    fn abort_a_round(&mut self) -> Result<(), BenchError> {
        let mark = self.network.mark();
        let opens = || self.network.coordinator.said_since(mark).contains(" opened").then_some(());
        let opened = wait_for(Duration::from_secs(60), opens);
        expect(opened.is_some(), || "no round opened".to_owned())?;
        self.network.shards[SHARDS - 1].signal(Signal::STOP);
        let aborted = wait_for(Duration::from_secs(60), || {
            self.network.rounds_since(mark).iter().any(|round| !round.delivered).then_some(())
        });
        self.network.shards[SHARDS - 1].signal(Signal::CONT);
        expect(aborted.is_some(), || "no round was aborted".to_owned())?;
        self.network.recovered(Duration::from_secs(90)).map(drop)
    }

    /// A shard is gone for good, or until the next epoch is planned without it.
    fn lose_shard(&mut self) -> Result<(), BenchError> {
        self.network.shards[0].kill();
        self.network.recovered(Duration::from_secs(90))?;
        self.network.start_shard(0)
    }

    fn stop(&mut self, stopped: Duration) -> Result<(), BenchError> {
        self.daemons[BOB].signal(Signal::STOP);
        sleep(stopped);
        self.daemons[BOB].signal(Signal::CONT);
        Ok(())
    }

    fn move_clock(&mut self) -> Result<(), BenchError> {
        let Some(file) = &self.clock else { return Ok(()) };
        fs::write(file, "+600\n")?;
        sleep(Duration::from_secs(20));
        fs::write(file, "+0\n")?;
        Ok(())
    }
}

/// Alice's clock can be moved.
fn surroundings(who: usize, clock: Option<&PathBuf>) -> Surroundings {
    let file = clock.filter(|_| who == ALICE);
    Surroundings {
        variables: file.map_or_else(Vec::new, |file| faked_by(file)),
        ..Surroundings::default()
    }
}
