//! The operator's list as it is replaced while the shard runs.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use antiphon_process::keyfile;
use antiphon_wire::{OperatorList, Signed};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

/// Interval at which the file is looked at.
const EVERY: Duration = Duration::from_secs(10);

/// The file of an operator's list.
#[derive(Debug)]
pub(crate) struct OperatorLists {
    file: PathBuf,
    read: Option<SystemTime>,
    /// SIGHUP, at which the file is read whether or not it looks changed.
    asked: Signal,
}

impl OperatorLists {
    /// Watches `file`, which has just been read.
    ///
    /// # Errors
    /// If the system does not let the process listen for signals.
    pub(crate) fn watch(file: PathBuf) -> io::Result<Self> {
        let mut watch = Self { file, read: None, asked: signal(SignalKind::hangup())? };
        watch.read = watch.modified();
        Ok(watch)
    }

    fn modified(&self) -> Option<SystemTime> {
        fs::metadata(&self.file).and_then(|found| found.modified()).ok()
    }

    /// Waits for a new list that can be read.
    pub(crate) async fn changed(&mut self) -> Signed<OperatorList> {
        loop {
            let asked = tokio::select! {
                _ = self.asked.recv() => true,
                () = sleep(EVERY) => false,
            };
            let modified = self.modified();
            if !asked && (modified.is_none() || modified == self.read) {
                continue;
            }
            self.read = modified;
            match keyfile::read_operator_list(&self.file) {
                Ok(list) => return list,
                Err(error) => tracing::error!(%error, "cannot read the operator's new list"),
            }
        }
    }
}
