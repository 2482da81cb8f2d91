//! Profiles in folders: who may open one, and in which words everybody else is refused.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::path::{Path, PathBuf};

use antiphon_profile::{
    ContactId, Keepsake, KeepsakeKind, KeyCost, Profile, ProfileError, Submission, Unlock,
};
use antiphon_wire::Timestamp;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

const CHEAP: KeyCost = KeyCost { memory_kib: 8, passes: 1, lanes: 1 };
const NOW: Timestamp = Timestamp(1_796_045_285_000);
const CONTACT: ContactId = ContactId([7; 16]);

fn unlock() -> Unlock {
    Unlock::passphrase("correct horse")
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn create(folder: &Path) -> Result<Profile, ProfileError> {
    Profile::create(folder, &unlock(), CHEAP, NOW, &mut rng())
}

fn open(folder: &Path) -> Result<Profile, ProfileError> {
    Profile::open(folder, &unlock(), NOW, &mut rng())
}

fn refusal(folder: &Path) -> String {
    open(folder).unwrap_err().to_string()
}

fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut content: Vec<_> = entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    content.sort();
    content
}

#[test]
fn what_was_kept_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile");
    let mut profile = create(&path).unwrap();
    let submission = Submission { contact: CONTACT, body: b"hello", key: None };
    let sent = profile.store_mut().submit(NOW, submission, &mut rng()).unwrap();
    drop(profile);
    let profile = open(&path).unwrap();
    assert_eq!(profile.store().message(sent.id).unwrap().unwrap().body, b"hello");
    let names: Vec<_> = content(&path).into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, ["keys", "lock", "store", "version"].map(|name| path.join(name)));
}

#[test]
fn a_second_one_is_told_who_holds_it_and_since_when() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile");
    let profile = create(&path).unwrap();
    let words = refusal(&path);
    let holder = format!("in use by process {} since 2026-11-30 13:28:05 UTC", std::process::id());
    assert!(words.contains(&holder), "{words}");
    drop(profile);
    open(&path).unwrap();
}

#[test]
fn a_newer_profile_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile");
    create(&path).unwrap();
    fs::write(path.join("version"), "antiphon profile 2\n").unwrap();
    let before = content(&path);
    let words = refusal(&path);
    assert!(
        words.contains("newer version of Antiphon (profile version 2; this one knows 1)"),
        "{words}"
    );
    assert_eq!(content(&path), before);
    // Neither is it made anew.
    let words = create(&path).unwrap_err().to_string();
    assert!(words.contains("is not empty, and nothing in it is overwritten"), "{words}");
    assert_eq!(content(&path), before);
    fs::write(path.join("version"), "something else").unwrap();
    assert!(refusal(&path).contains("is damaged"));
}

#[test]
fn every_refusal_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile");
    assert!(refusal(&path).contains("does not exist: make a new profile there"));
    fs::create_dir(&path).unwrap();
    #[cfg(unix)]
    mode(&path, 0o700);
    assert!(refusal(&path).contains("holds no profile"));
    create(&path).unwrap();
    let wrong = Profile::open(&path, &Unlock::passphrase("wrong"), NOW, &mut rng()).unwrap_err();
    assert!(wrong.to_string().contains("the passphrase is wrong"), "{wrong}");
    let [store, keys] = ["store", "keys"].map(|name| fs::read(path.join(name)).unwrap());
    fs::write(path.join("keys"), vec![1; keys.len()]).unwrap();
    assert!(refusal(&path).contains("the file `keys` is damaged"));
    fs::write(path.join("keys"), &keys).unwrap();
    for damaged in [vec![], vec![1; store.len()]] {
        fs::write(path.join("store"), &damaged).unwrap();
        assert!(refusal(&path).contains("the file `store` is damaged"), "{}", refusal(&path));
        assert_eq!(fs::read(path.join("store")).unwrap(), damaged, "it is kept");
    }
    fs::write(path.join("store"), &store).unwrap();
    open(&path).unwrap();
}

#[cfg(unix)]
fn mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(unix)]
#[test]
fn a_profile_that_others_can_use_is_refused() {
    use std::os::unix::fs::MetadataExt as _;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile");
    create(&path).unwrap();
    for (name, _) in content(&path) {
        assert_eq!(fs::metadata(&name).unwrap().mode() & 0o777, 0o600, "{}", name.display());
    }
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    mode(&path.join("store"), 0o644);
    assert!(refusal(&path).contains(&format!("chmod 600 {}", path.join("store").display())));
    mode(&path.join("store"), 0o600);
    mode(&path, 0o755);
    assert!(refusal(&path).contains(&format!("chmod 700 {}", path.display())));
    mode(&path, 0o700);
    // Only root can give a file away.
    if std::os::unix::fs::chown(path.join("keys"), Some(12345), None).is_ok() {
        assert!(refusal(&path).contains("belongs to user 12345"), "{}", refusal(&path));
    }
}

#[test]
fn a_thief_without_the_passphrase_finds_nothing_but_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile");
    let mut profile = create(&path).unwrap();
    let store = profile.store_mut();
    let body = b"a text that nobody finds";
    store
        .submit(NOW, Submission { contact: CONTACT, body, key: Some("a key") }, &mut rng())
        .unwrap();
    let (kind, name, bytes) = (KeepsakeKind::Contact, "Carol".to_owned(), vec![0xab; 64]);
    store.keep_keepsake(Keepsake { kind, name, version: 1, bytes }, &mut rng()).unwrap();
    drop(profile);
    for (file, content) in content(&path) {
        let found = |bytes: &[u8]| content.windows(bytes.len()).any(|window| window == bytes);
        for secret in [&body[..], b"Carol", b"a key", &[0xab; 16], &CONTACT.0, b"correct horse"] {
            assert!(!found(secret), "{} holds {secret:?}", file.display());
        }
    }
}
