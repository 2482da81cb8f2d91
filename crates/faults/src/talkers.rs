//! Two people's daemons, and what they tell each other: everything that is said, and everything that came.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use serde_json::Value;

use crate::child::{Child, Surroundings, wait_for};
use crate::network::{BenchError, Network};

/// Who talks: each end and its contact.
pub(crate) const ENDS: [&str; 2] = ["alice", "bob"];

/// Longest wait for a daemon to be up, or to end.
const DAEMON_WITHIN: Duration = Duration::from_secs(60);

/// A message: who said it, and its number at that end.
pub(crate) type Number = (usize, u64);

/// Messages by the time in milliseconds at which the daemon of the one end had them, or that of the other stored them.
pub(crate) type Messages = BTreeMap<Number, u64>;

/// Two daemons that run, and a thread that has them talk.
pub(crate) struct Talkers {
    place: Place,
    daemons: [Option<Child>; 2],
    said: Arc<Mutex<Messages>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Where commands are run.
#[derive(Clone)]
struct Place {
    program: PathBuf,
    folder: PathBuf,
}

impl Place {
    /// What a command prints, if it succeeds.
    fn run(&self, arguments: &[&str]) -> Result<String, BenchError> {
        let output =
            Command::new(&self.program).current_dir(&self.folder).args(arguments).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(BenchError::Command { arguments: arguments.join(" "), said });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn start(&self, end: usize, new: bool) -> Result<Child, BenchError> {
        let who = ENDS[end];
        let (config, pass) = (format!("{who}.toml"), format!("{who}.pass"));
        let mut arguments =
            vec!["serve", "--profile", who, "--config", &config, "--passphrase-file", &pass];
        arguments.extend(new.then_some("--new"));
        let surroundings = Surroundings::default();
        Ok(Child::start(&self.program, &self.folder, who, &arguments, &surroundings)?)
    }
}

/// A time for which a daemon slept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nap {
    pub(crate) from_ms: u64,
    pub(crate) until_ms: u64,
}

impl Nap {
    pub(crate) const fn length(&self) -> Duration {
        Duration::from_millis(self.until_ms - self.from_ms)
    }

    pub(crate) const fn covers(&self, at_ms: u64) -> bool {
        self.from_ms <= at_ms && at_ms < self.until_ms
    }
}

impl Talkers {
    /// Starts both daemons on new profiles, and has them know each other. Nobody says anything yet.
    pub(crate) fn start(network: &Network) -> Result<Self, BenchError> {
        let place =
            Place { program: network.program().to_owned(), folder: network.folder().to_owned() };
        let mut daemons = [None, None];
        for (end, daemon) in daemons.iter_mut().enumerate() {
            let started = place.start(end, true)?;
            up_since(&started, 0)?;
            *daemon = Some(started);
        }
        let [alice, bob] = ENDS;
        let code = place.run(&["contact", "code", bob, "--profile", alice])?;
        let added = place.run(&["contact", "add", alice, code.trim(), "--profile", bob])?;
        let given = added.lines().find(|line| line.starts_with("antiphon1")).unwrap_or_default();
        place.run(&["contact", "add", bob, given, "--profile", alice])?;
        // Beats carry nothing to somebody whose number was not compared.
        let shown = place.run(&["contact", "verify", bob, "--profile", alice, "--json", "-"])?;
        let shown: Value = serde_json::from_str(&shown).unwrap_or_default();
        let digits = shown["safety_number"].as_str().unwrap_or_default();
        place.run(&["contact", "verify", bob, digits, "--profile", alice])?;
        place.run(&["contact", "verify", alice, digits, "--profile", bob])?;
        let (said, over) = Default::default();
        Ok(Self { place, daemons, said, over, thread: None })
    }

    /// Has each end say something every so often, until [`Self::fall_silent`]. What a daemon that is away does not take
    /// is said again, under the same key.
    pub(crate) fn talk(&mut self, every: Duration) {
        let (place, said, over) = (self.place.clone(), self.said.clone(), self.over.clone());
        self.thread = Some(thread::spawn(move || {
            for number in 0.. {
                for end in 0..ENDS.len() {
                    while !over.load(Ordering::Relaxed) && say(&place, (end, number)).is_err() {
                        thread::sleep(every);
                    }
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                    said.insert((end, number), now_ms());
                }
                thread::sleep(every);
            }
        }));
    }

    /// Ends the talk. Nothing more is said.
    pub(crate) fn fall_silent(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in it would have been seen.
            let _ = thread.join();
        }
    }

    /// Everything that the daemons were given so far.
    pub(crate) fn said(&self) -> Messages {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything that came to an end, in order, with the time at which it was stored. Doubles are in it.
    pub(crate) fn came_to(&self, end: usize) -> Result<Vec<(Number, u64)>, BenchError> {
        let all = ["receive", "--profile", ENDS[end], "--after", "0", "--json"];
        let lines = self.place.run(&all)?;
        let message = |line: &str| {
            let line: Value = serde_json::from_str(line).ok()?;
            let (who, number) = line["text"].as_str()?.split_once(' ')?;
            let who = ENDS.iter().position(|end| *end == who)?;
            Some(((who, number.parse().ok()?), line["at_ms"].as_u64()?))
        };
        Ok(lines.lines().filter_map(message).collect())
    }

    /// What an end's daemon says of itself.
    fn status(&self, end: usize) -> Result<Value, BenchError> {
        let status = self.place.run(&["status", "--profile", ENDS[end], "--json", "-"])?;
        Ok(serde_json::from_str(&status).unwrap_or_default())
    }

    /// Has an end's daemon sleep for so long, if the epoch has as much, and waits until it is back. It falls asleep `within`
    /// that time.
    pub(crate) fn nap(
        &self,
        end: usize,
        time: Duration,
        within: Duration,
    ) -> Result<Nap, BenchError> {
        let time = format!("{}s", time.as_secs());
        self.place.run(&["sleep", &time, "--profile", ENDS[end]])?;
        let never = |what: &str| BenchError::NotSeen(format!("{} {what}", ENDS[end]));
        let look = || {
            thread::sleep(Duration::from_millis(300));
            self.status(end).ok()
        };
        let until_ms = wait_for(within, || look()?["asleep_until_ms"].as_u64());
        let until_ms = until_ms.ok_or_else(|| never("does not fall asleep"))?;
        let nap = Nap { from_ms: now_ms().min(until_ms), until_ms };
        let is_back = || (look()?["online"] == Value::Bool(true)).then_some(());
        let back = wait_for(nap.length() + within, is_back);
        back.map(|()| nap).ok_or_else(|| never("does not come back from its sleep"))
    }

    /// Units that an end has spent.
    pub(crate) fn spent(&self, end: usize) -> Result<u64, BenchError> {
        let status = self.status(end)?;
        let unreadable = || BenchError::NotSeen("the status says nothing of a budget".to_owned());
        status["budget"]["spent"].as_u64().ok_or_else(unreadable)
    }

    /// Waits until a message that was said after `from_ms` has come to each end. Returns how long after `from_ms` the
    /// later of both came.
    pub(crate) fn talking_since(
        &self,
        from_ms: u64,
        within: Duration,
    ) -> Result<Duration, BenchError> {
        let first_to = |end: usize| {
            let said = self.said();
            let came = self.came_to(end).unwrap_or_default();
            let new =
                |(number, _): &&(Number, u64)| said.get(number).is_some_and(|at| *at > from_ms);
            came.iter().find(new).map(|(_, at)| *at)
        };
        let both = wait_for(within, || {
            thread::sleep(Duration::from_millis(300));
            Some([first_to(0)?, first_to(1)?])
        });
        match both {
            Some([a, b]) => Ok(Duration::from_millis(a.max(b).saturating_sub(from_ms))),
            None => {
                let why = format!("nothing new came to both within {} s", within.as_secs());
                Err(BenchError::NotSeen(why))
            }
        }
    }

    /// Ends an end's daemon at once or politely, and starts it again.
    pub(crate) fn restart(&mut self, end: usize, politely: bool) -> Result<(), BenchError> {
        if let Some(mut daemon) = self.daemons[end].take() {
            if politely {
                daemon.signal(Signal::TERM);
                let code = daemon.exit_code(DAEMON_WITHIN);
                if code != Some(0) {
                    let why = format!("{} ended with {code:?} after SIGTERM", ENDS[end]);
                    return Err(BenchError::NotSeen(why));
                }
            }
            daemon.kill();
            let mark = daemon.mark();
            let again = self.place.start(end, false)?;
            up_since(&again, mark)?;
            self.daemons[end] = Some(again);
        }
        Ok(())
    }
}

impl Drop for Talkers {
    fn drop(&mut self) {
        self.fall_silent();
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

fn say(place: &Place, (end, number): Number) -> Result<(), BenchError> {
    let (me, to) = (ENDS[end], ENDS[1 - end]);
    let (text, key) = (format!("{me} {number}"), format!("{me}-{number}"));
    place.run(&["send", to, &text, "--profile", me, "--key", &key]).map(drop)
}

fn up_since(daemon: &Child, mark: u64) -> Result<(), BenchError> {
    let up = || daemon.said_since(mark).contains("it stays whatever its user does").then_some(());
    wait_for(DAEMON_WITHIN, up).ok_or_else(|| {
        let said = daemon.said_since(mark);
        let last = said.lines().last().unwrap_or_default().to_owned();
        BenchError::NotSeen(format!("a daemon does not start: {last}"))
    })
}
