use std::fs;
use std::path::Path;

use crate::{done, refused, run};

/// A folder with a passphrase in the file `pass`, and a profile named `p` that it opens.
fn setup() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    passphrase(directory.path(), "pass", "correct horse battery");
    done(directory.path(), "profile new p --passphrase-file pass");
    directory
}

fn passphrase(here: &Path, name: &str, text: &str) {
    fs::write(here.join(name), format!("{text}\n")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(here.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn a_profile_is_made_shown_backed_up_and_restored() {
    let directory = setup();
    let here = directory.path();
    let shown = done(here, "profile show p --passphrase-file pass");
    assert!(shown.contains("a passphrase (argon2id, 64 MiB, 3 passes)"), "{shown}");
    assert!(shown.contains("no client has used it yet"), "{shown}");
    let said = done(here, "profile backup p --passphrase-file pass --out b --with-messages");
    assert!(said.starts_with("b holds 0 keepsakes and 0 messages of 20"), "{said}");
    let said = done(here, "profile restore b again --backup-passphrase-file pass --json");
    let summary: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&summary["keepsakes"], &summary["messages"]), (&0.into(), &0.into()));
    let shown = done(here, "profile show again --passphrase-file pass --json");
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    // What tells that it was restored.
    assert_eq!((&shown["events"], &shown["opens_with"]), (&1.into(), &"passphrase".into()));
    assert!(here.join("again/state.witness").exists());
    done(here, "profile export again --passphrase-file pass --out lines");
    let lines = fs::read_to_string(here.join("lines")).unwrap();
    assert!(lines.contains(r#""kind":"restored""#) && lines.ends_with("}\n"), "{lines}");
    // Nothing that is there is overwritten.
    refused(here, "profile new p --passphrase-file pass", 2, "is not empty");
    refused(here, "profile backup p --passphrase-file pass --out b", 1, "no file is overwritten");
    refused(here, "profile export p --passphrase-file pass --out b", 1, "no file is overwritten");
    refused(here, "profile restore b p --backup-passphrase-file pass", 2, "is not empty");
}

#[test]
fn a_changed_passphrase_opens_the_profile_and_the_former_one_opens_nothing() {
    let directory = setup();
    let here = directory.path();
    passphrase(here, "next", "another good passphrase");
    done(here, "profile change p --passphrase-file pass --new-passphrase-file next");
    refused(here, "profile show p --passphrase-file pass", 2, "the passphrase is wrong");
    done(here, "profile change p --passphrase-file next --new-key-file key");
    refused(here, "profile show p --passphrase-file next", 2, "it opens with a key file");
    assert!(done(here, "profile show p --key-file key").contains("a key file"));
    passphrase(here, "short", "short");
    refused(here, "profile change p --key-file key --new-passphrase-file short", 2, "8 characters");
    done(here, "profile show p --key-file key");
}

#[test]
fn a_key_file_is_made_for_a_profile_and_opens_it_alone() {
    let directory = setup();
    let here = directory.path();
    done(here, "profile new k --key-file key");
    assert!(done(here, "profile show k --key-file key").contains("a key file"));
    refused(here, "profile show k --passphrase-file pass", 2, "it opens with a key file");
    refused(here, "profile show p --key-file key", 2, "it opens with a passphrase");
    refused(here, "profile new l --key-file key", 1, "cannot write key");
    done(here, "keygen identity --out identity");
    refused(here, "profile show k --key-file identity", 2, "holds an identity key");
}

#[test]
fn every_refusal_of_a_profile_says_what_to_do() {
    let directory = setup();
    let here = directory.path();
    passphrase(here, "wrong", "wrong horse battery");
    passphrase(here, "short", "horse");
    refused(
        here,
        "profile show p --passphrase-file wrong",
        2,
        "the passphrase is wrong: try again",
    );
    refused(here, "profile new q --passphrase-file short", 2, "at least 8 characters");
    refused(here, "profile show q --passphrase-file pass", 2, "make a new profile there");
    done(here, "profile backup p --passphrase-file pass --out b");
    refused(
        here,
        "profile restore b r --backup-passphrase-file wrong",
        2,
        "not that of this backup",
    );
    let backup = fs::read(here.join("b")).unwrap();
    fs::write(here.join("cut"), &backup[..1000]).unwrap();
    refused(here, "profile restore cut r --backup-passphrase-file pass", 1, "was cut short");
    fs::write(here.join("p/version"), "antiphon profile 7\n").unwrap();
    refused(here, "profile show p --passphrase-file pass", 1, "a newer version of Antiphon");
    assert!(!here.join("r").exists());
}

#[test]
fn a_passphrase_comes_from_standard_input_where_that_is_no_terminal() {
    let directory = setup();
    let here = directory.path();
    // Nothing is there to be read: an empty passphrase opens nothing.
    let run = run(here, "profile show p");
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.err.contains("the passphrase is wrong"), "{}", run.err);
}
