//! Standard error and logs as shells leave them.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{done, refused};

/// Runs the command with a standard error on which every write fails, and returns its exit code.
#[cfg(target_os = "linux")]
fn without_standard_error(arguments: &str) -> Option<i32> {
    let full = File::options().write(true).open("/dev/full").unwrap();
    Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .args(arguments.split_whitespace())
        .stdout(Stdio::null())
        .stderr(full)
        .status()
        .unwrap()
        .code()
}

#[cfg(target_os = "linux")]
#[test]
fn a_broken_standard_error_changes_no_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("a.key");
    assert_eq!(
        without_standard_error(&format!("keygen identity --out {}", key.display())),
        Some(0)
    );
    assert!(key.exists());
    assert_eq!(without_standard_error("keygen show /nowhere"), Some(2));
    assert_eq!(without_standard_error("plan --epsilon 1e-9"), Some(1));
    assert_eq!(without_standard_error("plam"), Some(2));
}

#[test]
fn a_filter_that_would_silence_all_logs_is_refused() {
    let here = Path::new(".");
    refused(here, "--log trcae plan", 2, "`trcae` is no level");
    refused(here, "--log antiphon_mx=debug plan", 2, "antiphon_mix");
    done(here, "--log antiphon_mix=debug,warn keygen --help");
}

#[test]
fn shells_get_completions_and_man_gets_pages() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        assert!(done(folder.path(), &format!("completions {shell}")).contains("operator-list"));
        let server = done(folder.path(), &format!("completions {shell} antiphond"));
        assert!(server.contains("antiphond") && !server.contains("operator-list"), "{shell}");
    }
    done(folder.path(), "man --out man1");
    for page in ["antiphon.1", "antiphon-shard.1", "antiphon-keygen-network.1", "antiphond-shard.1"]
    {
        let text = std::fs::read_to_string(folder.path().join("man1").join(page)).unwrap();
        assert!(text.contains(".SH") && text.contains("antiphon"), "{page}");
    }
}
