//! Two people who talk over beats while their network breaks around them, one way after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::nothing_lacking;
use crate::child::wait_for;
use crate::misbehave::Act;
use crate::network::{BenchError, Network, OPERATORS, Program};
use crate::row::{Fault, Outcome, Row, expect, seconds};
use crate::setup::Beats;
use crate::talkers::{ENDS, Messages, Nap, Number, Talkers, now_ms};

pub(crate) const ROWS: &[Row] = &[Row {
    name: "talk-over-beats",
    done: "two people talk over beats, with rounds every 20 s and a weak guarantee, while a gateway drops every cell of \
           one, a shard is killed and comes back, another garbles cells, the coordinator is killed and away for 20 s, and \
           one of them sleeps for a minute and starts again ten times",
    expected: "nothing is lost or doubled, either end spends two units at most, and who garbles is named",
    short: false,
    lacking: nothing_lacking,
    fault: Fault::Starting(|program| talk_through(program, &MINUTES)),
}];

/// The same for an hour, or for as many minutes as there are.
pub(crate) const HOUR: Row = Row {
    name: "hour-of-beats",
    done: "two people talk for an hour under the usual guarantee while a gateway drops every cell of one, a shard is killed \
           and comes back, another garbles cells, the coordinator is killed and away for two minutes, and one of them sleeps \
           for ten minutes and starts again ten times",
    fault: Fault::Starting(|program| match program.minutes() {
        Some(minutes) => talk_through(program, &LONG.shortened(minutes)),
        None => talk_through(program, &LONG),
    }),
    ..ROWS[0]
};

/// The shard that clients of the first end go through; it drops their cells.
const GATEWAY: usize = 0;
/// The one that the second end goes through, and that does nothing wrong.
const OTHER_GATEWAY: usize = 1;
/// The one that garbles.
const GARBLER: usize = 2;
/// The one that is killed.
const KILLED: usize = 4;

/// How long everything lasts.
struct Lengths {
    beats: Beats,
    /// From one message of each end to the next.
    says_every: Duration,
    /// Of undisturbed talk between two faults.
    calm: Duration,
    /// For which the gateway drops cells.
    drops: Duration,
    /// For which the coordinator is away.
    away: Duration,
    /// For which one end sleeps, at least.
    sleeps: Duration,
    /// Between two restarts.
    between_restarts: Duration,
    /// From a killed shard to new messages at both ends, at most.
    again_within: Duration,
    /// Epochs take so long that who garbles is named in so long.
    named_within: Duration,
    /// For everything together, at least.
    in_all: Duration,
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A weak guarantee, and rounds close together, so that a development build has all of it in minutes.
const MINUTES: Lengths = Lengths {
    beats: Beats {
        policy: "--beats --suite 1 --round-interval 20000 --epsilon 2 --delta 0.01 --disturbed 40 --total-delta 1 \
                 --mixing-hops 5 --early-an-hour 60 --early-a-day 600",
        rounds: 6,
        interval_ms: 20_000,
        ready_ms: 10_000,
        per_round: 60,
        beat_ms: 2000,
        layer_ms: 250,
        first_ms: 6000,
    },
    says_every: s(5),
    calm: s(15),
    drops: s(30),
    away: s(20),
    sleeps: s(50),
    between_restarts: s(3),
    again_within: s(60),
    named_within: s(300),
    in_all: s(0),
};

/// The guarantee that networks with beats have unless they say otherwise, but for rounds every minute: epochs of fifteen
/// of them have room for a sleep of ten minutes, and two of them for a garbler to be named in within the hour.
const LONG: Lengths = Lengths {
    beats: Beats {
        policy: "--beats --round-interval 60000",
        rounds: 15,
        interval_ms: 60_000,
        // All five shards build their noise on the same few cores.
        ready_ms: 50_000,
        per_round: 60,
        beat_ms: 2000,
        layer_ms: 100,
        first_ms: 15_000,
    },
    says_every: s(10),
    calm: s(120),
    drops: s(300),
    away: s(120),
    sleeps: s(600),
    between_restarts: s(20),
    again_within: s(15),
    named_within: s(30 * 60),
    in_all: s(3600),
};

impl Lengths {
    /// The same with less calm between the faults, and for so many minutes at least.
    const fn shortened(self, minutes: u64) -> Self {
        Self { calm: s(15), drops: s(120), in_all: s(60 * minutes), ..self }
    }
}

/// A network that breaks, and two people in it.
struct Trouble<'a> {
    network: Network,
    talkers: Talkers,
    lengths: &'a Lengths,
}

/// One way to break it, with the words for what was seen.
type Step = fn(&mut Trouble<'_>) -> Outcome;

/// In this order. What else may happen to two people who talk is one more.
const STEPS: [Step; 6] =
    [gateway_drops, shard_killed, sleeps, coordinator_away, starts_again, shard_garbles];

fn talk_through(program: &Program, lengths: &Lengths) -> Outcome {
    let began = Instant::now();
    let network = program.network_with_beats(&lengths.beats, &[GATEWAY, GARBLER])?;
    network.write_daemon(ENDS[0], GATEWAY)?;
    network.write_daemon(ENDS[1], OTHER_GATEWAY)?;
    let mut trouble = Trouble { talkers: Talkers::start(&network)?, network, lengths };
    let outcome = trouble.all(began);
    if outcome.is_err() {
        let Trouble { network, talkers, .. } = trouble;
        drop(talkers);
        program.keep(network);
    }
    outcome
}

impl Trouble<'_> {
    /// All steps, one after the other, with calm between them.
    fn all(&mut self, began: Instant) -> Outcome {
        self.talkers.talk(self.lengths.says_every);
        self.talkers.talking_since(0, s(300))?;
        sleep(self.lengths.calm);
        let mut seen = Vec::new();
        for step in STEPS {
            seen.push(step(self)?);
            println!(
                "    {}: {}",
                seconds(began.elapsed()),
                seen.last().map_or("", String::as_str)
            );
            sleep(self.lengths.calm);
        }
        sleep(self.lengths.in_all.saturating_sub(began.elapsed()));
        self.talkers.fall_silent();
        let talked = seconds(began.elapsed());
        seen.push(self.everything_came()?);
        Ok(format!("in {talked}: {}", seen.join("; ")))
    }

    /// Waits for everything that was said to come, and looks whether it came once and in order.
    fn everything_came(&self) -> Outcome {
        let said = self.talkers.said();
        let whole = wait_for(s(180), || {
            sleep(s(1));
            (self.came()?.len() >= said.len()).then_some(())
        });
        let mut words = Vec::new();
        for (end, name) in ENDS.iter().enumerate() {
            let came: Vec<_> =
                self.talkers.came_to(end)?.into_iter().map(|(number, _)| number).collect();
            let once: BTreeSet<_> = came.iter().copied().collect();
            let meant = said.keys().filter(|(from, _)| *from != end);
            let lost: Vec<_> = meant.filter(|number| !once.contains(number)).collect();
            expect(lost.is_empty() && whole.is_some(), || format!("{name} lacks {lost:?}"))?;
            expect(once.len() == came.len(), || format!("{name} got some twice: {came:?}"))?;
            expect(came.is_sorted(), || format!("{name} got them in another order: {came:?}"))?;
            let spent = self.talkers.spent(end)?;
            expect(spent <= 2, || format!("{name} has spent {spent} units"))?;
            words.push(format!("{} came to {name}, who has spent {spent} units", came.len()));
        }
        Ok(format!("{}, none lost or doubled", words.join(", ")))
    }

    /// All that came to either end.
    fn came(&self) -> Option<Messages> {
        let both = [self.talkers.came_to(0).ok()?, self.talkers.came_to(1).ok()?];
        Some(both.into_iter().flatten().collect())
    }

    /// Units that both have spent.
    fn spent(&self) -> Result<u64, BenchError> {
        Ok(self.talkers.spent(0)? + self.talkers.spent(1)?)
    }

    fn config_of(&self, shard: usize) -> std::path::PathBuf {
        self.network.folder().join(format!("{}.toml", OPERATORS[shard]))
    }
}

/// The gateway of one end drops every cell of it, both ways, and stops doing so.
fn gateway_drops(trouble: &mut Trouble<'_>) -> Outcome {
    let before = trouble.spent()?;
    let config = trouble.config_of(GATEWAY);
    Act::DropsClients.begin(&config)?;
    sleep(trouble.lengths.drops);
    Act::Nothing.begin(&config)?;
    let took = trouble.talkers.talking_since(now_ms(), trouble.lengths.again_within)?;
    let charged = trouble.spent()? - before;
    expect(charged == 0, || format!("{charged} units went with cells that a gateway dropped"))?;
    let dropped = seconds(trouble.lengths.drops);
    Ok(format!(
        "a gateway dropped cells for {dropped}, nothing charged, new messages {} after",
        seconds(took)
    ))
}

/// A shard is lost, and comes back later.
fn shard_killed(trouble: &mut Trouble<'_>) -> Outcome {
    let killed = now_ms();
    trouble.network.shards[KILLED].kill();
    let took = trouble.talkers.talking_since(killed, trouble.lengths.again_within)?;
    let mark = trouble.network.mark();
    trouble.network.start_shard(KILLED)?;
    let whole = trouble.network.complete(mark, s(300))?;
    Ok(format!(
        "a shard killed, new messages after {}, and in the epoch again {} after its start",
        seconds(took),
        seconds(whole)
    ))
}

/// The end whose daemon sleeps. Its gateway does nothing wrong.
const SLEEPER: usize = 1;

/// One end sleeps, and gets what was said meanwhile. Where an epoch ends too early for all of it, it sleeps again.
fn sleeps(trouble: &mut Trouble<'_>) -> Outcome {
    let Trouble { talkers, lengths, .. } = trouble;
    let interval = Duration::from_millis(lengths.beats.interval_ms.into());
    let mut naps = Vec::new();
    let slept = |naps: &[Nap]| naps.iter().map(Nap::length).sum::<Duration>();
    while slept(&naps) < lengths.sleeps {
        // A round more: it is still there until the beats of the first one begin.
        let left = lengths.sleeps - slept(&naps) + interval;
        naps.push(talkers.nap(SLEEPER, left, 4 * interval)?);
    }
    let back = now_ms();
    let again = talkers.talking_since(back, 3 * interval + lengths.again_within)?;
    let (said, came) = (talkers.said(), talkers.came_to(SLEEPER)?);
    let came: BTreeMap<_, _> = came.into_iter().collect();
    // Nothing that is sent again gets through before the beats of the next round.
    let before_beats = u64::from(lengths.beats.interval_ms / 4 + lengths.beats.first_ms);
    let (mut meanwhile, mut fetched) = (0, 0);
    for nap in &naps {
        let meant = |((end, _), at): &(&Number, &u64)| *end != SLEEPER && nap.covers(**at);
        for number in said.iter().filter(meant).map(|(number, _)| number) {
            meanwhile += 1;
            let at = came.get(number).copied();
            fetched += usize::from(at.is_some_and(|at| at < nap.until_ms + before_beats));
        }
    }
    expect(fetched >= naps.len(), || {
        format!(
            "of {meanwhile} messages to a sleeper, {fetched} were fetched in {} times",
            naps.len()
        )
    })?;
    Ok(format!(
        "{} slept for {} in {} times, and {fetched} of {meanwhile} messages of that time were there with its link; new \
         messages {} after",
        ENDS[SLEEPER],
        seconds(slept(&naps)),
        naps.len(),
        seconds(again)
    ))
}

/// The coordinator is lost, and comes back. Beats go on meanwhile, to the end of their round.
fn coordinator_away(trouble: &mut Trouble<'_>) -> Outcome {
    trouble.network.coordinator.kill();
    let away = now_ms();
    let meanwhile = trouble.talkers.talking_since(away, trouble.lengths.away)?;
    sleep(trouble.lengths.away.saturating_sub(Duration::from_millis(now_ms() - away)));
    trouble.network.start_coordinator()?;
    let took = trouble.talkers.talking_since(now_ms(), s(180))?;
    Ok(format!(
        "the coordinator away for {}, with new messages after {}, and {} after it was back",
        seconds(trouble.lengths.away),
        seconds(meanwhile),
        seconds(took)
    ))
}

/// One end starts again ten times, in turns killed and asked to stop.
fn starts_again(trouble: &mut Trouble<'_>) -> Outcome {
    for time in 0..10 {
        trouble.talkers.restart(1, time % 2 == 1)?;
        sleep(trouble.lengths.between_restarts);
    }
    let took = trouble.talkers.talking_since(now_ms(), s(180))?;
    Ok(format!("{} started again ten times, new messages {} after", ENDS[1], seconds(took)))
}

/// A shard garbles one cell of fifty, until it is named.
fn shard_garbles(trouble: &mut Trouble<'_>) -> Outcome {
    let mark = trouble.network.mark();
    let config = trouble.config_of(GARBLER);
    Act::Garbles.begin(&config)?;
    let from = Instant::now();
    let named = wait_for(trouble.lengths.named_within, || {
        let said = trouble.network.coordinator.said_since(mark);
        let line = said.lines().find(|line| line.contains(" garbles cells, and sits out "))?;
        Some(line.to_owned())
    });
    Act::Nothing.begin(&config)?;
    let Some(line) = named else {
        return Err(trouble.network.failure("nobody was named for garbled cells"));
    };
    let is_it = line.contains(&format!(" of {} ", OPERATORS[GARBLER]));
    expect(is_it, || format!("somebody else was named: {line}"))?;
    let took = seconds(from.elapsed());
    let again = trouble.talkers.talking_since(now_ms(), s(180))?;
    Ok(format!(
        "a shard garbled a cell of fifty and was named after {took}, new messages {} after",
        seconds(again)
    ))
}
