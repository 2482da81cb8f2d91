//! A process that never outlives its row.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child as StdChild, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Interval at which a condition is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// Environment and limits of a process, beside its arguments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    /// The most files that it may have open.
    pub(crate) descriptors: Option<u32>,
    /// Variables of its environment.
    pub(crate) variables: Vec<(String, String)>,
}

/// A running process, and the file with all that it says. Started again under the same name, it goes
/// on in the same file.
#[derive(Debug)]
pub(crate) struct Child {
    process: StdChild,
    log: PathBuf,
}

impl Child {
    /// Starts `program` in `folder`.
    pub(crate) fn start(
        program: &Path,
        folder: &Path,
        name: &str,
        arguments: &[&str],
        surroundings: &Surroundings,
    ) -> io::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = OpenOptions::new().create(true).append(true).open(&log)?;
        let mut command = match surroundings.descriptors {
            None => Command::new(program),
            Some(limit) => {
                // Only a shell can lower its own limit before it becomes the program.
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\"")]);
                shell.arg(program);
                shell
            }
        };
        let process = command
            .current_dir(folder)
            .env("NO_COLOR", "1")
            .envs(surroundings.variables.iter().map(|(key, value)| (key, value)))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        Ok(Self { process, log })
    }

    /// Returns `true` if it has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Sends it a signal, unless it has ended.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            // Its number is its own until it has been waited for.
            let _ = kill_process(pid(&self.process), signal);
        }
    }

    /// Ends it with SIGKILL, and waits for its end.
    pub(crate) fn kill(&mut self) {
        // Fails only if it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Waits for its end and returns the exit code; `None` if it does not end `within` that time, or
    /// was ended by a signal.
    pub(crate) fn exit_code(&mut self, within: Duration) -> Option<i32> {
        wait_for(within, || self.process.try_wait().ok().flatten())?.code()
    }

    /// Mebibytes of memory that it holds.
    pub(crate) fn resident(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most mebibytes that it held since [`Self::forget_peak`].
    pub(crate) fn peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// Counts the peak of its memory from now on.
    pub(crate) fn forget_peak(&self) -> io::Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5")
    }

    /// Number of files and sockets that it has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id())).map_or(0, Iterator::count)
    }

    /// A line of what the system knows of it, given in kibibytes, as mebibytes.
    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let line = |text: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        status.ok().and_then(|text| line(&text)).unwrap_or(0) / 1024
    }

    /// Where its log ends now.
    pub(crate) fn mark(&self) -> u64 {
        fs::metadata(&self.log).map_or(0, |metadata| metadata.len())
    }

    /// Text that it has logged since `mark`.
    pub(crate) fn said_since(&self, mark: u64) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(mark as usize..).unwrap_or_default()).into_owned()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

fn pid(process: &StdChild) -> Pid {
    Pid::from_child(process)
}

/// Asks until there is an answer, or the time is over.
pub(crate) fn wait_for<T>(within: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(POLL);
    }
}

/// Makes a file with `content`.
pub(crate) fn write(path: &Path, content: &str) -> io::Result<()> {
    io::Write::write_all(&mut File::create(path)?, content.as_bytes())
}
