use std::fs;
use std::path::Path;

use crate::{done, refused};

/// A folder with a profile `p`, its passphrase in `pass`, and the configuration of a network that is not there.
fn setup() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    passphrase(here, "pass", "correct horse battery");
    done(here, "profile new p --passphrase-file pass");
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/samples");
    for name in ["network.toml", "antiphon.toml"] {
        fs::copy(samples.join(name), here.join(name)).unwrap();
    }
    directory
}

fn passphrase(here: &Path, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;

    fs::write(here.join(name), format!("{text}\n")).unwrap();
    fs::set_permissions(here.join(name), fs::Permissions::from_mode(0o600)).unwrap();
}

const SERVE: &str = "serve --profile p --config antiphon.toml --passphrase-file";

#[test]
fn a_daemon_that_does_not_start_says_what_to_do_and_leaves_everything_as_it_is() {
    let directory = setup();
    let here = directory.path();
    passphrase(here, "wrong", "another passphrase");
    refused(here, &format!("{SERVE} wrong"), 2, "the passphrase is wrong");
    let nobody = SERVE.replace("--profile p", "--profile nowhere");
    refused(here, &format!("{nobody} pass"), 2, "make a new profile there");
    refused(here, &format!("{SERVE} pass --new"), 2, "nothing in it is overwritten");
    refused(here, &format!("{SERVE} pass --listen 0.0.0.0:1"), 2, "other machines");
    let store = fs::read(here.join("p/store")).unwrap();
    for (file, content, code, words) in [
        ("p/version", &b"antiphon profile 2\n"[..], 1, "newer version of Antiphon"),
        ("p/store", &[1; 9000], 1, "the file `store` is damaged"),
    ] {
        let before = fs::read(here.join(file)).unwrap();
        fs::write(here.join(file), content).unwrap();
        refused(here, &format!("{SERVE} pass"), code, words);
        assert_eq!(fs::read(here.join(file)).unwrap(), content, "{file} is kept");
        fs::write(here.join(file), before).unwrap();
    }
    assert_eq!(fs::read(here.join("p/store")).unwrap().len(), store.len());
    let config = fs::read_to_string(here.join("antiphon.toml")).unwrap();
    fs::write(here.join("antiphon.toml"), format!("colour = 3\n{config}")).unwrap();
    refused(here, &format!("{SERVE} pass"), 2, "colour");
}

#[test]
fn whoever_asks_without_a_daemon_is_told_how_to_start_one() {
    let directory = setup();
    let here = directory.path();
    for command in ["contact list", "contact code bob", "send bob hello", "receive", "status"] {
        refused(here, &format!("{command} --profile p"), 1, "start `antiphon serve --profile p");
    }
    refused(here, "receive --profile p --json lines", 2, "lines of JSON on standard output");
}
