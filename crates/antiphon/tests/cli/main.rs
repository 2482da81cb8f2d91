//! The command as scripts and people meet it.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod account;
mod attack;
mod capacity;
mod catalogue;
mod keygen;
mod load;
mod plan;
mod profile;
mod scale;
mod serve;
mod speed;
mod streams;

use std::path::Path;
use std::process::{Command, Output};

/// What one run of the command left.
struct Run {
    code: i32,
    out: String,
    err: String,
}

/// Runs the command in `directory` with arguments separated by blanks.
fn run(directory: &Path, arguments: &str) -> Run {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .current_dir(directory)
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    Run {
        code: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// Runs the command and expects it to fail with `code`, saying `words`.
fn refused(directory: &Path, arguments: &str, code: i32, words: &str) {
    let run = run(directory, arguments);
    assert_eq!(run.code, code, "{arguments}: {}", run.err);
    assert!(run.err.contains(words), "{arguments}: {}", run.err);
    assert!(run.out.is_empty(), "{arguments}: {}", run.out);
}

/// Runs the command, expects it to do its job and returns what it prints.
fn done(directory: &Path, arguments: &str) -> String {
    let run = run(directory, arguments);
    assert_eq!(run.code, 0, "{arguments}: {}", run.err);
    run.out
}

#[test]
fn help_teaches_every_command() {
    let here = Path::new(".");
    for command in [
        "",
        "client",
        "serve",
        "contact",
        "send",
        "receive",
        "status",
        "load",
        "plan",
        "account",
        "metrics",
        "attack",
        "speed",
        "keygen",
        "keygen network",
        "keygen operator-list",
        "profile",
        "profile new",
        "profile restore",
    ] {
        let help = done(here, &format!("{command} --help"));
        assert!(help.contains("  antiphon "), "{command} has an example: {help}");
    }
    for command in
        ["", "client", "load", "plan", "account", "metrics", "attack", "speed", "keygen", "profile"]
    {
        assert!(done(here, &format!("{command} --help")).contains("Exit codes:"));
    }
    assert!(done(here, "--version").starts_with("antiphon "));
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let here = Path::new(".");
    refused(here, "", 2, "Usage");
    refused(here, "plam", 2, "plan");
    refused(here, "plan --log antiphon=loud", 2, "debug");
}
