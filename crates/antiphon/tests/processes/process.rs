//! A process that never outlives its test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take. Only failures take so long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the command in `here`; its output goes to a file there, named for `name`.
    pub(crate) fn start(here: &Path, name: &str, arguments: &str) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_antiphon")), here, name, arguments)
    }

    /// The same, on a disk that is full for every file beyond so many kibibytes.
    pub(crate) fn start_on_full_disk(here: &Path, name: &str, kib: u64, arguments: &str) -> Self {
        let mut shell = Command::new("sh");
        // A process is told of it by an error then, as on a disk that is full, and not by a signal.
        let limits = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", 2 * kib);
        shell.args(["-c", &limits, env!("CARGO_BIN_EXE_antiphon")]);
        Self::start_by(shell, here, name, arguments)
    }

    fn start_by(mut command: Command, here: &Path, name: &str, arguments: &str) -> Self {
        let log = here.join(format!("{name}.log"));
        let file = File::create(&log).unwrap();
        let child = command
            .current_dir(here)
            .env("NO_COLOR", "1")
            .args(arguments.split_whitespace())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { name: name.to_owned(), child, log }
    }

    /// What it has written so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until its log holds what `found` looks for.
    pub(crate) fn wait_for<T>(&mut self, what: &str, found: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            // Asked first: what it wrote before it ended is in the log then.
            let ended = self.child.try_wait().unwrap();
            if let Some(found) = found(&self.log()) {
                return found;
            }
            assert!(ended.is_none(), "{}: ended before {what}", self.name);
            assert!(Instant::now() < deadline, "{}: no {what}", self.name);
            thread::sleep(POLL);
        }
    }

    /// Waits until its log holds `words`.
    pub(crate) fn wait_for_words(&mut self, words: &str) {
        self.wait_for(words, |log| log.contains(words).then_some(()));
    }

    /// Waits for its end; returns the exit code.
    pub(crate) fn exit_code(&mut self) -> i32 {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or_else(|| panic!("{}: {status}", self.name));
            }
            assert!(Instant::now() < deadline, "{}: does not end", self.name);
            thread::sleep(POLL);
        }
    }

    /// Asks it to stop, with SIGTERM; returns the exit code and how long it took.
    pub(crate) fn terminate(&mut self) -> (i32, Duration) {
        let asked = Instant::now();
        self.ask_to_stop();
        (self.exit_code(), asked.elapsed())
    }

    /// Asks it to stop, with SIGTERM.
    pub(crate) fn ask_to_stop(&self) {
        self.signal("-TERM");
    }

    /// Stops it where it is; killing it works all the same.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Ends it at once, with SIGKILL.
    pub(crate) fn kill(&mut self) {
        // Fails only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let from = lines.len().saturating_sub(40);
            eprintln!("--- {}, the end of its log:\n{}", self.name, lines[from..].join("\n"));
        }
    }
}
