//! Whole networks of separate processes, over QUIC and TCP on loopback.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(
    clippy::disallowed_methods,
    reason = "processes are watched by the clock, with a deadline"
)]

mod configurations;
mod crashes;
mod demo;
mod files;
mod handbook;
mod load;
mod members;
mod messenger;
mod metrics;
mod network;
mod process;
mod samples;
mod shutdown;
mod traces;

use std::path::Path;
use std::process::Command;

/// Runs the command in `here` with arguments separated by blanks; returns what it prints.
fn done(here: &Path, arguments: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .current_dir(here)
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
